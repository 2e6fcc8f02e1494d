//! Segment files in Kafka's own formats: names, indexes, producer snapshots, the leader-epoch checkpoint.
//!
//! `docs/format/segments.md` describes the bytes. Everything in a file is big-endian.

pub(crate) mod blocks;
pub mod check;
pub mod epoch_file;
pub mod index;
pub mod names;
pub mod open_files;
pub mod producer_snapshot;
pub mod replay;
pub mod scan;
pub mod state;
pub mod txn_index;

pub use check::{BatchCheck, Damage};
pub use names::FileKind;
pub use open_files::OpenFiles;
pub use state::{BatchFacts, IndexEntries, OffsetEntry, SealedSegment, SegmentState, TimeEntry};
