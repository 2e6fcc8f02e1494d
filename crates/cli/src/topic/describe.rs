//! `bourn topic describe`

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::bail;
use client::Admin;
use client::admin::{ConfigEntry, ConfigResource, ConfigSource, PartitionDescription, TopicDescription};
use protocol::{NodeId, Str};
use serde::Serialize;

use crate::context::{Globals, explain};
use crate::output;

#[derive(clap::Args)]
pub(crate) struct Describe {
    /// All topics if none is given
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,
    /// Show all configs, not only those that differ from the default
    #[arg(long)]
    all_configs: bool,
}

/// Part of the JSON that docs/cli.md describes.
#[derive(Serialize)]
struct Described {
    topic: String,
    topic_id: String,
    internal: bool,
    replication_factor: usize,
    configs: BTreeMap<String, Option<String>>,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    partition: i32,
    leader: Option<i32>,
    leader_epoch: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    offline: Vec<i32>,
}

impl Describe {
    pub(super) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        let (described, failed) = globals.with_cluster(async |_, cluster| {
            let admin = Admin::new(&cluster);
            let names: Vec<Str> = if self.topics.is_empty() {
                let all = admin.list_topics().await.map_err(explain)?;
                all.into_iter().map(|topic| topic.name).collect()
            } else {
                self.topics.iter().map(Str::from).collect()
            };
            let (mut described, mut failed) = (Vec::new(), 0);
            if names.is_empty() {
                return Ok((described, failed));
            }
            for (name, result) in admin.describe_topics(&names).await.map_err(explain)? {
                match result {
                    Ok(topic) => {
                        let resource = ConfigResource::Topic(name);
                        let configs = admin.describe_configs(&resource).await.map_err(explain)?;
                        described.push(self.described(&topic, &configs));
                    }
                    Err(error) => {
                        failed += 1;
                        eprintln!("bourn: {:#}", explain(error));
                    }
                }
            }
            Ok((described, failed))
        })?;
        if globals.is_json() {
            output::print_json(&described)?;
        } else if described.is_empty() && failed == 0 {
            eprintln!("there are no topics; make one with `bourn topic create NAME`");
        } else {
            let texts: Vec<String> = described.iter().map(text).collect();
            output::print(&texts.join("\n"))?;
        }
        if failed > 0 {
            bail!("{} could not be described", output::counted(failed, "topic"));
        }
        Ok(())
    }

    fn described(&self, topic: &TopicDescription, configs: &[ConfigEntry]) -> Described {
        let of_interest = |entry: &&ConfigEntry| self.all_configs || entry.source == ConfigSource::Topic;
        let value = |entry: &ConfigEntry| (entry.name.to_string(), entry.value.as_ref().map(Str::to_string));
        Described {
            topic: topic.name.to_string(),
            topic_id: topic.id.to_string(),
            internal: topic.is_internal,
            replication_factor: topic.partitions.first().map_or(0, |partition| partition.replicas.len()),
            configs: configs.iter().filter(of_interest).map(value).collect(),
            partitions: topic.partitions.iter().map(partition).collect(),
        }
    }
}

fn partition(partition: &PartitionDescription) -> Partition {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.get()).collect();
    Partition {
        partition: partition.index,
        leader: partition.leader.map(NodeId::get),
        leader_epoch: partition.leader_epoch.get(),
        replicas: ids(&partition.replicas),
        isr: ids(&partition.isr),
        offline: ids(&partition.offline),
    }
}

fn text(topic: &Described) -> String {
    let list = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    let mut text = format!("Topic {}  (id {})\n", topic.topic, topic.topic_id);
    for (name, value) in &topic.configs {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name}={}", value.as_deref().unwrap_or("(hidden)"));
    }
    let rows = topic.partitions.iter().map(|partition| {
        [
            partition.partition.to_string(),
            partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
            partition.leader_epoch.to_string(),
            list(&partition.replicas),
            list(&partition.isr),
        ]
    });
    let _ = writeln!(text, "{}", output::table(["PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR"], rows));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let one = PartitionDescription {
            leader: Some(NodeId(1)),
            replicas: vec![NodeId(1), NodeId(2)],
            isr: vec![NodeId(1)],
            offline: vec![NodeId(2)],
            ..PartitionDescription::default()
        };
        let none = PartitionDescription { index: 1, leader: None, isr: vec![], ..one.clone() };
        let topic = TopicDescription {
            name: Str::from("orders"),
            id: "anNqTMvnSZ-FOk5fB5Rq4w".parse().unwrap(),
            is_internal: false,
            partitions: vec![one, none],
        };
        let config = |name: &str, source| ConfigEntry {
            name: Str::from(name),
            value: Some(Str::from("1")),
            source,
            is_sensitive: false,
            is_read_only: false,
            synonyms: vec![],
            documentation: None,
        };
        let configs =
            [config("retention.ms", ConfigSource::Topic), config("segment.ms", ConfigSource::Default)];
        let described = Describe { topics: vec![], all_configs: false }.described(&topic, &configs);
        insta::assert_snapshot!("describe_text", text(&described));
        insta::assert_snapshot!("describe_json", serde_json::to_string_pretty(&described).unwrap());
    }
}
