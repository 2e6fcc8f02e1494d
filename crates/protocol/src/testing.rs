//! Random messages for tests, behind the feature `testing`.
//!
//! Owns: a generator of field values from a seed, and the catalog of all messages.
//!
//! Does not know: what values would make sense to a server.

use bytes::Bytes;

use crate::wire::{Error, Message, TaggedField, VersionRange};
use crate::{RecordSet, Str, Uuid};

/// Invents a value of a struct as a version can carry it.
pub trait Fill {
    fn fill(g: &mut Gen, version: i16) -> Self;
}

/// A source of field values: the same seed gives the same values.
#[derive(Clone, Debug)]
pub struct Gen {
    state: u64,
    /// How many arrays the value that is being made is inside of.
    depth: u32,
}

impl Gen {
    pub fn new(seed: u64) -> Gen {
        Gen { state: seed, depth: 0 }
    }

    /// SplitMix64.
    pub fn u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        let bound = (bound as u64).max(1);
        usize::try_from(self.u64() % bound).unwrap_or(0)
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        // Small numbers, -1 and the extremes are where encodings differ; the rest is anything.
        match self.below(8) {
            0 => [0; N],
            1 => [0xff; N],
            2 => {
                let mut bytes = [0; N];
                if let Some(last) = bytes.last_mut() {
                    *last = self.u64().to_le_bytes()[0];
                }
                bytes
            }
            _ => std::array::from_fn(|_| self.u64().to_le_bytes()[0]),
        }
    }

    pub fn bool(&mut self) -> bool {
        self.u64().is_multiple_of(2)
    }

    pub fn i8(&mut self) -> i8 {
        i8::from_be_bytes(self.array())
    }

    pub fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.array())
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    pub fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.array())
    }

    pub fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.array())
    }

    /// Never NaN, which does not equal itself.
    pub fn f64(&mut self) -> f64 {
        f64::from(self.i32()) / 8.0
    }

    pub fn uuid(&mut self) -> Uuid {
        Uuid::from_bytes(self.array())
    }

    pub fn string(&mut self) -> Str {
        const CHARACTERS: &[char] = &['a', 'Z', '0', '-', '_', '.', ' ', 'é', '日', '🦀', '\0'];
        // Now and then longer than a varint of one byte can say.
        let len = if self.below(32) == 0 { 100 + self.below(400) } else { self.below(12) };
        let text: String = (0..len).filter_map(|_| CHARACTERS.get(self.below(CHARACTERS.len()))).collect();
        Str::from(text)
    }

    pub fn bytes(&mut self) -> Bytes {
        let len = if self.below(32) == 0 { 100 + self.below(400) } else { self.below(16) };
        (0..len).map(|_| self.u64().to_le_bytes()[0]).collect()
    }

    pub fn records(&mut self) -> RecordSet {
        (0..self.below(4)).map(|_| self.bytes()).collect()
    }

    pub fn option<T>(&mut self, nullable: bool, value: impl FnOnce(&mut Gen) -> T) -> Option<T> {
        if nullable && self.below(4) == 0 { None } else { Some(value(self)) }
    }

    pub fn vec<T>(&mut self, mut element: impl FnMut(&mut Gen) -> T) -> Vec<T> {
        let len = match self.depth {
            0 => self.below(5),
            1 => self.below(4),
            _ => self.below(3),
        };
        self.depth += 1;
        let elements = (0..len).map(|_| element(self)).collect();
        self.depth -= 1;
        elements
    }

    /// Tags that no schema has.
    pub fn unknown_tags(&mut self) -> Vec<TaggedField> {
        let count = self.below(3);
        [20_000, 20_001].into_iter().take(count).map(|tag| TaggedField { tag, value: self.bytes() }).collect()
    }
}

/// One message of the catalog, its type erased.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub name: &'static str,
    /// Of requests and responses.
    pub api_key: Option<i16>,
    pub versions: VersionRange,
    pub flexible_from: Option<i16>,
    /// The bytes of a message filled from a seed.
    pub random: fn(&mut Gen, i16) -> Result<Bytes, Error>,
    /// Decodes and encodes again; the whole input must be the message.
    pub recode: fn(&Bytes, i16) -> Result<Bytes, Error>,
    /// Fills, encodes, decodes and compares the values.
    pub round_trip: fn(&mut Gen, i16) -> Result<bool, Error>,
}

impl Entry {
    pub(crate) const fn of<M: Message + Fill>(api_key: Option<i16>) -> Entry {
        Entry {
            name: M::NAME,
            api_key,
            versions: M::VERSIONS,
            flexible_from: M::FLEXIBLE_FROM,
            random: |g, version| M::fill(g, version).to_bytes(version),
            recode: |bytes, version| M::from_bytes(bytes, version)?.to_bytes(version),
            round_trip: |g, version| {
                let message = M::fill(g, version);
                Ok(M::from_bytes(&message.to_bytes(version)?, version)? == message)
            },
        }
    }
}

/// Every message, by name.
pub fn catalog() -> &'static [Entry] {
    crate::generated::catalog::ALL
}
