//! Records inside a batch, read in place: nothing is copied, nothing allocated.

use super::varint::Cursor;
use super::{BatchHeader, Error, TimestampType};
use crate::Offset;

/// One record, borrowed from the (decompressed) contents of its batch.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a> {
    pub offset_delta: i32,
    pub offset: Offset,
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: HeaderRefs<'a>,
}

/// One header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderRef<'a> {
    /// UTF-8 by convention; nobody checks.
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

/// The headers of a record. Their shape has been checked when the record was read.
#[derive(Debug, Clone, Copy)]
pub struct HeaderRefs<'a> {
    cursor: Cursor<'a>,
    left: usize,
}

impl HeaderRefs<'_> {
    /// How many there are; each takes at least two bytes, so this is a safe capacity.
    #[must_use]
    pub fn len(&self) -> usize {
        self.left
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a> Iterator for HeaderRefs<'a> {
    type Item = HeaderRef<'a>;

    fn next(&mut self) -> Option<HeaderRef<'a>> {
        self.left = self.left.checked_sub(1)?;
        header(&mut self.cursor).ok()
    }
}

/// The records of one batch in order. Ends after the first error, and is an error where Kafka's reader has one:
/// lengths that do not add up, too few records, bytes behind the last one.
#[derive(Debug, Clone)]
pub struct RecordRefs<'a> {
    cursor: Cursor<'a>,
    base_offset: Offset,
    base_timestamp: i64,
    append_time: Option<i64>,
    count: usize,
    read: usize,
}

impl<'a> RecordRefs<'a> {
    /// `contents` are the records of the batch behind its header, decompressed.
    #[must_use]
    pub fn new(header: &BatchHeader, contents: &'a [u8]) -> RecordRefs<'a> {
        let append_time = match header.attributes.timestamp_type() {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(header.max_timestamp),
        };
        RecordRefs {
            cursor: Cursor::new(contents),
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            append_time,
            count: usize::try_from(header.record_count).unwrap_or(0),
            read: 0,
        }
    }

    /// How many records are still to come, if the batch tells the truth.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.count - self.read
    }

    /// Bytes behind the record that came last.
    pub(super) fn unread(&self) -> usize {
        self.cursor.remaining()
    }

    fn record(&mut self) -> Result<RecordRef<'a>, &'static str> {
        let size = self.cursor.varint().ok_or("its length is cut off")?;
        let size = usize::try_from(size).map_err(|_| "its length is negative")?;
        let body = self.cursor.take(size).ok_or("it is longer than the batch")?;
        let mut body = Cursor::new(body);
        body.byte().ok_or("it has no attributes")?;
        let timestamp_delta = body.varlong().ok_or("its timestamp is cut off")?;
        let offset_delta = body.varint().ok_or("its offset is cut off")?;
        let key = nullable(&mut body).ok_or("its key is cut off")?;
        let value = nullable(&mut body).ok_or("its value is cut off")?;
        let headers = body.varint().ok_or("its header count is cut off")?;
        let headers = usize::try_from(headers).map_err(|_| "its header count is negative")?;
        if headers > body.remaining() {
            return Err("it claims more headers than it has bytes");
        }
        let first_header = body;
        for _ in 0..headers {
            header(&mut body)?;
        }
        if body.remaining() > 0 {
            return Err("it has bytes behind its last header");
        }
        Ok(RecordRef {
            offset_delta,
            offset: Offset(self.base_offset.0.wrapping_add(i64::from(offset_delta))),
            timestamp: self.append_time.unwrap_or(self.base_timestamp.wrapping_add(timestamp_delta)),
            key,
            value,
            headers: HeaderRefs { cursor: first_header, left: headers },
        })
    }

    /// Moves to the end, so that an error is the last item.
    fn fail(&mut self, what: &'static str) -> Error {
        let index = self.read;
        self.read = self.count;
        self.cursor = Cursor::new(&[]);
        Error::Record { index, what }
    }
}

impl<'a> Iterator for RecordRefs<'a> {
    type Item = Result<RecordRef<'a>, Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.read == self.count {
            if self.cursor.remaining() == 0 {
                return None;
            }
            return Some(Err(self.fail("bytes follow the last record")));
        }
        match self.record() {
            Ok(record) => {
                self.read += 1;
                Some(Ok(record))
            }
            Err(what) => Some(Err(self.fail(what))),
        }
    }
}

/// Bytes behind their length; any negative length is null, as in Kafka.
#[inline]
fn nullable<'a>(cursor: &mut Cursor<'a>) -> Option<Option<&'a [u8]>> {
    match usize::try_from(cursor.varint()?) {
        Ok(length) => cursor.take(length).map(Some),
        Err(_) => Some(None),
    }
}

fn header<'a>(cursor: &mut Cursor<'a>) -> Result<HeaderRef<'a>, &'static str> {
    let key = nullable(cursor).ok_or("a header key is cut off")?.ok_or("a header key is null")?;
    let value = nullable(cursor).ok_or("a header value is cut off")?;
    Ok(HeaderRef { key, value })
}
