//! Kafka's bytes: messages, headers, record batches, compression.

mod error_code;
pub mod ids;
pub mod records;
mod str;
pub mod uuid;

pub use error_code::ErrorCode;
pub use ids::{LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId, TopicId};
pub use str::Str;
pub use uuid::Uuid;
