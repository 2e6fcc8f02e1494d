//! Puts records together into a batch.

use bytes::Bytes;

use super::header::{BATCH_OVERHEAD, NO_SEQUENCE, NO_TIMESTAMP};
use super::validate::rebuild;
use super::varint::{put_varlong, varlong_len};
use super::{Attributes, BatchHeader, Compression, HeaderRef, TimestampType, ValidBatch, compression};
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// What a batch says about itself besides its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOptions {
    pub base_offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub compression: Compression,
    /// With LogAppendTime, every record gets this timestamp whatever its own.
    pub log_append_time_ms: Option<i64>,
    /// [`ProducerId::NONE`] without idempotence.
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
    pub transactional: bool,
    pub control: bool,
    /// Until when tombstones in it stay (KIP-534), if compaction has seen them.
    pub delete_horizon_ms: Option<i64>,
}

impl Default for BatchOptions {
    /// What a producer without idempotence sends.
    fn default() -> BatchOptions {
        BatchOptions {
            base_offset: Offset::ZERO,
            leader_epoch: LeaderEpoch::NONE,
            compression: Compression::default(),
            log_append_time_ms: None,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: NO_SEQUENCE,
            transactional: false,
            control: false,
            delete_horizon_ms: None,
        }
    }
}

/// A record to be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NewRecord<'a> {
    /// [`NO_TIMESTAMP`] if it has none.
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [HeaderRef<'a>],
}

/// Why a record does not go into a batch, or a batch is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("a batch needs at least one record")]
    Empty,
    #[error("{what} of {size} bytes is larger than a batch can hold")]
    TooLarge { what: &'static str, size: usize },
    #[error("offset delta {delta} does not follow {last}")]
    OffsetDelta { delta: i32, last: i32 },
    #[error(transparent)]
    Compression(#[from] compression::Error),
}

/// The format's lengths are int32; this leaves room for the header.
const CONTENTS_MAX: usize = i32::MAX as usize - 2 * BATCH_OVERHEAD;

/// Collects records, then becomes a batch.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    options: BatchOptions,
    contents: Vec<u8>,
    record_count: i32,
    last_offset_delta: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    #[must_use]
    pub fn new(options: BatchOptions) -> BatchBuilder {
        BatchBuilder {
            options,
            contents: Vec::new(),
            record_count: 0,
            last_offset_delta: -1,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
        }
    }

    #[must_use]
    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Bytes of the batch so far, before compression.
    #[must_use]
    pub fn uncompressed_size(&self) -> usize {
        BATCH_OVERHEAD + self.contents.len()
    }

    /// Bytes that `record` would add before compression, at most.
    #[must_use]
    pub fn size_of(record: &NewRecord) -> usize {
        // The length itself, attributes, and deltas of which nothing is known yet.
        const FIXED_MAX: usize = 5 + 1 + 10 + 5;
        FIXED_MAX + payload_size(record)
    }

    /// Adds a record behind the last one.
    pub fn append(&mut self, record: &NewRecord) -> Result<(), BuildError> {
        self.append_at(self.last_offset_delta.saturating_add(1), record)
    }

    /// Adds a record with a gap before it, as compaction leaves them.
    pub fn append_at(&mut self, delta: i32, record: &NewRecord) -> Result<(), BuildError> {
        if delta <= self.last_offset_delta {
            return Err(BuildError::OffsetDelta { delta, last: self.last_offset_delta });
        }
        let first = || self.options.delete_horizon_ms.unwrap_or(record.timestamp);
        let base_timestamp = if self.is_empty() { first() } else { self.base_timestamp };
        let timestamp_delta = record.timestamp.wrapping_sub(base_timestamp);
        let fixed = 1 + varlong_len(timestamp_delta) + varlong_len(i64::from(delta));
        let size = fixed + payload_size(record);
        if size > CONTENTS_MAX - self.contents.len().min(CONTENTS_MAX) {
            return Err(BuildError::TooLarge { what: "a record", size });
        }
        let out = &mut self.contents;
        out.reserve(size + 5);
        put_len(out, size);
        out.push(0);
        put_varlong(out, timestamp_delta);
        put_varlong(out, i64::from(delta));
        put_nullable(out, record.key);
        put_nullable(out, record.value);
        put_len(out, record.headers.len());
        for header in record.headers {
            put_nullable(out, Some(header.key));
            put_nullable(out, header.value);
        }
        self.base_timestamp = base_timestamp;
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        self.last_offset_delta = delta;
        self.record_count += 1;
        Ok(())
    }

    /// Has the batch end at this offset delta though its last record comes before it, as compaction does. Nothing can be
    /// appended afterwards.
    pub fn end_at(&mut self, last_offset_delta: i32) {
        self.last_offset_delta = self.last_offset_delta.max(last_offset_delta);
    }

    /// Compresses the records and writes the batch.
    pub fn build(&self) -> Result<Bytes, BuildError> {
        self.finish().map(|(_, bytes)| bytes)
    }

    /// Like [`BatchBuilder::build`], for batches that we append ourselves.
    pub fn build_valid(&self) -> Result<ValidBatch, BuildError> {
        self.finish().map(|(header, bytes)| ValidBatch::trusted(header, &bytes))
    }

    fn finish(&self) -> Result<(BatchHeader, Bytes), BuildError> {
        if self.is_empty() {
            return Err(BuildError::Empty);
        }
        let options = &self.options;
        let append_time = options.log_append_time_ms;
        let kind = append_time.map_or(TimestampType::CreateTime, |_| TimestampType::LogAppendTime);
        let header = BatchHeader {
            base_offset: options.base_offset,
            batch_length: 0,
            partition_leader_epoch: options.leader_epoch,
            crc: 0,
            attributes: Attributes(0)
                .with_codec(options.compression.codec)
                .with_timestamp_type(kind)
                .with_transactional(options.transactional)
                .with_control(options.control)
                .with_delete_horizon(options.delete_horizon_ms.is_some()),
            last_offset_delta: self.last_offset_delta,
            base_timestamp: self.base_timestamp,
            max_timestamp: append_time.unwrap_or(self.max_timestamp),
            producer_id: options.producer_id,
            producer_epoch: options.producer_epoch,
            base_sequence: options.base_sequence,
            record_count: self.record_count,
        };
        let mut packed = Vec::new();
        compression::compress(options.compression, &self.contents, &mut packed)?;
        if packed.len() > CONTENTS_MAX {
            return Err(BuildError::TooLarge { what: "a batch", size: packed.len() });
        }
        Ok(rebuild(&header, &packed))
    }
}

/// Key, value and headers with their lengths.
fn payload_size(record: &NewRecord) -> usize {
    let headers: usize =
        record.headers.iter().map(|h| nullable_size(Some(h.key)) + nullable_size(h.value)).sum();
    nullable_size(record.key) + nullable_size(record.value) + len_size(record.headers.len()) + headers
}

fn nullable_size(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| len_size(bytes.len()) + bytes.len())
}

fn len_size(len: usize) -> usize {
    varlong_len(i64::try_from(len).unwrap_or(i64::MAX))
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    put_varlong(out, i64::try_from(len).unwrap_or(i64::MAX));
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varlong(out, -1),
        Some(bytes) => {
            put_len(out, bytes.len());
            out.extend_from_slice(bytes);
        }
    }
}
