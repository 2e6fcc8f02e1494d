//! The journal of a log directory: what has been accepted and is not yet synced in its segment.

mod entry;
mod report;

pub use entry::{Body, ENTRY_HEAD_BYTES, Entry};
pub use report::{CheckpointPart, Released, Report, Submit, ToCommitter};
