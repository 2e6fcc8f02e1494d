//! `bourn topic alter`

use anyhow::bail;
use client::Admin;
use client::admin::{AlterOp, ConfigResource};
use protocol::Str;
use serde::Serialize;

use super::name_value;
use crate::context::{Globals, explain};
use crate::output;

#[derive(clap::Args)]
pub(crate) struct Alter {
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Raise the number of partitions to this; keys may go to other partitions from then on
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Set a config, for example --config retention.ms=3600000; may be repeated
    #[arg(short, long = "config", value_name = "NAME=VALUE", value_parser = name_value)]
    configs: Vec<(String, String)>,
    /// Give a config its default back; may be repeated
    #[arg(long = "delete-config", value_name = "NAME")]
    deletes: Vec<String>,
    /// Only say whether it could be done
    #[arg(long)]
    dry_run: bool,
}

/// Part of the JSON that docs/cli.md describes.
#[derive(Serialize)]
struct Outcome {
    topic: String,
    altered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    partitions: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Alter {
    pub(super) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        let changes = self.changes();
        if changes.is_empty() && self.partitions.is_none() {
            bail!("nothing to change; give --partitions, --config or --delete-config");
        }
        let outcomes = globals.with_cluster(async |_, cluster| {
            let admin = Admin::new(&cluster);
            let mut outcomes = Vec::new();
            for topic in &self.topics {
                let result = self.alter(&admin, &Str::from(topic), &changes).await;
                outcomes.push(Outcome {
                    topic: topic.clone(),
                    altered: result.is_ok() && !self.dry_run,
                    partitions: self.partitions.filter(|_| result.is_ok()),
                    error: result.err().map(|error| explain(error).to_string()),
                });
            }
            Ok(outcomes)
        })?;
        if globals.is_json() {
            output::print_json(&outcomes)?;
        } else {
            for Outcome { topic, error, .. } in &outcomes {
                match error {
                    Some(error) => eprintln!("bourn: {error}"),
                    None if self.dry_run => output::print(&format!("topic {topic} could be altered"))?,
                    None => output::print(&format!("altered topic {topic}"))?,
                }
            }
        }
        let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
        if failed > 0 {
            bail!("{failed} of {} could not be altered", output::counted(outcomes.len() as u64, "topic"));
        }
        Ok(())
    }

    fn changes(&self) -> Vec<(Str, AlterOp)> {
        let set = |(name, value): &(String, String)| (Str::from(name), AlterOp::Set(Str::from(value)));
        let delete = |name: &String| (Str::from(name), AlterOp::Delete);
        self.configs.iter().map(set).chain(self.deletes.iter().map(delete)).collect()
    }

    /// Configs first: they can be refused for more reasons.
    async fn alter(
        &self,
        admin: &Admin,
        topic: &Str,
        changes: &[(Str, AlterOp)],
    ) -> Result<(), client::Error> {
        if !changes.is_empty() {
            let resource = ConfigResource::Topic(topic.clone());
            admin.incremental_alter_configs(&resource, changes, self.dry_run).await?;
        }
        if let Some(partitions) = self.partitions {
            let results = admin.create_partitions(&[(topic.clone(), partitions)], self.dry_run).await?;
            results.into_iter().try_for_each(|(_, result)| result)?;
        }
        Ok(())
    }
}
