//! What a shard and the committer of a log directory tell each other. The shells carry these over their mailboxes.

use std::sync::Arc;

use super::Entry;
use crate::{PartitionKey, PartitionState, Position};

/// From a shard to the committer of a directory.
#[derive(Debug)]
pub enum ToCommitter {
    Submit(Submit),
    Released(Released),
    CheckpointPart(CheckpointPart),
    /// The shard has written out and synced everything of this directory, has said so in a last checkpoint part, and
    /// ends. When all shards have, the committer leaves an empty journal and a clean checkpoint and ends too.
    Stopped {
        shard: usize,
    },
    /// Something waits for the next checkpoint: let it come now.
    CheckpointSoon,
    /// A shard could not write or sync a segment: the whole directory is offline, and every shard is to hear of it.
    Failed {
        error: Arc<str>,
    },
}

#[derive(Debug)]
pub struct Submit {
    pub shard: usize,
    /// The shard's own counter for this directory: it begins at 1 and grows by one with each entry.
    pub seq: u64,
    pub entry: Entry,
    /// Space may become free once it is synced, so it may use the journal's last reserve.
    pub awaited: bool,
}

/// The shard has synced segments: it needs nothing of the journal before the entry that ends at `oldest_needed`,
/// or nothing at all of what it has heard [`Report::Written`] of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    pub shard: usize,
    pub oldest_needed: Option<Position>,
}

/// A shard's answer to [`Report::CheckpointWanted`]: its partitions in this directory as they were when it had
/// submitted entry `up_to_seq`. The committer makes it durable only after that entry is synced, so the states
/// may speak of entries that are not on disk yet; their `synced` segment end must be true already.
#[derive(Debug)]
pub struct CheckpointPart {
    pub shard: usize,
    pub up_to_seq: u64,
    /// Partitions that changed since the shard's last part; all of them in the first part after a start.
    pub changed: Vec<PartitionState>,
    pub removed: Vec<PartitionKey>,
    /// As in [`Released`], at the same moment.
    pub oldest_needed: Option<Position>,
}

/// From the committer of directory `dir` to a shard. Entries are told of in the order of their numbers.
#[derive(Clone, Debug)]
pub enum Report {
    /// The shard's entries up to this number, and behind those told of before, survive a kill of this process.
    /// `position` is what [`Released::oldest_needed`] calls each of them.
    Written { dir: usize, up_to_seq: u64, position: Position },
    /// The shard's entries up to this number are on disk.
    Synced { dir: usize, up_to_seq: u64 },
    /// The ring fills up: write out and sync what is held by entries at or below this position, or submit small
    /// stragglers again, then say [`Released`]. If it is `full`, nothing can be submitted: write out and sync all;
    /// nobody can go on before everything up to the position there is released.
    /// What the shard has not been told is written ends behind this position.
    RingPressure { dir: usize, free_up_to: Position, full: Option<Position> },
    /// Send a [`CheckpointPart`].
    CheckpointWanted { dir: usize },
    /// The part that was sent last is on disk.
    Checkpointed { dir: usize },
    /// Nothing will be written or synced any more; entries not reported synced may be lost. Final.
    Failed { dir: usize, error: Arc<str> },
}
