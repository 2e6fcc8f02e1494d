//! The journal of a log directory: what has been accepted and is not yet synced in its segment.
//!
//! A ring of files that is written in rounds, each in whole blocks past the page cache, and synced once a round
//! for all partitions of the directory. [`Journal`] is the state machine: entries go in, and it says what to
//! write and what to sync next; [`Replay`](replay::Replay) reads the ring back after a start.
//!
//! Invariants:
//! * Entries are written, synced and replayed in the order in which they were submitted.
//! * What is reported synced is replayed after any crash, until the checkpoint on disk no longer asks for it.
//! * After a failed write or sync nothing is written or synced again.
//!
//! Does not know: segments, tasks and lanes, what a batch holds.

mod entry;
mod format;
mod machine;
mod options;
mod progress;
mod reader;
mod replay;
mod report;
mod ring;
mod spacing;

pub use entry::{Body, ENTRY_HEAD_BYTES, Entry};
pub use machine::{Journal, Write};
pub use options::Options;
pub use progress::{Failed, Progress};
pub use replay::{Cut, Damage, Known, RingSize, ring_path};
pub use report::{CheckpointPart, Released, Report, Submit, ToCommitter};
pub use ring::{Mark, Place, RingFile};

pub(crate) use machine::Start;
pub(crate) use replay::{Replay, Replayed};
