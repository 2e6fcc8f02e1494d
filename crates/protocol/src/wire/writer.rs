//! [`Writer`]: builds a frame.

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

use super::{Error, Frame, Piece, STRING_BYTES_MAX};
use crate::{RecordSet, Str, Uuid};

/// Up to this a piece of records is copied behind the small fields: that costs less than sharing it (about 50 ns) and than
/// one more entry of a vectored write, of which the kernel takes 1024 at once.
const GATHER_BYTES_MAX: usize = 256;
/// Bytes of the length in front of a frame.
const PREFIX_BYTES: usize = 4;

/// Writes the fields of a message. Small things are gathered in one buffer; records are spliced in between.
///
/// The first error is kept, later writes go nowhere that matters, and [`Writer::finish`] reports it: so the code of every
/// message stays small. A writer can be used again after `finish` and then goes on in the same allocation.
#[derive(Debug, Default)]
pub struct Writer {
    buffer: BytesMut,
    /// Pieces and the positions in `buffer` in front of which they go, ascending.
    splices: SmallVec<[(usize, Piece); 1]>,
    spliced_bytes: usize,
    prefixed: bool,
    error: Option<Error>,
}

impl Writer {
    pub fn new() -> Writer {
        Writer::default()
    }

    pub fn with_capacity(bytes: usize) -> Writer {
        Writer { buffer: BytesMut::with_capacity(bytes), ..Writer::default() }
    }

    /// Starts a frame with its length prefix, which `finish` fills in.
    pub fn begin_frame(&mut self) {
        self.clear();
        self.prefixed = true;
        self.i32(0);
    }

    /// What was written since the last `finish`, or the first error. Either way the writer is empty again.
    pub fn finish(&mut self) -> Result<Frame, Error> {
        if let Some(error) = self.error.take() {
            self.clear();
            return Err(error);
        }
        if self.prefixed {
            let len = self.buffer.len() + self.spliced_bytes - PREFIX_BYTES;
            let prefix = i32::try_from(len);
            let Ok(prefix) = prefix else {
                self.clear();
                return Err(Error::TooLong { what: "frame", length: len, limit: i32::MAX as usize });
            };
            if let Some(place) = self.buffer.first_chunk_mut() {
                *place = prefix.to_be_bytes();
            }
        }
        let mut small = self.buffer.split().freeze();
        let mut frame = Frame::with_capacity(2 * self.splices.len() + 1);
        let mut done = 0;
        for (position, piece) in self.splices.drain(..) {
            frame.push(Piece::Bytes(small.split_to(position - done)));
            frame.push(piece);
            done = position;
        }
        frame.push(Piece::Bytes(small));
        self.clear();
        Ok(frame)
    }

