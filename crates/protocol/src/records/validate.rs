//! What a leader checks before it appends a client's batch, in Kafka's order: `ProduceRequest.validateRecords`, then
//! `UnifiedLog.analyzeAndValidateRecords`, then `LogValidator`.
//!
//! Where this is stricter than Kafka, no client is known that would notice: bytes behind the batch are refused (Kafka
//! drops a partial second batch and acknowledges), offset deltas other than 0, 1, 2, ... are refused (Kafka stores or
//! repairs them), and so are a transactional batch without a producer id and a negative producer epoch. Data that does not decompress answers INVALID_RECORD, where
//! Kafka says UNKNOWN_SERVER_ERROR.

use bytes::Bytes;

use super::batch::known_codec;
use super::compression::{self, Packer};
use super::header::{BATCH_OVERHEAD, LOG_OVERHEAD, MAGIC, NO_TIMESTAMP, at, crc32c};
use super::{
    Attributes, BatchHeader, Codec, Compression, Limits, RecordError, RecordFault, RecordRef, RecordRefs,
    Refusal, Scratch, TimestampType, ValidBatch,
};

/// A refusal names so many records at most; the rest is counted.
pub const RECORD_ERRORS_MAX: usize = 1_000;

/// The smallest length field that Kafka's reader takes for a batch of any format: a v0 message without key and value.
const LENGTH_MIN: i32 = 14;

/// Who appends. Coordinators write control records and know their own batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    #[default]
    Client,
    Coordinator,
}

