//! `cooperative-sticky`: everybody keeps what it has, as far as that is even.

use std::collections::{BTreeMap, BTreeSet};

use protocol::Str;

use super::{Assignment, Counts, Reader, all, nothing};
use crate::TopicPartition;

pub(super) fn assign(readers: &[Reader], counts: &Counts) -> Assignment {
    let owners = owners(readers, counts);
    let mut assignment = nothing(readers);
    let mut free = Vec::new();
    for partition in all(counts) {
        match owners.get(&partition) {
            Some(owner) => {
                assignment.entry((*owner).clone()).or_default().insert(partition);
            }
            None => free.push(partition),
        }
    }
    let topics: BTreeMap<&Str, &BTreeSet<Str>> = readers.iter().map(|one| (&one.id, &one.topics)).collect();
    let reads = |id: &Str, topic: &Str| topics.get(id).is_some_and(|topics| topics.contains(topic));
    for partition in free {
        let those = assignment.iter_mut().filter(|(id, _)| reads(id, &partition.topic));
        if let Some((_, fewest)) = those.min_by_key(|(_, has)| has.len()) {
            fewest.insert(partition);
        }
    }
    while let Some((from, to, partition)) = improvement(&assignment, &owners, &reads) {
        assignment.entry(from).or_default().remove(&partition);
        assignment.entry(to).or_default().insert(partition);
    }
    // What somebody else still has is given away in the next round, when it has been let go of.
    for (id, has) in &mut assignment {
        has.retain(|partition| owners.get(partition).is_none_or(|owner| *owner == id));
    }
    assignment
}

/// Who has what: of two who say so, the one who got it later. Of topics that the owner reads no more, nobody.
fn owners<'a>(readers: &'a [Reader], counts: &Counts) -> BTreeMap<TopicPartition, &'a Str> {
    let mut claims: BTreeMap<&TopicPartition, (i32, Option<&Str>)> = BTreeMap::new();
    for reader in readers {
        let exists = |one: &TopicPartition| {
            counts.get(&one.topic).is_some_and(|count| (0..*count).contains(&one.partition))
        };
        let owned = reader.owned.iter().filter(|one| exists(one) && reader.topics.contains(&one.topic));
        for partition in owned {
            let claim = claims.entry(partition).or_insert((i32::MIN, None));
            match reader.generation.cmp(&claim.0) {
                std::cmp::Ordering::Greater => *claim = (reader.generation, Some(&reader.id)),
                // Both cannot be right.
                std::cmp::Ordering::Equal => claim.1 = None,
                std::cmp::Ordering::Less => {}
            }
        }
    }
    claims.into_iter().filter_map(|(partition, (_, owner))| Some((partition.clone(), owner?))).collect()
}

/// A move after which two members are more even. What has no owner yet moves first.
fn improvement(
    assignment: &Assignment,
    owners: &BTreeMap<TopicPartition, &Str>,
    reads: &impl Fn(&Str, &Str) -> bool,
) -> Option<(Str, Str, TopicPartition)> {
    let mut by_size: Vec<(&Str, &BTreeSet<TopicPartition>)> = assignment.iter().collect();
    by_size.sort_by_key(|(_, has)| has.len());
    for (from, much) in by_size.iter().rev() {
        for (to, little) in by_size.iter().take_while(|(_, little)| much.len() >= little.len() + 2) {
            debug_assert!(little.len() < much.len());
            let movable = much.iter().filter(|one| reads(to, &one.topic));
            if let Some(partition) = movable.min_by_key(|one| owners.contains_key(*one)) {
                return Some(((*from).clone(), (*to).clone(), partition.clone()));
            }
        }
    }
    None
}