    /// The first error so far.
    pub fn status(&self) -> Result<(), Error> {
        match &self.error {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    fn clear(&mut self) {
        self.buffer.clear();
        self.splices.clear();
        self.spliced_bytes = 0;
        self.prefixed = false;
        self.error = None;
    }

    #[cold]
    pub fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    /// A field that is set although `version` does not have it, and that may not be dropped.
    #[cold]
    pub fn absent(&mut self, what: &'static str, version: i16) {
        self.fail(Error::NotInVersion { what, version });
    }

    pub(super) fn position(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    #[inline]
    pub(super) fn u8(&mut self, value: u8) {
        self.buffer.put_u8(value);
    }

    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    #[inline]
    pub fn i8(&mut self, value: i8) {
        self.buffer.put_i8(value);
    }

    #[inline]
    pub fn i16(&mut self, value: i16) {
        self.buffer.put_i16(value);
    }

    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.buffer.put_u16(value);
    }

    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.buffer.put_u32(value);
    }

    #[inline]
    pub fn i32(&mut self, value: i32) {
        self.buffer.put_i32(value);
    }

    #[inline]
    pub fn i64(&mut self, value: i64) {
        self.buffer.put_i64(value);
    }

    #[inline]
    pub fn f64(&mut self, value: f64) {
        self.buffer.put_f64(value);
    }

    #[inline]
    pub fn uuid(&mut self, value: &Uuid) {
        self.raw(value.as_bytes());
    }

    #[inline]
    pub fn varint(&mut self, value: u32) {
        if value < 0x80 { self.u8((value & 0x7f) as u8) } else { self.long_varint(value) }
    }

    fn long_varint(&mut self, value: u32) {
        let (bytes, len) = varint_bytes(value);
        self.raw(bytes.get(..len).unwrap_or_default());
    }

    pub(super) fn length_varint(&mut self, length: usize) {
        match u32::try_from(length) {
            Ok(length) if length <= i32::MAX as u32 => self.varint(length),
            _ => self.fail(Error::TooLong { what: "length", length, limit: i32::MAX as usize }),
        }
    }

    /// Puts a varint at `position` and moves what is behind it.
    pub(super) fn insert_varint(&mut self, position: usize, value: usize) {
        let (bytes, len) = match u32::try_from(value) {
            Ok(value) => varint_bytes(value),
            Err(_) => {
                return self.fail(Error::TooLong {
                    what: "tagged field",
                    length: value,
                    limit: u32::MAX as usize,
                });
            }
        };
        let end = self.buffer.len();
        self.buffer.put_bytes(0, len);
        self.buffer.copy_within(position..end, position + len);
        if let (Some(place), Some(bytes)) = (self.buffer.get_mut(position..position + len), bytes.get(..len))
        {
            place.copy_from_slice(bytes);
        }
    }

    /// A length as varint plus one or as `int32`; `None` is null.
    fn length(&mut self, flexible: bool, length: Option<usize>) {
        match (flexible, length) {
            (true, None) => self.u8(0),
            (true, Some(length)) => self.length_varint(length + 1),
            (false, None) => self.i32(-1),
            (false, Some(length)) => match i32::try_from(length) {
                Ok(length) => self.i32(length),
                Err(_) => self.fail(Error::TooLong { what: "length", length, limit: i32::MAX as usize }),
            },
        }
    }

    pub fn string(&mut self, flexible: bool, what: &'static str, value: &Str) {
        let length = value.len();
        match i16::try_from(length) {
            Ok(_) if flexible => self.length_varint(length + 1),
            Ok(length) => self.i16(length),
            Err(_) => return self.fail(Error::TooLong { what, length, limit: STRING_BYTES_MAX }),
        }
        self.raw(value.as_bytes());
    }

    /// `nullable` says whether null is allowed in this version.
    pub fn nullable_string(
        &mut self,
        flexible: bool,
        nullable: bool,
        what: &'static str,
        value: Option<&Str>,
    ) {
        match value {
            Some(value) => self.string(flexible, what, value),
            None if !nullable => self.fail(Error::Null { what }),
            None if flexible => self.u8(0),
            None => self.i16(-1),
        }
    }

    fn null(&mut self, flexible: bool, nullable: bool, what: &'static str) {
        if nullable { self.length(flexible, None) } else { self.fail(Error::Null { what }) }
    }

    pub fn bytes(&mut self, flexible: bool, value: &Bytes) {
        self.length(flexible, Some(value.len()));
        self.raw(value);
    }

    pub fn nullable_bytes(
        &mut self,
        flexible: bool,
        nullable: bool,
        what: &'static str,
        value: Option<&Bytes>,
    ) {
        match value {
            Some(value) => self.bytes(flexible, value),
            None => self.null(flexible, nullable, what),
        }
    }

    /// Splices the pieces in; none but the smallest is copied.
    pub fn records(&mut self, flexible: bool, value: &RecordSet) {
        self.length(flexible, Some(value.len()));
        for piece in value.pieces() {
            match piece {
                Piece::Bytes(bytes) if bytes.len() <= GATHER_BYTES_MAX => self.raw(bytes),
                piece => {
                    self.spliced_bytes += piece.len();
                    self.splices.push((self.buffer.len(), piece.clone()));
                }
            }
        }
    }

    pub fn nullable_records(
        &mut self,
        flexible: bool,
        nullable: bool,
        what: &'static str,
        value: Option<&RecordSet>,
    ) {
        match value {
            Some(value) => self.records(flexible, value),
            None => self.null(flexible, nullable, what),
        }
    }

    pub fn array<T>(&mut self, flexible: bool, elements: &[T], mut write: impl FnMut(&mut Writer, &T)) {
        self.length(flexible, Some(elements.len()));
        for element in elements {
            write(self, element);
        }
    }

    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        nullable: bool,
        what: &'static str,
        elements: Option<&Vec<T>>,
        write: impl FnMut(&mut Writer, &T),
    ) {
        match elements {
            Some(elements) => self.array(flexible, elements, write),
            None => self.null(flexible, nullable, what),
        }
    }

    /// A struct behind the byte that says whether it is there.
    pub fn nullable_struct<T>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Writer, &T)) {
        match value {
            Some(value) => {
                self.i8(1);
                write(self, value);
            }
            None => self.i8(-1),
        }
    }
}

/// The varint and how many of the bytes it takes.
fn varint_bytes(mut value: u32) -> ([u8; 5], usize) {
    let mut bytes = [0; 5];
    let mut len = 0;
    for byte in &mut bytes {
        len += 1;
        *byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            break;
        }
        *byte |= 0x80;
    }
    (bytes, len)
}
