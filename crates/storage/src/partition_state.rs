//! [`PartitionState`]: what a checkpoint holds of one partition.
//!
//! Invariants:
//! * Everything below `synced.end` is in the segments and synced; what lies behind it is in the journal.
//! * Epochs and producers may know more than `synced.end`; recovery cuts them back to what it found.
//! * [`PartitionState::decode`] allocates no more than the bytes it reads account for.
//!
//! Does not know: checksums and framing (the checkpoint's), the journal.

use std::sync::Arc;

use bytes::{Buf, BufMut};
use protocol::Uuid;
use protocol::ids::{LeaderEpoch, Offset, TopicId};

use crate::PartitionKey;
use crate::epochs::EpochEntry;
use crate::producers::{self, Producers};
use crate::segment::{SealedSegment, SegmentState};

const VERSION: u8 = 5;

/// Bytes of one encoded item of each list: a bound for its length.
const SEALED_BYTES: usize = 64;
const EPOCH_BYTES: usize = 12;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    pub key: PartitionKey,
    /// For the directory's name and for people.
    pub topic: Arc<str>,
    /// The segments before `synced`, oldest first: whole and synced.
    pub sealed: Vec<SealedSegment>,
    /// The segment in which the synced part ends, up to there.
    pub synced: SegmentState,
    /// A truncation that the files have not followed yet: what is at or behind this offset is gone.
    pub cut: Option<Offset>,
    pub log_start: Offset,
    pub high_watermark: Offset,
    /// What is below is compacted.
    pub cleaned: Offset,
    /// The number of the last replacement.
    pub replacements: u64,
    /// What takes the place of the segments from its base to its end, if that may not have happened to all of the files yet.
    pub replacing: Option<SealedSegment>,
    pub epochs: Vec<EpochEntry>,
    pub producers: Producers,
}

/// The bytes are not a partition's state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("damaged state of a partition: {what}")]
pub struct DecodeError {
    pub what: &'static str,
}

impl PartitionState {
    /// A partition in which nothing has happened yet.
    #[must_use]
    pub fn empty(key: PartitionKey, topic: Arc<str>) -> Self {
        Self {
            key,
            topic,
            sealed: Vec::new(),
            synced: SegmentState::new(Offset::ZERO, 0),
            cut: None,
            log_start: Offset::ZERO,
            high_watermark: Offset::ZERO,
            cleaned: Offset::ZERO,
            replacements: 0,
            replacing: None,
            epochs: Vec::new(),
            producers: Producers::default(),
        }
    }

    pub fn encode(&self, to: &mut Vec<u8>) {
        to.put_u8(VERSION);
        to.put_slice(self.key.topic_id.0.as_bytes());
        to.put_i32(self.key.partition);
        put_len(to, self.topic.len());
        to.put_slice(self.topic.as_bytes());
        to.put_i64(self.log_start.0);
        to.put_i64(self.high_watermark.0);
        to.put_i64(self.cleaned.0);
        to.put_u64(self.replacements);
        put_list(to, self.replacing.iter(), put_sealed);
        put_segment(to, &self.synced);
        to.put_i64(self.cut.unwrap_or(Offset::NONE).0);
        put_list(to, self.sealed.iter(), put_sealed);
        put_list(to, self.epochs.iter(), |to, entry| {
            to.put_i32(entry.epoch.0);
            to.put_i64(entry.start.0);
        });
        producers::encoding::put(to, &self.producers);
    }

