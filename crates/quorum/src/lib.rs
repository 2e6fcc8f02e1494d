//! The replicated metadata log: propose, committed stream, snapshot. One voter on a single node.
//!
//! Owns the metadata directory: `meta.properties`, and in `__cluster_metadata-0` the raft log, the quorum state and
//! the checkpoints; and the rules of who may append to it, which are openraft's.
//!
//! Invariants:
//! * A batch is committed once a majority of the voters has synced it, and every node applies the committed batches
//!   in the same order.
//! * One leader a term; the term serves as controller epoch. A restart never goes on in an old term.
//! * A raft id is minted per metadata directory and never used again; `node.id` is a label.
//! * A failed sync is final: the log stops, with the reason.
//! * Time, tasks, randomness and files come from [`host`], openraft's too.
//!
//! Does not know: what the batches mean, and what the state machine makes of them.

mod checkpoint;
mod codec;
mod directory;
mod error;
mod log;
mod machine;
mod metadata_log;
mod network;
mod options;
mod properties;
mod proposal;
mod raft;
mod runtime;
mod state;
mod status;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests;

pub use error::{Error, Leader, ProposeError};
pub use metadata_log::MetadataLog;
pub use options::{Bootstrap, Identity, Options, SnapshotAfter};
pub use properties::MetaProperties;
pub use proposal::{BATCH_BYTES_MAX, Committed, IN_FLIGHT_BYTES_MAX, PROPOSAL_BYTES_MIN, Proposal};
pub use raft::{Endpoint, Member};
pub use state::{Encode, StateMachine};
pub use status::{Replica, Status, Term};
