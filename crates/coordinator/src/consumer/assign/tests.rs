//! What holds for every assignment, over random groups and their histories.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn topic(n: usize) -> Uuid {
    let mut bytes = [0; 16];
    bytes[15] = u8::try_from(n).unwrap();
    Uuid::from_bytes(bytes)
}

/// Who reads which topics; the same group over time.
#[derive(Clone, Debug, Default)]
struct Group {
    topics: Vec<i32>,
    readers: BTreeMap<Str, (Option<Str>, BTreeSet<usize>)>,
    targets: BTreeMap<Str, Partitions>,
}

impl Group {
    fn alike(&self) -> bool {
        self.readers.values().map(|(_, topics)| topics).collect::<BTreeSet<_>>().len() <= 1
    }

    fn assign(&mut self, assignor: Assignor) {
        let readers = self.readers.iter().map(|(id, (instance_id, topics))| Reader {
            id,
            instance_id: instance_id.as_ref(),
            topics: topics.iter().map(|n| topic(*n)).collect(),
            before: self.targets.get(id),
        });
        let read: BTreeSet<usize> = self.readers.values().flat_map(|(_, topics)| topics).copied().collect();
        let topics = read.into_iter().map(|n| (topic(n), self.topics[n])).collect();
        let input = Input { readers: readers.collect(), alike: self.alike(), topics };
        let assigned = assign(assignor, &input);
        assert_eq!(assigned.len(), input.readers.len());
        let ids: Vec<Str> = self.readers.keys().cloned().collect();
        self.targets = ids.into_iter().zip(assigned).collect();
        self.check();
    }

    /// Everything goes to exactly one of those who read it.
    fn check(&self) {
        let mut given = BTreeMap::new();
        for (id, partitions) in &self.targets {
            for (topic_id, partition) in partitions.iter() {
                let before = given.insert((topic_id, partition), id);
                assert_eq!(before, None, "{topic_id}-{partition} is given twice");
                let n = usize::from(topic_id.as_bytes()[15]);
                assert!(self.readers[id].1.contains(&n), "{id} does not read topic {n}");
            }
        }
        for (n, partitions) in self.topics.iter().enumerate() {
            let is_read = self.readers.values().any(|(_, topics)| topics.contains(&n));
            for partition in 0..*partitions {
                assert_eq!(
                    given.contains_key(&(topic(n), partition)),
                    is_read,
                    "topic {n} partition {partition}"
                );
            }
        }
    }

    fn sizes(&self) -> Vec<usize> {
        self.targets.values().map(Partitions::len).collect()
    }
}

fn difference(sizes: &[usize]) -> usize {
    sizes.iter().max().unwrap_or(&0) - sizes.iter().min().unwrap_or(&0)
}

/// How many partitions have another owner although their owner is still there.
fn moves(before: &Group, after: &Group) -> usize {
    let mut moved = 0;
    for (id, partitions) in &before.targets {
        let Some(now) = after.targets.get(id) else { continue };
        moved += partitions.iter().filter(|(topic, partition)| !now.contains(topic, *partition)).count();
    }
    moved
}

fn group(max_readers: usize, alike: bool) -> impl Strategy<Value = Group> {
    let topics = proptest::collection::vec(1..12_i32, 1..6);
    let reads = proptest::collection::vec(proptest::collection::vec(any::<bool>(), 6), 1..max_readers);
    (topics, reads, any::<u64>()).prop_map(move |(topics, reads, statics)| {
        let first = reads[0].clone();
        let readers = reads.into_iter().enumerate().map(|(n, reads)| {
            let reads = if alike { &first } else { &reads };
            let of = reads.iter().take(topics.len()).enumerate().filter(|(_, reads)| **reads);
            let instance = (statics >> (n % 64) & 1 == 1).then(|| Str::from(format!("i{}", 99 - n)));
            (Str::from(format!("m{n:02}")), (instance, of.map(|(n, _)| n).collect()))
        });
        Group { readers: readers.collect(), topics: topics.clone(), targets: BTreeMap::new() }
    })
}

