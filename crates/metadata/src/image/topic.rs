//! [`Topic`]: a name, an id and its partitions.

use std::sync::Arc;

use imbl::Vector;
use protocol::{Str, TopicId};

use crate::record::{Partition, Record};

/// Topics that the cluster keeps its own state in; clients are not meant to write to them.
const INTERNAL_TOPICS: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// Whether clients are told that the topic is internal.
pub fn is_internal_topic(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// A topic. Its partitions are numbered from zero without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    id: TopicId,
    name: Str,
    partitions: Vector<Arc<Partition>>,
}

impl Topic {
    pub(super) fn new(id: TopicId, name: Str) -> Topic {
        Topic { id, name, partitions: Vector::new() }
    }

    pub fn id(&self) -> TopicId {
        self.id
    }

    pub fn name(&self) -> &Str {
        &self.name
    }

    pub fn is_internal(&self) -> bool {
        is_internal_topic(&self.name)
    }

    pub fn partition(&self, index: i32) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    /// Partitions with their numbers.
    pub fn partitions(&self) -> impl Iterator<Item = (i32, &Arc<Partition>)> {
        (0..).zip(&self.partitions)
    }

    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).expect("a partition is numbered by an i32")
    }

    /// How many replicas the first partition has: what a tool calls the replication factor of the topic.
    pub fn replication_factor(&self) -> usize {
        self.partitions.front().map_or(0, |partition| partition.replicas.len())
    }

    pub(super) fn push(&mut self, partition: Arc<Partition>) {
        self.partitions.push_back(partition);
    }

    pub(super) fn set(&mut self, index: i32, partition: Arc<Partition>) {
        if let Some(slot) = usize::try_from(index).ok().and_then(|index| self.partitions.get_mut(index)) {
            *slot = partition;
        }
    }

    pub(super) fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let topic = Record::Topic { topic_id: self.id, name: self.name.clone() };
        let partitions = self.partitions().map(|(partition, state)| Record::Partition {
            topic_id: self.id,
            partition,
            state: Partition::clone(state),
        });
        std::iter::once(topic).chain(partitions)
    }
}
