//! [`Logged`]: the durable state, which is what the records say and nothing else.
//!
//! Invariants:
//! * [`Logged::apply`] is its only writer, live and when a partition is loaded.
//! * A group is here as long as it has metadata or offsets, pending ones too; one with offsets only is a "simple" group,
//!   whose consumers choose their partitions themselves.
//! * A group is one of the classic protocol or one of the consumer protocol, never both.

use std::collections::{BTreeMap, BTreeSet};

use protocol::Str;
use protocol::ids::ProducerId;

use super::pending::Pending;
use crate::consumer::ConsumerGroup;
use crate::few::Few;
use crate::record::{Change, ConsumerChange, GroupMetadata, OffsetCommit};

#[derive(Debug, Default)]
pub(crate) struct Logged {
    groups: BTreeMap<Str, LoggedGroup>,
    /// Every topic name once, however many groups commit for it.
    topics: BTreeSet<Str>,
    /// The groups that a producer has committed for in the transaction that it has open.
    open: BTreeMap<ProducerId, BTreeSet<Str>>,
    /// The order of the next pending commit.
    next_order: u64,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct LoggedGroup {
    /// Of a group of the classic protocol.
    pub metadata: Option<Box<GroupMetadata>>,
    pub consumer: Option<Box<ConsumerGroup>>,
    pub offsets: Few<Str, Few<i32, OffsetCommit>>,
    /// Most groups never have any.
    pub pending: Option<Box<Pending>>,
}

impl LoggedGroup {
    fn is_nothing(&self) -> bool {
        self.metadata.is_none()
            && self.consumer.is_none()
            && self.offsets.is_empty()
            && self.pending.is_none()
    }

    pub(crate) fn has_members(&self) -> bool {
        self.metadata.as_ref().is_some_and(|metadata| !metadata.members.is_empty())
            || self.consumer.as_ref().is_some_and(|group| !group.is_empty())
    }

    pub(crate) fn offsets_len(&self) -> usize {
        self.offsets.iter().map(|(_, offsets)| offsets.len()).sum()
    }

    pub(crate) fn offset(&self, topic: &str, partition: i32) -> Option<&OffsetCommit> {
        self.offsets.get(topic)?.get(&partition)
    }

    /// Whether a transaction has committed for the partition that has not ended.
    pub(crate) fn is_pending(&self, topic: &Str, partition: i32) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.has(&(topic.clone(), partition)))
    }

    /// Of a classic group that somebody has joined.
    pub(crate) fn protocol_type(&self) -> Option<&Str> {
        self.metadata.as_ref().map(|metadata| &metadata.protocol_type).filter(|kind| !kind.is_empty())
    }
}

impl Logged {
    pub(crate) fn group(&self, id: &str) -> Option<&LoggedGroup> {
        self.groups.get(id)
    }

    /// How many groups there are.
    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    pub(crate) fn consumer_group(&self, id: &str) -> Option<&ConsumerGroup> {
        self.groups.get(id)?.consumer.as_deref()
    }

    /// The id as it is kept, which a clone shares.
    pub(crate) fn group_id(&self, id: &str) -> Option<&Str> {
        self.groups.get_key_value(id).map(|(id, _)| id)
    }

