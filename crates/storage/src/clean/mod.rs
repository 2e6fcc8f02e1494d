//! Compaction: of each key the newest record stays (`cleanup.policy=compact`).
//!
//! [`dirtiness`] decides whether a log is worth it, [`OffsetMap`] remembers the newest offset of each key in its dirty
//! part, [`filter`] decides what of a batch stays, and [`Cleaning`] does it: a pass over the segments of one log in small
//! steps for a lane, which writes new segments beside the old ones. The log then [puts them in their
//! place](crate::Log::replace).
//!
//! Invariants:
//! * Offsets and the order of records stay as they are; a batch that loses records keeps its base offset, last offset,
//!   sequences, producer, leader epoch and codec.
//! * What is read is checked against its CRC. A batch that is damaged ends the pass, and nothing has been changed.
//! * Memory is bounded whatever the number of keys: a map that is full ends the part of the log that a pass cleans.
//! * The old segments are only read. Everything of a new one is synced when it is offered as a [`Replacement`].
//!
//! Does not know: lanes and their pace, the checkpoint, who reads the segments meanwhile.

mod choice;
mod cleaning;
mod filter;
mod offset_map;
mod output;
mod source;
mod transactions;

pub use choice::{Dirtiness, GroupLimits, LogFacts, dirtiness, group_segments};
pub use cleaning::{Cleaning, Options, Plan, Replacement, Stats, Step};
pub use filter::{Filter, Kept, LastBatch};
pub use offset_map::OffsetMap;
pub use transactions::{Passed, Transactions};
