//! What the records add up to.
//!
//! Owns: the [`Image`], its lookups and its growth by records; [`Delta`], what changed between two of them.
//!
//! Invariants:
//! - an image is a value: a clone costs nothing, shares everything, and is not changed by what is applied to another;
//! - one record costs O(log n) of what the cluster holds;
//! - iteration is in sorted order, the same on every node;
//! - `Image::records` applied to an empty image give an equal one.
//!
//! Does not know: whether a change is wise (`controller`), or which records are committed.

mod apply;
mod delta;
mod index;
mod topic;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use protocol::{NodeId, Str, TopicId, Uuid};

pub use delta::{BrokerDelta, ConfigDelta, Delta, PartitionDelta};
pub use topic::{Topic, is_internal_topic};

use crate::record::{BrokerRegistration, ConfigResource, Partition, Record, ResourceKind};
use index::Indexes;

/// The identity of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    pub id: Str,
    pub created_ms: i64,
}

/// The last block of producer ids that was given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIds {
    /// The first id that nobody was given.
    pub next: i64,
    pub node_id: NodeId,
    pub broker_epoch: i64,
}

/// The configs of one resource.
pub type Configs = OrdMap<Str, Str>;

/// The cluster at one position of its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    cluster: Option<Cluster>,
    features: OrdMap<Str, i16>,
    brokers: OrdMap<NodeId, Arc<BrokerRegistration>>,
    topics: OrdMap<TopicId, Arc<Topic>>,
    configs: OrdMap<ConfigResource, Configs>,
    producer_ids: Option<ProducerIds>,
    indexes: Indexes,
}

impl Image {
    /// The image of an empty log.
    pub fn new() -> Image {
        Image::default()
    }

    /// The image that `records` make.
    pub fn from_records<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Image, crate::Error> {
        let mut image = Image::new();
        for record in records {
            image.apply(record)?;
        }
        Ok(image)
    }

    /// `None` until the cluster is created.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Finalized features and their levels, by name.
    pub fn features(&self) -> impl Iterator<Item = (&Str, i16)> {
        self.features.iter().map(|(name, level)| (name, *level))
    }

    /// 0 for what was never finalized.
    pub fn feature_level(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or(0)
    }

    /// Registered brokers by id, fenced ones too.
    pub fn brokers(&self) -> impl DoubleEndedIterator<Item = &Arc<BrokerRegistration>> {
        self.brokers.values()
    }

    pub fn broker(&self, node_id: NodeId) -> Option<&Arc<BrokerRegistration>> {
        self.brokers.get(&node_id)
    }

    /// Whether the broker may lead partitions and be in sync.
    pub fn is_active(&self, node_id: NodeId) -> bool {
        self.broker(node_id).is_some_and(|broker| broker.is_active())
    }

    /// The largest broker epoch ever given to a registered broker, -1 without one.
    pub fn broker_epoch_max(&self) -> i64 {
        self.brokers.values().map(|broker| broker.epoch).max().unwrap_or(-1)
    }

    /// Topics by name.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.indexes.names().filter_map(|(_, id)| self.topics.get(id))
    }

    /// Topics by name, beginning with `name` if it is there, else after it (for paged answers).
    pub fn topics_from(&self, name: &str) -> impl Iterator<Item = &Arc<Topic>> {
        self.indexes.names_from(name).filter_map(|(_, id)| self.topics.get(id))
    }

    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    pub fn partition_count(&self) -> usize {
        self.indexes.partition_count()
    }

    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(&self.topic_id(name)?)
    }

    pub fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.indexes.topic_id(name)
    }

    pub fn topic_by_id(&self, topic_id: TopicId) -> Option<&Arc<Topic>> {
        self.topics.get(&topic_id)
    }

    pub fn partition(&self, topic_id: TopicId, partition: i32) -> Option<&Arc<Partition>> {
        self.topics.get(&topic_id)?.partition(partition)
    }

    /// An existing topic whose name differs only in `.` against `_`: their metrics would have one name.
    pub fn colliding_topic(&self, name: &str) -> Option<&Str> {
        self.indexes.colliding(name)
    }

    /// The partitions that have a replica on `node_id`, by topic id.
    pub fn replicas_on(&self, node_id: NodeId) -> impl Iterator<Item = (TopicId, i32)> + '_ {
        self.indexes.replicas_on(node_id)
    }

    /// Partitions that nobody leads, by topic id.
    pub fn leaderless(&self) -> impl Iterator<Item = (TopicId, i32)> + '_ {
        self.indexes.replicas_led_by_nobody()
    }

    /// The replicas of a partition that cannot answer: their broker is gone or fenced, or the directory is offline.
    pub fn offline_replicas(&self, partition: &Partition) -> Vec<NodeId> {
        let offline = |node: &NodeId| !self.is_online(*node, partition.directory_of(*node));
        partition.replicas.iter().copied().filter(offline).collect()
    }

    fn is_online(&self, node_id: NodeId, directory: Option<Uuid>) -> bool {
        let Some(broker) = self.broker(node_id) else { return false };
        let directory = directory.filter(|directory| !directory.is_zero());
        !broker.fenced && directory.is_none_or(|directory| broker.log_directories.contains(&directory))
    }

    /// Everything that has configs of its own, and them.
    pub fn configs(&self) -> impl Iterator<Item = (&ConfigResource, &Configs)> {
        self.configs.iter()
    }

    /// Those of one kind of resource, by name.
    pub fn configs_of_kind(&self, kind: ResourceKind) -> impl Iterator<Item = (&ConfigResource, &Configs)> {
        let first = ConfigResource { kind, name: Str::EMPTY };
        self.configs.range(first..).take_while(move |(of, _)| of.kind == kind)
    }

    /// The configs set on `resource`; `None` when there are none.
    pub fn configs_of(&self, resource: &ConfigResource) -> Option<&Configs> {
        self.configs.get(resource)
    }

    pub fn config(&self, resource: &ConfigResource, key: &str) -> Option<&Str> {
        self.configs_of(resource)?.get(key)
    }

    pub fn producer_ids(&self) -> Option<ProducerIds> {
        self.producer_ids
    }

    /// Records that make this image out of an empty one, a snapshot. Made one at a time: a snapshot may be written
    /// in pieces of any size.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let cluster = self.cluster.iter().map(|cluster| Record::ClusterCreated {
            cluster_id: cluster.id.clone(),
            created_ms: cluster.created_ms,
        });
        let features =
            self.features().map(|(name, level)| Record::FeatureLevel { name: name.clone(), level });
        let brokers = self.brokers().map(|broker| Record::RegisterBroker(BrokerRegistration::clone(broker)));
        let topics = self.topics().flat_map(|topic| topic.records());
        let configs = self.configs.iter().flat_map(|(resource, configs)| {
            configs.iter().map(|(key, value)| Record::Config {
                resource: resource.clone(),
                key: key.clone(),
                value: Some(value.clone()),
            })
        });
        let producer_ids = self.producer_ids.iter().map(|block| Record::ProducerIds {
            next_producer_id: block.next,
            node_id: block.node_id,
            broker_epoch: block.broker_epoch,
        });
        cluster.chain(features).chain(brokers).chain(topics).chain(configs).chain(producer_ids)
    }

    /// [`Image::records`], all at once.
    pub fn to_records(&self) -> Vec<Record> {
        self.records().collect()
    }
}

/// A set of partitions.
type Partitions = OrdSet<(TopicId, i32)>;
