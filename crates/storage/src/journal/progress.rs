//! What has become of entries, as shards are told.

use std::sync::Arc;

use crate::Position;

/// What a completed write or sync means for the shards that submitted entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Where the last of these entries ends.
    pub position: Position,
    /// The last entry's number for each shard that has entries here.
    pub shards: Vec<(usize, u64)>,
}

/// A write or sync has failed: what was not synced may be lost, and nothing is written or synced again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal has failed: {0}")]
pub struct Failed(pub Arc<str>);

/// The entry `seq` is the last one known of `shard`.
pub(super) fn set_last(shards: &mut Vec<(usize, u64)>, shard: usize, seq: u64) {
    match shards.iter_mut().find(|(known, _)| *known == shard) {
        Some((_, last)) => *last = seq,
        None => shards.push((shard, seq)),
    }
}
