//! Segment files in Kafka's own formats: names, indexes, producer snapshots, the leader-epoch checkpoint.
//!
//! `docs/format/segments.md` describes the bytes. Everything in a file is big-endian.

pub mod state;

pub use state::{BatchFacts, IndexEntries, OffsetEntry, SealedSegment, SegmentState, TimeEntry};
