//! `uniform` when members read different topics: everybody keeps what it may, what is left goes topic by topic to whoever of
//! its readers has least, and then partitions move from who has most to who has least, until no move helps any more or it
//! has been tried often enough.
//!
//! Topics with many partitions for each reader come first: the others are used to even out what those have left uneven.

use std::collections::BTreeMap;

use protocol::Uuid;

use super::Input;
use crate::consumer::partitions::Partitions;

/// How often every topic is looked at. Each time the difference between who has most and least shrinks; the rest is not
/// worth the time.
const PASSES_MAX: usize = 16;

struct Topic {
    id: Uuid,
    /// Places of its readers.
    readers: Vec<usize>,
    /// The reader of each partition, until it has one.
    owners: Vec<Option<usize>>,
}

pub(super) fn assign(input: &Input<'_>) -> Vec<Partitions> {
    let mut topics = topics(input);
    let mut loads = vec![0_usize; input.readers.len()];
    for owner in topics.iter().flat_map(|topic| &topic.owners).flatten() {
        add(&mut loads, *owner, 1);
    }
    for topic in &mut topics {
        topic.give_away(&mut loads);
    }
    balance(&mut topics, &mut loads);
    let mut assigned: Vec<Vec<(Uuid, i32)>> = vec![Vec::new(); input.readers.len()];
    for topic in &topics {
        for (partition, owner) in (0..).zip(&topic.owners) {
            if let Some(assigned) = owner.and_then(|owner| assigned.get_mut(owner)) {
                assigned.push((topic.id, partition));
            }
        }
    }
    assigned.into_iter().map(|partitions| partitions.into_iter().collect()).collect()
}

/// With what their readers had before. Those with the most partitions for each reader first.
fn topics(input: &Input<'_>) -> Vec<Topic> {
    let mut readers: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
    for (place, reader) in input.readers.iter().enumerate() {
        for topic in &reader.topics {
            readers.entry(*topic).or_default().push(place);
        }
    }
    let mut topics: Vec<Topic> = Vec::with_capacity(readers.len());
    for (id, readers) in readers {
        let count = usize::try_from(input.partitions_of(&id)).unwrap_or(0);
        let mut owners = vec![None; count];
        for &place in &readers {
            let before = input.readers.get(place).and_then(|reader| reader.before);
            for partition in before.map_or(&[][..], |before| before.of(&id)) {
                let owner = usize::try_from(*partition).ok().and_then(|part| owners.get_mut(part));
                if let Some(owner @ None) = owner {
                    *owner = Some(place);
                }
            }
        }
        topics.push(Topic { id, readers, owners });
    }
    topics.sort_by(|one, other| {
        // a/b before c/d if a*d > c*b: without the rounding of a division.
        let ratio = |one: &Topic, other: &Topic| one.owners.len() * other.readers.len();
        ratio(other, one)
            .cmp(&ratio(one, other))
            .then_with(|| one.readers.len().cmp(&other.readers.len()))
            .then_with(|| one.id.cmp(&other.id))
    });
    topics
}

fn load(loads: &[usize], place: usize) -> usize {
    loads.get(place).copied().unwrap_or(0)
}

fn add(loads: &mut [usize], place: usize, by: isize) {
    if let Some(load) = loads.get_mut(place) {
        *load = load.saturating_add_signed(by);
    }
}

/// Moves until a whole pass has moved nothing.
fn balance(topics: &mut [Topic], loads: &mut [usize]) {
    let mut quiet = 0;
    let shared = topics.iter().filter(|topic| topic.readers.len() > 1).count();
    for _ in 0..PASSES_MAX {
        for topic in topics.iter_mut().filter(|topic| topic.readers.len() > 1) {
            quiet = if topic.even_out(loads) { 0 } else { quiet + 1 };
            if quiet >= shared {
                return;
            }
        }
    }
}

impl Topic {
    /// To whoever of its readers has least, of these to the first.
    fn give_away(&mut self, loads: &mut [usize]) {
        if self.owners.iter().all(Option::is_some) {
            return;
        }
        let mut least = Levels::new(&self.readers, loads);
        for owner in self.owners.iter_mut().filter(|owner| owner.is_none()) {
            let Some(place) = least.pop_least() else { return };
            *owner = Some(place);
            add(loads, place, 1);
            least.push(place, load(loads, place));
        }
    }

    /// Moves partitions of this topic from who has most to who has least. Whether one moved.
    fn even_out(&mut self, loads: &mut [usize]) -> bool {
        let mut levels = Levels::new(&self.readers, loads);
        if levels.difference() <= 1 {
            return false;
        }
        let mut owned: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (partition, owner) in self.owners.iter().enumerate() {
            owned.entry(owner.unwrap_or(usize::MAX)).or_default().push(partition);
        }
        let mut moved = false;
        while levels.difference() > 1 {
            let Some(most) = levels.pop_most() else { break };
            let Some(partition) = owned.get_mut(&most).and_then(Vec::pop) else {
                // What it has is of other topics: it does not count here any more.
                continue;
            };
            let Some(least) = levels.pop_least() else { break };
            if let Some(owner) = self.owners.get_mut(partition) {
                *owner = Some(least);
            }
            add(loads, most, -1);
            add(loads, least, 1);
            levels.push(most, load(loads, most));
            levels.push(least, load(loads, least));
            moved = true;
        }
        moved
    }
}

/// Readers by how much they have.
struct Levels(std::collections::BTreeSet<(usize, usize)>);

impl Levels {
    fn new(readers: &[usize], loads: &[usize]) -> Self {
        Self(readers.iter().map(|place| (load(loads, *place), *place)).collect())
    }

    /// Between who has most and who has least.
    fn difference(&self) -> usize {
        match (self.0.first(), self.0.last()) {
            (Some((least, _)), Some((most, _))) => most - least,
            _ => 0,
        }
    }

    fn pop_least(&mut self) -> Option<usize> {
        self.0.pop_first().map(|(_, place)| place)
    }

    fn pop_most(&mut self) -> Option<usize> {
        self.0.pop_last().map(|(_, place)| place)
    }

    fn push(&mut self, place: usize, load: usize) {
        self.0.insert((load, place));
    }
}
