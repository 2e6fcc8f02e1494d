//! Records that can be kept: slices of their batch, or of what it decompressed to.

use std::ops::Range;

use bytes::Bytes;

use super::header::{BATCH_OVERHEAD, HEAD_LEN};
use super::{BatchHeader, Codec, Error, Limits, RecordRefs, Scratch, ValidBatch};
use crate::Offset;

/// One record of a batch. Key, value and headers share the batch's buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub offset: Offset,
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<RecordHeader>,
}

/// One header of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordHeader {
    /// UTF-8 by convention; nobody checks.
    pub key: Bytes,
    pub value: Option<Bytes>,
}

/// The records of one batch in order. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Records {
    contents: Bytes,
    /// What is left of `contents`, and the header with what is left of its count.
    left: Range<usize>,
    header: BatchHeader,
    /// How many have been read, for errors.
    read: usize,
}

impl Records {
    /// Opens a batch. Uncompressed records share its buffer; others share one new one.
    pub fn open(batch: &ValidBatch, scratch: &mut Scratch, limits: &Limits) -> Result<Records, Error> {
        let contents = match batch.codec()? {
            Codec::None => batch.stored_records(),
            codec => {
                let stored = batch.rest().get(BATCH_OVERHEAD - HEAD_LEN..).unwrap_or_default();
                let contents = scratch.decompress(codec, stored, limits)?;
                Bytes::copy_from_slice(contents)
            }
        };
        Ok(Records { left: 0..contents.len(), contents, header: *batch.header(), read: 0 })
    }

    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    fn keep(&self, bytes: &[u8]) -> Bytes {
        self.contents.slice_ref(bytes)
    }
}

impl Iterator for Records {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let contents = self.contents.get(self.left.clone()).unwrap_or_default();
        let mut records = RecordRefs::new(&self.header, contents);
        let record = records.next()?;
        let (behind, count) = (records.unread(), records.remaining());
        self.left.start = self.left.end - behind.min(self.left.len());
        let read = self.read;
        self.read += 1;
        let record = record.map_err(|error| match error {
            Error::Record { index, what } => Error::Record { index: index + read, what },
            error => error,
        });
        let record = record.map(|record| Record {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(|key| self.keep(key)),
            value: record.value.map(|value| self.keep(value)),
            headers: record
                .headers
                .map(|header| RecordHeader {
                    key: self.keep(header.key),
                    value: header.value.map(|value| self.keep(value)),
                })
                .collect(),
        });
        self.header.record_count = i32::try_from(count).unwrap_or(0);
        Some(record)
    }
}
