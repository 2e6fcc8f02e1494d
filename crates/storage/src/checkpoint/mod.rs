//! The checkpoint of a log directory: its partitions as they were at some point of the journal
//! ([`PartitionState`](crate::PartitionState)), and where in the journal replay begins.
//!
//! One file of sections. A section holds the partitions that changed since the one before it, so that ten
//! thousand partitions of which ten are busy cost ten; when the sections of changes outweigh the first, full one,
//! the file is written anew and renamed over the old one.
//!
//! Invariants:
//! * A section is appended whole and synced, or it is not there: a torn last section is ignored.
//! * The journal releases nothing before the section that allows it is synced.
//!
//! Does not know: what a state holds.

mod format;
mod load;
mod writer;

use bytes::Bytes;

use crate::journal::Known;
use crate::{PartitionKey, Position};

pub use load::{Contents, load};
pub use writer::{Writer, Written};

/// One partition's state, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub key: PartitionKey,
    /// The state reflects the journal's entries that end at or below this position.
    pub as_of: Position,
    pub state: Bytes,
}

/// What is checkpointed at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    pub known: Known,
    /// The journal is empty and nothing has to be replayed: a clean stop.
    pub clean: bool,
    pub changed: Vec<Record>,
    pub removed: Vec<PartitionKey>,
}
