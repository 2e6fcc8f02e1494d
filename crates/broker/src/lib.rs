//! The server: listens, dispatches, and carries out what the cores decide.
//!
//! Owns: sockets and connections ([`server`]), the APIs ([`api`]), the shards that own partitions ([`shard`]), and the
//! wiring of a node ([`Node`]).
//!
//! Invariants:
//! * Nothing is acknowledged before the state it depends on is where the acknowledgement says it is.
//! * Requests see one published view of the metadata, and everything in it can be used.
//! * Every queue has a named bound.
//!
//! Does not know: how bytes become messages (`protocol`), logs on disk (`storage`), what a change of metadata should
//! be (`metadata`), or which machine it runs on (`host`).

mod api;
mod applier;
mod broker;
mod controller;
mod coordinators;
mod directories;
mod features;
mod listening;
mod loggers;
mod metadata_view;
mod node;
mod ownership;
mod producer_ids;
mod publisher;
mod random;
mod registration;
mod server;
mod serving;
pub mod shard;
mod telemetry;
mod topic_settings;
mod transactions;
mod wait;
mod workers;

pub(crate) use broker::Broker;
pub use loggers::Loggers;
pub use node::{Node, StartError};
pub use ownership::OwnershipError;
pub use serving::Usage;

/// What fuzzing reaches of this crate.
#[cfg(feature = "testing")]
pub mod testing {
    use bytes::Bytes;

    /// Cuts what arrives in these pieces into frames, as a connection does, up to the first error.
    pub fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>, frame_bytes_max: usize) -> Vec<Bytes> {
        crate::server::frames(pieces, frame_bytes_max).unwrap_or_else(|(frames, _)| frames)
    }
}
