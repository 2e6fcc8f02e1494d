//! The `<offset>.snapshot` file: producers' last batches and open transactions when the segment at `offset` was begun, in Kafka's
//! format.
//!
//! Kafka keeps one batch of each producer there; all five are in our checkpoint. The file is written for Kafka's
//! tools, and for finding out anew what a segment has aborted; it is not read at a start.

use bytes::{Buf, BufMut};
use protocol::ids::{Offset, ProducerId};
use protocol::records::{NO_SEQUENCE, crc32c};

use crate::producers::{BatchMark, ProducerState, Producers};

const VERSION: i16 = 1;
/// Behind the version and the checksum.
const ENTRIES_AT: usize = 6;
const ENTRY_BYTES: usize = 46;

/// The file's bytes.
#[must_use]
pub fn encode(producers: &Producers) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ENTRIES_AT + 4 + producers.len() * ENTRY_BYTES);
    bytes.put_i16(VERSION);
    bytes.put_u32(0);
    bytes.put_u32(u32::try_from(producers.len()).expect("producers of a partition are few"));
    for (id, state) in producers.iter() {
        let last = state.batches.back();
        bytes.put_i64(id.0);
        bytes.put_i16(state.epoch);
        bytes.put_i32(last.map_or(-1, |mark| mark.last_sequence));
        bytes.put_i64(last.map_or(-1, |mark| mark.last_offset.0));
        let delta = last.map_or(0, |mark| mark.last_offset - mark.base_offset);
        bytes.put_i32(i32::try_from(delta).expect("a batch's offsets fit its header"));
        bytes.put_i64(state.last_timestamp_ms);
        bytes.put_i32(state.coordinator_epoch);
        bytes.put_i64(state.transaction.unwrap_or(Offset::NONE).0);
    }
    let crc = crc32c(bytes.get(ENTRIES_AT..).unwrap_or_default());
    if let Some(at) = bytes.get_mut(2..ENTRIES_AT) {
        at.copy_from_slice(&crc.to_be_bytes());
    }
    bytes
}

/// What the snapshot at `offset` says, or `None` if it is damaged.
#[must_use]
pub fn decode(mut bytes: &[u8], offset: Offset) -> Option<Producers> {
    let crc = crc32c(bytes.get(ENTRIES_AT..)?);
    let from = &mut bytes;
    if from.try_get_i16().ok()? != VERSION || from.try_get_u32().ok()? != crc {
        return None;
    }
    let count = usize::try_from(from.try_get_u32().ok()?).ok()?;
    if count > from.remaining() / ENTRY_BYTES {
        return None;
    }
    let known: Option<Vec<_>> = (0..count).map(|_| entry(from)).collect();
    Some(Producers::new(known?, [], offset, offset))
}

fn entry(from: &mut &[u8]) -> Option<(ProducerId, ProducerState)> {
    let id = ProducerId(from.try_get_i64().ok()?);
    let epoch = from.try_get_i16().ok()?;
    let last_sequence = from.try_get_i32().ok()?;
    let last_offset = Offset(from.try_get_i64().ok()?);
    let delta = from.try_get_i32().ok()?;
    let timestamp_ms = from.try_get_i64().ok()?;
    let coordinator_epoch = from.try_get_i32().ok()?;
    let transaction = Offset(from.try_get_i64().ok()?).known();
    let mark = BatchMark {
        first_sequence: first_sequence(last_sequence, delta),
        last_sequence,
        base_offset: Offset(last_offset.0.checked_sub(i64::from(delta))?),
        last_offset,
        timestamp_ms,
    };
    let batches = if last_offset.is_none() { [].into() } else { [mark].into() };
    let state = ProducerState {
        coordinator_epoch,
        transaction,
        batches,
        last_timestamp_ms: timestamp_ms,
        ..ProducerState::new(epoch, timestamp_ms)
    };
    Some((id, state))
}

/// Of a batch that ends with `last`, `delta` behind its first record.
fn first_sequence(last: i32, delta: i32) -> i32 {
    match last.checked_sub(delta) {
        _ if last == NO_SEQUENCE => NO_SEQUENCE,
        Some(first) if first >= 0 => first,
        // The batch went round the largest sequence.
        _ => i32::MAX.wrapping_sub(delta.wrapping_sub(last).wrapping_sub(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::ids::{LeaderEpoch, ProducerEpoch};
    use protocol::records::{Attributes, BatchHeader, TxnMarker};

    /// Two producers with batches, one with an open transaction, and one that is known by a marker.
    fn some() -> Producers {
        let mut producers = Producers::default();
        for (id, first, delta, transactional) in [
            (1, 0, 4, false),
            (1, 5, 0, false),
            (9, i32::MAX - 1, 4, false),
            (11, 7, 1, true),
            (12, -1, 3, true),
        ] {
            let base_offset = producers.end();
            let header = BatchHeader {
                base_offset,
                batch_length: 100,
                partition_leader_epoch: LeaderEpoch(0),
                crc: 0,
                attributes: Attributes::default().with_transactional(transactional),
                last_offset_delta: delta,
                base_timestamp: 77,
                max_timestamp: 77 + id,
                producer_id: ProducerId(id),
                producer_epoch: ProducerEpoch(2),
                base_sequence: first,
                record_count: delta + 1,
            };
            assert_eq!(producers.apply(&header, None, 77), None);
        }
        let marker = TxnMarker { commit: true, coordinator_epoch: 6 };
        let mut batch = marker.to_batch(ProducerId(10), ProducerEpoch(3), 99, false).unwrap();
        batch.assign(producers.end(), LeaderEpoch(0));
        assert_eq!(producers.apply(batch.header(), Some(marker), 99), None);
        producers
    }

    #[test]
    fn the_last_batch_and_the_transaction_come_back() {
        let producers = some();
        let bytes = encode(&producers);
        let back = decode(&bytes, producers.end()).expect("undamaged");
        let facts = |producers: &Producers| -> Vec<_> {
            let fact = |(id, state): (ProducerId, &ProducerState)| {
                let ProducerState { epoch, coordinator_epoch, transaction, last_timestamp_ms, .. } = *state;
                (id, epoch, coordinator_epoch, transaction, last_timestamp_ms, state.batches.back().copied())
            };
            producers.iter().map(fact).collect()
        };
        assert_eq!(facts(&back), facts(&producers));
        assert_eq!((back.end(), back.first_unstable()), (producers.end(), producers.first_unstable()));
        assert!(back.first_unstable().is_some());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(decode(&damaged, producers.end()), None, "byte {at}");
            assert_eq!(decode(&bytes[..at], producers.end()), None, "cut at {at}");
        }
    }
}
