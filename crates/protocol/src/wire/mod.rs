//! Reading and writing of messages.
//!
//! Owns: the primitives of the wire format, their limits, and the traits that every generated message implements.
//!
//! Invariants:
//! * A length from a peer is compared with the bytes that are left before anything is allocated.
//! * Text, bytes and records are slices of the frame on decode; records are spliced, never copied, on encode.
//! * Nesting is bounded by the schemas: none of them contains itself, which the generator checks.
//!
//! Does not know: what a message means, or how frames travel.

mod error;
mod frame;
mod message;
mod reader;
mod tags;
mod writer;

pub use error::Error;
pub use frame::{Extern, Frame, Piece};
pub use message::{Codec, Message, Request, Response, VersionRange};
pub use reader::Reader;
pub use tags::TaggedField;
pub use writer::Writer;

/// Stands for a value that must not be shown.
pub(crate) struct Redacted;

impl std::fmt::Debug for Redacted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Elements of one array, as in Kafka 4.4.
pub const ARRAY_ELEMENTS_MAX: usize = 1_000_000;
/// Tagged fields of one struct, as in Kafka 4.4.
pub const TAGGED_FIELDS_MAX: usize = 10_000;
/// Elements that an array reserves room for before the first is read, as in Kafka 4.4.
pub const INITIAL_CAPACITY_MAX: usize = 1_000;
/// Bytes of one string.
pub const STRING_BYTES_MAX: usize = 0x7fff;
