//! [`Assignor`]: who of a classic group is to have which partition, as its leader decides it.
//!
//! Invariants: every partition of a topic that somebody reads goes to exactly one of those who read it, except that
//! `cooperative-sticky` gives what a member still has to nobody else until that member has let go of it.

mod sticky;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use protocol::Str;

use crate::TopicPartition;

/// Assignors of the classic protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// Of each topic one stretch of partitions for everybody.
    Range,
    /// All partitions dealt out one by one.
    RoundRobin,
    /// Evenly, with few moves, and without stopping those that nothing moves from (KIP-429).
    CooperativeSticky,
}

impl Assignor {
    pub const ALL: [Self; 3] = [Self::Range, Self::RoundRobin, Self::CooperativeSticky];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    pub(super) fn is_cooperative(self) -> bool {
        self == Self::CooperativeSticky
    }
}

/// A member as its subscription shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reader {
    pub(super) id: Str,
    pub(super) instance_id: Option<Str>,
    pub(super) topics: BTreeSet<Str>,
    /// What it says that it has.
    pub(super) owned: BTreeSet<TopicPartition>,
    /// When it got that.
    pub(super) generation: i32,
}

/// How many partitions a topic has; topics that do not exist are not here.
pub(super) type Counts = BTreeMap<Str, i32>;
pub(super) type Assignment = BTreeMap<Str, BTreeSet<TopicPartition>>;

/// What everybody is to have; every reader is in it.
pub(super) fn assign(assignor: Assignor, mut readers: Vec<Reader>, counts: &Counts) -> Assignment {
    // Static members first and by their names, so that what they get outlives their member ids.
    readers.sort_by(|one, other| rank(one).cmp(&rank(other)));
    match assignor {
        Assignor::Range => range(&readers, counts),
        Assignor::RoundRobin => round_robin(&readers, counts),
        Assignor::CooperativeSticky => sticky::assign(&readers, counts),
    }
}

fn rank(reader: &Reader) -> (bool, &Str) {
    match &reader.instance_id {
        Some(instance_id) => (false, instance_id),
        None => (true, &reader.id),
    }
}

fn nothing(readers: &[Reader]) -> Assignment {
    readers.iter().map(|reader| (reader.id.clone(), BTreeSet::new())).collect()
}

fn range(readers: &[Reader], counts: &Counts) -> Assignment {
    let mut assignment = nothing(readers);
    for (topic, count) in counts {
        let mut left: Vec<&Reader> =
            readers.iter().filter(|reader| reader.topics.contains(topic)).rev().collect();
        let mut next = 0;
        while let Some(reader) = left.pop() {
            // This one and those behind it share what is left; the first ones get one more.
            let sharers = i32::try_from(left.len()).unwrap_or(i32::MAX).saturating_add(1);
            let end = next + (count - next + sharers - 1) / sharers;
            let stretch = (next..end).map(|partition| TopicPartition::new(topic.clone(), partition));
            assignment.entry(reader.id.clone()).or_default().extend(stretch);
            next = end;
        }
    }
    assignment
}

fn round_robin(readers: &[Reader], counts: &Counts) -> Assignment {
    let mut assignment = nothing(readers);
    let mut circle = readers.iter().cycle();
    for partition in all(counts) {
        // Once around at most.
        let next =
            circle.by_ref().take(readers.len()).find(|reader| reader.topics.contains(&partition.topic));
        if let Some(reader) = next {
            assignment.entry(reader.id.clone()).or_default().insert(partition);
        }
    }
    assignment
}

fn all(counts: &Counts) -> impl Iterator<Item = TopicPartition> {
    counts
        .iter()
        .flat_map(|(topic, count)| (0..*count).map(|partition| TopicPartition::new(topic.clone(), partition)))
}
