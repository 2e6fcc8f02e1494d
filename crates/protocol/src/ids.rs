//! Numbers with a meaning: offsets, epochs and ids as types of their own.
//!
//! Owns: the newtypes that the rest of the system counts with, so that an offset is never passed as an epoch.
//!
//! Invariant: `-1` is "none" where Kafka says so; each such type names it `NONE`.
//!
//! Does not know: the fields of messages, which carry plain integers as the schema has them.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

use crate::Uuid;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl $name {
            /// "Not known" or "does not apply", `-1` on the wire.
            pub const NONE: $name = $name(-1);

            pub const fn get(self) -> $inner {
                self.0
            }

            /// Everything below zero means "none".
            pub const fn is_none(self) -> bool {
                self.0 < 0
            }

            /// `None` if it [is none](Self::is_none).
            pub const fn known(self) -> Option<$name> {
                if self.is_none() { None } else { Some(self) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> $name {
                $name(value)
            }
        }

        impl From<$name> for $inner {
            fn from(value: $name) -> $inner {
                value.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<$name, Self::Err> {
                text.parse().map($name)
            }
        }
    };
}

number! {
    /// The position of a record in its partition.
    Offset(i64)
}

number! {
    /// The term of a partition's leader; appears in batches, fetches and fencing.
    LeaderEpoch(i32)
}

number! {
    /// The label of a broker or controller, `node.id`.
    NodeId(i32)
}

number! {
    /// An idempotent or transactional producer.
    ProducerId(i64)
}

number! {
    /// The incarnation of a [`ProducerId`].
    ProducerEpoch(i16)
}

impl Offset {
    pub const ZERO: Offset = Offset(0);

    /// The offset after this one.
    pub const fn next(self) -> Offset {
        Offset(self.0.saturating_add(1))
    }
}

impl Add<i64> for Offset {
    type Output = Offset;

    fn add(self, count: i64) -> Offset {
        Offset(self.0 + count)
    }
}

impl AddAssign<i64> for Offset {
    fn add_assign(&mut self, count: i64) {
        self.0 += count;
    }
}

impl Sub<i64> for Offset {
    type Output = Offset;

    fn sub(self, count: i64) -> Offset {
        Offset(self.0 - count)
    }
}

impl Sub for Offset {
    type Output = i64;

    fn sub(self, earlier: Offset) -> i64 {
        self.0 - earlier.0
    }
}

/// The identity of a topic: a topic that is deleted and created again under the same name has another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub Uuid);

impl TopicId {
    /// "No id": requests by name, and versions that know no ids.
    pub const ZERO: TopicId = TopicId(Uuid::ZERO);

    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Uuid> for TopicId {
    fn from(uuid: Uuid) -> TopicId {
        TopicId(uuid)
    }
}

impl From<TopicId> for Uuid {
    fn from(id: TopicId) -> Uuid {
        id.0
    }
}

impl std::str::FromStr for TopicId {
    type Err = crate::uuid::ParseError;

    fn from_str(text: &str) -> Result<TopicId, Self::Err> {
        text.parse().map(TopicId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_minus_one_and_sorts_first() {
        assert_eq!(Offset::NONE.known(), None);
        assert_eq!(LeaderEpoch(0).known(), Some(LeaderEpoch(0)));
        assert!(LeaderEpoch::NONE < LeaderEpoch(0));
    }

    #[test]
    fn offsets_count() {
        let mut offset = Offset(7);
        offset += 3;
        assert_eq!((offset, offset - Offset(7), offset.next() - 1), (Offset(10), 3, Offset(10)));
        assert_eq!(format!("{:>4}", offset), "  10");
    }
}
