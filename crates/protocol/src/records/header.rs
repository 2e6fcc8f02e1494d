//! The 61-byte header of a record batch v2.

use super::{Codec, Error, sequence_after};
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// The format that Kafka 4 stores.
pub const MAGIC: i8 = 2;
/// Base offset and length: what the length field does not count.
pub const LOG_OVERHEAD: usize = 12;
/// Base offset, length and leader epoch: what is assigned when a batch is appended.
pub const HEAD_LEN: usize = 16;
/// The whole header, up to the first record.
pub const BATCH_OVERHEAD: usize = 61;
/// The sequence of a batch without idempotence.
pub const NO_SEQUENCE: i32 = -1;
/// The timestamp of a record without one.
pub const NO_TIMESTAMP: i64 = -1;

/// Where the fields that are changed in place lie, counted from the start of the batch.
pub(super) mod at {
    pub(in super::super) const LENGTH: usize = 8;
    pub(in super::super) const MAGIC: usize = 16;
    pub(in super::super) const CRC: usize = 17;
    pub(in super::super) const ATTRIBUTES: usize = 21;
}

/// Whose clock stamped the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampType {
    /// The producer's: each record has its own.
    #[default]
    CreateTime,
    /// The broker's: every record has the batch's max timestamp.
    LogAppendTime,
}

/// The flags of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    const CODEC: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;

    /// The id of the codec, known or not.
    #[must_use]
    pub fn codec_id(self) -> u8 {
        (self.0 & Self::CODEC) as u8
    }

    /// The codec, if its id is one of Kafka's.
    #[must_use]
    pub fn codec(self) -> Option<Codec> {
        Codec::from_id(self.codec_id())
    }

    #[must_use]
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    #[must_use]
    pub fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    #[must_use]
    pub fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whether the base timestamp holds the time until which tombstones stay (KIP-534).
    #[must_use]
    pub fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    #[must_use]
    pub fn with_codec(self, codec: Codec) -> Attributes {
        Attributes(self.0 & !Self::CODEC | i16::from(codec.id()))
    }

    #[must_use]
    pub fn with_timestamp_type(self, kind: TimestampType) -> Attributes {
        self.with(Self::LOG_APPEND_TIME, kind == TimestampType::LogAppendTime)
    }

    #[must_use]
    pub fn with_transactional(self, on: bool) -> Attributes {
        self.with(Self::TRANSACTIONAL, on)
    }

    #[must_use]
    pub fn with_control(self, on: bool) -> Attributes {
        self.with(Self::CONTROL, on)
    }

    #[must_use]
    pub fn with_delete_horizon(self, on: bool) -> Attributes {
        self.with(Self::DELETE_HORIZON, on)
    }

    fn with(self, flag: i16, on: bool) -> Attributes {
        Attributes(if on { self.0 | flag } else { self.0 & !flag })
    }
}

/// The header of one batch, read out of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: Offset,
    /// Bytes behind this field; [`BatchHeader::size`] is the whole batch.
    pub batch_length: i32,
    pub partition_leader_epoch: LeaderEpoch,
    pub crc: u32,
    pub attributes: Attributes,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
    /// Less than `last_offset_delta + 1` once a batch has been compacted.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes` and checks what can be checked without the records: magic, the
    /// minimum length, that the offsets make a range that does not overflow, that the count fits the offsets.
    /// The batch itself may go on past the end of `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, Error> {
        let header = BatchHeader::read(bytes)?;
        let (base, delta) = (header.base_offset, header.last_offset_delta);
        if delta < 0 || base.0 < 0 || base.0.checked_add(i64::from(delta) + 1).is_none() {
            return Err(Error::OffsetRange { base_offset: base, last_offset_delta: delta });
        }
        if header.record_count < 0 || i64::from(header.record_count) > i64::from(delta) + 1 {
            return Err(Error::RecordCount { count: header.record_count, last_offset_delta: delta });
        }
        Ok(header)
    }

    /// Like [`BatchHeader::parse`], but leaves offsets and count to the caller.
    pub(super) fn read(bytes: &[u8]) -> Result<BatchHeader, Error> {
        let mut fields = Fields(bytes);
        let short = || Error::Truncated { need: BATCH_OVERHEAD, have: bytes.len() };
        let base_offset = Offset(i64::from_be_bytes(fields.next().ok_or_else(short)?));
        let batch_length = i32::from_be_bytes(fields.next().ok_or_else(short)?);
        let partition_leader_epoch = LeaderEpoch(i32::from_be_bytes(fields.next().ok_or_else(short)?));
        let magic = i8::from_be_bytes(fields.next().ok_or_else(short)?);
        if magic != MAGIC {
            return Err(Error::Magic { magic });
        }
        if usize::try_from(batch_length).is_ok_and(|length| length < BATCH_OVERHEAD - LOG_OVERHEAD)
            || batch_length < 0
        {
            return Err(Error::Length { length: batch_length });
        }
        Ok(BatchHeader {
            base_offset,
            batch_length,
            partition_leader_epoch,
            crc: u32::from_be_bytes(fields.next().ok_or_else(short)?),
            attributes: Attributes(i16::from_be_bytes(fields.next().ok_or_else(short)?)),
            last_offset_delta: i32::from_be_bytes(fields.next().ok_or_else(short)?),
            base_timestamp: i64::from_be_bytes(fields.next().ok_or_else(short)?),
            max_timestamp: i64::from_be_bytes(fields.next().ok_or_else(short)?),
            producer_id: ProducerId(i64::from_be_bytes(fields.next().ok_or_else(short)?)),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(fields.next().ok_or_else(short)?)),
            base_sequence: i32::from_be_bytes(fields.next().ok_or_else(short)?),
            record_count: i32::from_be_bytes(fields.next().ok_or_else(short)?),
        })
    }

    /// The header's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BATCH_OVERHEAD] {
        let mut bytes = [0; BATCH_OVERHEAD];
        let mut left: &mut [u8] = &mut bytes;
        let fields: [&[u8]; 10] = [
            &head(self.base_offset, self.batch_length, self.partition_leader_epoch),
            &MAGIC.to_be_bytes(),
            &self.crc.to_be_bytes(),
            &self.attributes.0.to_be_bytes(),
            &self.last_offset_delta.to_be_bytes(),
            &self.base_timestamp.to_be_bytes(),
            &self.max_timestamp.to_be_bytes(),
            &self.producer_id.0.to_be_bytes(),
            &self.producer_epoch.0.to_be_bytes(),
            &[self.base_sequence.to_be_bytes(), self.record_count.to_be_bytes()].concat(),
        ];
        for field in fields {
            let (here, rest) = left.split_at_mut(field.len());
            here.copy_from_slice(field);
            left = rest;
        }
        bytes
    }

    /// Bytes of the whole batch, header included.
    #[must_use]
    pub fn size(&self) -> usize {
        LOG_OVERHEAD + usize::try_from(self.batch_length).unwrap_or(0)
    }

    /// The offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// The offset behind the last record.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.last_offset().next()
    }

    /// Whether an idempotent producer wrote it.
    #[must_use]
    pub fn has_producer_id(&self) -> bool {
        !self.producer_id.is_none()
    }

    /// The sequence of the last record.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence {
            NO_SEQUENCE => NO_SEQUENCE,
            base => sequence_after(base, self.last_offset_delta),
        }
    }

    /// Until when tombstones stay, in a batch that compaction has seen (KIP-534).
    #[must_use]
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        self.attributes.has_delete_horizon().then_some(self.base_timestamp)
    }
}

