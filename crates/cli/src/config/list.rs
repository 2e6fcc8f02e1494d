//! `bourn config list`

use client::Admin;
use client::admin::ConfigKind;
use serde::Serialize;

use super::{Kind, name_of};
use crate::context::{Globals, explain};
use crate::output;

/// Topics and brokers always have configs; the others are listed when somebody has set some.
#[derive(clap::Args)]
pub(crate) struct List {
    /// All kinds if none is given
    #[arg(value_enum, value_name = "KIND")]
    kinds: Vec<Kind>,
}

/// Part of the JSON that docs/cli.md describes.
#[derive(Serialize)]
struct Listed {
    kind: &'static str,
    name: Option<String>,
}

impl List {
    pub(super) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        let kinds: Vec<ConfigKind> = self.kinds.iter().map(|kind| kind.kind()).collect();
        let found = globals.with_cluster(async |_, cluster| {
            Admin::new(&cluster).list_config_resources(&kinds).await.map_err(explain)
        })?;
        let listed = found
            .iter()
            .map(|resource| Listed { kind: Kind::of(resource.kind()).name(), name: name_of(resource) });
        let listed: Vec<Listed> = listed.collect();
        if globals.is_json() {
            return output::print_json(&listed);
        }
        let rows = listed.into_iter().map(|one| [one.kind.to_owned(), one.name.unwrap_or_default()]);
        output::print(&output::table(["KIND", "NAME"], rows))
    }
}
