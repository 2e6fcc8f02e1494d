//! `bourn topic list`

use client::Admin;
use client::admin::TopicListing;
use serde::Serialize;

use crate::context::{Globals, explain};
use crate::output;

#[derive(clap::Args)]
pub(crate) struct List {
    /// Leave out topics that brokers keep for themselves
    #[arg(long)]
    exclude_internal: bool,
}

/// Part of the JSON that docs/cli.md describes.
#[derive(Serialize)]
struct Row {
    topic: String,
    topic_id: String,
    partitions: usize,
    replication_factor: usize,
    internal: bool,
}

impl List {
    pub(super) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        let topics = globals
            .with_cluster(async |_, cluster| Admin::new(&cluster).list_topics().await.map_err(explain))?;
        let rows: Vec<Row> =
            topics.iter().filter(|topic| !(self.exclude_internal && topic.is_internal)).map(row).collect();
        if globals.is_json() {
            return output::print_json(&rows);
        }
        if rows.is_empty() {
            eprintln!("there are no topics; make one with `bourn topic create NAME`");
            return Ok(());
        }
        output::print(&output::table(
            ["TOPIC", "PARTITIONS", "REPLICATION"],
            rows.iter().map(|row| {
                [row.topic.clone(), row.partitions.to_string(), row.replication_factor.to_string()]
            }),
        ))
    }
}

fn row(topic: &TopicListing) -> Row {
    Row {
        topic: topic.name.to_string(),
        topic_id: topic.id.to_string(),
        partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        internal: topic.is_internal,
    }
}
