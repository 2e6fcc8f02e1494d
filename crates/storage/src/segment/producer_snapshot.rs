//! The `<offset>.snapshot` file: producers' last batches when the segment at `offset` was begun, in Kafka's format.
//!
//! Kafka keeps one batch of each producer there; all five are in our checkpoint. The file is written for Kafka's
//! tools and for truncation, not read at a start.

use bytes::{Buf, BufMut};
use protocol::ids::{Offset, ProducerId};
use protocol::records::crc32c;

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
        bytes.put_i64(last.map_or(-1, |mark| mark.timestamp_ms));
        // Coordinator epoch and first offset of an open transaction: none.
        bytes.put_i32(-1);
        bytes.put_i64(-1);
    }
    let crc = crc32c(bytes.get(ENTRIES_AT..).unwrap_or_default());
    if let Some(at) = bytes.get_mut(2..ENTRIES_AT) {
        at.copy_from_slice(&crc.to_be_bytes());
    }
    bytes
}

/// What a snapshot says, or `None` if it is damaged.
#[must_use]
pub fn decode(mut bytes: &[u8]) -> Option<Producers> {
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
    Some(Producers::new(known?))
}

fn entry(from: &mut &[u8]) -> Option<(ProducerId, ProducerState)> {
    let id = ProducerId(from.try_get_i64().ok()?);
    let epoch = from.try_get_i16().ok()?;
    let last_sequence = from.try_get_i32().ok()?;
    let last_offset = Offset(from.try_get_i64().ok()?);
    let delta = from.try_get_i32().ok()?;
    let timestamp_ms = from.try_get_i64().ok()?;
    from.try_get_i32().ok()?;
    from.try_get_i64().ok()?;
    let mark = BatchMark {
        first_sequence: last_sequence.checked_sub(delta).filter(|first| *first >= 0).unwrap_or_else(|| {
            // The batch went round the largest sequence.
            i32::MAX.wrapping_sub(delta.wrapping_sub(last_sequence).wrapping_sub(1))
        }),
        last_sequence,
        base_offset: Offset(last_offset.0.checked_sub(i64::from(delta))?),
        last_offset,
        timestamp_ms,
    };
    let batches = if last_offset.is_none() { [].into() } else { [mark].into() };
    Some((id, ProducerState { epoch, batches, last_seen_ms: timestamp_ms }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_batch_comes_back() {
        let mut producers = Producers::default();
        for (id, first, last, base) in [(1, 0, 4, 10), (1, 5, 5, 15), (9, i32::MAX - 1, 2, 16)] {
            let records = i64::from(last) - i64::from(first);
            let records = if records < 0 { records + (1 << 31) } else { records };
            let mark = BatchMark {
                first_sequence: first,
                last_sequence: last,
                base_offset: Offset(base),
                last_offset: Offset(base + records),
                timestamp_ms: 77,
            };
            producers.apply(ProducerId(id), 2, mark, 77);
        }
        let bytes = encode(&producers);
        let back = decode(&bytes).expect("undamaged");
        let last: Vec<_> = producers.iter().map(|(id, state)| (id, state.batches.back().copied())).collect();
        assert_eq!(
            back.iter().map(|(id, state)| (id, state.batches.back().copied())).collect::<Vec<_>>(),
            last
        );
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(decode(&damaged), None, "byte {at}");
            assert_eq!(decode(&bytes[..at]), None, "cut at {at}");
        }
    }
}
