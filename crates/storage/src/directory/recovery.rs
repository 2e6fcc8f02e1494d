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
    /// Where each partition went away that did.
    gone: BTreeMap<PartitionKey, Position>,
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
        Ok(Self { partitions, gone: BTreeMap::new() })
    }

    pub(super) fn take(&mut self, position: Position, entry: Entry) {
        if matches!(entry.body, Body::Delete | Body::MovedAway { .. }) {
            self.gone.insert(entry.key, position);
        }
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
                let end = in_segments(&partition.state);
                let in_segment = damage.base_offset.is_some_and(|offset| offset < end);
                if damage.position <= partition.as_of && in_segment {
                    continue;
                }
                partition.damage.get_or_insert_with(|| damage.clone());
            } else if damage.creates && self.gone.get(&damage.key).is_none_or(|gone| *gone < damage.position)
            {
                self.partitions.insert(damage.key, never_created(damage));
            }
        }
        self.partitions.into_values().collect()
    }
}

/// A partition of which there is all but the entry that creates it, and names its topic. Were it left out, it would be made
/// anew, empty.
fn never_created(damage: &Damage) -> RecoveredPartition {
    let topic = damage.key.topic_id.to_string().into();
    let state = PartitionState::empty(damage.key, topic);
    let (as_of, damage) = (damage.position, Some(damage.clone()));
    RecoveredPartition { state, as_of, entries: Vec::new(), damage }
}

/// An entry whose effect the state has. What remains to be done is to rebuild the tail that is in no segment yet.
fn reflected(known: &mut RecoveredPartition, position: Position, body: Body) {
    match body {
        Body::Append { base_offset, .. } => {
            if base_offset >= in_segments(&known.state) {
                known.entries.push((position, body));
            }
        }
        Body::Truncate { end, .. } => known.entries.retain(|(_, body)| last_offset(body) < end),
        // The partition was here before, went away and came back.
        Body::Create { .. } | Body::Delete | Body::MovedAway { .. } => known.entries.clear(),
        Body::LogStart { .. } | Body::EpochStart { .. } => {}
    }
}

/// Batches below are synced in segments. A truncation may be under way there: what it takes does not count, since the
/// batches that replaced it are still in the journal only.
fn in_segments(state: &PartitionState) -> Offset {
    state.cut.map_or(state.synced.end, |cut| cut.min(state.synced.end))
}

/// Of a batch; a truncation takes whole batches.
fn last_offset(body: &Body) -> Offset {
    let Body::Append { base_offset, batch, .. } = body else { return Offset::NONE };
    let delta = batch.get(LAST_OFFSET_DELTA).and_then(|mut bytes| bytes.try_get_i32().ok());
    Offset(base_offset.0.saturating_add(i64::from(delta.unwrap_or(0))))
}

/// Where a batch without its first 16 bytes says how many offsets it takes.
const LAST_OFFSET_DELTA: std::ops::Range<usize> = 7..11;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protocol::ids::LeaderEpoch;

    use super::*;

    const KEY: PartitionKey = PartitionKey { topic_id: protocol::TopicId(protocol::Uuid::ONE), partition: 0 };

    fn append(epoch: i32, offset: i64) -> Body {
        let batch = Bytes::from(vec![0; 45]);
        Body::Append { leader_epoch: LeaderEpoch(epoch), base_offset: Offset(offset), batch }
    }

    fn truncate(end: i64) -> Body {
        Body::Truncate { end: Offset(end), leader_epoch: LeaderEpoch(2) }
    }

    /// The state is as of position 10, and `synced` long in segments that are being cut at `cut`.
    fn check(synced: i64, cut: Option<i64>, entries: Vec<(u64, Body)>, expected: &[(i32, i64)]) {
        let mut state = PartitionState::empty(KEY, std::sync::Arc::from("t"));
        state.synced = SegmentState { end: Offset(synced), ..state.synced };
        state.cut = cut.map(Offset);
        let recovered = RecoveredPartition { state, as_of: Position(10), entries: Vec::new(), damage: None };
        let mut fold = Fold { partitions: BTreeMap::from([(KEY, recovered)]), gone: BTreeMap::new() };
        for (position, body) in entries {
            fold.take(Position(position), Entry { key: KEY, body });
        }
        let partition = fold.finish(&[]).remove(0);
        let kept = partition.entries.iter().map(|(_, body)| match body {
            Body::Append { leader_epoch, base_offset, .. } => (leader_epoch.0, base_offset.0),
            Body::Truncate { end, .. } => (-1, end.0),
            _ => (-2, 0),
        });
        assert_eq!(kept.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn only_what_is_missing_is_done_again() {
        let first = || (0..8_i64).map(|offset| (offset as u64 + 1, append(1, offset)));
        let behind = || vec![(11, append(3, 9)), (12, truncate(3))];
        check(0, None, first().collect(), &[(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (1, 7)]);
        check(6, None, first().collect(), &[(1, 6), (1, 7)]);
        check(6, None, first().chain(behind()).collect(), &[(1, 6), (1, 7), (3, 9), (-1, 3)]);
        let replaced = || first().chain([(9, truncate(4)), (10, append(2, 4))]);
        check(3, None, replaced().collect(), &[(1, 3), (2, 4)]);
        check(5, None, replaced().collect(), &[]);
        // The segments still hold what was truncated.
        check(7, Some(4), replaced().collect(), &[(2, 4)]);
    }

    #[test]
    fn what_was_deleted_stays_deleted() {
        let create = || Body::Create { topic: std::sync::Arc::from("t"), start_offset: Offset(0) };
        let mut fold = Fold { partitions: BTreeMap::new(), gone: BTreeMap::new() };
        for (position, body) in
            [(1, append(1, 0)), (2, create()), (3, append(1, 0)), (4, Body::Delete), (5, append(1, 1))]
        {
            fold.take(Position(position), Entry { key: KEY, body });
        }
        assert!(fold.finish(&[]).is_empty());
        // It came back before the checkpoint was made.
        let again = [(1, append(1, 0)), (2, Body::Delete), (3, create()), (4, append(5, 0))];
        check(0, None, again.into(), &[(5, 0)]);
    }
}
