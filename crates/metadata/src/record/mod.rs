//! What the metadata log says.
//!
//! Owns: the records, one type each, and their bytes ([`encode_batch`], [`decode_batch`]).
//!
//! Invariants:
//! - a record says what happened, completely: applying it needs no decision and no other source;
//! - bytes once written are read by every later version (`docs/format/metadata-records.md`).
//!
//! Does not know: whether a record fits the state (`image`), or why it was written (`controller`).

mod broker;
mod bytes_io;
mod codec;
mod config;
mod partition;

#[cfg(test)]
pub(crate) mod arbitrary;
#[cfg(test)]
mod tests;

pub use broker::{BrokerChange, BrokerFeature, BrokerRegistration, Listener, SecurityProtocol};
pub use codec::{FORMAT, decode_batch, encode_batch};
pub use config::{ConfigResource, ResourceKind};
pub use partition::{LeaderRecovery, Partition, PartitionChange};

use protocol::{NodeId, Str, TopicId};

/// One entry of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The first record of a cluster.
    ClusterCreated { cluster_id: Str, created_ms: i64 },
    /// A finalized feature; level 0 takes it back.
    FeatureLevel { name: Str, level: i16 },
    /// A broker started: replaces every earlier registration of its id.
    RegisterBroker(BrokerRegistration),
    /// A registered broker was fenced or unfenced, shuts down, or has other directories.
    ChangeBroker(BrokerChange),
    /// A broker left for good.
    UnregisterBroker { node_id: NodeId, epoch: i64 },
    /// A topic without partitions; they follow. The id was never given before.
    Topic { topic_id: TopicId, name: Str },
    /// The next partition of a topic.
    Partition { topic_id: TopicId, partition: i32, state: Partition },
    /// An existing partition has another leader, in-sync set or assignment.
    ChangePartition { topic_id: TopicId, partition: i32, change: PartitionChange },
    /// A topic with its partitions and configs is gone.
    RemoveTopic { topic_id: TopicId },
    /// A config is set, or deleted when there is no value.
    Config { resource: ConfigResource, key: Str, value: Option<Str> },
    /// Every producer id below `next_producer_id` is given away; the last block went to this broker.
    ProducerIds { next_producer_id: i64, node_id: NodeId, broker_epoch: i64 },
}
