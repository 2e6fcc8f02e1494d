//! Appending: idempotence, the roll, offset and epoch, and the journal's entry.

use protocol::ids::{Offset, ProducerId};
use protocol::records::{BatchHeader, TimestampType, ValidBatch};

use super::tail::TailBatch;
use super::write::Seal;
use super::{Log, roll_reason};
use crate::journal::{Body, Entry};
use crate::producers::{BatchMark, ProducerFacts, Verdict};
use crate::segment::scan::facts;
use crate::segment::{SealedSegment, SegmentState, epoch_file, producer_snapshot};

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has its place; the entry goes to the journal.
    Appended { base_offset: Offset, end: Offset, log_append_time_ms: i64, entry: Entry },
    /// It had been appended before, at this place.
    Duplicate { base_offset: Offset, end: Offset, timestamp_ms: i64 },
}

/// Why a batch was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendRefusal {
    #[error("producer {producer_id} has epoch {epoch}, which is older than the current {current}")]
    OldProducerEpoch { producer_id: ProducerId, epoch: i16, current: i16 },
    #[error("producer {producer_id} sent sequence {sequence} where {expected} was expected")]
    OutOfOrderSequence { producer_id: ProducerId, sequence: i32, expected: i32 },
    #[error("the batch of {bytes} bytes is larger than a segment of {segment_bytes}")]
    LargerThanSegment { bytes: usize, segment_bytes: u32 },
    #[error("the partition has no offsets left")]
    OffsetsExhausted,
}

impl Log {
    /// Appends a batch as the leader of the current epoch. `backing_bytes` is the size of the allocation that the
    /// batch's bytes are a slice of.
    pub fn append(
        &mut self,
        mut batch: ValidBatch,
        backing_bytes: usize,
        now_ms: i64,
    ) -> Result<Outcome, AppendRefusal> {
        assert!(!self.leader_epoch.is_none(), "{}: an append before the first leadership", self.key);
        if let Some(duplicate) = self.check_producer(batch.header())? {
            return Ok(Outcome::Duplicate {
                base_offset: duplicate.base_offset,
                end: duplicate.last_offset.next(),
                timestamp_ms: duplicate.timestamp_ms,
            });
        }
        let segment_bytes = self.config.segment_bytes;
        if batch.size() > segment_bytes as usize {
            return Err(AppendRefusal::LargerThanSegment { bytes: batch.size(), segment_bytes });
        }
        let base_offset = self.log_end();
        if base_offset.0.checked_add(i64::from(batch.header().last_offset_delta) + 1).is_none() {
            return Err(AppendRefusal::OffsetsExhausted);
        }
        batch.assign(base_offset, self.leader_epoch);
        let rest = self.take(&batch, backing_bytes, now_ms);
        let header = batch.header();
        let log_append_time_ms = match header.attributes.timestamp_type() {
            TimestampType::LogAppendTime => header.max_timestamp,
            TimestampType::CreateTime => -1,
        };
        let body = Body::Append { leader_epoch: self.leader_epoch, base_offset, batch: rest };
        let entry = Entry { key: self.key, body };
        Ok(Outcome::Appended { base_offset, end: header.next_offset(), log_append_time_ms, entry })
    }

    /// Puts a batch that has its place behind the others. Returns its bytes from the 16th on, as they are kept.
    pub(super) fn take(&mut self, batch: &ValidBatch, backing_bytes: usize, now_ms: i64) -> bytes::Bytes {
        let header = *batch.header();
        let facts = facts(&header);
        if roll_reason(&self.active, &facts, &self.limits, now_ms).is_some() {
            self.roll(now_ms);
        }
        self.active.advance(&facts);
        self.epochs.assign(header.partition_leader_epoch, header.base_offset);
        if let Some(producer_id) = header.producer_id.known() {
            let mark = BatchMark {
                first_sequence: header.base_sequence,
                last_sequence: header.last_sequence(),
                base_offset: header.base_offset,
                last_offset: header.last_offset(),
                timestamp_ms: header.max_timestamp,
            };
            self.producers.apply(producer_id, header.producer_epoch.0, mark, now_ms);
        }
        let kept = TailBatch::new(batch, backing_bytes);
        let rest = kept.rest().clone();
        self.tail.push(kept);
        self.changed = true;
        rest
    }

    /// Closes the open segment, if there is anything in it, and begins the next one at the log end.
    pub(super) fn roll(&mut self, now_ms: i64) {
        if self.active.bytes == 0 {
            return;
        }
        let next = SegmentState::new(self.active.end, now_ms).indexed_by(&self.config);
        self.sealed.push_back(SealedSegment::from(&self.active));
        self.seals.push_back(Seal {
            next,
            snapshot: producer_snapshot::encode(&self.producers),
            epochs: epoch_file::encode(&self.epochs),
        });
        self.active = next;
    }

    fn check_producer(&self, header: &BatchHeader) -> Result<Option<BatchMark>, AppendRefusal> {
        let Some(producer_id) = header.producer_id.known() else { return Ok(None) };
        let batch = ProducerFacts {
            producer_id,
            epoch: header.producer_epoch.0,
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
        };
        match self.producers.check(&batch) {
            Verdict::Append => Ok(None),
            Verdict::Duplicate(mark) => Ok(Some(mark)),
            Verdict::OldEpoch { current } => {
                Err(AppendRefusal::OldProducerEpoch { producer_id, epoch: batch.epoch, current })
            }
            Verdict::OutOfOrder { expected } => {
                let sequence = batch.first_sequence;
                Err(AppendRefusal::OutOfOrderSequence { producer_id, sequence, expected })
            }
        }
    }
}
