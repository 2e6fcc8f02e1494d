//! Batches whose bytes have been checked.

use bytes::{Bytes, BytesMut};

use super::header::{BATCH_OVERHEAD, HEAD_LEN, LOG_OVERHEAD, NO_TIMESTAMP, at, crc32c, head};
use super::validate::rebuild;
use super::{Attributes, BatchHeader, Codec, Error, Limits, RecordRefs, Scratch};
use crate::{LeaderEpoch, Offset};

/// A batch with a sound header and the CRC that belongs to its bytes: from [`validate()`](super::validate()), or read
/// back from what we have stored ourselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidBatch {
    header: BatchHeader,
    rest: Bytes,
}

impl ValidBatch {
    /// Takes the batch at the start of `bytes`, which we or a leader have stored before, checks its CRC and leaves
    /// the bytes behind it in `bytes`. On an error `bytes` stays as it was.
    pub fn split_from(bytes: &mut Bytes) -> Result<ValidBatch, Error> {
        let header = BatchHeader::parse(bytes)?;
        let size = header.size();
        if bytes.len() < size {
            return Err(Error::Truncated { need: size, have: bytes.len() });
        }
        let computed = crc32c(bytes.get(at::ATTRIBUTES..size).unwrap_or_default());
        if computed != header.crc {
            return Err(Error::Crc { base_offset: header.base_offset, stored: header.crc, computed });
        }
        let batch = bytes.split_to(size);
        Ok(ValidBatch { header, rest: batch.slice(HEAD_LEN..) })
    }

    /// Puts a batch together from its two pieces, as they lie in the journal, and checks its CRC.
    pub fn join(head: &[u8; HEAD_LEN], rest: Bytes) -> Result<ValidBatch, Error> {
        let mut start = [0; BATCH_OVERHEAD];
        let have = HEAD_LEN + rest.len();
        let fields =
            rest.get(..BATCH_OVERHEAD - HEAD_LEN).ok_or(Error::Truncated { need: BATCH_OVERHEAD, have })?;
        let (first, second) = start.split_at_mut(HEAD_LEN);
        first.copy_from_slice(head);
        second.copy_from_slice(fields);
        let header = BatchHeader::parse(&start)?;
        if header.size() != have {
            return Err(Error::Truncated { need: header.size(), have });
        }
        let computed = crc32c(rest.get(at::ATTRIBUTES - HEAD_LEN..).unwrap_or_default());
        if computed != header.crc {
            return Err(Error::Crc { base_offset: header.base_offset, stored: header.crc, computed });
        }
        Ok(ValidBatch { header, rest })
    }

    /// For the module that has checked everything: `bytes` is one batch, `header` is its header.
    pub(super) fn trusted(header: BatchHeader, bytes: &Bytes) -> ValidBatch {
        assert!(header.size() == bytes.len(), "a batch of {} bytes in {} bytes", header.size(), bytes.len());
        ValidBatch { header, rest: bytes.slice(HEAD_LEN..) }
    }

    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Bytes of the whole batch, head included.
    #[must_use]
    pub fn size(&self) -> usize {
        HEAD_LEN + self.rest.len()
    }

    /// Everything from the magic byte on: what no append changes.
    #[must_use]
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }

    /// The 16 bytes in front of [`ValidBatch::rest`].
    #[must_use]
    pub fn head(&self) -> [u8; HEAD_LEN] {
        head(self.header.base_offset, self.header.batch_length, self.header.partition_leader_epoch)
    }

    /// Gives the batch its place in a log. The caller has seen that the offsets do not overflow.
    pub fn assign(&mut self, base_offset: Offset, leader_epoch: LeaderEpoch) {
        self.header.base_offset = base_offset;
        self.header.partition_leader_epoch = leader_epoch;
    }

    /// The same batch with bytes of its own, so that it no longer keeps a larger buffer alive.
    #[must_use]
    pub fn copied_out(&self) -> ValidBatch {
        ValidBatch { header: self.header, rest: Bytes::copy_from_slice(&self.rest) }
    }

    /// The same batch without its records: what compaction keeps of a batch whose offsets and sequences still count.
    #[must_use]
    pub fn emptied(&self) -> ValidBatch {
        let attributes = self.header.attributes.with_codec(Codec::None).with_delete_horizon(false);
        let empty = BatchHeader { attributes, base_timestamp: NO_TIMESTAMP, record_count: 0, ..self.header };
        let (header, bytes) = rebuild(&empty, &[]);
        ValidBatch::trusted(header, &bytes)
    }

    /// The whole batch in one piece: a copy.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.size());
        bytes.extend_from_slice(&self.head());
        bytes.extend_from_slice(&self.rest);
        bytes.freeze()
    }

    /// The records' bytes as they are stored, compressed or not.
    #[must_use]
    pub fn stored_records(&self) -> Bytes {
        self.rest.slice(BATCH_OVERHEAD - HEAD_LEN..)
    }

    /// The codec of the records.
    pub fn codec(&self) -> Result<Codec, Error> {
        known_codec(self.header.attributes)
    }

    /// The records in order, decompressed into `scratch` if need be.
    pub fn records<'a>(&'a self, scratch: &'a mut Scratch, limits: &Limits) -> Result<RecordRefs<'a>, Error> {
        let stored = self.rest.get(BATCH_OVERHEAD - HEAD_LEN..).unwrap_or_default();
        let contents = match self.codec()? {
            Codec::None => stored,
            codec => scratch.decompress(codec, stored, limits)?,
        };
        Ok(RecordRefs::new(&self.header, contents))
    }
}

pub(super) fn known_codec(attributes: Attributes) -> Result<Codec, Error> {
    let unknown = super::compression::Error::UnknownCodec { id: attributes.codec_id() };
    attributes.codec().ok_or(Error::Compression(unknown))
}

/// The batches of stored bytes, one after the other, each checked. Ends after the first error; a batch cut off at
/// the end, as a Fetch response may hold one, is [`Error::Truncated`].
#[derive(Debug, Clone)]
pub struct Batches {
    left: Bytes,
}

impl Batches {
    #[must_use]
    pub fn new(bytes: Bytes) -> Batches {
        Batches { left: bytes }
    }

    /// What has not been read yet.
    #[must_use]
    pub fn left(&self) -> &Bytes {
        &self.left
    }
}

impl Iterator for Batches {
    type Item = Result<ValidBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        if self.left.len() < LOG_OVERHEAD {
            let have = self.left.len();
            self.left.clear();
            return Some(Err(Error::Truncated { need: LOG_OVERHEAD, have }));
        }
        let batch = ValidBatch::split_from(&mut self.left);
        if batch.is_err() {
            self.left.clear();
        }
        Some(batch)
    }
}
