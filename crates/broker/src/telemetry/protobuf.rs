//! The wire format of protocol buffers, as far as reading goes.
//!
//! Invariant: fields are slices of the input; nothing is allocated by what it claims.

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("it ends in the middle of a field")]
    Short,
    #[error("a number takes more than 64 bits")]
    Number,
    #[error("wire type {0} is not known")]
    WireType(u64),
    #[error("field {0} has another type")]
    Type(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// One field of a message, by number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    value: Value<'a>,
}

impl<'a> Field<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], Error> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(Error::Type(self.number)),
        }
    }

    pub(super) fn varint(self) -> Result<u64, Error> {
        match self.value {
            Value::Varint(number) => Ok(number),
            _ => Err(Error::Type(self.number)),
        }
    }

    pub(super) fn fixed64(self) -> Result<u64, Error> {
        match self.value {
            Value::Fixed64(number) => Ok(number),
            _ => Err(Error::Type(self.number)),
        }
    }

    pub(super) fn double(self) -> Result<f64, Error> {
        self.fixed64().map(f64::from_bits)
    }

    /// Numbers of eight bytes, packed into one field or one a field.
    pub(super) fn each_fixed64(self) -> Result<impl Iterator<Item = u64> + use<'a>, Error> {
        let (packed, one) = match self.value {
            Value::Bytes(bytes) if bytes.len().is_multiple_of(8) => (bytes, None),
            Value::Fixed64(number) => (&[][..], Some(number)),
            _ => return Err(Error::Type(self.number)),
        };
        let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Ok(packed.chunks_exact(8).map(number).chain(one))
    }
}

/// The fields of a message, in the order in which they stand there.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Error::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Error> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?.first().copied().unwrap_or_default();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Error::Number)
    }

    fn field(&mut self) -> Result<Field<'a>, Error> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.take(8)?.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| Error::Short)?;
                Value::Bytes(self.take(len)?)
            }
            5 => Value::Fixed32(self.take(4)?.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))),
            other => return Err(Error::WireType(other)),
        };
        Ok(Field { number: tag >> 3, value })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_type_are_read_and_what_is_no_field_is_told() {
        let bytes = [0x08, 0x96, 0x01, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x1a, 2, 7, 8, 0x25, 5, 0, 0, 0];
        let fields: Vec<_> =
            Fields(&bytes).map(|field| field.map(|field| (field.number, field.value))).collect();
        let expected = [
            Ok((1, Value::Varint(150))),
            Ok((2, Value::Fixed64(1))),
            Ok((3, Value::Bytes(&[7, 8]))),
            Ok((4, Value::Fixed32(5))),
        ];
        assert_eq!(fields, expected);
        for (bytes, error) in [
            (&[0x08][..], Error::Short),
            (&[0x11, 1, 2], Error::Short),
            (&[0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], Error::Short),
            (&[0xff; 11], Error::Number),
            (&[0x0b], Error::WireType(3)),
        ] {
            assert_eq!(Fields(bytes).collect::<Vec<_>>(), [Err(error)], "{bytes:?}");
        }
    }
}
