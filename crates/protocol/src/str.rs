//! [`Str`]: the string of every message.
//!
//! Owns: UTF-8 text as a slice of a shared buffer, so that decoding a frame copies no text and a clone is a
//! reference count.
//!
//! Invariant: the bytes are valid UTF-8, checked once, when the value is made.
//!
//! Does not know: which charset or length a field of a message allows.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use bytestring::ByteString;

/// Immutable text, cheap to clone. A decoded `Str` keeps the whole frame alive; [`Str::detached`] gives one of
/// its own for state that outlives the request.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Str(ByteString);

impl Str {
    /// The empty string; allocates nothing.
    pub const EMPTY: Str = Str(ByteString::from_static(""));

    pub const fn from_static(text: &'static str) -> Str {
        Str(ByteString::from_static(text))
    }

    /// Checks that `bytes` are UTF-8 and shares them.
    #[inline]
    pub fn from_utf8(bytes: Bytes) -> Result<Str, std::str::Utf8Error> {
        ByteString::try_from(bytes).map(Str)
    }

    #[inline]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn as_bytes(&self) -> &Bytes {
        self.0.as_bytes()
    }

    /// A copy with a buffer of its own, which pins nothing else.
    pub fn detached(&self) -> Str {
        Str::from(self.as_str())
    }
}

impl Deref for Str {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Str {
    fn as_ref(&self) -> &str {
        self
    }
}

impl AsRef<[u8]> for Str {
    fn as_ref(&self) -> &[u8] {
        str::as_bytes(self)
    }
}

// `Hash`, `Eq` and `Ord` are those of `str`, as `Borrow` demands (`ByteString` hashes as `str`).
impl Borrow<str> for Str {
    fn borrow(&self) -> &str {
        self
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl From<String> for Str {
    fn from(text: String) -> Str {
        Str(ByteString::from(text))
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Str {
        Str(ByteString::from(text))
    }
}

impl From<&String> for Str {
    fn from(text: &String) -> Str {
        Str::from(text.as_str())
    }
}

impl From<Cow<'_, str>> for Str {
    fn from(text: Cow<'_, str>) -> Str {
        Str::from(text.into_owned())
    }
}

impl From<Str> for String {
    fn from(text: Str) -> String {
        text.as_str().to_owned()
    }
}

impl From<Str> for Bytes {
    fn from(text: Str) -> Bytes {
        text.0.into_bytes()
    }
}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Str {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<Str> for str {
    fn eq(&self, other: &Str) -> bool {
        self == other.as_str()
    }
}

impl PartialEq<Str> for &str {
    fn eq(&self, other: &Str) -> bool {
        *self == other.as_str()
    }
}

impl PartialEq<Str> for String {
    fn eq(&self, other: &Str) -> bool {
        self == other.as_str()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use super::*;

    #[test]
    fn maps_keyed_by_str_answer_to_plain_text() {
        let map = HashMap::from([(Str::from("orders"), 1)]);
        assert_eq!(map.get("orders"), Some(&1));
        let set = BTreeSet::from([Str::from("b"), Str::from("a")]);
        assert!(set.contains("a"));
        assert_eq!(set.into_iter().next(), Some(Str::from("a")));
    }

    #[test]
    fn invalid_utf8_is_refused() {
        assert!(Str::from_utf8(Bytes::from_static(&[0x66, 0xff])).is_err());
    }

    #[test]
    fn a_slice_shares_its_buffer_until_detached() {
        let frame = Bytes::from(b"xxtopicxx".to_vec());
        let text = Str::from_utf8(frame.slice(2..7)).unwrap();
        assert_eq!(text, "topic");
        assert_eq!(text.as_bytes().as_ptr(), frame.slice(2..).as_ptr());
        assert_ne!(text.detached().as_bytes().as_ptr(), text.as_bytes().as_ptr());
    }
}
