//! [`ConsumerGroup`]: a group of the consumer protocol (KIP-848), as its records say it.
//!
//! Invariants:
//! * [`ConsumerGroup::apply`] is its only writer, live and when a partition is loaded; records of one key may come without
//!   those of another, since a log is compacted key by key.
//! * What can be found quickly ([`Index`]) follows from the records and is changed with them.

use std::collections::BTreeMap;

use protocol::{Str, Uuid};

use super::member::{Current, LEAVING, Member, Metadata};
use super::partitions::{Owned, Partitions};
use super::subscriptions::Subscriptions;
use crate::few::Few;
use crate::record::ConsumerChange;

/// The epoch of a group before its first record. No member has it: 0 is that of those who join.
const FIRST_EPOCH: i32 = 1;

/// Which rebalance a group is at, and what its topics were then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupEpoch {
    pub epoch: i32,
    /// Of the topics that its members read.
    pub metadata_hash: i64,
}

/// For which epoch of the group the targets were computed, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TargetEpoch {
    pub epoch: i32,
    /// 0: nothing keeps the next ones from being computed.
    pub timestamp_ms: i64,
}

/// The topics that match a pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// Ascending, none twice.
    pub topics: Vec<Str>,
    /// Of the metadata that was looked through.
    pub version: i64,
    pub timestamp_ms: i64,
}

#[derive(Debug, PartialEq)]
pub(crate) struct ConsumerGroup {
    pub epoch: GroupEpoch,
    pub target_epoch: TargetEpoch,
    members: BTreeMap<Str, Member>,
    targets: BTreeMap<Str, Partitions>,
    patterns: Few<Str, Resolved>,
    /// Something of before Kafka 4.1 is in the log still.
    pub has_subscription_metadata: bool,
    index: Index,
}

/// What follows from the records.
#[derive(Debug, Default, PartialEq)]
struct Index {
    subscriptions: Subscriptions,
    /// Member ids of the static members, by instance id.
    instances: Few<Str, Str>,
    /// How many members prefer each assignor.
    assignors: Few<Str, u32>,
    /// Members that use the classic protocol.
    classic: usize,
    /// How many of them can do each of its protocols.
    protocols: Few<Str, usize>,
    /// Partitions that somebody has, or has not given up yet, and the epoch of that member.
    taken: Few<Uuid, Few<i32, i32>>,
}

impl Default for ConsumerGroup {
    fn default() -> Self {
        Self {
            epoch: GroupEpoch { epoch: FIRST_EPOCH, metadata_hash: 0 },
            target_epoch: TargetEpoch { epoch: FIRST_EPOCH, timestamp_ms: 0 },
            members: BTreeMap::new(),
            targets: BTreeMap::new(),
            patterns: Few::default(),
            has_subscription_metadata: false,
            index: Index::default(),
        }
    }
}

impl ConsumerGroup {
    pub(crate) fn members(&self) -> &BTreeMap<Str, Member> {
        &self.members
    }

    pub(crate) fn member(&self, id: &str) -> Option<&Member> {
        self.members.get(id)
    }

    /// The id as it is kept, which a clone shares.
    pub(crate) fn member_id(&self, id: &str) -> Option<&Str> {
        self.members.get_key_value(id).map(|(id, _)| id)
    }

    pub(crate) fn targets(&self) -> &BTreeMap<Str, Partitions> {
        &self.targets
    }

    pub(crate) fn target(&self, member: &str) -> Option<&Partitions> {
        self.targets.get(member)
    }

    pub(crate) fn patterns(&self) -> impl Iterator<Item = (&Str, &Resolved)> {
        self.patterns.iter()
    }

    pub(crate) fn patterns_len(&self) -> usize {
        self.patterns.len()
    }

    pub(crate) fn pattern(&self, pattern: &str) -> Option<&Resolved> {
        self.patterns.get(pattern)
    }

    pub(crate) fn subscriptions(&self) -> &Subscriptions {
        &self.index.subscriptions
    }

    pub(crate) fn static_member(&self, instance_id: &str) -> Option<&Str> {
        self.index.instances.get(instance_id)
    }

    /// Members that use the classic protocol.
    pub(crate) fn classic_members(&self) -> usize {
        self.index.classic
    }

    /// Whether all members that use the classic protocol can do one of its protocols.
    pub(crate) fn all_can_do(&self, protocol: &str) -> bool {
        self.index.protocols.get(protocol).copied().unwrap_or(0) == self.index.classic
    }

    /// What most members prefer. Of those that as many prefer, the last by name.
    pub(crate) fn preferred_assignor(&self) -> Option<&Str> {
        self.index.assignors.iter().max_by_key(|(_, members)| **members).map(|(name, _)| name)
    }