/// Big-endian fields one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    #[inline]
    fn next<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
}

/// The 16 bytes that an append puts in front of the untouched rest of a batch.
#[must_use]
pub fn head(base_offset: Offset, batch_length: i32, leader_epoch: LeaderEpoch) -> [u8; HEAD_LEN] {
    let mut bytes = [0; HEAD_LEN];
    let (offset, rest) = bytes.split_at_mut(8);
    let (length, epoch) = rest.split_at_mut(4);
    offset.copy_from_slice(&base_offset.0.to_be_bytes());
    length.copy_from_slice(&batch_length.to_be_bytes());
    epoch.copy_from_slice(&leader_epoch.0.to_be_bytes());
    bytes
}

/// The checksum of Kafka's batches; it covers everything from the attributes on.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_is_castagnoli() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn header_round_trips() {
        let header = BatchHeader {
            base_offset: Offset(7),
            batch_length: 100,
            partition_leader_epoch: LeaderEpoch(3),
            crc: 0xdead_beef,
            attributes: Attributes(0).with_codec(Codec::Zstd).with_transactional(true),
            last_offset_delta: 4,
            base_timestamp: 1_000,
            max_timestamp: 2_000,
            producer_id: ProducerId(9),
            producer_epoch: ProducerEpoch(2),
            base_sequence: i32::MAX - 1,
            record_count: 5,
        };
        assert_eq!(BatchHeader::parse(&header.to_bytes()), Ok(header));
        assert_eq!(header.last_sequence(), 2);
        assert_eq!(
            (header.last_offset(), header.next_offset(), header.size()),
            (Offset(11), Offset(12), 112)
        );
        for end in 0..BATCH_OVERHEAD {
            assert!(BatchHeader::parse(&header.to_bytes()[..end]).is_err(), "{end}");
        }
        let refused = |change: fn(&mut BatchHeader)| {
            let mut lying = header;
            change(&mut lying);
            BatchHeader::parse(&lying.to_bytes()).unwrap_err()
        };
        assert!(matches!(refused(|h| h.batch_length = 48), Error::Length { length: 48 }));
        assert!(matches!(refused(|h| h.batch_length = -1), Error::Length { length: -1 }));
        assert!(matches!(refused(|h| h.last_offset_delta = -1), Error::OffsetRange { .. }));
        assert!(matches!(refused(|h| h.base_offset = Offset(i64::MAX - 2)), Error::OffsetRange { .. }));
        assert!(matches!(refused(|h| h.record_count = 6), Error::RecordCount { .. }));
        assert!(matches!(refused(|h| h.record_count = -1), Error::RecordCount { .. }));
    }

    #[test]
    fn attributes_keep_apart() {
        let attributes = Attributes(0x40).with_codec(Codec::Lz4).with_control(true);
        assert_eq!((attributes.codec(), attributes.is_control()), (Some(Codec::Lz4), true));
        assert!(attributes.has_delete_horizon() && !attributes.is_transactional());
        assert_eq!(attributes.with_codec(Codec::None).codec(), Some(Codec::None));
        assert_eq!(Attributes(7).codec(), None);
    }
}