    /// Reads one state and leaves `from` behind it.
    pub fn decode(from: &mut &[u8]) -> Result<Self, DecodeError> {
        if from.try_get_u8()? != VERSION {
            return Err(DecodeError { what: "unknown version" });
        }
        let topic_id = TopicId(Uuid::from_bytes(from.try_get_u128()?.to_be_bytes()));
        let key = PartitionKey { topic_id, partition: from.try_get_i32()? };
        let len = get_len(from, 1)?;
        let (topic, rest) = from.split_at_checked(len).ok_or(CUT_OFF)?;
        let topic = std::str::from_utf8(topic).map_err(|_| DecodeError { what: "topic is not text" })?;
        *from = rest;
        let log_start = Offset(from.try_get_i64()?);
        let high_watermark = Offset(from.try_get_i64()?);
        let cleaned = Offset(from.try_get_i64()?);
        let replacements = from.try_get_u64()?;
        let replacing = get_list(from, SEALED_BYTES, get_sealed)?.pop();
        let synced = get_segment(from)?;
        let cut = Offset(from.try_get_i64()?).known();
        let sealed = get_list(from, SEALED_BYTES, get_sealed)?;
        let epochs = get_list(from, EPOCH_BYTES, |from| {
            let epoch = LeaderEpoch(from.try_get_i32()?);
            Ok(EpochEntry { epoch, start: Offset(from.try_get_i64()?) })
        })?;
        let producers = producers::encoding::get(from)?;
        let topic = Arc::from(topic);
        Ok(Self {
            key,
            topic,
            sealed,
            synced,
            cut,
            log_start,
            high_watermark,
            cleaned,
            replacements,
            replacing,
            epochs,
            producers,
        })
    }
}

const CUT_OFF: DecodeError = DecodeError { what: "cut off" };

impl From<bytes::TryGetError> for DecodeError {
    fn from(_: bytes::TryGetError) -> Self {
        CUT_OFF
    }
}

fn put_len(to: &mut Vec<u8>, len: usize) {
    to.put_u32(u32::try_from(len).expect("a list in a checkpoint has fewer than 2^32 items"));
}

pub(crate) fn put_list<T>(
    to: &mut Vec<u8>,
    items: impl ExactSizeIterator<Item = T>,
    put: impl Fn(&mut Vec<u8>, T),
) {
    put_len(to, items.len());
    for item in items {
        put(to, item);
    }
}

/// The length of a list whose items take at least `item_bytes` each.
fn get_len(from: &mut &[u8], item_bytes: usize) -> Result<usize, DecodeError> {
    let len = usize::try_from(from.try_get_u32()?).map_err(|_| CUT_OFF)?;
    if len > from.remaining() / item_bytes { Err(CUT_OFF) } else { Ok(len) }
}

pub(crate) fn get_list<T>(
    from: &mut &[u8],
    item_bytes: usize,
    mut get: impl FnMut(&mut &[u8]) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    (0..get_len(from, item_bytes)?).map(|_| get(from)).collect()
}

fn put_segment(to: &mut Vec<u8>, state: &SegmentState) {
    to.put_i64(state.base.0);
    to.put_i64(state.end.0);
    to.put_u32(state.bytes);
    to.put_u32(state.heads_crc);
    to.put_i64(state.first_timestamp_ms);
    to.put_i64(state.max_timestamp_ms);
    to.put_i64(state.max_timestamp_offset.0);
    to.put_i64(state.created_ms);
    to.put_u32(state.bytes_since_index);
    to.put_u32(state.offset_entries);
    to.put_u32(state.time_entries);
    to.put_u32(state.aborted_entries);
    to.put_u32(state.aborted_crc);
    to.put_i64(state.last_time_entry_ms);
}

fn get_segment(from: &mut &[u8]) -> Result<SegmentState, DecodeError> {
    let state = SegmentState {
        base: Offset(from.try_get_i64()?),
        end: Offset(from.try_get_i64()?),
        bytes: from.try_get_u32()?,
        heads_crc: from.try_get_u32()?,
        first_timestamp_ms: from.try_get_i64()?,
        max_timestamp_ms: from.try_get_i64()?,
        max_timestamp_offset: Offset(from.try_get_i64()?),
        created_ms: from.try_get_i64()?,
        bytes_since_index: from.try_get_u32()?,
        offset_entries: from.try_get_u32()?,
        time_entries: from.try_get_u32()?,
        aborted_entries: from.try_get_u32()?,
        aborted_crc: from.try_get_u32()?,
        last_time_entry_ms: from.try_get_i64()?,
        ..SegmentState::new(Offset::ZERO, 0)
    };
    if state.base.is_none() || state.end < state.base {
        return Err(DecodeError { what: "offsets of a segment" });
    }
    Ok(state)
}