/// What a topic's configuration and a request's version ask of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    pub origin: Origin,
    /// `max.message.bytes`, for the batch as a whole, before and after recompression.
    pub message_bytes_max: usize,
    /// `message.timestamp.type`
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`
    pub timestamp_after_max_ms: i64,
    /// Whether `cleanup.policy` has `compact`: every record needs a key.
    pub compacted: bool,
    /// `compression.type`; none is `producer`: as it comes.
    pub compression: Option<Compression>,
    /// Whether the request may carry zstd (Produce 7 and later).
    pub zstd_allowed: bool,
    pub limits: Limits,
}

impl Default for Rules {
    /// Kafka's defaults.
    fn default() -> Rules {
        Rules {
            origin: Origin::Client,
            message_bytes_max: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compacted: false,
            compression: None,
            zstd_allowed: true,
            limits: Limits::default(),
        }
    }
}

/// A batch that may be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated {
    pub batch: ValidBatch,
    /// What a produce response says: the time of the append on a LogAppendTime topic.
    pub log_append_time_ms: Option<i64>,
    /// Whether the bytes had to be written anew. If not, the batch still shares the request's buffer.
    pub rewritten: bool,
}

/// Checks the record set that a produce request holds for one partition.
pub fn validate(
    records: Bytes,
    rules: &Rules,
    now_ms: i64,
    scratch: &mut Scratch,
) -> Result<Validated, Refusal> {
    let header = frame(&records, rules)?;
    let codec = known_codec(header.attributes)?;
    if rules.origin == Origin::Client {
        check_client_header(&header)?;
    }
    let stored = records.get(BATCH_OVERHEAD..).unwrap_or_default();
    let (contents, packer) = scratch.open(codec, stored, &rules.limits)?;
    let max_timestamp = check_records(&header, contents, rules, now_ms)?;
    let max_timestamp = match rules.timestamp_type {
        TimestampType::CreateTime => max_timestamp,
        TimestampType::LogAppendTime => now_ms,
    };
    let attributes = header.attributes.with_timestamp_type(rules.timestamp_type);
    // Control batches stay uncompressed whatever the topic says.
    let target = rules.compression.filter(|target| target.codec != codec && !header.attributes.is_control());
    let new = BatchHeader { attributes, max_timestamp, ..header };
    let rewritten = match target {
        Some(target) => Some(recompress(&new, contents, target, packer)?),
        None if new == header => None,
        None => Some(rebuild(&new, stored)),
    };
    let log_append_time_ms = (rules.timestamp_type == TimestampType::LogAppendTime).then_some(now_ms);
    let is_rewritten = rewritten.is_some();
    let (header, bytes) = rewritten.unwrap_or((header, records));
    if bytes.len() > rules.message_bytes_max {
        return Err(Refusal::TooLarge { size: bytes.len(), max: rules.message_bytes_max });
    }
    Ok(Validated { batch: ValidBatch::trusted(header, &bytes), log_append_time_ms, rewritten: is_rewritten })
}

/// Finds exactly one v2 batch that is whole, of allowed size and undamaged.
fn frame(records: &[u8], rules: &Rules) -> Result<BatchHeader, Refusal> {
    let have = records.len();
    let no_batch = |need: usize| Refusal::NoBatch { need, have };
    let length = records.get(at::LENGTH..LOG_OVERHEAD).and_then(|bytes| bytes.first_chunk());
    let length = i32::from_be_bytes(*length.ok_or(no_batch(LOG_OVERHEAD))?);
    let size = usize::try_from(length).unwrap_or(0) + LOG_OVERHEAD;
    if length < LENGTH_MIN {
        return Err(Refusal::Length { length });
    }
    match records.get(at::MAGIC).map(|byte| byte.cast_signed()).ok_or(no_batch(at::MAGIC + 1))? {
        magic if !(0..=MAGIC).contains(&magic) => return Err(Refusal::UnknownMagic { magic }),
        _ if have < size => return Err(no_batch(size)),
        magic if magic < MAGIC => return Err(Refusal::OldMagic { magic }),
        _ if size < BATCH_OVERHEAD => return Err(Refusal::TooSmall { size }),
        _ => {}
    }
    let header = BatchHeader::read(records)?;
    if header.attributes.codec() == Some(Codec::Zstd) && !rules.zstd_allowed {
        return Err(Refusal::CodecTooNew { codec: Codec::Zstd });
    }
    if have > size {
        return Err(Refusal::MoreThanOne { bytes: have - size });
    }
    if rules.origin == Origin::Client && header.base_offset.0 != 0 {
        return Err(Refusal::BaseOffset { base_offset: header.base_offset });
    }
    if size > rules.message_bytes_max {
        return Err(Refusal::TooLarge { size, max: rules.message_bytes_max });
    }
    let computed = crc32c(records.get(at::ATTRIBUTES..).unwrap_or_default());
    if computed != header.crc {
        return Err(Refusal::Crc { stored: header.crc, computed });
    }
    // Offsets that do not make a range, counts that do not fit.
    BatchHeader::parse(records)?;
    Ok(header)
}

fn check_client_header(header: &BatchHeader) -> Result<(), Refusal> {
    let (count, last_offset_delta) = (header.record_count, header.last_offset_delta);
    if count < 1 || i64::from(last_offset_delta) + 1 != i64::from(count) {
        return Err(Refusal::RecordCount { count, last_offset_delta });
    }
    if header.attributes.is_control() {
        return Err(Refusal::Control);
    }
    if header.has_producer_id() && (header.base_sequence < 0 || header.producer_epoch.is_none()) {
        let BatchHeader { producer_id, producer_epoch, base_sequence, .. } = *header;
        return Err(Refusal::Sequence { producer_id, producer_epoch, base_sequence });
    }
    if header.attributes.is_transactional() && !header.has_producer_id() {
        return Err(Refusal::TransactionalWithoutProducer);
    }
    Ok(())
}

/// Walks through the records; answers the largest timestamp. All are looked at, so that a client learns about all of
/// its bad records at once.
fn check_records(header: &BatchHeader, contents: &[u8], rules: &Rules, now_ms: i64) -> Result<i64, Refusal> {
    let mut max_timestamp = NO_TIMESTAMP;
    let mut errors = Vec::new();
    let mut count = 0;
    let mut any_timestamp = false;
    // On a CreateTime topic a batch that says LogAppendTime is stored without saying so, and its records' own times count.
    let read_as = BatchHeader {
        attributes: header.attributes.with_timestamp_type(TimestampType::CreateTime),
        ..*header
    };
    for (index, record) in RecordRefs::new(&read_as, contents).enumerate() {
        let record = record?;
        if usize::try_from(record.offset_delta) != Ok(index) {
            return Err(Refusal::OffsetDelta { index, offset_delta: record.offset_delta });
        }
        max_timestamp = max_timestamp.max(record.timestamp);
        if let Some(fault) = fault(&record, header.attributes, rules, now_ms) {
            any_timestamp |= fault != RecordFault::KeyMissing;
            count += 1;
            if errors.len() < RECORD_ERRORS_MAX {
                errors.push(RecordError { batch_index: record.offset_delta, fault });
            }
        }
    }
    match (count, any_timestamp) {
        (0, _) => Ok(max_timestamp),
        (_, true) => Err(Refusal::Timestamps { errors, count }),
        (_, false) => Err(Refusal::Records { errors, count }),
    }
}

#[inline]
fn fault(record: &RecordRef, attributes: Attributes, rules: &Rules, now_ms: i64) -> Option<RecordFault> {
    if rules.compacted && record.key.is_none() {
        return Some(RecordFault::KeyMissing);
    }
    let timestamp = record.timestamp;
    if rules.timestamp_type == TimestampType::LogAppendTime || timestamp == NO_TIMESTAMP {
        let said = attributes.timestamp_type() == TimestampType::LogAppendTime;
        return said.then_some(RecordFault::TimestampType);
    }
    // Negative timestamps other than "none" are stored, as in Kafka, unless they are out of range. The difference
    // may overflow for absurd ones; it then has the other sign, and they are refused as too late.
    let age = now_ms.wrapping_sub(timestamp);
    let out_of_range = age > rules.timestamp_before_max_ms
        || age.wrapping_neg() > rules.timestamp_after_max_ms
        || age == i64::MIN;
    out_of_range.then(|| RecordFault::Timestamp {
        timestamp,
        earliest: now_ms.saturating_sub(rules.timestamp_before_max_ms),
        latest: now_ms.saturating_add(rules.timestamp_after_max_ms),
    })
}

/// The same records in another codec: what a topic's `compression.type` other than `producer` asks for. The records
/// themselves stay as they are, byte for byte; `contents` are those bytes, decompressed.
fn recompress(
    header: &BatchHeader,
    contents: &[u8],
    target: Compression,
    packer: &mut Packer,
) -> Result<(BatchHeader, Bytes), compression::Error> {
    // Room for the header in front, so that what is packed need not be copied.
    let mut bytes = vec![0; BATCH_OVERHEAD];
    packer.compress(target, contents, &mut bytes)?;
    bytes.shrink_to_fit();
    let attributes = header.attributes.with_codec(target.codec);
    Ok(seal(&BatchHeader { attributes, ..*header }, bytes))
}

/// A batch with new length and checksum.
pub(super) fn rebuild(header: &BatchHeader, stored: &[u8]) -> (BatchHeader, Bytes) {
    let mut bytes = Vec::with_capacity(BATCH_OVERHEAD + stored.len());
    bytes.resize(BATCH_OVERHEAD, 0);
    bytes.extend_from_slice(stored);
    seal(header, bytes)
}

/// Writes the header, with length and checksum, into the place that `bytes` has for it.
fn seal(header: &BatchHeader, mut bytes: Vec<u8>) -> (BatchHeader, Bytes) {
    let batch_length = i32::try_from(bytes.len() - LOG_OVERHEAD);
    let batch_length = batch_length.expect("a batch is put together from less than 2 GiB");
    let mut header = BatchHeader { batch_length, ..*header };
    let mut write = |header: &BatchHeader| {
        if let Some(place) = bytes.first_chunk_mut() {
            *place = header.to_bytes();
        }
    };
    write(&header);
    header.crc = crc32c(bytes.get(at::ATTRIBUTES..).unwrap_or_default());
    if let Some(field) = bytes.get_mut(at::CRC..at::ATTRIBUTES) {
        field.copy_from_slice(&header.crc.to_be_bytes());
    }
    (header, bytes.into())
}

#[cfg(test)]
mod tests;
