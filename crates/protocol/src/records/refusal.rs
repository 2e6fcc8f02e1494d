//! Why a produce request's batch is not stored, and what the client is told.

use super::{Codec, Error, compression};
use crate::{ErrorCode, Offset, ProducerEpoch, ProducerId};

/// What is wrong with one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    #[error("a compacted topic does not take a record without a key")]
    KeyMissing,
    #[error("timestamp {timestamp} is out of range: it should be within [{earliest}, {latest}]")]
    Timestamp { timestamp: i64, earliest: i64, latest: i64 },
    #[error("the producer must not set the timestamp type to LogAppendTime")]
    TimestampType,
}

/// One entry of a produce response's record errors (KIP-467).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordError {
    /// The record's place in its batch.
    pub batch_index: i32,
    pub fault: RecordFault,
}

/// Why a record set is not appended. Nothing of it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the record set holds no whole batch: {need} bytes needed, {have} there")]
    NoBatch { need: usize, have: usize },
    #[error("the batch claims a length of {length}, which no batch has")]
    Length { length: i32 },
    #[error("the batch has magic {magic}, which no message format has")]
    UnknownMagic { magic: i8 },
    /// Kafka before 0.11.
    #[error("the batch is in message format v{magic}; only v2 is accepted")]
    OldMagic { magic: i8 },
    #[error("{codec} needs produce requests of version 7 or later")]
    CodecTooNew { codec: Codec },
    #[error("unknown compression type id {id}")]
    UnknownCodec { id: u8 },
    #[error("{bytes} bytes follow the batch; a partition takes exactly one batch a request")]
    MoreThanOne { bytes: usize },
    #[error("the batch's base offset should be 0, but it is {base_offset}")]
    BaseOffset { base_offset: Offset },
    #[error("the batch has {size} bytes, which exceeds the maximum of {max}")]
    TooLarge { size: usize, max: usize },
    #[error("the batch of {size} bytes is smaller than its header")]
    TooSmall { size: usize },
    #[error("the batch is corrupt (stored crc = {stored}, computed crc = {computed})")]
    Crc { stored: u32, computed: u32 },
    #[error("the batch has an invalid offset range: its last offset delta is {last_offset_delta}")]
    OffsetRange { last_offset_delta: i32 },
    #[error("the batch claims {count} records for a last offset delta of {last_offset_delta}")]
    RecordCount { count: i32, last_offset_delta: i32 },
    #[error("clients must not write control records")]
    Control,
    #[error("the batch of producer {producer_id} has epoch {producer_epoch} and sequence {base_sequence}")]
    Sequence { producer_id: ProducerId, producer_epoch: ProducerEpoch, base_sequence: i32 },
    #[error("the batch is transactional, but has no producer id")]
    TransactionalWithoutProducer,
    /// The checksum fits, so the client made it so: sending it again would not help.
    #[error("the records do not decompress: {0}")]
    Compression(#[from] compression::Error),
    #[error("record {index} is malformed: {what}")]
    Malformed { index: usize, what: &'static str },
    #[error("record {index} has offset delta {offset_delta}")]
    OffsetDelta { index: usize, offset_delta: i32 },
    /// At least one record's timestamp, and maybe others' keys.
    #[error("{count} records have been rejected, some because of an invalid timestamp")]
    Timestamps { errors: Vec<RecordError>, count: usize },
    #[error("{count} records have been rejected{}", first(errors))]
    Records { errors: Vec<RecordError>, count: usize },
}

fn first(errors: &[RecordError]) -> String {
    match errors.first() {
        Some(error) => format!(", the first at {}: {}", error.batch_index, error.fault),
        None => String::new(),
    }
}

impl Refusal {
    /// What the client is told.
    #[must_use]
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Refusal::Length { .. }
            | Refusal::UnknownMagic { .. }
            | Refusal::TooSmall { .. }
            | Refusal::Crc { .. } => ErrorCode::CorruptMessage,
            // The Java producer splits a batch that it is told is too large, which is right for one that
            // decompresses to too much, too.
            Refusal::TooLarge { .. } | Refusal::Compression(compression::Error::TooLarge { .. }) => {
                ErrorCode::MessageTooLarge
            }
            Refusal::CodecTooNew { .. } | Refusal::UnknownCodec { .. } => {
                ErrorCode::UnsupportedCompressionType
            }
            Refusal::Timestamps { .. } => ErrorCode::InvalidTimestamp,
            _ => ErrorCode::InvalidRecord,
        }
    }

    /// The records that are to blame, the first [`RECORD_ERRORS_MAX`](super::RECORD_ERRORS_MAX) of them;
    /// empty if the batch as a whole is.
    #[must_use]
    pub fn record_errors(&self) -> &[RecordError] {
        match self {
            Refusal::Timestamps { errors, .. } | Refusal::Records { errors, .. } => errors,
            _ => &[],
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        match error {
            Error::Truncated { need, have } => Refusal::NoBatch { need, have },
            Error::Length { length } => Refusal::Length { length },
            Error::Magic { magic } => Refusal::UnknownMagic { magic },
            Error::Crc { stored, computed, .. } => Refusal::Crc { stored, computed },
            Error::OffsetRange { last_offset_delta, .. } => Refusal::OffsetRange { last_offset_delta },
            Error::RecordCount { count, last_offset_delta } => {
                Refusal::RecordCount { count, last_offset_delta }
            }
            Error::Record { index, what } => Refusal::Malformed { index, what },
            Error::Compression(compression::Error::UnknownCodec { id }) => Refusal::UnknownCodec { id },
            Error::Compression(error) => Refusal::Compression(error),
        }
    }
}
