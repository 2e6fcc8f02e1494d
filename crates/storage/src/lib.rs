//! Logs on disk: journal, segments, indexes, producer state, checkpoint, recovery, retention, compaction.
//!
//! Synchronous state machines fed with requests and completions; the broker's shards drive them and the
//! lanes of `host` carry out the operations they ask for.
//!
//! Invariants:
//! * (partition, leader epoch, offset) names one batch for ever.
//! * An offset below a partition's synced end survives any crash; one below its log start, or cut off by a
//!   truncation, never comes back.
//! * Replaying the journal in order gives the same tail, and replaying it twice gives the same again.
//!
//! Does not know: sockets, tasks, Kafka's requests, who the leader is, replication.

pub mod checkpoint;
pub mod clean;
pub mod config;
mod crc;
pub mod directory;
pub mod epochs;
pub mod error;
pub mod journal;
pub mod log;
pub mod partition_key;
pub mod partition_state;
pub mod position;
pub mod producers;
pub mod segment;

pub use config::{CleanupPolicy, Durability, LogConfig, TimestampSource};
pub use error::Error;
pub use log::Log;
pub use partition_key::PartitionKey;
pub use partition_state::PartitionState;
pub use position::Position;