    pub(crate) fn groups(&self) -> &BTreeMap<Str, LoggedGroup> {
        &self.groups
    }

    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Group { group, metadata: Some(metadata) } => {
                let logged = self.group_or_new(&group);
                logged.consumer = None;
                logged.metadata = Some(Box::new(metadata));
            }
            Change::Group { group, metadata: None } => {
                if let Some(logged) = self.groups.get_mut(&group) {
                    logged.metadata = None;
                }
                self.forget_if_nothing(&group);
            }
            Change::Consumer { group, change } => self.apply_consumer(&group, change),
            Change::Offset { group, topic, partition, commit: Some(commit) } => {
                self.put_offset(&group, &topic, partition, commit);
                self.supersede(&group, &(topic, partition), self.next_order);
            }
            Change::Offset { group, topic, partition, commit: None } => {
                self.remove_offset(&group, &topic, partition);
            }
        }
    }

    fn apply_consumer(&mut self, group: &Str, change: ConsumerChange) {
        if change.is_tombstone() && self.consumer_group(group).is_none() {
            // What compaction has left of a group that is gone.
            return;
        }
        let logged = self.group_or_new(group);
        if change == ConsumerChange::Epoch(None) {
            logged.consumer = None;
            self.forget_if_nothing(group);
            return;
        }
        logged.metadata = None;
        logged.consumer.get_or_insert_default().apply(change);
    }

    /// Texts that are kept get a buffer of their own.
    fn group_or_new(&mut self, id: &Str) -> &mut LoggedGroup {
        let id = match self.groups.contains_key(id) {
            true => id.clone(),
            false => id.detached(),
        };
        self.groups.entry(id).or_default()
    }

    /// What a record of a transaction says counts when the transaction commits; see [`Self::end`].
    pub(crate) fn apply_pending(&mut self, producer: ProducerId, change: Change) {
        let Change::Offset { group, topic, partition, commit: Some(commit) } = change else {
            // Nothing else is written in a transaction.
            self.apply(change);
            return;
        };
        let order = self.next_order;
        self.next_order += 1;
        let topic = self.topic(&topic);
        let pending = self.group_or_new(&group).pending.get_or_insert_default();
        pending.put(producer, (topic, partition), commit, order);
        let Some((id, _)) = self.groups.get_key_value(&group) else { return };
        self.open.entry(producer).or_default().insert(id.clone());
    }

    /// The order of what is applied next; what is pending and has a lower one is before it.
    pub(crate) fn order(&self) -> u64 {
        self.next_order
    }

    /// The transaction of a producer has ended with a marker that follows what is before `order`.
    pub(crate) fn end(&mut self, producer: ProducerId, commit: bool, order: u64) {
        for group in self.open.remove(&producer).unwrap_or_default() {
            let Some(pending) = self.groups.get_mut(&group).and_then(|group| group.pending.as_mut()) else {
                continue;
            };
            let ended = pending.end(producer, order);
            if pending.has_of(producer) {
                self.open.entry(producer).or_default().insert(group.clone());
            }
            let counts = ended.into_iter().filter(|(_, ended)| commit && !ended.is_superseded);
            for (place, ended) in counts {
                self.supersede(&group, &place, ended.order);
                self.put_offset(&group, &place.0, place.1, ended.commit);
            }
            self.forget_if_nothing(&group);
        }
    }

    /// The log has refused records of a transaction that were applied.
    pub(crate) fn take_back(&mut self, producer: ProducerId, change: Change) {
        let Change::Offset { group, topic, partition, commit: Some(commit) } = change else { return };
        let Some(pending) = self.groups.get_mut(&group).and_then(|group| group.pending.as_mut()) else {
            return;
        };
        pending.take_back(producer, &(topic, partition), &commit);
        if !pending.has_of(producer) {
            self.close(&group, &[producer]);
        }
    }

    fn supersede(&mut self, group: &str, place: &(Str, i32), before: u64) {
        if let Some(pending) = self.groups.get_mut(group).and_then(|group| group.pending.as_mut()) {
            pending.supersede(place, before);
        }
    }

    /// A group has nothing pending of these producers any more.
    fn close(&mut self, group: &str, producers: &[ProducerId]) {
        for producer in producers {
            let Some(groups) = self.open.get_mut(producer) else { continue };
            groups.remove(group);
            if groups.is_empty() {
                self.open.remove(producer);
            }
        }
        self.forget_if_nothing(group);
    }

    fn put_offset(&mut self, group: &Str, topic: &Str, partition: i32, commit: OffsetCommit) {
        let known = self.groups.get_mut(group).and_then(|group| group.offsets.get_mut(topic));
        if let Some(partitions) = known {
            partitions.insert(partition, commit);
            return;
        }
        let topic = self.topic(topic);
        let mut partitions = Few::default();
        partitions.insert(partition, commit);
        self.group_or_new(group).offsets.insert(topic, partitions);
    }

    fn topic(&mut self, topic: &Str) -> Str {
        if let Some(known) = self.topics.get(topic) {
            return known.clone();
        }
        let topic = topic.detached();
        self.topics.insert(topic.clone());
        topic
    }

    fn remove_offset(&mut self, group: &Str, topic: &Str, partition: i32) {
        let Some(logged) = self.groups.get_mut(group) else { return };
        let pending = logged.pending.as_mut();
        let closed = pending.map(|pending| pending.remove(&(topic.clone(), partition))).unwrap_or_default();
        if let Some(partitions) = logged.offsets.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                logged.offsets.remove(topic);
            }
        }
        self.close(group, &closed);
    }

    fn forget_if_nothing(&mut self, group: &str) {
        if let Some(logged) = self.groups.get_mut(group)
            && logged.pending.as_ref().is_some_and(|pending| pending.is_empty())
        {
            logged.pending = None;
        }
        if self.groups.get(group).is_some_and(LoggedGroup::is_nothing) {
            self.groups.remove(group);
        }
    }

    /// A topic is gone, and no offset of it is left.
    pub(crate) fn forget_topic_name(&mut self, topic: &str) {
        self.topics.remove(topic);
    }
}

#[cfg(test)]
impl Logged {
    pub(crate) fn open_len(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Record;

    #[test]
    fn what_is_kept_does_not_keep_the_log_in_memory() {
        let key = bytes::Bytes::from(b"\0\x01\0\x02g1\0\x06orders\0\0\0\x07".to_vec());
        let value =
            bytes::Bytes::from_static(b"\0\x03\0\0\0\0\0\0\0\x2a\0\0\0\x03\0\0\0\0\x01\x8b\xcf\xe5\x68\0");
        let record = Record { key, value: Some(value) };
        let mut logged = Logged::default();
        logged.apply(Change::decode(&record).unwrap().unwrap());
        let (id, group) = logged.groups().iter().next().unwrap();
        let (topic, _) = group.offsets.iter().next().unwrap();
        assert_eq!((id.as_str(), topic.as_str()), ("g1", "orders"));
        for kept in [id, topic] {
            assert!(!record.key.as_ptr_range().contains(&kept.as_bytes().as_ptr()));
        }
    }
}
