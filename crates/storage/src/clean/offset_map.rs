//! [`OffsetMap`]: the newest offset of each key, in a bounded amount of memory.
//!
//! An entry is a hash of the key, 16 bytes, and the offset, 8 bytes, as in Kafka. Two keys with the same hash would count as one
//! and the older record be lost, so the hash is long and takes a secret: nobody can look for such keys.
//!
//! Invariants: memory grows with the number of keys, never beyond the budget, not even while it grows.

use std::hash::{DefaultHasher, Hasher};

use protocol::ids::Offset;

const ENTRY_BYTES: usize = size_of::<Entry>();
const ENTRIES_MIN: usize = 8;
/// Of so many places, [`LOAD`] are filled before there are more.
const LOAD_OF: usize = 10;
const LOAD: usize = 9;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    hash: [u64; 2],
    /// Behind the offset, so that zero means an empty place.
    end: u64,
}

const EMPTY: Entry = Entry { hash: [0; 2], end: 0 };

#[derive(Debug)]
pub struct OffsetMap {
    places: Vec<Entry>,
    places_max: usize,
    len: usize,
    secret: [u64; 2],
    end: Offset,
}

impl OffsetMap {
    /// An empty map that takes at most `bytes_max`. `secret` is random.
    #[must_use]
    pub fn new(bytes_max: usize, secret: [u64; 2]) -> Self {
        // Old and new places together stay within the budget while it grows for the last time.
        let places_max = (bytes_max / ENTRY_BYTES / 3 * 2).max(ENTRIES_MIN);
        Self { places: Vec::new(), places_max, len: 0, secret, end: Offset::ZERO }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.places.len() * ENTRY_BYTES
    }

    /// Everything below this offset has been taken into account.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.end
    }

    /// There is nothing below `end` that has not been put.
    pub fn advance(&mut self, end: Offset) {
        self.end = self.end.max(end);
    }

    /// Notes that the newest record of `key` so far is at `offset`. False if the map is full.
    #[must_use]
    pub fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let entry = Entry { hash: self.hash(key), end: end_of(offset) };
        if let Some(known) = self.place_of(entry.hash).filter(|place| place.end != 0) {
            *known = entry;
        } else {
            if self.len >= self.places.len() * LOAD / LOAD_OF && !self.grow() {
                return false;
            }
            if let Some(free) = self.place_of(entry.hash) {
                *free = entry;
            }
            self.len += 1;
        }
        self.advance(offset.next());
        true
    }

    /// The newest offset of `key`, if it has been put.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Offset> {
        let hash = self.hash(key);
        let found = self.probe(hash).find_map(|index| {
            self.places.get(index).filter(|place| place.hash == hash || place.end == 0).copied()
        })?;
        found.end.checked_sub(1).and_then(|offset| i64::try_from(offset).ok()).map(Offset)
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        self.secret.map(|secret| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(secret);
            hasher.write(key);
            hasher.finish()
        })
    }

    /// The places where `hash` may stand, in order.
    fn probe(&self, hash: [u64; 2]) -> impl Iterator<Item = usize> + use<> {
        let places = self.places.len();
        let [first, _] = hash;
        let scaled = (u128::from(first) * places as u128) >> 64;
        let start = usize::try_from(scaled).unwrap_or(0);
        (start..places).chain(0..start)
    }

    /// The place of `hash`, or the free one where it belongs.
    fn place_of(&mut self, hash: [u64; 2]) -> Option<&mut Entry> {
        let is_it =
            |index: &usize| self.places.get(*index).is_some_and(|place| place.end == 0 || place.hash == hash);
        let index = self.probe(hash).find(is_it)?;
        self.places.get_mut(index)
    }

    fn grow(&mut self) -> bool {
        let before = self.places.len();
        if before == self.places_max {
            return false;
        }
        let doubled = (before * 2).max(ENTRIES_MIN);
        // Twice what comes then would no longer fit beside it.
        let places = if doubled * 2 > self.places_max { self.places_max } else { doubled };
        let old = std::mem::replace(&mut self.places, vec![EMPTY; places]);
        for entry in old.into_iter().filter(|entry| entry.end != 0) {
            if let Some(free) = self.place_of(entry.hash) {
                *free = entry;
            }
        }
        true
    }
}

fn end_of(offset: Offset) -> u64 {
    u64::try_from(offset.0).unwrap_or(0).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_offset_of_each_key_within_the_budget() {
        const BUDGET: usize = 100_000;
        let mut map = OffsetMap::new(BUDGET, [1, 2]);
        assert_eq!((map.bytes(), map.get(b"nothing")), (0, None));
        let mut keys = 0_i64;
        while map.put(&keys.to_be_bytes(), Offset(keys)) {
            assert!(map.bytes() <= BUDGET * 2 / 3, "{} bytes for {keys} keys", map.bytes());
            // It grows with what it holds.
            assert!(map.bytes() < 4096.max(map.len() * ENTRY_BYTES * 5), "{} bytes for {keys}", map.bytes());
            keys += 1;
        }
        let places = BUDGET / ENTRY_BYTES / 3 * 2;
        assert_eq!((map.len() as i64, map.end()), (keys, Offset(keys)));
        assert!(map.len() > places * 8 / 10 && map.len() < places, "{} of {places}", map.len());
        // What it knows can still change.
        assert!(map.put(&3_i64.to_be_bytes(), Offset(keys + 10)));
        assert_eq!((map.get(&3_i64.to_be_bytes()), map.end()), (Some(Offset(keys + 10)), Offset(keys + 11)));
        for key in (0..keys).filter(|key| *key != 3) {
            assert_eq!(map.get(&key.to_be_bytes()), Some(Offset(key)));
        }
        assert_eq!(map.get(&keys.to_be_bytes()), None);
    }
}
