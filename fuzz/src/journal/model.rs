//! Partitions as lists of batches: what entries give, whoever applies them.

use std::collections::BTreeMap;

use storage::PartitionKey;
use storage::journal::Body;

/// A batch without its records: base offset, last offset, epoch, and what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) base: i64,
    pub(super) last: i64,
    epoch: i32,
    bytes: Vec<u8>,
}

pub(super) type Log = Vec<Batch>;
pub(super) type Logs = BTreeMap<PartitionKey, Log>;

pub(super) fn end(log: &Log) -> i64 {
    log.last().map_or(0, |last| last.last + 1)
}

pub(super) fn apply(logs: &mut Logs, key: PartitionKey, body: &Body) {
    match body {
        Body::Create { .. } => {
            logs.entry(key).or_default();
        }
        Body::Delete | Body::MovedAway { .. } => drop(logs.remove(&key)),
        _ => {
            if let Some(log) = logs.get_mut(&key) {
                apply_to(log, body);
            }
        }
    }
}

pub(super) fn apply_to(log: &mut Log, body: &Body) {
    match body {
        Body::Truncate { end, .. } => log.retain(|batch| batch.last < end.0),
        Body::Append { leader_epoch, base_offset, batch } if base_offset.0 == end(log) => {
            let delta = batch.get(7..11).map_or(0, |delta| i32::from_be_bytes(delta.try_into().unwrap()));
            log.push(Batch {
                base: base_offset.0,
                last: base_offset.0.saturating_add(i64::from(delta)),
                epoch: leader_epoch.0,
                bytes: batch.to_vec(),
            });
        }
        _ => {}
    }
}