proptest! {
    #[test]
    fn uniform_is_even_and_moves_least_when_all_read_the_same(
        mut group in group(9, true),
        leaving in any::<proptest::sample::Index>(),
        coming in 0..4_usize,
    ) {
        group.assign(Assignor::Uniform);
        prop_assert!(difference(&group.sizes()) <= 1);
        let settled = group.clone();
        group.assign(Assignor::Uniform);
        prop_assert_eq!(moves(&settled, &group), 0, "nothing changed, so nothing moves");

        let reads = group.readers.values().next().unwrap().1.clone();
        let gone = leaving.get(&group.readers.keys().cloned().collect::<Vec<_>>()).clone();
        let had = group.targets[&gone].len();
        group.readers.remove(&gone);
        group.targets.remove(&gone);
        if !group.readers.is_empty() {
            let before = group.clone();
            group.assign(Assignor::Uniform);
            prop_assert_eq!(moves(&before, &group), 0, "{} partitions were free", had);
        }
        for n in 0..coming {
            let before = group.clone();
            group.readers.insert(Str::from(format!("new{n}")), (None, reads.clone()));
            group.assign(Assignor::Uniform);
            let gets = group.targets[&Str::from(format!("new{n}"))].len();
            prop_assert_eq!(moves(&before, &group), if before.targets.is_empty() { 0 } else { gets });
        }
        prop_assert!(difference(&group.sizes()) <= 1);
    }

    #[test]
    fn uniform_leaves_no_move_that_helps(mut group in group(9, false)) {
        group.assign(Assignor::Uniform);
        let settled = group.clone();
        group.assign(Assignor::Uniform);
        prop_assert_eq!(moves(&settled, &group), 0);
        for (id, partitions) in &group.targets {
            for (other, theirs) in &group.targets {
                let could_take = partitions.topics().any(|(topic_id, _)| {
                    group.readers[other].1.contains(&usize::from(topic_id.as_bytes()[15]))
                });
                prop_assert!(
                    !could_take || partitions.len() <= theirs.len() + 1,
                    "{} has {} and {} has {}", id, partitions.len(), other, theirs.len()
                );
            }
        }
    }

    #[test]
    fn range_gives_the_same_stretches_of_topics_of_one_size(mut group in group(9, true)) {
        group.topics.fill(7);
        group.assign(Assignor::Range);
        for partitions in group.targets.values() {
            let stretches: BTreeSet<Vec<i32>> = partitions.topics().map(|(_, parts)| parts.to_vec()).collect();
            prop_assert!(stretches.len() <= 1);
            for stretch in stretches {
                prop_assert!(stretch.windows(2).all(|pair| pair[1] == pair[0] + 1));
            }
        }
        // Static members come first, by instance id.
        let mut order: Vec<_> = group.readers.iter().map(|(id, (instance, _))| (instance.is_none(), instance.clone().unwrap_or(id.clone()), id)).collect();
        order.sort();
        let firsts: Vec<_> = order.iter().filter_map(|(_, _, id)| group.targets[*id].iter().next()).collect();
        prop_assert!(firsts.windows(2).all(|pair| pair[0].1 < pair[1].1));
    }

    #[test]
    fn range_gives_everything_away(mut group in group(9, false)) {
        group.assign(Assignor::Range);
    }
}

#[test]
fn range_gives_the_first_readers_one_more() {
    let mut group = Group { topics: vec![5, 3], ..Group::default() };
    for id in ["a", "b", "c"] {
        group.readers.insert(id.into(), (None, [0, 1].into()));
    }
    group.readers.insert("z".into(), (Some("0".into()), [0].into()));
    group.assign(Assignor::Range);
    let of = |id: &str| -> Vec<(u8, i32)> {
        group.targets[id].iter().map(|(topic, partition)| (topic.as_bytes()[15], partition)).collect()
    };
    assert_eq!(of("z"), [(0, 0), (0, 1)]);
    assert_eq!(of("a"), [(0, 2), (1, 0)]);
    assert_eq!(of("b"), [(0, 3), (1, 1)]);
    assert_eq!(of("c"), [(0, 4), (1, 2)]);
}

#[test]
fn partitions_that_are_gone_are_not_given() {
    let mut group = Group { topics: vec![4], ..Group::default() };
    group.readers.insert("a".into(), (None, [0].into()));
    group.readers.insert("b".into(), (None, [0].into()));
    group.assign(Assignor::Uniform);
    // The topic was deleted and made anew with fewer partitions under an id that the member does not know, or the id stays and
    // the count is less: neither may be given.
    group.topics[0] = 1;
    for assignor in Assignor::ALL {
        group.assign(assignor);
        assert_eq!(group.sizes().iter().sum::<usize>(), 1);
    }
    assert_eq!(Assignor::named("uniform"), Some(Assignor::Uniform));
    assert_eq!(Assignor::named("sticky"), None);
}
