//! The bytes of a round, `docs/format/journal.md`: a header, a head for each entry, the payloads, zeros up to the
//! next block. All integers are big-endian.
//!
//! Invariants:
//! * The header's checksum covers the directory's id, the header and every head; a head's checksum covers the
//!   head and its payload. Together they cover everything but the padding.
//! * Nothing read back is believed before its checksum has matched, except for lengths, which are compared with
//!   the bytes at hand first.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use host::disk::{AlignedBuf, AlignedPool, BLOCK_BYTES};
use protocol::Uuid;
use protocol::ids::{LeaderEpoch, Offset, TopicId};

use super::{Body, ENTRY_HEAD_BYTES, Entry};
use crate::crc::{crc32c, joined};
use crate::{PartitionKey, Position};

pub(super) const MAGIC: u64 = u64::from_be_bytes(*b"BournJ01");
pub(super) const HEADER_BYTES: usize = 64;

/// Where the header's checksum stands, and what it begins to cover behind itself.
const CRC_AT: usize = 8;
const CRC_END: usize = 12;
/// Where a head's checksum stands.
const HEAD_CRC_AT: usize = 40;

/// Where in the payload of an append the batch's own CRC ends, which covers everything behind it.
const BATCH_CRC_END: usize = 5;
/// A smaller one is faster to go through than to count in.
const JOIN_BYTES_MIN: usize = 16 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RoundHeader {
    /// Which start of the process wrote it.
    pub(super) incarnation: u64,
    /// Rounds are numbered over the life of the directory, from 1 on.
    pub(super) number: u64,
    /// Every round up to this one was synced when this one was written.
    pub(super) synced: u64,
    /// Position of the round's first byte.
    pub(super) start: Position,
    pub(super) entries: u32,
    pub(super) payload_bytes: u32,
}

impl RoundHeader {
    /// Reads the fixed part. A result means that the bytes look like a round, not that they are one.
    pub(super) fn parse(mut from: &[u8]) -> Option<Self> {
        if from.try_get_u64().ok()? != MAGIC {
            return None;
        }
        from.try_get_u32().ok()?;
        let entries = from.try_get_u32().ok()?;
        Some(Self {
            incarnation: from.try_get_u64().ok()?,
            number: from.try_get_u64().ok()?,
            synced: from.try_get_u64().ok()?,
            start: Position(from.try_get_u64().ok()?),
            entries,
            payload_bytes: from.try_get_u32().ok()?,
        })
    }

    /// Header and heads, what the header's checksum covers.
    pub(super) fn checked_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.entries) * ENTRY_HEAD_BYTES as u64
    }

    /// What the round takes in its file.
    pub(super) fn round_bytes(&self) -> u64 {
        whole_blocks(self.checked_bytes() + u64::from(self.payload_bytes))
    }

    /// Whether `checked`, the [`Self::checked_bytes`] of the round, are as they were written in directory `id`.
    pub(super) fn is_intact(id: Uuid, checked: &[u8]) -> bool {
        let (Some(mut stored), Some(covered)) = (checked.get(CRC_AT..CRC_END), checked.get(CRC_END..)) else {
            return false;
        };
        stored.try_get_u32() == Ok(crc32c([id.as_bytes().as_slice(), covered]))
    }
}

pub(super) fn whole_blocks(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK_BYTES as u64)
}

/// The bytes of a round with these entries.
pub(super) fn encode_round<'a>(
    pool: &AlignedPool,
    id: Uuid,
    header: &RoundHeader,
    entries: impl Iterator<Item = &'a Entry> + Clone,
) -> Bytes {
    let bytes = usize::try_from(header.round_bytes()).expect("a round fits into memory");
    let mut round = pool.take(bytes);
    let mut fixed = Vec::with_capacity(HEADER_BYTES);
    fixed.put_u64(MAGIC);
    fixed.put_u32(0);
    fixed.put_u32(header.entries);
    fixed.put_u64(header.incarnation);
    fixed.put_u64(header.number);
    fixed.put_u64(header.synced);
    fixed.put_u64(header.start.0);
    fixed.put_u32(header.payload_bytes);
    fixed.resize(HEADER_BYTES, 0);
    round.extend_from_slice(&fixed);
    for entry in entries.clone() {
        round.extend_from_slice(&encode_head(entry));
    }
    let checked = round.len();
    for entry in entries {
        with_payload(&entry.body, |payload| round.extend_from_slice(payload));
    }
    put_checksum(&mut round, id, checked);
    round.pad_to_block();
    round.freeze()
}

fn put_checksum(round: &mut AlignedBuf, id: Uuid, checked: usize) {
    let covered = round.as_slice().get(CRC_END..checked).unwrap_or_default();
    let crc = crc32c([id.as_bytes().as_slice(), covered]);
    if let Some(mut at) = round.as_mut_slice().get_mut(CRC_AT..CRC_END) {
        at.put_u32(crc);
    }
}

mod kind {
    pub(super) const APPEND: u8 = 1;
    pub(super) const TRUNCATE: u8 = 2;
    pub(super) const LOG_START: u8 = 3;
    pub(super) const EPOCH_START: u8 = 4;
    pub(super) const CREATE: u8 = 5;
    pub(super) const DELETE: u8 = 6;
    pub(super) const MOVED_AWAY: u8 = 7;
}

