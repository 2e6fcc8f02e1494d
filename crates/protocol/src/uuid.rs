//! [`Uuid`]: sixteen bytes, shown as Kafka shows them.
//!
//! Owns: the text form, URL-safe base64 without padding, 22 characters.
//!
//! Does not know: how ids are made; randomness is the caller's.

use std::fmt;
use std::str::FromStr;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const TEXT_LEN: usize = 22;

/// A 128-bit identity of a topic, directory, client instance or cluster.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

/// The text is not the base64 of sixteen bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a uuid: expected {TEXT_LEN} characters of URL-safe base64")]
pub struct ParseError {
    pub text: String,
}

impl Uuid {
    /// "None" wherever a uuid is not nullable.
    pub const ZERO: Uuid = Uuid([0; 16]);
    /// The topic id of the metadata log; as a directory id, "migrating".
    pub const ONE: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

    pub const fn from_bytes(bytes: [u8; 16]) -> Uuid {
        Uuid(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub const fn is_zero(self) -> bool {
        u128::from_be_bytes(self.0) == 0
    }

    /// A version 4 uuid out of sixteen random bytes. `None` for the rare ones that must be drawn again: the text
    /// of an id may not begin with a dash, since tools take it as an argument.
    pub fn from_random(mut bytes: [u8; 16]) -> Option<Uuid> {
        let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
        *version = (*version & 0x0f) | 0x40;
        *variant = (*variant & 0x3f) | 0x80;
        let uuid = Uuid(bytes);
        (uuid.text().first() != Some(&b'-')).then_some(uuid)
    }

    fn text(self) -> [u8; TEXT_LEN] {
        let value = u128::from_be_bytes(self.0);
        let mut text = [0; TEXT_LEN];
        for (place, character) in text.iter_mut().enumerate() {
            // 22 x 6 = 132 bits: the last character holds the low two bits and four zeros.
            let digit = if place == TEXT_LEN - 1 { value << 4 } else { value >> (122 - 6 * place) };
            *character = ALPHABET.get((digit & 0x3f) as usize).copied().unwrap_or(b'A');
        }
        text
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        f.pad(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Uuid, ParseError> {
        let fail = || ParseError { text: text.chars().take(64).collect() };
        let characters = text.trim_end_matches('=').as_bytes();
        if characters.len() != TEXT_LEN || text.len() > TEXT_LEN + 2 {
            return Err(fail());
        }
        let mut value: u128 = 0;
        for (place, character) in characters.iter().enumerate() {
            let digit = ALPHABET.iter().position(|known| known == character).ok_or_else(fail)? as u128;
            value = if place == TEXT_LEN - 1 { (value << 2) | (digit >> 4) } else { (value << 6) | digit };
        }
        Ok(Uuid(value.to_be_bytes()))
    }
}

impl From<[u8; 16]> for Uuid {
    fn from(bytes: [u8; 16]) -> Uuid {
        Uuid(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_that_of_kafka() {
        // Written by org.apache.kafka.common.Uuid.toString.
        let bytes: [u8; 16] = std::array::from_fn(|i| ((i * 17 + 250) % 256).try_into().unwrap());
        for (uuid, text) in [
            (Uuid::ZERO, "AAAAAAAAAAAAAAAAAAAAAA"),
            (Uuid::ONE, "AAAAAAAAAAAAAAAAAAAAAQ"),
            (Uuid::from_bytes(bytes), "-gscLT5PYHGCk6S1xtfo-Q"),
            (Uuid::from_bytes([0xff; 16]), "_____________________w"),
        ] {
            assert_eq!(uuid.to_string(), text);
            assert_eq!(text.parse(), Ok(uuid));
            assert_eq!(format!("{text}==").parse(), Ok(uuid));
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in
            ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAA+", "AAAAAAAAAAAAAAAAAAAAAAA", "äAAAAAAAAAAAAAAAAAAAAA"]
        {
            assert!(text.parse::<Uuid>().is_err(), "{text}");
        }
    }

    #[test]
    fn random_ids_do_not_begin_with_a_dash() {
        assert_eq!(Uuid::from_random([0xf8; 16]), None);
        let uuid = Uuid::from_random([0x12; 16]).unwrap();
        assert_eq!((uuid.as_bytes()[6], uuid.as_bytes()[8]), (0x42, 0x92));
    }
}
