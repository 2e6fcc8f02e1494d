//! Sorts what checkpoint and journal hold by partition.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Buf;
use protocol::ids::Offset;

use crate::checkpoint::Contents;
use crate::journal::{Body, Damage, Entry};
use crate::segment::SegmentState;
use crate::{Error, PartitionKey, PartitionState, Position};

/// A partition that was in this directory when the process died, for its log to recover.
#[derive(Clone, Debug)]
pub struct RecoveredPartition {
    pub state: PartitionState,
    /// What entries up to this position did is in `state`, except for the batches behind its synced end.
    pub as_of: Position,
    /// What has to be done again, in the order in which it was submitted. Up to `as_of` only batches behind the
    /// synced end, as far as no truncation has taken them. A batch below the end was submitted twice; one that
    /// does not connect was, too, and comes once more in its place.
    pub entries: Vec<(Position, Body)>,
    /// A synced entry of this partition can no longer be read: it must not be served.
    pub damage: Option<Damage>,
}

#[derive(Debug)]
pub(super) struct Fold {
    partitions: BTreeMap<PartitionKey, RecoveredPartition>,
}

impl Fold {
    pub(super) fn new(path: &Path, contents: &Contents) -> Result<Self, Error> {
        let mut partitions = BTreeMap::new();
        for (key, (as_of, bytes)) in &contents.states {
            let mut left: &[u8] = bytes;
            let state = PartitionState::decode(&mut left).map_err(|error| Error::Damaged {
                path: path.to_path_buf(),
                offset: 0,
                what: format!("partition {key}: {error}"),
            })?;
            let recovered = RecoveredPartition { state, as_of: *as_of, entries: Vec::new(), damage: None };
            partitions.insert(*key, recovered);
        }
        Ok(Self { partitions })
    }

    pub(super) fn take(&mut self, position: Position, entry: Entry) {
        match (self.partitions.get_mut(&entry.key), entry.body) {
            (Some(known), body) if position <= known.as_of => reflected(known, position, body),
            (Some(_), Body::Delete | Body::MovedAway { .. }) => {
                self.partitions.remove(&entry.key);
            }
            (Some(known), body) => known.entries.push((position, body)),
            (None, Body::Create { topic, start_offset }) => {
                let state = PartitionState {
                    synced: SegmentState::new(start_offset, 0),
                    log_start: start_offset,
                    high_watermark: start_offset,
                    ..PartitionState::empty(entry.key, topic)
                };
                let created =
                    RecoveredPartition { state, as_of: position, entries: Vec::new(), damage: None };
                self.partitions.insert(entry.key, created);
            }
            (None, _) => {
                // It was gone before the checkpoint was made.
                tracing::debug!(key = %entry.key, position = position.0, "entry of a partition that is gone");
            }
        }
    }

    pub(super) fn finish(mut self, damages: &[Damage]) -> Vec<RecoveredPartition> {
        for damage in damages {
            if let Some(partition) = self.partitions.get_mut(&damage.key) {
                let synced_end = partition.state.synced.end;
                let in_segment = damage.base_offset.is_some_and(|offset| offset < synced_end);
                if damage.position <= partition.as_of && in_segment {
                    continue;
                }
                partition.damage.get_or_insert_with(|| damage.clone());
            }
        }
        self.partitions.into_values().collect()
    }
}

/// An entry whose effect the state has. What remains to be done is to rebuild the tail that is in no segment yet.
fn reflected(known: &mut RecoveredPartition, position: Position, body: Body) {
    match body {
        Body::Append { base_offset, .. } => {
            if base_offset >= known.state.synced.end {
                known.entries.push((position, body));
            }
        }
        Body::Truncate { end, .. } => known.entries.retain(|(_, body)| last_offset(body) < end),
        // The partition was here before, went away and came back.
        Body::Create { .. } | Body::Delete | Body::MovedAway { .. } => known.entries.clear(),
        Body::LogStart { .. } | Body::EpochStart { .. } => {}
    }
}

/// Of a batch; a truncation takes whole batches.
fn last_offset(body: &Body) -> Offset {
    let Body::Append { base_offset, batch, .. } = body else { return Offset::NONE };
    let delta = batch.get(LAST_OFFSET_DELTA).and_then(|mut bytes| bytes.try_get_i32().ok());
    Offset(base_offset.0.saturating_add(i64::from(delta.unwrap_or(0))))
}

/// Where a batch without its first 16 bytes says how many offsets it takes.
const LAST_OFFSET_DELTA: std::ops::Range<usize> = 7..11;