fn encode_head(entry: &Entry) -> [u8; ENTRY_HEAD_BYTES] {
    let (kind, epoch, offset) = match entry.body {
        Body::Append { leader_epoch, base_offset, .. } => (kind::APPEND, leader_epoch, base_offset),
        Body::Truncate { end, leader_epoch } => (kind::TRUNCATE, leader_epoch, end),
        Body::LogStart { offset } => (kind::LOG_START, LeaderEpoch::NONE, offset),
        Body::EpochStart { leader_epoch, start_offset } => (kind::EPOCH_START, leader_epoch, start_offset),
        Body::Create { start_offset, .. } => (kind::CREATE, LeaderEpoch::NONE, start_offset),
        Body::Delete => (kind::DELETE, LeaderEpoch::NONE, Offset::NONE),
        Body::MovedAway { .. } => (kind::MOVED_AWAY, LeaderEpoch::NONE, Offset::NONE),
    };
    let mut head = [0; ENTRY_HEAD_BYTES];
    let mut to = head.as_mut_slice();
    to.put_slice(entry.key.topic_id.0.as_bytes());
    to.put_i32(entry.key.partition);
    to.put_u32(u32::from(kind));
    to.put_i32(epoch.0);
    to.put_i64(offset.0);
    to.put_u32(u32::try_from(entry.body.payload_bytes()).expect("an entry is smaller than the ring"));
    let crc = head_crc(head.get(..HEAD_CRC_AT).unwrap_or_default(), &entry.body);
    if let Some(mut at) = head.get_mut(HEAD_CRC_AT..) {
        at.put_u32(crc);
    }
    head
}

/// Over the head so far and the payload. Nothing is appended before the CRC of a batch has been checked, so that of a large
/// one need not be found anew. If its bytes have changed in memory since, replay sees that they are not those.
fn head_crc(covered: &[u8], body: &Body) -> u32 {
    if let Body::Append { batch, .. } = body
        && batch.len() >= JOIN_BYTES_MIN
        && let Some((front, rest)) = batch.split_at_checked(BATCH_CRC_END)
        && let (Some(crc), Ok(bytes)) = (front.last_chunk(), u32::try_from(rest.len()))
    {
        return joined(crc32c([covered, front]), u32::from_be_bytes(*crc), bytes);
    }
    with_payload(body, |payload| crc32c([covered, payload]))
}

fn with_payload<T>(body: &Body, act: impl FnOnce(&[u8]) -> T) -> T {
    match body {
        Body::Append { batch, .. } => act(batch),
        Body::Create { topic, .. } => act(topic.as_bytes()),
        Body::MovedAway { directory } => act(directory.as_bytes()),
        Body::Truncate { .. } | Body::LogStart { .. } | Body::EpochStart { .. } | Body::Delete => act(&[]),
    }
}

/// A head as read back; the round's checksum has vouched for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryHead {
    pub(super) key: PartitionKey,
    pub(super) payload_bytes: u32,
    kind: u32,
    leader_epoch: LeaderEpoch,
    offset: Offset,
}

impl EntryHead {
    pub(super) fn parse(mut from: &[u8]) -> Option<Self> {
        let topic_id = TopicId(Uuid::from_bytes(from.try_get_u128().ok()?.to_be_bytes()));
        let key = PartitionKey { topic_id, partition: from.try_get_i32().ok()? };
        let kind = from.try_get_u32().ok()?;
        let leader_epoch = LeaderEpoch(from.try_get_i32().ok()?);
        let offset = Offset(from.try_get_i64().ok()?);
        Some(Self { key, payload_bytes: from.try_get_u32().ok()?, kind, leader_epoch, offset })
    }

    /// Of an append.
    pub(super) fn base_offset(&self) -> Option<Offset> {
        (self.kind == u32::from(kind::APPEND)).then_some(self.offset)
    }

    /// The partition begins with it.
    pub(super) fn creates(&self) -> bool {
        self.kind == u32::from(kind::CREATE)
    }

    /// The entry, unless the payload is not the one that was written. `head` is what this was parsed from.
    pub(super) fn entry(&self, head: &[u8], payload: &[u8]) -> Result<Entry, EntryDamage> {
        let (Some(covered), Some(mut stored)) = (head.get(..HEAD_CRC_AT), head.get(HEAD_CRC_AT..)) else {
            return Err(EntryDamage::Payload);
        };
        if stored.try_get_u32() != Ok(crc32c([covered, payload])) {
            return Err(EntryDamage::Payload);
        }
        let (leader_epoch, offset) = (self.leader_epoch, self.offset);
        let body = match u8::try_from(self.kind) {
            Ok(kind::APPEND) => {
                Body::Append { leader_epoch, base_offset: offset, batch: Bytes::copy_from_slice(payload) }
            }
            Ok(kind::TRUNCATE) => Body::Truncate { end: offset, leader_epoch },
            Ok(kind::LOG_START) => Body::LogStart { offset },
            Ok(kind::EPOCH_START) => Body::EpochStart { leader_epoch, start_offset: offset },
            Ok(kind::CREATE) => {
                let topic = std::str::from_utf8(payload).map_err(|_| EntryDamage::Unknown)?;
                Body::Create { topic: Arc::from(topic), start_offset: offset }
            }
            Ok(kind::DELETE) => Body::Delete,
            Ok(kind::MOVED_AWAY) => {
                let id: [u8; 16] = payload.try_into().map_err(|_| EntryDamage::Unknown)?;
                Body::MovedAway { directory: Uuid::from_bytes(id) }
            }
            _ => return Err(EntryDamage::Unknown),
        };
        Ok(Entry { key: self.key, body })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryDamage {
    /// The payload is not what the checksum was made of.
    Payload,
    /// Intact, but of a kind that this version does not know.
    Unknown,
}
