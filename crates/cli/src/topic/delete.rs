//! `bourn topic delete`

use anyhow::bail;
use client::Admin;
use protocol::{ErrorCode, Str};
use serde::Serialize;

use crate::context::{Globals, explain};
use crate::output;

#[derive(clap::Args)]
pub(crate) struct Delete {
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// A topic that does not exist is no error
    #[arg(long)]
    if_exists: bool,
}

/// Part of the JSON that docs/cli.md describes.
#[derive(Serialize)]
struct Outcome {
    topic: String,
    deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Delete {
    pub(super) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        let names: Vec<Str> = self.topics.iter().map(Str::from).collect();
        let results = globals.with_cluster(async |_, cluster| {
            Admin::new(&cluster).delete_topics(&names).await.map_err(explain)
        })?;
        let outcomes: Vec<Outcome> = results
            .into_iter()
            .map(|(name, result)| {
                let missing =
                    |error: &client::Error| error.code() == Some(ErrorCode::UnknownTopicOrPartition);
                let deleted = result.is_ok();
                let error = result.err().filter(|error| !(self.if_exists && missing(error)));
                let error = error.map(|error| match missing(&error) {
                    true => format!("{name}: there is no such topic; with --if-exists that is no error"),
                    false => explain(error).to_string(),
                });
                Outcome { topic: name.to_string(), deleted, error }
            })
            .collect();
        if globals.is_json() {
            output::print_json(&outcomes)?;
        } else {
            for outcome in &outcomes {
                match (&outcome.error, outcome.deleted) {
                    (Some(error), _) => eprintln!("bourn: {error}"),
                    (None, true) => output::print(&format!("deleted topic {}", outcome.topic))?,
                    (None, false) => output::print(&format!("there is no topic {}", outcome.topic))?,
                }
            }
        }
        let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
        if failed > 0 {
            bail!("{failed} of {} could not be deleted", output::counted(outcomes.len() as u64, "topic"));
        }
        Ok(())
    }
}
