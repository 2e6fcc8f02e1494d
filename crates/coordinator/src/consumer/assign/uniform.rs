//! `uniform` when all read the same topics: everybody keeps what it has up to its share, and what is left over goes to those
//! who have less. Nothing moves that does not have to.

use std::collections::BTreeSet;

use protocol::Uuid;

use super::{Input, Reader};
use crate::consumer::partitions::Partitions;

pub(super) fn assign(input: &Input<'_>) -> Vec<Partitions> {
    let total: i32 = input.topics.values().sum();
    let members = i32::try_from(input.readers.len()).unwrap_or(i32::MAX);
    if members == 0 {
        return Vec::new();
    }
    let (share, mut extra) = (total / members, total % members);
    let mut taken = BTreeSet::new();
    let mut kept: Vec<Vec<(Uuid, i32)>> = Vec::with_capacity(input.readers.len());
    let mut open: Vec<i32> = Vec::with_capacity(input.readers.len());
    for (left, reader) in (1..=members).rev().zip(&input.readers) {
        let with_extra = extra > 0;
        let quota = share + i32::from(with_extra);
        let keeps: Vec<(Uuid, i32)> = keeps(input, reader, quota, &mut taken);
        let mut room = quota - i32::try_from(keeps.len()).unwrap_or(i32::MAX);
        // It does without the extra one as long as there are others for whom it may be one less move.
        let gives_way = with_extra && room > 0 && left > extra;
        room -= i32::from(gives_way);
        extra -= i32::from(with_extra && !gives_way);
        kept.push(keeps);
        open.push(room);
    }
    fill(input, &taken, &mut kept, &open);
    kept.into_iter().map(|partitions| partitions.into_iter().collect()).collect()
}

/// What a reader keeps of what it had, of which nobody else has kept it.
fn keeps(
    input: &Input<'_>,
    reader: &Reader<'_>,
    quota: i32,
    taken: &mut BTreeSet<(Uuid, i32)>,
) -> Vec<(Uuid, i32)> {
    let before = reader.before.into_iter().flat_map(Partitions::iter);
    let exists = |(topic, partition): &(Uuid, i32)| (0..input.partitions_of(topic)).contains(partition);
    let room = usize::try_from(quota).unwrap_or(0);
    let mut keeps = Vec::with_capacity(room);
    for partition in before.filter(exists) {
        if keeps.len() == room {
            break;
        }
        if taken.insert(partition) {
            keeps.push(partition);
        }
    }
    keeps
}

/// Gives what nobody keeps to those who have room.
fn fill(input: &Input<'_>, taken: &BTreeSet<(Uuid, i32)>, kept: &mut [Vec<(Uuid, i32)>], open: &[i32]) {
    let all = input.topics.iter().flat_map(|(topic, count)| (0..*count).map(move |part| (*topic, part)));
    let mut free = all.filter(|partition| !taken.contains(partition));
    for (kept, room) in kept.iter_mut().zip(open) {
        kept.extend(free.by_ref().take(usize::try_from(*room).unwrap_or(0)));
    }
    assert!(free.next().is_none(), "shares add up to all partitions");
}