fn put_sealed(to: &mut Vec<u8>, sealed: &SealedSegment) {
    to.put_i64(sealed.base.0);
    to.put_i64(sealed.end.0);
    to.put_u32(sealed.bytes);
    to.put_u32(sealed.heads_crc);
    to.put_i64(sealed.first_timestamp_ms);
    to.put_i64(sealed.max_timestamp_ms);
    to.put_i64(sealed.max_timestamp_offset.0);
    to.put_i64(sealed.created_ms);
    to.put_u32(sealed.aborted_entries);
    to.put_u32(sealed.aborted_crc);
}

fn get_sealed(from: &mut &[u8]) -> Result<SealedSegment, DecodeError> {
    let sealed = SealedSegment {
        base: Offset(from.try_get_i64()?),
        end: Offset(from.try_get_i64()?),
        bytes: from.try_get_u32()?,
        heads_crc: from.try_get_u32()?,
        first_timestamp_ms: from.try_get_i64()?,
        max_timestamp_ms: from.try_get_i64()?,
        max_timestamp_offset: Offset(from.try_get_i64()?),
        created_ms: from.try_get_i64()?,
        aborted_entries: from.try_get_u32()?,
        aborted_crc: from.try_get_u32()?,
    };
    if sealed.base.is_none() || sealed.end < sealed.base {
        return Err(DecodeError { what: "offsets of a segment" });
    }
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::ids::ProducerId;

    use crate::producers::{BatchMark, ProducerState, Replaced};

    fn example() -> PartitionState {
        let key = PartitionKey { topic_id: TopicId(Uuid::from_bytes([7; 16])), partition: 3 };
        let mark = |at: i64| BatchMark {
            first_sequence: 1,
            last_sequence: 2,
            base_offset: Offset(at),
            last_offset: Offset(at + 1),
            timestamp_ms: 1_700_000_000_000,
        };
        let batches = [mark(10), mark(12)].into();
        let state = ProducerState {
            coordinator_epoch: 3,
            transaction: Some(Offset(10)),
            batches,
            last_timestamp_ms: 1_700_000_000_000,
            ..ProducerState::new(4, 55)
        };
        let replaced = [
            Replaced { offset: Offset(11), producer_id: ProducerId(77), before: None },
            Replaced { offset: Offset(12), producer_id: ProducerId(77), before: Some(state.clone()) },
        ];
        let producers = Producers::new([(ProducerId(77), state)], replaced, Offset(150), Offset(9));
        let synced = SegmentState { end: Offset(140), bytes: 4_000, ..SegmentState::new(Offset(100), 9) };
        PartitionState {
            sealed: vec![SealedSegment::from(&SegmentState::new(Offset(0), 1))],
            synced,
            cut: Some(Offset(120)),
            log_start: Offset(5),
            high_watermark: Offset(139),
            cleaned: Offset(80),
            replacements: 6,
            replacing: Some(SealedSegment::from(&SegmentState::new(Offset(0), 3))),
            epochs: vec![EpochEntry { epoch: LeaderEpoch(2), start: Offset(0) }],
            producers,
            ..PartitionState::empty(key, Arc::from("flights"))
        }
    }

    #[test]
    fn states_follow_each_other() {
        let (one, two) = (example(), PartitionState::empty(example().key, Arc::from("ü")));
        let mut bytes = Vec::new();
        one.encode(&mut bytes);
        two.encode(&mut bytes);
        let mut left = bytes.as_slice();
        assert_eq!(PartitionState::decode(&mut left), Ok(one));
        assert_eq!(PartitionState::decode(&mut left), Ok(two));
        assert!(left.is_empty());
    }

    #[test]
    fn damage_is_an_error() {
        let mut bytes = Vec::new();
        example().encode(&mut bytes);
        for end in 0..bytes.len() {
            assert!(PartitionState::decode(&mut &bytes[..end]).is_err(), "cut at {end}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            // Never panics and never asks for more memory than there are bytes; whether it is noticed is the checksum's.
            let _ = PartitionState::decode(&mut damaged.as_slice());
        }
    }
}
