//! [`Pending`]: offsets that transactions have committed which have not ended yet.
//!
//! Invariants:
//! * They count for nobody until their transaction commits; then they are what the group has committed, unless the group
//!   has committed for the partition since.
//! * What was later is told by the order in which records go to the log. A record that says so would have to be kept with
//!   every offset; instead, what comes later marks what it supersedes, as long as that is pending.

use std::collections::BTreeMap;

use protocol::Str;
use protocol::ids::ProducerId;

use crate::record::OffsetCommit;

/// Topic and partition.
pub(crate) type Place = (Str, i32);

/// Of one group.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Pending {
    producers: BTreeMap<ProducerId, BTreeMap<Place, Versions>>,
}

/// What was committed for a partition in one transaction, the newest last. Only that counts in the end; those before it are
/// there until it is certain that the log has it.
type Versions = Vec<PendingCommit>;

/// More requests of one producer than a connection has in work are never uncertain.
const VERSIONS_MAX: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct PendingCommit {
    pub commit: OffsetCommit,
    /// Among all pending commits of the log.
    pub order: u64,
    /// The group has committed for the partition since.
    pub is_superseded: bool,
}

/// The order differs when the log is loaded again, and only who is before whom counts.
impl PartialEq for PendingCommit {
    fn eq(&self, other: &Self) -> bool {
        (&self.commit, self.is_superseded) == (&other.commit, other.is_superseded)
    }
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    pub(crate) fn has(&self, place: &Place) -> bool {
        self.producers.values().any(|commits| commits.contains_key(place))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Place, &OffsetCommit)> {
        let all = self.producers.values().flatten();
        all.filter_map(|(place, versions)| Some((place, &versions.last()?.commit)))
    }

    pub(crate) fn has_of(&self, producer: ProducerId) -> bool {
        self.producers.contains_key(&producer)
    }

    pub(crate) fn put(&mut self, producer: ProducerId, place: Place, commit: OffsetCommit, order: u64) {
        let versions = self.producers.entry(producer).or_default().entry(place).or_default();
        if versions.len() >= VERSIONS_MAX {
            versions.remove(0);
        }
        versions.push(PendingCommit { commit, order, is_superseded: false });
    }

    /// Something was committed for a partition.
    pub(crate) fn supersede(&mut self, place: &Place, before: u64) {
        let all = self.producers.values_mut().filter_map(|commits| commits.get_mut(place)).flatten();
        for commit in all.filter(|commit| commit.order < before) {
            commit.is_superseded = true;
        }
    }

    /// Nothing is left of a partition. Returns the producers of which nothing is left either.
    pub(crate) fn remove(&mut self, place: &Place) -> Vec<ProducerId> {
        for commits in self.producers.values_mut() {
            commits.remove(place);
        }
        let gone = self.producers.extract_if(.., |_, commits| commits.is_empty());
        gone.map(|(producer, _)| producer).collect()
    }

    /// Takes back a commit that the log has refused.
    pub(crate) fn take_back(&mut self, producer: ProducerId, place: &Place, commit: &OffsetCommit) {
        let Some(commits) = self.producers.get_mut(&producer) else { return };
        if let Some(versions) = commits.get_mut(place)
            && let Some(at) = versions.iter().position(|version| version.commit == *commit)
        {
            versions.remove(at);
        }
        Self::drop_empty(&mut self.producers, producer);
    }

    /// The transaction of a producer has ended: what it has committed before `order`, in order.
    pub(crate) fn end(&mut self, producer: ProducerId, order: u64) -> Vec<(Place, PendingCommit)> {
        let Some(commits) = self.producers.get_mut(&producer) else { return Vec::new() };
        let mut ended = Vec::new();
        for (place, versions) in &mut *commits {
            let of_place = versions.extract_if(.., |version| version.order < order);
            ended.extend(of_place.map(|version| (place.clone(), version)));
        }
        Self::drop_empty(&mut self.producers, producer);
        ended
    }

    fn drop_empty(producers: &mut BTreeMap<ProducerId, BTreeMap<Place, Versions>>, producer: ProducerId) {
        let Some(commits) = producers.get_mut(&producer) else { return };
        commits.retain(|_, versions| !versions.is_empty());
        if commits.is_empty() {
            producers.remove(&producer);
        }
    }
}
