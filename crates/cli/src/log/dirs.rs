//! `bourn log dirs`: the log directories of running brokers.

use anyhow::bail;
use client::admin::{LogDir, LogDirReplica};
use client::{Admin, TopicPartition};
use protocol::{NodeId, Str};
use serde::Serialize;

use crate::context::{Globals, explain};
use crate::output;

#[derive(clap::Args)]
pub(crate) struct Dirs {
    /// Only these brokers
    #[arg(long = "broker", value_name = "ID,...", value_delimiter = ',')]
    brokers: Vec<i32>,
    /// Only the partitions of these topics
    #[arg(long = "topic", value_name = "TOPIC,...", value_delimiter = ',')]
    topics: Vec<String>,
    /// Show each partition
    #[arg(short, long)]
    partitions: bool,
}

/// Part of the JSON that docs/cli.md describes.
#[derive(Serialize)]
struct Directory {
    broker: i32,
    directory: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Of what is listed.
    bytes: u64,
    /// Of the file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usable_bytes: Option<u64>,
    cordoned: bool,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    topic: String,
    partition: i32,
    bytes: u64,
    offset_lag: i64,
    future: bool,
}

impl Dirs {
    pub(super) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        let directories = globals.with_cluster(async |_, cluster| {
            let admin = Admin::new(&cluster);
            let known = admin.describe_cluster().await.map_err(explain)?.brokers;
            // Connections are made to brokers that the metadata names.
            cluster.refresh(Vec::new(), false).await.map_err(explain)?;
            let known: Vec<NodeId> = known.into_iter().map(|broker| broker.id).collect();
            if let Some(id) = self.brokers.iter().find(|id| !known.contains(&NodeId(**id))) {
                bail!("there is no broker {id}");
            }
            let wanted = self.wanted(&cluster).await?;
            let mut directories = Vec::new();
            for id in
                known.into_iter().filter(|id| self.brokers.is_empty() || self.brokers.contains(&id.get()))
            {
                let found = admin.describe_log_dirs(id, wanted.as_deref()).await.map_err(explain)?;
                directories.extend(found.into_iter().map(|found| directory(id, found)));
            }
            Ok(directories)
        })?;
        if globals.is_json() {
            output::print_json(&directories)?;
        } else {
            output::print(&text(&directories, self.partitions))?;
        }
        let failed = directories.iter().filter(|directory| directory.error.is_some()).count();
        if failed > 0 {
            for Directory { broker, directory, error, .. } in &directories {
                error.iter().for_each(|error| eprintln!("bourn: broker {broker}: {directory}: {error}"));
            }
            let of = directories.len();
            bail!("{failed} of {} cannot be used", output::counted(of as u64, "log directory"));
        }
        Ok(())
    }

    /// The partitions to ask for; `None` for all.
    async fn wanted(&self, cluster: &client::Cluster) -> anyhow::Result<Option<Vec<TopicPartition>>> {
        if self.topics.is_empty() {
            return Ok(None);
        }
        let mut wanted = Vec::new();
        for name in &self.topics {
            let topic = cluster.topic(&Str::from(name), false).await.map_err(explain)?;
            let all = (0_i32..).take(topic.partitions.len());
            wanted.extend(all.map(|partition| TopicPartition::new(name.as_str(), partition)));
        }
        Ok(Some(wanted))
    }
}

fn directory(broker: NodeId, found: LogDir) -> Directory {
    let partition = |replica: &LogDirReplica| Partition {
        topic: replica.partition.topic.to_string(),
        partition: replica.partition.partition,
        bytes: replica.size_bytes,
        offset_lag: replica.offset_lag,
        future: replica.is_future,
    };
    Directory {
        broker: broker.get(),
        directory: found.path.to_string(),
        error: found
            .error
            .map(|error| error.code().map_or_else(|| error.to_string(), |code| code.message().to_owned())),
        bytes: found.replicas.iter().map(|replica| replica.size_bytes).sum(),
        total_bytes: found.total_bytes,
        usable_bytes: found.usable_bytes,
        cordoned: found.is_cordoned,
        partitions: found.replicas.iter().map(partition).collect(),
    }
}

fn text(directories: &[Directory], partitions: bool) -> String {
    let size = |bytes: Option<u64>| bytes.map(output::bytes).unwrap_or_default();
    let state = |directory: &Directory| match (&directory.error, directory.cordoned) {
        (Some(_), _) => "offline".to_owned(),
        (None, true) => "cordoned".to_owned(),
        (None, false) => "online".to_owned(),
    };
    let rows = directories.iter().map(|directory| {
        [
            directory.broker.to_string(),
            directory.directory.clone(),
            state(directory),
            directory.partitions.len().to_string(),
            output::bytes(directory.bytes),
            size(directory.usable_bytes),
            size(directory.total_bytes),
        ]
    });
    let head = ["BROKER", "DIRECTORY", "STATE", "PARTITIONS", "SIZE", "FREE", "DISK"];
    let mut text = output::table(head, rows).to_string();
    if partitions {
        let rows = directories.iter().flat_map(|directory| {
            directory.partitions.iter().map(|partition| {
                [
                    directory.broker.to_string(),
                    directory.directory.clone(),
                    format!("{}-{}", partition.topic, partition.partition),
                    output::bytes(partition.bytes),
                    partition.offset_lag.to_string(),
                    if partition.future { "future".to_owned() } else { String::new() },
                ]
            })
        });
        let table = output::table(["BROKER", "DIRECTORY", "PARTITION", "SIZE", "LAG", ""], rows);
        text.push_str(&format!("\n\n{table}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use client::Error;
    use protocol::ErrorCode;

    use super::*;

    #[test]
    fn shapes() {
        let replica = LogDirReplica {
            partition: TopicPartition::new("t", 3),
            size_bytes: 2048,
            offset_lag: 0,
            is_future: true,
        };
        let good = LogDir {
            path: Str::from("/data/1"),
            error: None,
            replicas: vec![replica],
            total_bytes: Some(1 << 30),
            usable_bytes: Some(1 << 20),
            is_cordoned: false,
        };
        let error = Error::Refused {
            subject: "/data/2".to_owned(),
            code: ErrorCode::KafkaStorageError,
            message: None,
        };
        let bad = LogDir {
            path: Str::from("/data/2"),
            error: Some(error),
            replicas: vec![],
            total_bytes: None,
            usable_bytes: None,
            ..good.clone()
        };
        let directories = [good, bad].map(|found| directory(NodeId(1), found));
        insta::assert_snapshot!("dirs_text", text(&directories, true));
        insta::assert_snapshot!("dirs_json", serde_json::to_string_pretty(&directories).unwrap());
    }
}
