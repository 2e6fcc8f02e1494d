//! `bourn config alter`

use anyhow::bail;
use client::Admin;
use client::admin::{AlterOp, ConfigKind, ConfigResource};
use protocol::{ErrorCode, Str};
use serde::Serialize;

use super::{Kind, Target, name_of};
use crate::context::{Globals, explain};
use crate::output;
use crate::topic::name_value;

#[derive(clap::Args)]
pub(crate) struct Alter {
    #[command(flatten)]
    target: Target,
    /// Set a config; may be repeated
    #[arg(short, long = "set", value_name = "NAME=VALUE", value_parser = name_value)]
    sets: Vec<(String, String)>,
    /// Give a config its default back; may be repeated
    #[arg(short, long = "delete", value_name = "NAME")]
    deletes: Vec<String>,
    /// Add to a config that is a list; may be repeated
    #[arg(long = "append", value_name = "NAME=VALUE", value_parser = name_value)]
    appends: Vec<(String, String)>,
    /// Take from a config that is a list; may be repeated
    #[arg(long = "subtract", value_name = "NAME=VALUE", value_parser = name_value)]
    subtracts: Vec<(String, String)>,
    /// Only say whether it could be done
    #[arg(long)]
    dry_run: bool,
}

/// Part of the JSON that docs/cli.md describes.
#[derive(Serialize)]
struct Outcome {
    kind: &'static str,
    name: Option<String>,
    altered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Alter {
    pub(super) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        let (resource, changes) = (self.target.resource()?, self.changes());
        if changes.is_empty() {
            bail!("nothing to change; give --set, --delete, --append or --subtract");
        }
        let result = globals.with_cluster(async |_, cluster| {
            // A broker that nobody has heard of cannot be asked.
            cluster.refresh(Vec::new(), false).await.map_err(explain)?;
            let admin = Admin::new(&cluster);
            Ok(admin.incremental_alter_configs(&resource, &changes, self.dry_run).await)
        })?;
        let error = result.err().map(|error| advise(error, &resource));
        if globals.is_json() {
            let outcome = Outcome {
                kind: Kind::of(resource.kind()).name(),
                name: name_of(&resource),
                altered: error.is_none() && !self.dry_run,
                error: error.as_ref().map(ToString::to_string),
            };
            output::print_json(&outcome)?;
        } else if error.is_none() {
            let done = if self.dry_run { "could be altered" } else { "altered" };
            output::print(&format!("configs of {}: {done}", sentence(&resource)))?;
        }
        error.map_or(Ok(()), Err)
    }

    fn changes(&self) -> Vec<(Str, AlterOp)> {
        type Op = fn(Str) -> AlterOp;
        let with = |list: &[(String, String)], op: Op| -> Vec<(Str, AlterOp)> {
            list.iter().map(|(name, value)| (Str::from(name), op(Str::from(value)))).collect()
        };
        let mut changes = with(&self.sets, AlterOp::Set);
        changes.extend(self.deletes.iter().map(|name| (Str::from(name), AlterOp::Delete)));
        changes.extend(with(&self.appends, AlterOp::Append));
        changes.extend(with(&self.subtracts, AlterOp::Subtract));
        changes
    }
}

fn sentence(resource: &ConfigResource) -> String {
    match resource {
        ConfigResource::Topic(name) => format!("topic {name}"),
        other => other.to_string(),
    }
}

/// With what to do about it, here where it is known what the configs belong to.
fn advise(error: client::Error, resource: &ConfigResource) -> anyhow::Error {
    let refused = matches!(error.code(), Some(ErrorCode::InvalidConfig | ErrorCode::InvalidRequest));
    match (refused, resource.kind(), resource) {
        (true, ConfigKind::Broker, ConfigResource::Broker(id)) => {
            anyhow::anyhow!(
                "{error}; `bourn config describe broker {id} --all` shows which configs need a restart"
            )
        }
        (true, ConfigKind::Broker, _) => {
            anyhow::anyhow!(
                "{error}; `bourn config describe broker ID --all` shows which configs need a restart"
            )
        }
        _ => explain(error),
    }
}
