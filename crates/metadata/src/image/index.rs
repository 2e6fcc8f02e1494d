//! [`Indexes`]: what would take too long to search for.
//!
//! Invariant: everything here follows from the topics of the image; equal topics give equal indexes.

use imbl::{OrdMap, OrdSet};
use protocol::{NodeId, Str, TopicId};

use super::Partitions;
use crate::record::Partition;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Indexes {
    names: OrdMap<Str, TopicId>,
    /// Topics with a `.` or `_` in their name, by the name with every `.` turned into `_`.
    collisions: OrdMap<Str, OrdSet<Str>>,
    replicas: OrdMap<NodeId, Partitions>,
    leaderless: Partitions,
    partition_count: usize,
}

impl Indexes {
    pub(super) fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.names.get(name).copied()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (&Str, &TopicId)> {
        self.names.iter()
    }

    pub(super) fn names_from(&self, name: &str) -> impl Iterator<Item = (&Str, &TopicId)> {
        self.names.range(Str::from(name)..)
    }

    pub(super) fn colliding(&self, name: &str) -> Option<&Str> {
        self.collisions.get(&collision_key(name)?)?.iter().find(|other| other.as_str() != name)
    }

    pub(super) fn partition_count(&self) -> usize {
        self.partition_count
    }

    pub(super) fn replicas_on(&self, node_id: NodeId) -> impl Iterator<Item = (TopicId, i32)> + '_ {
        self.replicas.get(&node_id).into_iter().flatten().copied()
    }

    pub(super) fn replicas_led_by_nobody(&self) -> impl Iterator<Item = (TopicId, i32)> + '_ {
        self.leaderless.iter().copied()
    }

    pub(super) fn add_topic(&mut self, topic_id: TopicId, name: &Str) {
        self.names.insert(name.clone(), topic_id);
        if let Some(key) = collision_key(name) {
            self.collisions.entry(key).or_default().insert(name.clone());
        }
    }

    pub(super) fn remove_topic(&mut self, name: &Str) {
        self.names.remove(name);
        let Some(key) = collision_key(name) else { return };
        let Some(names) = self.collisions.get_mut(&key) else { return };
        names.remove(name);
        if names.is_empty() {
            self.collisions.remove(&key);
        }
    }

    pub(super) fn add_partition(&mut self, at: (TopicId, i32), state: &Partition) {
        self.partition_count += 1;
        self.list(at, state);
    }

    pub(super) fn remove_partition(&mut self, at: (TopicId, i32), state: &Partition) {
        self.partition_count -= 1;
        self.unlist(at, state);
    }

    pub(super) fn change_partition(&mut self, at: (TopicId, i32), before: &Partition, after: &Partition) {
        if before.replicas != after.replicas || before.leader != after.leader {
            self.unlist(at, before);
            self.list(at, after);
        }
    }

    fn list(&mut self, at: (TopicId, i32), state: &Partition) {
        for replica in &state.replicas {
            self.replicas.entry(*replica).or_default().insert(at);
        }
        if state.leader.is_none() {
            self.leaderless.insert(at);
        }
    }

    fn unlist(&mut self, at: (TopicId, i32), state: &Partition) {
        for replica in &state.replicas {
            let Some(partitions) = self.replicas.get_mut(replica) else { continue };
            partitions.remove(&at);
            if partitions.is_empty() {
                self.replicas.remove(replica);
            }
        }
        self.leaderless.remove(&at);
    }
}

/// The name that metrics would use; `None` for a name without colliding characters.
pub(crate) fn collision_key(name: &str) -> Option<Str> {
    name.contains(['.', '_']).then(|| Str::from(name.replace('.', "_")))
}
