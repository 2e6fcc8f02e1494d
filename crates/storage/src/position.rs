//! Where an entry stands in the journal of a log directory.

/// Bytes of journal ever written in this directory up to the end of an entry: a logical position that only
/// grows, while the ring of files below it is used again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);
