//! What the checkpoint holds of one partition.

use std::sync::Arc;

use bytes::Bytes;
use protocol::ids::{LeaderEpoch, Offset};

use crate::{PartitionKey, Position};

/// A partition as its shard saw it; with the journal's entries behind `as_of` it is whole again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    pub key: PartitionKey,
    pub topic: Arc<str>,
    /// Entries of this partition that end at or below this position are reflected here. Filled in by the committer.
    pub as_of: Position,
    pub log_start: Offset,
    pub high_watermark: Offset,
    pub active: ActiveSegment,
    /// Where the segments end: everything below has been handed to the operating system.
    pub written: SegmentEnd,
    /// Where the segments are synced: everything below is on disk, in closed segments too.
    pub synced: SegmentEnd,
    /// First offsets of leader epochs, oldest first, as far back as the log start.
    pub epochs: Vec<EpochEntry>,
    /// Producers' last batches, in the encoding of the log's producer state. Opaque here.
    pub producers: Bytes,
}

/// A batch boundary in the active segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentEnd {
    /// The offset after the last batch.
    pub offset: Offset,
    /// Bytes of the active segment's `.log` up to there.
    pub position: u64,
}

/// Facts of the active segment that its bytes alone would tell only after reading them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActiveSegment {
    pub base_offset: Offset,
    /// Wall clock when the first batch came; -1 while the segment is empty.
    pub created_ms: i64,
    /// Largest timestamp up to `written`, -1 for none, and the offset that has it.
    pub max_timestamp_ms: i64,
    pub max_timestamp_offset: Offset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    pub leader_epoch: LeaderEpoch,
    pub start_offset: Offset,
}
