//! [`Reader`]: a position in a frame.

use bytes::Bytes;

use super::{ARRAY_ELEMENTS_MAX, Error, INITIAL_CAPACITY_MAX, STRING_BYTES_MAX};
use crate::{RecordSet, Str, Uuid};

/// Reads the fields of a message off a frame. `flexible` chooses between compact lengths and fixed ones; `what` names
/// the field for the error.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    frame: &'a Bytes,
    /// A slice of `frame`.
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// `frame` without its length prefix.
    pub fn new(frame: &'a Bytes) -> Reader<'a> {
        Reader { frame, rest: frame }
    }

    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// What is left, as a slice of the frame.
    pub fn rest(&self) -> Bytes {
        self.frame.slice_ref(self.rest)
    }

    /// Refuses bytes behind the message.
    pub fn finish(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::TrailingBytes { left: self.rest.len() }) }
    }

    #[inline]
    fn fixed<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Error> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(*head)
            }
            None => Err(self.truncated(what, N)),
        }
    }

    #[inline]
    fn slice(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], Error> {
        match self.rest.split_at_checked(len) {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(head)
            }
            None => Err(self.truncated(what, len)),
        }
    }

    /// A reader of the next `len` bytes, which are skipped here.
    pub(super) fn split(&mut self, len: usize, what: &'static str) -> Result<Reader<'a>, Error> {
        Ok(Reader { frame: self.frame, rest: self.slice(len, what)? })
    }

    #[cold]
    fn truncated(&self, what: &'static str, wanted: usize) -> Error {
        Error::Truncated { what, wanted, left: self.rest.len() }
    }

    #[inline]
    pub fn bool(&mut self) -> Result<bool, Error> {
        self.fixed::<1>("bool").map(|[byte]| byte != 0)
    }

    #[inline]
    pub fn i8(&mut self) -> Result<i8, Error> {
        self.fixed("int8").map(i8::from_be_bytes)
    }

    #[inline]
    pub fn i16(&mut self) -> Result<i16, Error> {
        self.fixed("int16").map(i16::from_be_bytes)
    }

    #[inline]
    pub fn u16(&mut self) -> Result<u16, Error> {
        self.fixed("uint16").map(u16::from_be_bytes)
    }

    #[inline]
    pub fn u32(&mut self) -> Result<u32, Error> {
        self.fixed("uint32").map(u32::from_be_bytes)
    }

    #[inline]
    pub fn i32(&mut self) -> Result<i32, Error> {
        self.fixed("int32").map(i32::from_be_bytes)
    }

    #[inline]
    pub fn i64(&mut self) -> Result<i64, Error> {
        self.fixed("int64").map(i64::from_be_bytes)
    }

    #[inline]
    pub fn f64(&mut self) -> Result<f64, Error> {
        self.fixed("float64").map(f64::from_be_bytes)
    }

    #[inline]
    pub fn uuid(&mut self) -> Result<Uuid, Error> {
        self.fixed("uuid").map(Uuid::from_bytes)
    }

    /// An unsigned varint of at most 32 bits.
    #[inline]
    pub fn varint(&mut self) -> Result<u32, Error> {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                Ok(u32::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    /// Skips a zero byte, if that is next.
    #[inline]
    pub(super) fn skip_zero(&mut self) -> bool {
        match self.rest.split_first() {
            Some((0, rest)) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn long_varint(&mut self) -> Result<u32, Error> {
        let mut value: u32 = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed::<1>("varint")?;
            let bits = u32::from(byte & 0x7f);
            // The fifth byte has room for four bits; Kafka drops the others, a sane peer sends none.
            if shift == 28 && byte > 0x0f {
                return Err(Error::InvalidVarint);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::InvalidVarint)
    }

    /// A length that is a varint plus one or an `int32`; `None` is null.
    #[inline]
    fn length(&mut self, flexible: bool, what: &'static str) -> Result<Option<usize>, Error> {
        if flexible {
            return Ok(self.varint()?.checked_sub(1).map(|length| length as usize));
        }
        let length = self.i32()?;
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(Error::InvalidLength { what, length: i64::from(length) }),
        }
    }

    #[inline]
    fn string_length(&mut self, flexible: bool, what: &'static str) -> Result<Option<usize>, Error> {
        if flexible {
            let length = self.length(true, what)?;
            return match length {
                Some(length) if length > STRING_BYTES_MAX => {
                    Err(Error::TooLong { what, length, limit: STRING_BYTES_MAX })
                }
                other => Ok(other),
            };
        }
        let length = self.i16()?;
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(Error::InvalidLength { what, length: i64::from(length) }),
        }
    }

    pub fn string(&mut self, flexible: bool, what: &'static str, out: &mut Str) -> Result<(), Error> {
        let length = self.string_length(flexible, what)?;
        *out = self.text(length.ok_or_else(|| null(what))?, what)?;
        Ok(())
    }

    /// `nullable` says whether null is allowed in this version.
    pub fn nullable_string(
        &mut self,
        flexible: bool,
        nullable: bool,
        what: &'static str,
        out: &mut Option<Str>,
    ) -> Result<(), Error> {
        *out = match self.string_length(flexible, what)? {
            Some(length) => Some(self.text(length, what)?),
            None if nullable => None,
            None => return Err(null(what)),
        };
        Ok(())
    }

    #[inline]
    fn text(&mut self, length: usize, what: &'static str) -> Result<Str, Error> {
        let slice = self.slice(length, what)?;
        Str::from_utf8(self.frame.slice_ref(slice)).map_err(|_| Error::InvalidUtf8 { what })
    }

    pub fn bytes(&mut self, flexible: bool, what: &'static str, out: &mut Bytes) -> Result<(), Error> {
        let length = self.length(flexible, what)?;
        *out = self.share(length.ok_or_else(|| null(what))?, what)?;
        Ok(())
    }

    pub fn nullable_bytes(
        &mut self,
        flexible: bool,
        nullable: bool,
        what: &'static str,
        out: &mut Option<Bytes>,
    ) -> Result<(), Error> {
        *out = match self.length(flexible, what)? {
            Some(length) => Some(self.share(length, what)?),
            None if nullable => None,
            None => return Err(null(what)),
        };
        Ok(())
    }

    #[inline]
    fn share(&mut self, length: usize, what: &'static str) -> Result<Bytes, Error> {
        let slice = self.slice(length, what)?;
        Ok(self.frame.slice_ref(slice))
    }

    pub fn records(&mut self, flexible: bool, what: &'static str, out: &mut RecordSet) -> Result<(), Error> {
        let length = self.length(flexible, what)?;
        *out = RecordSet::from(self.share(length.ok_or_else(|| null(what))?, what)?);
        Ok(())
    }

    pub fn nullable_records(
        &mut self,
        flexible: bool,
        nullable: bool,
        what: &'static str,
        out: &mut Option<RecordSet>,
    ) -> Result<(), Error> {
        *out = match self.length(flexible, what)? {
            Some(length) => Some(RecordSet::from(self.share(length, what)?)),
            None if nullable => None,
            None => return Err(null(what)),
        };
        Ok(())
    }

    /// `size` is the least that an element takes on the wire.
    #[inline]
    fn array_length(
        &mut self,
        flexible: bool,
        size: usize,
        what: &'static str,
    ) -> Result<Option<usize>, Error> {
        let Some(count) = self.length(flexible, what)? else { return Ok(None) };
        if count > ARRAY_ELEMENTS_MAX {
            return Err(Error::TooMany { what, count, limit: ARRAY_ELEMENTS_MAX });
        }
        let wanted = count * size;
        if wanted > self.left() {
            return Err(self.truncated(what, wanted));
        }
        Ok(Some(count))
    }

    #[inline]
    fn elements<T: Default>(
        &mut self,
        count: usize,
        out: &mut Vec<T>,
        mut element: impl FnMut(&mut Reader<'a>, &mut T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // A tagged field may come twice; the last one counts.
        out.clear();
        out.reserve_exact(count.min(INITIAL_CAPACITY_MAX));
        for _ in 0..count {
            element(self, out.push_mut(T::default()))?;
        }
        Ok(())
    }

    pub fn array<T: Default>(
        &mut self,
        flexible: bool,
        size: usize,
        what: &'static str,
        out: &mut Vec<T>,
        element: impl FnMut(&mut Reader<'a>, &mut T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let count = self.array_length(flexible, size, what)?;
        self.elements(count.ok_or_else(|| null(what))?, out, element)
    }

    pub fn nullable_array<T: Default>(
        &mut self,
        flexible: bool,
        nullable: bool,
        size: usize,
        what: &'static str,
        out: &mut Option<Vec<T>>,
        element: impl FnMut(&mut Reader<'a>, &mut T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self.array_length(flexible, size, what)? {
            Some(count) => self.elements(count, out.get_or_insert_default(), element),
            None if nullable => {
                *out = None;
                Ok(())
            }
            None => Err(null(what)),
        }
    }

    /// A struct behind the byte that says whether it is there.
    pub fn nullable_struct<T: Default>(
        &mut self,
        out: &mut Option<T>,
        read: impl FnOnce(&mut Reader<'a>, &mut T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        *out = None;
        if self.i8()? < 0 { Ok(()) } else { read(self, out.insert(T::default())) }
    }
}

#[cold]
fn null(what: &'static str) -> Error {
    Error::Null { what }
}
