//! Reading and writing the fields of a record.
//!
//! Invariant: nothing is allocated for a length before that many bytes are known to be there.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use protocol::{NodeId, Str, Uuid};

use crate::Error;

/// The longest form of a 32-bit number in groups of seven bits.
const VARINT_BYTES_MAX: u32 = 5;

pub(super) fn put_varint(out: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8((value & 0x7f) as u8);
}

pub(super) fn put_count(out: &mut BytesMut, count: usize) {
    put_varint(out, u32::try_from(count).expect("a record holds fewer than 2^32 elements"));
}

pub(super) fn put_str(out: &mut BytesMut, text: &str) {
    put_count(out, text.len());
    out.put_slice(text.as_bytes());
}

/// A length of its own for "none" would cost every string a byte: the count is one more than the bytes.
pub(super) fn put_optional_str(out: &mut BytesMut, text: Option<&Str>) {
    match text {
        None => put_varint(out, 0),
        Some(text) => {
            put_count(out, text.len() + 1);
            out.put_slice(text.as_str().as_bytes());
        }
    }
}

pub(super) fn put_uuid(out: &mut BytesMut, uuid: Uuid) {
    out.put_slice(uuid.as_bytes());
}

pub(super) fn put_uuids(out: &mut BytesMut, uuids: &[Uuid]) {
    put_count(out, uuids.len());
    for uuid in uuids {
        put_uuid(out, *uuid);
    }
}

pub(super) fn put_nodes(out: &mut BytesMut, nodes: &[NodeId]) {
    put_count(out, nodes.len());
    for node in nodes {
        out.put_i32(node.get());
    }
}

/// Reads fields off the front of a record.
#[derive(Debug)]
pub(super) struct Reader {
    bytes: Bytes,
}

impl Reader {
    pub(super) fn new(bytes: Bytes) -> Reader {
        Reader { bytes }
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn need(&self, field: &'static str, needed: usize) -> Result<(), Error> {
        let remaining = self.bytes.len();
        if remaining < needed { Err(Error::Truncated { field, needed, remaining }) } else { Ok(()) }
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, Error> {
        self.need(field, 1)?;
        Ok(self.bytes.get_u8())
    }

    pub(super) fn bool(&mut self, field: &'static str) -> Result<bool, Error> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::Invalid { field }),
        }
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, Error> {
        self.need(field, 2)?;
        Ok(self.bytes.get_u16())
    }

    pub(super) fn i16(&mut self, field: &'static str) -> Result<i16, Error> {
        self.need(field, 2)?;
        Ok(self.bytes.get_i16())
    }

    pub(super) fn i32(&mut self, field: &'static str) -> Result<i32, Error> {
        self.need(field, 4)?;
        Ok(self.bytes.get_i32())
    }

    pub(super) fn i64(&mut self, field: &'static str) -> Result<i64, Error> {
        self.need(field, 8)?;
        Ok(self.bytes.get_i64())
    }

    pub(super) fn varint(&mut self, field: &'static str) -> Result<u32, Error> {
        let mut value = 0_u32;
        for group in 0..VARINT_BYTES_MAX {
            let byte = self.u8(field)?;
            let bits = u32::from(byte & 0x7f);
            // The fifth group has room for four bits only.
            if group == VARINT_BYTES_MAX - 1 && bits > 0x0f {
                return Err(Error::Invalid { field });
            }
            value |= bits << (7 * group);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Error::Invalid { field })
    }

    /// A count of elements that take at least `element_bytes` each, so that it cannot promise more than is there.
    pub(super) fn count(&mut self, field: &'static str, element_bytes: usize) -> Result<usize, Error> {
        let count = self.varint(field)? as usize;
        self.need(field, count.saturating_mul(element_bytes))?;
        Ok(count)
    }

    pub(super) fn bytes(&mut self, field: &'static str, length: usize) -> Result<Bytes, Error> {
        self.need(field, length)?;
        Ok(self.bytes.split_to(length))
    }

    /// Text with a buffer of its own: the image outlives the log's buffers and must not pin them.
    fn text(&mut self, field: &'static str, length: usize) -> Result<Str, Error> {
        let bytes = self.bytes(field, length)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::Invalid { field })?;
        Ok(Str::from(text))
    }

    pub(super) fn str(&mut self, field: &'static str) -> Result<Str, Error> {
        let length = self.varint(field)? as usize;
        self.text(field, length)
    }

    pub(super) fn optional_str(&mut self, field: &'static str) -> Result<Option<Str>, Error> {
        match self.varint(field)? {
            0 => Ok(None),
            length => self.text(field, length as usize - 1).map(Some),
        }
    }

    pub(super) fn uuid(&mut self, field: &'static str) -> Result<Uuid, Error> {
        self.need(field, 16)?;
        let mut bytes = [0; 16];
        self.bytes.copy_to_slice(&mut bytes);
        Ok(Uuid::from_bytes(bytes))
    }

    pub(super) fn uuids(&mut self, field: &'static str) -> Result<Vec<Uuid>, Error> {
        (0..self.count(field, 16)?).map(|_| self.uuid(field)).collect()
    }

    pub(super) fn nodes(&mut self, field: &'static str) -> Result<Vec<NodeId>, Error> {
        (0..self.count(field, 4)?).map(|_| self.i32(field).map(NodeId)).collect()
    }
}

/// Which optional fields follow is a bit set in front of them, in the order they are listed here.
pub(super) struct Present(u16);

impl Present {
    pub(super) fn of(fields: &[bool]) -> Present {
        Present(fields.iter().enumerate().fold(0, |bits, (place, there)| bits | (u16::from(*there) << place)))
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        put_varint(out, u32::from(self.0));
    }

    /// A bit that this version does not know stands for a field that it cannot skip.
    pub(super) fn read(input: &mut Reader, known: u32) -> Result<Present, Error> {
        let bits = input.varint("field set")?;
        match u16::try_from(bits) {
            Ok(bits) if u32::from(bits) < 1 << known => Ok(Present(bits)),
            _ => Err(Error::Invalid { field: "field set" }),
        }
    }

    pub(super) fn has(&self, place: u32) -> bool {
        self.0 & (1 << place) != 0
    }
}
