//! Log directories of brokers, and what they hold.

use protocol::messages::describe_log_dirs_request::{DescribableLogDirTopic, DescribeLogDirsRequest};
use protocol::messages::describe_log_dirs_response::{DescribeLogDirsResult, DescribeLogDirsTopic};
use protocol::{ErrorCode, NodeId, Str};

use super::{Admin, outcome};
use crate::cluster::refused;
use crate::{Error, TopicPartition};

#[derive(Clone, Debug)]
pub struct LogDir {
    pub path: Str,
    /// Why the directory cannot be used.
    pub error: Option<Error>,
    /// By topic and partition.
    pub replicas: Vec<LogDirReplica>,
    /// Of the file system; `None` from brokers that do not tell (KIP-827).
    pub total_bytes: Option<u64>,
    pub usable_bytes: Option<u64>,
    /// Gets no new replicas (KIP-1066).
    pub is_cordoned: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirReplica {
    pub partition: TopicPartition,
    pub size_bytes: u64,
    /// How far it is behind the high watermark, or the replica that it is to take the place of.
    pub offset_lag: i64,
    /// Takes the place of a replica in another directory when it has caught up.
    pub is_future: bool,
}

impl Admin {
    /// The log directories of one broker, with these partitions, or all.
    pub async fn describe_log_dirs(
        &self,
        broker: NodeId,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<Vec<LogDir>, Error> {
        let request = DescribeLogDirsRequest { topics: partitions.map(by_topic) };
        let response = self.cluster.connection(broker).await?.call(&request).await?;
        match ErrorCode::from(response.error_code) {
            ErrorCode::None => {}
            code => return Err(refused(format!("broker {broker}"), code, None)),
        }
        let mut directories: Vec<LogDir> = response.results.iter().map(directory).collect();
        directories.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(directories)
    }
}

fn by_topic(partitions: &[TopicPartition]) -> Vec<DescribableLogDirTopic> {
    let mut sorted: Vec<&TopicPartition> = partitions.iter().collect();
    sorted.sort();
    sorted.dedup();
    let mut topics: Vec<DescribableLogDirTopic> = Vec::new();
    for key in sorted {
        match topics.last_mut().filter(|last| last.topic == key.topic) {
            Some(last) => last.partitions.push(key.partition),
            None => topics
                .push(DescribableLogDirTopic { topic: key.topic.clone(), partitions: vec![key.partition] }),
        }
    }
    topics
}

fn directory(result: &DescribeLogDirsResult) -> LogDir {
    let mut replicas: Vec<LogDirReplica> = result.topics.iter().flat_map(replicas).collect();
    replicas.sort_by(|a, b| (&a.partition, a.is_future).cmp(&(&b.partition, b.is_future)));
    LogDir {
        path: result.log_dir.detached(),
        error: outcome(&result.log_dir, result.error_code, None, ()).err(),
        replicas,
        total_bytes: u64::try_from(result.total_bytes).ok(),
        usable_bytes: u64::try_from(result.usable_bytes).ok(),
        is_cordoned: result.is_cordoned,
    }
}

fn replicas(topic: &DescribeLogDirsTopic) -> impl Iterator<Item = LogDirReplica> {
    topic.partitions.iter().map(|part| LogDirReplica {
        partition: TopicPartition::new(topic.name.detached(), part.partition_index),
        size_bytes: u64::try_from(part.partition_size).unwrap_or(0),
        offset_lag: part.offset_lag,
        is_future: part.is_future_key,
    })
}
