//! The bytes of a section, `docs/format/checkpoint.md`. All integers are big-endian.

use bytes::{Buf, BufMut, Bytes};
use protocol::Uuid;
use protocol::ids::TopicId;

use super::{Record, Section};
use crate::crc::crc32c;
use crate::journal::{Known, Mark, Place, RingSize};
use crate::{PartitionKey, Position};

const MAGIC: u64 = u64::from_be_bytes(*b"BournC01");
pub(super) const HEADER_BYTES: usize = 96;
const CRC_AT: usize = 8;
const CRC_END: usize = 12;

/// Sections begin at multiples of it.
pub(super) const SECTION_ALIGNMENT: u64 = 512;

/// A removed partition has this length instead of a state.
const REMOVED: u32 = u32::MAX;
const NO_FILE: u32 = u32::MAX;
const CLEAN: u32 = 1;
/// Files of the ring are whole blocks.
const RING_BLOCK_BYTES: u64 = host::disk::BLOCK_BYTES as u64;

/// What stands before the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) sequence: u64,
    pub(super) known: Known,
    pub(super) clean: bool,
    pub(super) records: u32,
    pub(super) body_bytes: u64,
}

impl Header {
    /// Looks like a header; the checksum is another matter.
    pub(super) fn parse(mut from: &[u8]) -> Option<Self> {
        if from.try_get_u64().ok()? != MAGIC {
            return None;
        }
        from.try_get_u32().ok()?;
        let flags = from.try_get_u32().ok()?;
        let sequence = from.try_get_u64().ok()?;
        let body_bytes = from.try_get_u64().ok()?;
        let records = from.try_get_u32().ok()?;
        let file_id = from.try_get_u32().ok()?;
        let incarnation = from.try_get_u64().ok()?;
        let synced_round = from.try_get_u64().ok()?;
        let position = Position(from.try_get_u64().ok()?);
        let round = from.try_get_u64().ok()?;
        let mark_incarnation = from.try_get_u64().ok()?;
        let offset = from.try_get_u64().ok()?;
        let place = (file_id != NO_FILE).then_some(Place { file_id, offset });
        let mark = Mark { position, round, incarnation: mark_incarnation, place };
        let files = from.try_get_u32().ok()?;
        let blocks = u64::from(from.try_get_u32().ok()?);
        let ring = RingSize { files, bytes: blocks * RING_BLOCK_BYTES };
        let known = Known { mark, incarnation, synced_round, ring };
        Some(Self { sequence, known, clean: flags & CLEAN != 0, records, body_bytes })
    }

    /// Where the next section begins, counted from this one's beginning.
    pub(super) fn section_bytes(&self) -> u64 {
        let bytes = self.body_bytes.saturating_add(HEADER_BYTES as u64);
        bytes.checked_next_multiple_of(SECTION_ALIGNMENT).unwrap_or(u64::MAX)
    }
}

/// Whether `section`, header and body, is what was written in directory `id`.
pub(super) fn is_intact(id: Uuid, section: &[u8]) -> bool {
    let (Some(mut stored), Some(covered)) = (section.get(CRC_AT..CRC_END), section.get(CRC_END..)) else {
        return false;
    };
    stored.try_get_u32() == Ok(crc32c([id.as_bytes().as_slice(), covered]))
}

pub(super) fn encode(id: Uuid, sequence: u64, section: &Section) -> Bytes {
    let body_bytes: usize = section.changed.iter().map(|record| 32 + record.state.len()).sum();
    let body_bytes = body_bytes + section.removed.len() * 32;
    let mut to = Vec::with_capacity(HEADER_BYTES + body_bytes + 512);
    let Known { mark, incarnation, synced_round, ring } = section.known;
    let records = section.changed.len() + section.removed.len();
    to.put_u64(MAGIC);
    to.put_u32(0);
    to.put_u32(if section.clean { CLEAN } else { 0 });
    to.put_u64(sequence);
    to.put_u64(body_bytes as u64);
    to.put_u32(u32::try_from(records).expect("a node has fewer than 2^32 partitions"));
    to.put_u32(mark.place.map_or(NO_FILE, |place| place.file_id));
    to.put_u64(incarnation);
    to.put_u64(synced_round);
    to.put_u64(mark.position.0);
    to.put_u64(mark.round);
    to.put_u64(mark.incarnation);
    to.put_u64(mark.place.map_or(0, |place| place.offset));
    to.put_u32(ring.files);
    to.put_u32(u32::try_from(ring.bytes / RING_BLOCK_BYTES).unwrap_or(u32::MAX));
    debug_assert_eq!(to.len(), HEADER_BYTES);
    for record in &section.changed {
        put_key(&mut to, record.key);
        to.put_u64(record.as_of.0);
        to.put_u32(u32::try_from(record.state.len()).expect("a state is smaller than 4 GiB"));
        to.put_slice(&record.state);
    }
    for key in &section.removed {
        put_key(&mut to, *key);
        to.put_u64(0);
        to.put_u32(REMOVED);
    }
    let crc = crc32c([id.as_bytes().as_slice(), to.get(CRC_END..).unwrap_or_default()]);
    if let Some(mut at) = to.get_mut(CRC_AT..CRC_END) {
        at.put_u32(crc);
    }
    to.resize(to.len().next_multiple_of(512), 0);
    to.into()
}

fn put_key(to: &mut Vec<u8>, key: PartitionKey) {
    to.put_slice(key.topic_id.0.as_bytes());
    to.put_i32(key.partition);
}

/// The next record of a body: a state, or the key of a removed partition.
pub(super) fn next_record(from: &mut Bytes) -> Option<Result<Record, PartitionKey>> {
    let topic_id = TopicId(Uuid::from_bytes(from.try_get_u128().ok()?.to_be_bytes()));
    let key = PartitionKey { topic_id, partition: from.try_get_i32().ok()? };
    let as_of = Position(from.try_get_u64().ok()?);
    let len = from.try_get_u32().ok()?;
    if len == REMOVED {
        return Some(Err(key));
    }
    let len = usize::try_from(len).ok()?;
    (len <= from.len()).then(|| Ok(Record { key, as_of, state: from.split_to(len) }))
}
