//! [`SegmentState`]: how far one segment has come, as far as later decisions need to know.
//!
//! The same advance over the same batches gives the same state, whether it counts what was appended, what was
//! written or what was synced: a log keeps one of each.
//!
//! Invariants: `end` is behind the last batch counted, `bytes` is the file position behind it; entries of the
//! indexes are decided here and nowhere else, by Kafka's rule (an entry for the batch that comes after more than
//! `index.interval.bytes`).

use protocol::ids::{LeaderEpoch, Offset};

use super::txn_index::entries_crc;
use crate::LogConfig;
use crate::crc::crc32c;
use crate::producers::AbortedTransaction;

/// Facts about one batch that a segment keeps count of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchFacts {
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub max_timestamp_ms: i64,
    pub bytes: u32,
}

/// Goes on, behind the batches that gave `before`, with the checksum over what a batch's own does not cover. 0 is that of no
/// batches.
#[must_use]
pub fn heads_crc(before: u32, base_offset: Offset, leader_epoch: LeaderEpoch) -> u32 {
    crc32c([&before.to_be_bytes()[..], &base_offset.0.to_be_bytes(), &leader_epoch.0.to_be_bytes()])
}

/// An entry of a `.index` file, in absolute terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetEntry {
    /// The last offset of the batch at `position`.
    pub last_offset: Offset,
    pub position: u32,
}

/// An entry of a `.timeindex` file, in absolute terms: no record up to `offset` is later than `timestamp_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeEntry {
    pub timestamp_ms: i64,
    pub offset: Offset,
}

/// What a batch added to the indexes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexEntries {
    pub offset: Option<OffsetEntry>,
    pub time: Option<TimeEntry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentState {
    /// The segment's name: the offset that its first batch has or would have.
    pub base: Offset,
    pub end: Offset,
    pub bytes: u32,
    /// [`heads_crc`] of all batches.
    pub heads_crc: u32,
    /// Of the first batch; -1 if there is none. Time-based rolling counts from here.
    pub first_timestamp_ms: i64,
    /// -1 if there is none.
    pub max_timestamp_ms: i64,
    /// The last offset of the first batch that has it.
    pub max_timestamp_offset: Offset,
    /// Wall clock when the segment was begun, for segments without timestamps.
    pub created_ms: i64,
    pub bytes_since_index: u32,
    pub offset_entries: u32,
    pub time_entries: u32,
    /// Of the index of aborted transactions, and the checksum over them.
    pub aborted_entries: u32,
    pub aborted_crc: u32,
    /// Timestamp of the last entry of the time index; -1 if there is none.
    pub last_time_entry_ms: i64,
    /// `index.interval.bytes` as it was when the segment was begun or opened. A change counts from the next one on, as in
    /// Kafka; else what is written would come to other entries than what was appended.
    pub index_interval_bytes: u32,
}

/// Bytes of an entry in a `.index` file.
pub const OFFSET_ENTRY_BYTES: u32 = 8;
/// Bytes of an entry in a `.timeindex` file.
pub const TIME_ENTRY_BYTES: u32 = 12;

impl SegmentState {
    /// A segment without batches.
    #[must_use]
    pub fn new(base: Offset, now_ms: i64) -> Self {
        Self {
            base,
            end: base,
            bytes: 0,
            heads_crc: 0,
            first_timestamp_ms: -1,
            max_timestamp_ms: -1,
            max_timestamp_offset: Offset::NONE,
            created_ms: now_ms,
            bytes_since_index: 0,
            offset_entries: 0,
            time_entries: 0,
            aborted_entries: 0,
            aborted_crc: 0,
            last_time_entry_ms: -1,
            index_interval_bytes: LogConfig::default().index_interval_bytes,
        }
    }

    /// With index entries as `config` wants them.
    #[must_use]
    pub fn indexed_by(self, config: &LogConfig) -> Self {
        Self { index_interval_bytes: config.index_interval_bytes, ..self }
    }

    /// Counts `batch`; tells which index entries belong to it.
    pub fn advance(&mut self, batch: &BatchFacts) -> IndexEntries {
        assert!(batch.base_offset >= self.end, "a batch at {} behind {}", batch.base_offset, self.end);
        let mut entries = IndexEntries::default();
        if batch.max_timestamp_ms > self.max_timestamp_ms {
            self.max_timestamp_ms = batch.max_timestamp_ms;
            self.max_timestamp_offset = batch.last_offset;
        }
        if self.bytes == 0 {
            self.first_timestamp_ms = batch.max_timestamp_ms;
        }
        if self.bytes_since_index > self.index_interval_bytes {
            entries.offset = Some(OffsetEntry { last_offset: batch.last_offset, position: self.bytes });
            self.offset_entries += 1;
            entries.time = self.time_entry();
            self.bytes_since_index = 0;
        }
        self.heads_crc = heads_crc(self.heads_crc, batch.base_offset, batch.leader_epoch);
        self.end = batch.last_offset.next();
        self.bytes = self.bytes.saturating_add(batch.bytes);
        self.bytes_since_index = self.bytes_since_index.saturating_add(batch.bytes);
        entries
    }

    /// Counts what a marker in the segment has aborted: batches alone do not tell.
    pub fn index_aborted(&mut self, aborted: &AbortedTransaction) {
        self.aborted_entries += 1;
        self.aborted_crc = entries_crc(self.aborted_crc, aborted);
    }

    /// The last entry of the time index of a segment that gets no more batches, if it is not there yet.
    pub fn closing_entry(&mut self) -> Option<TimeEntry> {
        self.time_entry()
    }

    fn time_entry(&mut self) -> Option<TimeEntry> {
        (self.max_timestamp_ms > self.last_time_entry_ms).then(|| {
            self.last_time_entry_ms = self.max_timestamp_ms;
            self.time_entries += 1;
            TimeEntry { timestamp_ms: self.max_timestamp_ms, offset: self.max_timestamp_offset }
        })
    }
}

/// A segment that gets no more batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedSegment {
    pub base: Offset,
    /// Where the next segment begins.
    pub end: Offset,
    /// Exactly what the `.log` file holds.
    pub bytes: u32,
    /// [`heads_crc`] of all batches.
    pub heads_crc: u32,
    /// Of the first batch; -1 if there is none, or if it is not known.
    pub first_timestamp_ms: i64,
    /// -1 if no record has one.
    pub max_timestamp_ms: i64,
    pub max_timestamp_offset: Offset,
    pub created_ms: i64,
    /// Of the index of aborted transactions, and the checksum over them.
    pub aborted_entries: u32,
    pub aborted_crc: u32,
}

impl From<&SegmentState> for SealedSegment {
    fn from(state: &SegmentState) -> Self {
        Self {
            base: state.base,
            end: state.end,
            bytes: state.bytes,
            heads_crc: state.heads_crc,
            first_timestamp_ms: state.first_timestamp_ms,
            max_timestamp_ms: state.max_timestamp_ms,
            max_timestamp_offset: state.max_timestamp_offset,
            created_ms: state.created_ms,
            aborted_entries: state.aborted_entries,
            aborted_crc: state.aborted_crc,
        }
    }
}
