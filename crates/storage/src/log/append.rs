//! Appending: idempotence, transactions, the roll, offset and epoch, and the journal's entry.

use protocol::ids::{Offset, ProducerId};
use protocol::records::{TimestampType, TxnMarker, ValidBatch};

use super::tail::TailBatch;
use super::write::Seal;
use super::{Log, roll_reason};
use crate::journal::{Body, Entry};
use crate::producers::{BatchMark, Guard, MarkerVerdict, ProducerFacts, Verdict};
use crate::segment::scan::facts;
use crate::segment::{SealedSegment, SegmentState, epoch_file, producer_snapshot};

/// Who appends, and what is checked for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer, or a coordinator of groups on behalf of one: epoch, sequence if it has one, and transaction.
    Producer { verified: Verified },
    /// The coordinator of a transaction of this version ends it. The batch is a control batch, and no other is.
    Marker { transaction_version: i8 },
}

/// Whether the coordinator of its transaction knows of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Nobody asks (`transaction.partition.verification.enable=false`).
    Trusted,
    /// With the guard, if it had to be asked: see [`Log::ask`].
    By(Option<Guard>),
}

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
    #[error("producer {producer_id} has a transaction open, which the batch is not part of")]
    NotTransactional { producer_id: ProducerId },
    #[error("the record is not part of an ongoing transaction of producer {producer_id}")]
    NotVerified { producer_id: ProducerId },
    #[error("epoch {epoch} of the coordinator of producer {producer_id} is older than the current {current}")]
    OldCoordinatorEpoch { producer_id: ProducerId, epoch: i32, current: i32 },
    #[error("the batch of {bytes} bytes is larger than a segment of {segment_bytes}")]
    LargerThanSegment { bytes: usize, segment_bytes: u32 },
    #[error("the partition has no offsets left")]
    OffsetsExhausted,
}

impl Log {
    /// Appends a batch as the leader of the current epoch, on the word of its producer. `backing_bytes` is the size of the
    /// allocation that the batch's bytes are a slice of.
    pub fn append(
        &mut self,
        batch: ValidBatch,
        backing_bytes: usize,
        now_ms: i64,
    ) -> Result<Outcome, AppendRefusal> {
        self.append_from(Origin::Producer { verified: Verified::Trusted }, batch, backing_bytes, now_ms)
    }

    /// As [`Log::append`], with what is to be checked of `origin`.
    pub fn append_from(
        &mut self,
        origin: Origin,
        mut batch: ValidBatch,
        backing_bytes: usize,
        now_ms: i64,
    ) -> Result<Outcome, AppendRefusal> {
        assert!(!self.leader_epoch.is_none(), "{}: an append before the first leadership", self.key);
        if let Some(duplicate) = self.check(origin, &batch)? {
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
        self.record_producer(batch, now_ms);
        if header.attributes.is_transactional() {
            self.verifications.void(header.producer_id);
        }
        let kept = TailBatch::new(batch, backing_bytes);
        let rest = kept.rest().clone();
        self.tail.push(kept);
        self.changed = true;
        rest
    }

    /// What the batch, which is in the open segment, means for its producer and the transaction.
    fn record_producer(&mut self, batch: &ValidBatch, now_ms: i64) {
        if let Some(aborted) = self.producers.apply(batch.header(), marker_of(batch), now_ms) {
            self.active.index_aborted(&aborted);
            self.aborted.push(aborted);
        }
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

    /// The place where a batch has been appended before, if it has.
    fn check(&self, origin: Origin, batch: &ValidBatch) -> Result<Option<BatchMark>, AppendRefusal> {
        let header = batch.header();
        let is_control = header.attributes.is_control();
        assert_eq!(is_control, matches!(origin, Origin::Marker { .. }), "{}: {origin:?}", self.key);
        let Some(producer_id) = header.producer_id.known() else { return Ok(None) };
        match origin {
            Origin::Producer { verified } => self.check_producer(producer_id, &header.into(), verified),
            Origin::Marker { transaction_version } => {
                self.check_marker(producer_id, transaction_version, batch).map(|()| None)
            }
        }
    }

    fn check_producer(
        &self,
        producer_id: ProducerId,
        batch: &ProducerFacts,
        verified: Verified,
    ) -> Result<Option<BatchMark>, AppendRefusal> {
        let verdict = self.producers.check(batch, self.verifications.get(producer_id));
        if let Verdict::Duplicate(mark) = verdict {
            return Ok(Some(mark));
        }
        if let Verified::By(guard) = verified
            && batch.transactional
            && !self.producers.is_in_transaction(producer_id, batch.epoch)
            && !self.verifications.is_good(producer_id, guard)
        {
            return Err(AppendRefusal::NotVerified { producer_id });
        }
        match verdict {
            Verdict::Append => Ok(None),
            Verdict::Duplicate(mark) => Ok(Some(mark)),
            Verdict::OldEpoch { current } => {
                Err(AppendRefusal::OldProducerEpoch { producer_id, epoch: batch.epoch, current })
            }
            Verdict::OutOfOrder { expected } => {
                let sequence = batch.first_sequence;
                Err(AppendRefusal::OutOfOrderSequence { producer_id, sequence, expected })
            }
            Verdict::NotTransactional => Err(AppendRefusal::NotTransactional { producer_id }),
        }
    }

    fn check_marker(
        &self,
        producer_id: ProducerId,
        transaction_version: i8,
        batch: &ValidBatch,
    ) -> Result<(), AppendRefusal> {
        let marker = marker_of(batch);
        let marker = marker.unwrap_or_else(|| panic!("{}: a control batch without a marker", self.key));
        let epoch = batch.header().producer_epoch.0;
        match self.producers.check_marker(producer_id, epoch, &marker, transaction_version) {
            MarkerVerdict::Append => Ok(()),
            MarkerVerdict::OldEpoch { current } => {
                Err(AppendRefusal::OldProducerEpoch { producer_id, epoch, current })
            }
            MarkerVerdict::OldCoordinator { current } => {
                let epoch = marker.coordinator_epoch;
                Err(AppendRefusal::OldCoordinatorEpoch { producer_id, epoch, current })
            }
        }
    }
}

/// The end of a transaction, if the batch is one. Its bytes have been checked: what cannot be read is of another kind.
pub(super) fn marker_of(batch: &ValidBatch) -> Option<TxnMarker> {
    let is_control = batch.header().attributes.is_control();
    is_control.then(|| TxnMarker::of(batch).ok().flatten()).flatten()
}
