//! [`Filter`]: what stays of a batch. Kafka's rules, record by record (KIP-534 for tombstones and markers).

use std::collections::BTreeMap;

use protocol::ids::{Offset, ProducerId};
use protocol::records::{
    BatchBuilder, BatchOptions, BuildError, Error, HeaderRef, Limits, NewRecord, RecordRef, RecordRefs,
    Scratch, TimestampType, ValidBatch,
};

use super::OffsetMap;

/// What stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    Nothing,
    /// The batch, byte for byte.
    Whole,
    Rewritten(ValidBatch),
}

/// Why a batch cannot be filtered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    #[error(transparent)]
    Read(#[from] Error),
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// The last batch of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastBatch {
    /// The one that ends here.
    Data(Offset),
    /// Nothing is known but a marker, which has its epoch.
    Marker { epoch: i16 },
}

#[derive(Debug)]
pub struct Filter<'a> {
    pub map: &'a OffsetMap,
    pub now_ms: i64,
    /// How long tombstones and markers stay from the first pass on that meets them.
    pub delete_retention_ms: i64,
    /// Of each active producer: it stays, for its sequence or epoch, if need be without records.
    pub last_batches: &'a BTreeMap<ProducerId, LastBatch>,
    /// Where the part of the log ends that may be cleaned: the batch before it stays, for the offset.
    pub end: Offset,
}

impl Filter<'_> {
    /// What stays of a batch, `may_go` being what [`Transactions::pass`](super::Transactions::pass) has said of it.
    pub fn keep(&self, batch: &ValidBatch, may_go: bool, scratch: &mut Scratch) -> Result<Kept, FilterError> {
        let header = batch.header();
        let is_marker = header.attributes.is_control();
        let is_over = header.delete_horizon_ms().is_some_and(|horizon| horizon <= self.now_ms);
        let goes = may_go && (!is_marker || is_over);
        let place_counts = self.place_counts(batch);
        if goes && !place_counts {
            return Ok(Kept::Nothing);
        }
        let records = batch.records(scratch, &Limits::default())?;
        let stays = |record: &RecordRef<'_>| !goes && (is_marker || self.stays(record, is_over));
        let (mut kept, mut total, mut tombstones) = (0_usize, 0_usize, false);
        for record in records.clone() {
            let record = record?;
            total += 1;
            if stays(&record) {
                kept += 1;
                tombstones |= record.value.is_none();
            }
        }
        if kept == 0 {
            return Ok(match place_counts {
                // Compacted before, and the same again.
                true if total == 0 => Kept::Whole,
                true => Kept::Rewritten(batch.emptied()),
                false => Kept::Nothing,
            });
        }
        let begins_horizon = (tombstones || (is_marker && may_go)) && header.delete_horizon_ms().is_none();
        if kept == total && !begins_horizon {
            return Ok(Kept::Whole);
        }
        let horizon_ms = if begins_horizon {
            Some(self.now_ms.saturating_add(self.delete_retention_ms))
        } else {
            header.delete_horizon_ms()
        };
        rewrite(batch, records, stays, horizon_ms).map(Kept::Rewritten)
    }

    fn place_counts(&self, batch: &ValidBatch) -> bool {
        let header = batch.header();
        let last = header.producer_id.known().and_then(|id| self.last_batches.get(&id));
        let is_last = match last {
            Some(LastBatch::Data(offset)) => *offset == header.last_offset(),
            Some(LastBatch::Marker { epoch }) => {
                header.attributes.is_control() && header.producer_epoch.0 == *epoch
            }
            None => false,
        };
        is_last || header.next_offset() == self.end
    }

    fn stays(&self, record: &RecordRef<'_>, horizon_is_over: bool) -> bool {
        if record.offset >= self.map.end() {
            return true;
        }
        // Without a key nothing tells what it stands for; nobody can append such a record to a compacted topic.
        let Some(key) = record.key else { return false };
        let is_newest = self.map.get(key).is_none_or(|newest| record.offset >= newest);
        is_newest && (record.value.is_some() || !horizon_is_over)
    }
}

/// The same batch with the records that stay.
fn rewrite(
    batch: &ValidBatch,
    records: RecordRefs<'_>,
    stays: impl Fn(&RecordRef<'_>) -> bool,
    delete_horizon_ms: Option<i64>,
) -> Result<ValidBatch, FilterError> {
    let header = batch.header();
    let stamped = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: header.base_offset,
        leader_epoch: header.partition_leader_epoch,
        compression: batch.codec()?.into(),
        log_append_time_ms: stamped.then_some(header.max_timestamp),
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        transactional: header.attributes.is_transactional(),
        control: header.attributes.is_control(),
        delete_horizon_ms,
    });
    for record in records {
        let record = record?;
        if !stays(&record) {
            continue;
        }
        let RecordRef { offset_delta, timestamp, key, value, headers, .. } = record;
        let headers: Vec<HeaderRef<'_>> = headers.collect();
        builder.append_at(offset_delta, &NewRecord { timestamp, key, value, headers: &headers })?;
    }
    builder.end_at(header.last_offset_delta);
    Ok(builder.build_valid()?)
}

#[cfg(test)]
mod tests;
