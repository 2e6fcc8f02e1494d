//! What can be wrong with metadata records.

use protocol::{NodeId, TopicId};

/// Records that do not decode, or that do not fit the image they are applied to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("metadata batch of format {format}, this version reads {supported}")]
    UnknownFormat { format: u8, supported: u8 },
    #[error("metadata record of unknown kind {tag}, written by a newer version")]
    UnknownRecord { tag: u16 },
    #[error("metadata record {name} of version {version}, this version reads {supported}")]
    UnknownVersion { name: &'static str, version: u8, supported: u8 },
    #[error("metadata record ends early: {field} needs {needed} bytes of {remaining}")]
    Truncated { field: &'static str, needed: usize, remaining: usize },
    #[error("metadata record holds an invalid {field}")]
    Invalid { field: &'static str },
    #[error("{bytes} bytes follow the last metadata record")]
    TrailingBytes { bytes: usize },
    #[error("record names broker {node_id}, which is not registered")]
    UnknownBroker { node_id: NodeId },
    #[error("record names epoch {epoch} of broker {node_id}, which is at {current}")]
    StaleBrokerEpoch { node_id: NodeId, epoch: i64, current: i64 },
    #[error("record names topic {topic_id}, which does not exist")]
    UnknownTopic { topic_id: TopicId },
    #[error("record names partition {partition} of topic {topic_id}, which does not exist")]
    UnknownPartition { topic_id: TopicId, partition: i32 },
    #[error("topic {name} of id {topic_id} exists already, by name or by id")]
    TopicExists { topic_id: TopicId, name: String },
    #[error("partition {partition} of topic {topic_id} exists already")]
    PartitionExists { topic_id: TopicId, partition: i32 },
    #[error("partition {partition} of topic {topic_id} is not the next one, {next}")]
    PartitionGap { topic_id: TopicId, partition: i32, next: i32 },
    #[error("producer ids would go back from {current} to {next}")]
    ProducerIdsReused { current: i64, next: i64 },
}
