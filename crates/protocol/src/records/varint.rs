//! Zig-zag variable-length integers, as records and only records use them.

/// A position in bytes that nobody has checked yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes }
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    /// A varint of at most five bytes. Bits above the 32nd are dropped, as Kafka does.
    #[inline]
    pub(super) fn varint(&mut self) -> Option<i32> {
        let first = self.byte()?;
        if first < 0x80 {
            return Some(zigzag32(u32::from(first)));
        }
        let mut value = u32::from(first & 0x7f);
        for shift in [7, 14, 21, 28] {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(zigzag32(value));
            }
        }
        None
    }

    /// A varlong of at most ten bytes. Bits above the 64th are dropped, as Kafka does.
    #[inline]
    pub(super) fn varlong(&mut self) -> Option<i64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(zigzag64(value));
            }
        }
        None
    }
}

fn zigzag32(value: u32) -> i32 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn zigzag64(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Appends a zig-zag varint; a varint of an `i32` is the varlong of the same number.
pub(super) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut left = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while left >= 0x80 {
        out.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    out.push((left & 0x7f) as u8);
}

/// How many bytes [`put_varlong`] appends.
pub(super) fn varlong_len(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let bits = (64 - zigzag.leading_zeros()).max(1) as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varlongs_round_trip(value: i64) {
            let mut out = Vec::new();
            put_varlong(&mut out, value);
            prop_assert_eq!(out.len(), varlong_len(value));
            prop_assert_eq!(Cursor::new(&out).varlong(), Some(value));
        }

        #[test]
        fn varints_round_trip(value: i32) {
            let mut out = Vec::new();
            put_varlong(&mut out, i64::from(value));
            prop_assert_eq!(Cursor::new(&out).varint(), Some(value));
        }
    }

    #[test]
    fn varints_end() {
        assert_eq!(Cursor::new(&[0xff; 5]).varint(), None);
        assert_eq!(Cursor::new(&[0xff; 10]).varlong(), None);
        assert_eq!(Cursor::new(&[0x80]).varint(), None);
        assert_eq!(Cursor::new(&[]).varlong(), None);
        assert_eq!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).varint(), Some(i32::MIN));
        let longest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Cursor::new(&longest).varlong(), Some(i64::MIN));
    }
}
