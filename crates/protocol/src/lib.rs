//! Kafka's bytes: messages, headers, record batches, compression.
//!
//! Owns: every message of Kafka 4.4 in every version, both directions; its numbers, names and error codes.
//!
//! Invariants:
//! * Pure: bytes in, values out. Nothing here reads a clock, a file or a socket.
//! * Bytes from a peer never panic, and never allocate more than a small multiple of their own length.
//!
//! Does not know: connections, topics that exist, or what a request should do.

mod api_key;
mod error_code;
#[allow(clippy::all, reason = "the shape of generated code follows the schemas")]
mod generated;
pub mod ids;
/// The messages by name; the parts of a message are in the module named after it.
pub mod messages {
    pub use crate::generated::*;
}
mod record_set;
pub mod records;
pub mod rpc;
mod str;
#[cfg(feature = "testing")]
pub mod testing;
pub mod uuid;
pub mod wire;

pub use api_key::{ApiInfo, ApiKey, Listeners};
pub use error_code::ErrorCode;
pub use ids::{LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId, TopicId};
pub use record_set::RecordSet;
pub use str::Str;
pub use uuid::Uuid;
pub use wire::{Frame, Message, Piece, Reader, Request, Response, VersionRange, Writer};
