//! Kafka's record batch v2: its header, its records, their compression, and the checks a broker makes before it
//! stores one.
//!
//! Invariants:
//! * A stored batch is its own 16-byte head (base offset, length, leader epoch) in front of an untouched rest
//!   that starts at the magic byte, so offset and epoch are assigned without copying. The CRC covers neither.
//! * Only [`validate()`] or a check of the CRC of our own stored bytes makes a [`ValidBatch`].
//! * No length from a peer or a disk is believed before it is compared with the bytes at hand, and nothing is
//!   decompressed past a [`Limits`].
//!
//! It does not know the messages that carry record sets, nor where batches are kept. The message formats v0 and v1
//! (before Kafka 0.11) are recognised only to be refused, as Kafka 4 does.

mod batch;
mod builder;
pub mod compression;
mod header;
mod marker;
mod raw;
mod reader;
mod refusal;
mod sequence;
mod validate;
mod varint;

pub use batch::{Batches, ValidBatch};
pub use builder::{BatchBuilder, BatchOptions, BuildError, NewRecord};
pub use compression::{Codec, Compression, Limits, Scratch};
pub use header::{Attributes, BatchHeader, TimestampType, crc32c, head};
pub use header::{BATCH_OVERHEAD, HEAD_LEN, LOG_OVERHEAD, MAGIC, NO_SEQUENCE, NO_TIMESTAMP};
pub use marker::{ControlKind, TxnMarker};
pub use raw::{HeaderRef, HeaderRefs, RecordRef, RecordRefs};
pub use reader::{Record, RecordHeader, Records};
pub use refusal::{RecordError, RecordFault, Refusal};
pub use sequence::sequence_after;
pub use validate::{Origin, RECORD_ERRORS_MAX, Rules, Validated, validate};

use crate::Offset;

/// Why bytes are not a record batch, or not the one that was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end inside the batch.
    #[error("record batch is truncated: {need} bytes needed, {have} there")]
    Truncated { need: usize, have: usize },
    /// The length field is too small to hold a batch's header.
    #[error("record batch length {length} is below the minimum")]
    Length { length: i32 },
    /// A format other than v2.
    #[error("record batch has magic {magic}, only 2 is supported")]
    Magic { magic: i8 },
    /// The bytes are not those that were written.
    #[error(
        "record batch at offset {base_offset} is corrupt (stored crc = {stored}, computed crc = {computed})"
    )]
    Crc { base_offset: Offset, stored: u32, computed: u32 },
    /// The offsets a batch claims do not make a range.
    #[error("record batch has an invalid offset range: base {base_offset}, last delta {last_offset_delta}")]
    OffsetRange { base_offset: Offset, last_offset_delta: i32 },
    /// More records than offsets, or fewer than none.
    #[error("record batch claims {count} records for last offset delta {last_offset_delta}")]
    RecordCount { count: i32, last_offset_delta: i32 },
    /// A record inside the batch is malformed.
    #[error("record {index} of the batch is malformed: {what}")]
    Record { index: usize, what: &'static str },
    /// The contents do not decompress.
    #[error(transparent)]
    Compression(#[from] compression::Error),
}

#[cfg(test)]
mod tests;
