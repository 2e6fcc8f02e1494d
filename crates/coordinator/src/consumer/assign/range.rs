//! `range`: of each topic every reader gets one stretch of partitions, the first readers one more when they do not come out
//! even. Readers are in one order for all topics, static ones first and by instance id, so that those who read the same
//! topics get the same stretches.

use std::collections::BTreeMap;

use protocol::Uuid;

use super::{Input, Reader};
use crate::consumer::partitions::Partitions;

/// How far a topic has been given away.
struct Stretch {
    partitions: i32,
    next: i32,
    quota: i32,
    /// Readers that still get one more.
    extra: i32,
}

pub(super) fn assign(input: &Input<'_>) -> Vec<Partitions> {
    let mut order: Vec<usize> = (0..input.readers.len()).collect();
    order.sort_by_key(|place| input.readers.get(*place).map(rank));
    let mut stretches = stretches(input);
    let mut assigned: Vec<Partitions> = Vec::new();
    assigned.resize_with(input.readers.len(), Partitions::default);
    for place in order {
        let (Some(reader), Some(assigned)) = (input.readers.get(place), assigned.get_mut(place)) else {
            continue;
        };
        for topic in &reader.topics {
            let Some(stretch) = stretches.get_mut(topic) else { continue };
            assigned.push_topic(*topic, stretch.take().collect());
        }
    }
    assigned
}

/// Static members by instance id, then the others by member id.
fn rank<'a>(reader: &Reader<'a>) -> (bool, &'a str) {
    match reader.instance_id {
        Some(instance_id) => (false, instance_id),
        None => (true, reader.id),
    }
}

fn stretches(input: &Input<'_>) -> BTreeMap<Uuid, Stretch> {
    let mut readers: BTreeMap<Uuid, i32> = BTreeMap::new();
    for topic in input.readers.iter().flat_map(|reader| &reader.topics) {
        *readers.entry(*topic).or_default() += 1;
    }
    let stretch = |(topic, readers): (Uuid, i32)| {
        let partitions = input.partitions_of(&topic);
        let (quota, extra) = (partitions / readers, partitions % readers);
        (topic, Stretch { partitions, next: 0, quota, extra })
    };
    readers.into_iter().map(stretch).collect()
}

impl Stretch {
    fn take(&mut self) -> std::ops::Range<i32> {
        let begin = self.next;
        let mut end = begin + self.quota;
        if self.extra > 0 {
            self.extra -= 1;
            end += 1;
        }
        self.next = end.min(self.partitions);
        begin..self.next
    }
}