    pub(crate) fn is_taken(&self, topic: &Uuid, partition: i32) -> bool {
        self.index.taken.get(topic).is_some_and(|partitions| partitions.get(&partition).is_some())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Kafka's name of the state that it is in.
    pub(crate) fn state(&self) -> &'static str {
        let epoch = self.target_epoch.epoch;
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch.epoch > epoch {
            "Assigning"
        } else if self.members.values().all(|member| member.is_reconciled_to(epoch)) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// The topics that a member reads, by name and by pattern.
    pub(crate) fn reads(&self, member: &Metadata, topic: &str) -> bool {
        let by_pattern = || {
            let resolved = self.patterns.get(&*member.pattern)?;
            resolved.topics.binary_search_by(|name| name.as_str().cmp(topic)).ok()
        };
        member.topics.binary_search_by(|name| name.as_str().cmp(topic)).is_ok()
            || (member.has_pattern() && by_pattern().is_some())
    }

    pub(crate) fn apply(&mut self, change: ConsumerChange) {
        match change {
            ConsumerChange::Epoch(Some(epoch)) => self.epoch = epoch,
            // The group is gone; what its other records said went before.
            ConsumerChange::Epoch(None) => *self = Self::default(),
            ConsumerChange::SubscriptionMetadata { is_there } => self.has_subscription_metadata = is_there,
            ConsumerChange::Member { member, metadata: Some(metadata) } => self.tell(&member, metadata),
            ConsumerChange::Member { member, metadata: None } => self.remove(&member),
            ConsumerChange::TargetEpoch(epoch) => {
                self.target_epoch = epoch.unwrap_or(TargetEpoch { epoch: -1, timestamp_ms: 0 });
            }
            ConsumerChange::Target { member, partitions: Some(partitions) } => {
                self.targets.insert(self.shared(member), partitions);
            }
            ConsumerChange::Target { member, partitions: None } => {
                self.targets.remove(&member);
            }
            ConsumerChange::Current { member, current: Some(current) } => self.give(&member, current),
            ConsumerChange::Current { member, current: None } => {
                if self.members.contains_key(&member) {
                    let nothing = Current { epoch: LEAVING, previous_epoch: LEAVING, ..Current::default() };
                    self.give(&member, nothing);
                }
            }
            ConsumerChange::Pattern { pattern, resolved } => self.resolve(pattern, resolved),
        }
    }

    /// One buffer for each id, however many records name it.
    fn shared(&self, member: Str) -> Str {
        self.member_id(&member).cloned().unwrap_or(member)
    }

    fn tell(&mut self, id: &Str, metadata: Metadata) {
        let id = self.shared(id.clone());
        self.index.add(&id, &metadata);
        let member = self.members.entry(id.clone()).or_default();
        let before = std::mem::replace(&mut member.metadata, metadata);
        self.index.remove(&id, &before, &member.metadata);
    }

    fn remove(&mut self, id: &Str) {
        let Some((id, member)) = self.members.remove_entry(id) else { return };
        self.index.release(&member.current);
        self.index.remove(&id, &member.metadata, &Metadata::default());
    }

    fn give(&mut self, id: &Str, current: Current) {
        let id = self.shared(id.clone());
        let member = self.members.entry(id).or_default();
        let before = std::mem::replace(&mut member.current, current);
        self.index.release(&before);
        self.index.take(&member.current);
    }

    fn resolve(&mut self, pattern: Str, resolved: Option<Resolved>) {
        if let Some(before) = self.patterns.get(&*pattern) {
            self.index.subscriptions.remove_resolved(before);
        }
        match resolved {
            Some(resolved) => {
                self.index.subscriptions.add_resolved(&resolved);
                self.patterns.insert(pattern, resolved);
            }
            None => self.patterns.remove(&*pattern),
        }
    }
}

impl Index {
    fn add(&mut self, id: &Str, member: &Metadata) {
        self.subscriptions.add_member(member);
        if let Some(instance_id) = &member.instance_id {
            self.instances.insert(instance_id.clone(), id.clone());
        }
        if let Some(assignor) = &member.assignor {
            let before = self.assignors.get(assignor).copied().unwrap_or(0);
            self.assignors.insert(assignor.clone(), before + 1);
        }
        if let Some(classic) = &member.classic {
            self.classic += 1;
            for (name, _) in &classic.protocols {
                let before = self.protocols.get(name).copied().unwrap_or(0);
                self.protocols.insert(name.clone(), before + 1);
            }
        }
    }

    /// Forgets what a member said, which says something else `now`.
    fn remove(&mut self, id: &Str, member: &Metadata, now: &Metadata) {
        self.subscriptions.remove_member(member);
        // Another member may have taken the instance over.
        if let Some(instance_id) = &member.instance_id
            && now.instance_id.as_ref() != Some(instance_id)
            && self.instances.get(instance_id) == Some(id)
        {
            self.instances.remove(instance_id);
        }
        if let Some(assignor) = &member.assignor {
            match self.assignors.get(assignor).copied() {
                None | Some(0 | 1) => self.assignors.remove(assignor),
                Some(before) => self.assignors.insert(assignor.clone(), before - 1),
            }
        }
        if let Some(classic) = &member.classic {
            self.classic -= 1;
            for (name, _) in &classic.protocols {
                match self.protocols.get(name).copied() {
                    None | Some(0 | 1) => self.protocols.remove(name),
                    Some(before) => self.protocols.insert(name.clone(), before - 1),
                }
            }
        }
    }

    fn take(&mut self, current: &Current) {
        for owned in [&current.assigned, &current.revoking] {
            for (topic, partitions) in owned.topics() {
                if self.taken.get(&topic).is_none() {
                    self.taken.insert(topic, Few::default());
                }
                let Some(taken) = self.taken.get_mut(&topic) else { continue };
                for (partition, _) in partitions {
                    taken.insert(*partition, current.epoch);
                }
            }
        }
    }

    /// What somebody else has taken since stays taken.
    fn release(&mut self, current: &Current) {
        for owned in [&current.assigned, &current.revoking] {
            for (topic, partitions) in owned.topics() {
                let Some(taken) = self.taken.get_mut(&topic) else { continue };
                for (partition, _) in partitions {
                    if taken.get(partition) == Some(&current.epoch) {
                        taken.remove(partition);
                    }
                }
                if taken.is_empty() {
                    self.taken.remove(&topic);
                }
            }
        }
    }
}

/// Partitions that a member owns, whether it keeps them or not.
pub(crate) fn all_owned(current: &Current) -> Owned {
    current.assigned.iter().chain(current.revoking.iter()).collect()
}
