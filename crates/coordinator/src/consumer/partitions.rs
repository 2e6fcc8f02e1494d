//! [`Partitions`] and [`Owned`]: partitions by topic id, without and with the epoch at which a member was given them.
//!
//! Invariants: topics and partitions ascend, none is there twice, and a topic that is there has partitions.

use protocol::Uuid;

/// What a member is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Partitions(Vec<(Uuid, Vec<i32>)>);

/// What a member has. Commits of an older epoch than that of the partition are a zombie's (KIP-1251).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owned(Vec<(Uuid, Vec<(i32, i32)>)>);

impl Partitions {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|(_, partitions)| partitions.len()).sum()
    }

    /// With the partitions of each topic.
    pub(crate) fn topics(&self) -> impl ExactSizeIterator<Item = (Uuid, &[i32])> {
        self.0.iter().map(|(topic, partitions)| (*topic, partitions.as_slice()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Uuid, i32)> {
        self.topics().flat_map(|(topic, partitions)| partitions.iter().map(move |part| (topic, *part)))
    }

    pub(crate) fn of(&self, topic: &Uuid) -> &[i32] {
        let place = self.0.binary_search_by(|(own, _)| own.cmp(topic)).ok();
        place.and_then(|place| self.0.get(place)).map_or(&[], |(_, partitions)| partitions)
    }

    pub(crate) fn contains(&self, topic: &Uuid, partition: i32) -> bool {
        self.of(topic).binary_search(&partition).is_ok()
    }

    /// One topic, which comes after those that are there, with its partitions in any order.
    pub(crate) fn push_topic(&mut self, topic: Uuid, mut partitions: Vec<i32>) {
        partitions.sort_unstable();
        partitions.dedup();
        if !partitions.is_empty() {
            assert!(self.0.last().is_none_or(|(last, _)| *last < topic), "topics ascend");
            self.0.push((topic, partitions));
        }
    }
}

impl FromIterator<(Uuid, i32)> for Partitions {
    fn from_iter<T: IntoIterator<Item = (Uuid, i32)>>(partitions: T) -> Self {
        Self(by_topic(partitions, |part| *part))
    }
}

impl Owned {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// With the partitions of each topic and their epochs.
    pub(crate) fn topics(&self) -> impl ExactSizeIterator<Item = (Uuid, &[(i32, i32)])> {
        self.0.iter().map(|(topic, partitions)| (*topic, partitions.as_slice()))
    }

    /// Topic, partition, epoch.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Uuid, i32, i32)> {
        let topics = self.0.iter();
        topics.flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(partition, epoch)| (*topic, *partition, *epoch))
        })
    }

    pub(crate) fn epoch_of(&self, topic: &Uuid, partition: i32) -> Option<i32> {
        let place = self.0.binary_search_by(|(own, _)| own.cmp(topic)).ok()?;
        let (_, partitions) = self.0.get(place)?;
        let place = partitions.binary_search_by_key(&partition, |(own, _)| *own).ok()?;
        partitions.get(place).map(|(_, epoch)| *epoch)
    }

    pub(crate) fn contains(&self, topic: &Uuid, partition: i32) -> bool {
        self.epoch_of(topic, partition).is_some()
    }

    /// Whether the partitions are the same, whenever they were given.
    pub(crate) fn partitions_eq(&self, other: &Self) -> bool {
        let pairs =
            |owned: &Self| owned.iter().map(|(topic, partition, _)| (topic, partition)).collect::<Vec<_>>();
        *self == *other || pairs(self) == pairs(other)
    }

    /// The same partitions, given at another epoch.
    pub(crate) fn at_epoch(&self, epoch: i32) -> Self {
        self.iter().map(|(topic, partition, _)| (topic, partition, epoch)).collect()
    }

    pub(crate) fn partitions(&self) -> Partitions {
        self.iter().map(|(topic, partition, _)| (topic, partition)).collect()
    }
}

impl FromIterator<(Uuid, i32, i32)> for Owned {
    fn from_iter<T: IntoIterator<Item = (Uuid, i32, i32)>>(partitions: T) -> Self {
        let pairs = partitions.into_iter().map(|(topic, partition, epoch)| (topic, (partition, epoch)));
        Self(by_topic(pairs, |(partition, _)| *partition))
    }
}

/// Of what is there twice the first counts. Most of what comes is in order.
fn by_topic<P>(pairs: impl IntoIterator<Item = (Uuid, P)>, key: fn(&P) -> i32) -> Vec<(Uuid, Vec<P>)> {
    let mut topics: Vec<(Uuid, Vec<P>)> = Vec::new();
    let mut ascends = true;
    for (topic, partition) in pairs {
        match topics.last_mut() {
            Some((last, partitions)) if *last == topic => {
                ascends &= partitions.last().is_none_or(|before| key(before) < key(&partition));
                partitions.push(partition);
            }
            last => {
                ascends &= last.is_none_or(|(last, _)| *last < topic);
                topics.push((topic, vec![partition]));
            }
        }
    }
    if !ascends {
        topics = sorted(topics, key);
    }
    for (_, partitions) in &mut topics {
        partitions.shrink_to_fit();
    }
    topics.shrink_to_fit();
    topics
}

fn sorted<P>(mut topics: Vec<(Uuid, Vec<P>)>, key: fn(&P) -> i32) -> Vec<(Uuid, Vec<P>)> {
    topics.sort_by_key(|(topic, _)| *topic);
    let mut merged: Vec<(Uuid, Vec<P>)> = Vec::with_capacity(topics.len());
    for (topic, mut partitions) in topics {
        match merged.last_mut() {
            Some((last, before)) if *last == topic => before.append(&mut partitions),
            _ => merged.push((topic, partitions)),
        }
    }
    for (_, partitions) in &mut merged {
        partitions.sort_by_key(key);
        partitions.dedup_by_key(|partition| key(partition));
    }
    merged
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn topic(n: u8) -> Uuid {
        Uuid::from_bytes([n; 16])
    }

    proptest! {
        #[test]
        fn it_is_a_map_in_any_order(
            triples in proptest::collection::vec((0..4_u8, 0..6_i32, 0..9_i32), 0..40),
        ) {
            let mut map = BTreeMap::new();
            for (n, partition, epoch) in &triples {
                map.entry((topic(*n), *partition)).or_insert(*epoch);
            }
            let owned: Owned = triples.iter().map(|(n, partition, epoch)| (topic(*n), *partition, *epoch)).collect();
            let expected: Vec<_> = map.iter().map(|((topic, partition), epoch)| (*topic, *partition, *epoch)).collect();
            prop_assert_eq!(owned.iter().collect::<Vec<_>>(), expected);
            let partitions: Partitions = triples.iter().map(|(n, partition, _)| (topic(*n), *partition)).collect();
            prop_assert_eq!(&partitions, &owned.partitions());
            prop_assert!(partitions.iter().eq(map.keys().copied()));
            prop_assert_eq!(partitions.len(), map.len());
            for n in 0..4 {
                for partition in 0..6 {
                    let epoch = map.get(&(topic(n), partition)).copied();
                    prop_assert_eq!(owned.epoch_of(&topic(n), partition), epoch);
                    prop_assert_eq!(partitions.contains(&topic(n), partition), epoch.is_some());
                }
            }
        }
    }
}
