//! One log entry in a log file.
//!
//! Invariants:
//! * The checksum covers the directory's raft id, the file's base index and the position in the file, so a frame
//!   that is copied, moved or left over from elsewhere is not one.
//! * `synced_end` says how far the log was known to be synced when the frame was written: a frame is proof that
//!   every entry before its `synced_end` once was on disk.

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::{self, Malformed, Reader, crc32c};
use crate::raft::{Batch, Entry, Payload, log_id};

/// length, checksum, index, term, synced end, version, kind, reserved
pub(crate) const HEADER_BYTES: usize = 4 + 4 + 8 + 8 + 8 + 1 + 1 + 2;

/// Largest payload of an entry.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 8 << 20;

const VERSION: u8 = 1;
const KIND_BLANK: u8 = 1;
const KIND_NORMAL: u8 = 2;
const KIND_MEMBERSHIP: u8 = 3;

/// Where a frame stands; part of its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) raft_id: u64,
    pub(crate) base: u64,
    pub(crate) position: u64,
}

impl Place {
    fn bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        let numbers = [self.raft_id, self.base, self.position];
        for (chunk, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            chunk.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }
}

/// A frame read back.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) entry: Entry,
    pub(crate) synced_end: u64,
    /// Length of the whole frame.
    pub(crate) bytes: usize,
}

/// The fixed part of a frame, not yet believed.
struct Header {
    payload_bytes: usize,
    crc: u32,
    index: u64,
    term: u64,
    synced_end: u64,
    version: u8,
    kind: u8,
}

/// Appends the frame of `entry` to `out`.
pub(crate) fn encode(out: &mut BytesMut, entry: &Entry, synced_end: u64, place: Place) {
    let start = out.len();
    out.put_bytes(0, 8);
    out.put_u64(entry.log_id.index);
    out.put_u64(entry.log_id.leader_id.term);
    out.put_u64(synced_end);
    out.put_u8(VERSION);
    let kind = match &entry.payload {
        Payload::Blank => KIND_BLANK,
        Payload::Normal(_) => KIND_NORMAL,
        Payload::Membership(_) => KIND_MEMBERSHIP,
    };
    out.put_u8(kind);
    out.put_u16(0);
    match &entry.payload {
        Payload::Blank => {}
        Payload::Normal(batch) => out.put_slice(&batch.0),
        Payload::Membership(membership) => codec::put_membership(out, membership),
    }
    let payload_bytes = out.len() - start - HEADER_BYTES;
    let len =
        u32::try_from(payload_bytes).expect("payloads are bounded where they are proposed").to_be_bytes();
    let rest = out.get(start + 8..).unwrap_or_default();
    let crc = crc32c(&[&place.bytes(), &len, rest]).to_be_bytes();
    for (to, from) in out.iter_mut().skip(start).zip(len.into_iter().chain(crc)) {
        *to = from;
    }
}

fn header(bytes: &[u8]) -> Result<Header, Malformed> {
    let mut reader = Reader::new(bytes);
    let header = Header {
        payload_bytes: reader.u32()? as usize,
        crc: reader.u32()?,
        index: reader.u64()?,
        term: reader.u64()?,
        synced_end: reader.u64()?,
        version: reader.u8()?,
        kind: reader.u8()?,
    };
    if header.payload_bytes > PAYLOAD_BYTES_MAX {
        return Err(Malformed("a length is larger than an entry may be"));
    }
    Ok(header)
}

/// Reads the frame at the start of `bytes`, which stands at `place`.
pub(crate) fn decode(bytes: &[u8], place: Place) -> Result<Frame, Malformed> {
    let header = header(bytes)?;
    let len = HEADER_BYTES + header.payload_bytes;
    let frame = bytes.get(..len).ok_or(Malformed("an entry ends behind the file's end"))?;
    let (payload_bytes, rest) = (frame.get(..4).unwrap_or_default(), frame.get(8..).unwrap_or_default());
    if crc32c(&[&place.bytes(), payload_bytes, rest]) != header.crc {
        return Err(Malformed("the checksum of an entry is wrong"));
    }
    if header.version != VERSION {
        return Err(Malformed("an entry has an unknown version"));
    }
    let payload = frame.get(HEADER_BYTES..).unwrap_or_default();
    let payload = match header.kind {
        KIND_BLANK => Payload::Blank,
        // Copied, so that a small entry does not keep its whole file in memory.
        KIND_NORMAL => Payload::Normal(Batch(Bytes::copy_from_slice(payload))),
        KIND_MEMBERSHIP => {
            let mut reader = Reader::new(payload);
            let membership = codec::take_membership(&mut reader)?;
            reader.end()?;
            Payload::Membership(membership)
        }
        _ => return Err(Malformed("an entry has an unknown kind")),
    };
    let entry = Entry { log_id: log_id(header.term, header.index), payload };
    Ok(Frame { entry, synced_end: header.synced_end, bytes: len })
}

/// Whether some frame behind a damaged one proves that entry `index` was synced. `bytes` starts behind the
/// beginning of the damaged frame, at `place`.
pub(crate) fn proves_synced(bytes: &[u8], place: Place, index: u64) -> bool {
    (0..bytes.len().saturating_sub(HEADER_BYTES - 1)).any(|skip| {
        let rest = bytes.get(skip..).unwrap_or_default();
        // The cheap questions first: almost every offset fails one of them.
        let plausible = header(rest).is_ok_and(|header| {
            header.version == VERSION
                && (KIND_BLANK..=KIND_MEMBERSHIP).contains(&header.kind)
                && header.index > index
                && header.synced_end > index
                && header.synced_end <= header.index
                && header.index - index <= (bytes.len() / HEADER_BYTES) as u64 + 1
        });
        plausible && decode(rest, Place { position: place.position + skip as u64, ..place }).is_ok()
    })
}
