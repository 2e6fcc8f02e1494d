//! Reads a ring file front to back in large pieces, and says whether a round begins at a place.

use std::io;
use std::path::PathBuf;

use host::FileRef;
use host::disk::BLOCK_BYTES;
use protocol::Uuid;

use super::ENTRY_HEAD_BYTES;
use super::format::{EntryDamage, EntryHead, HEADER_BYTES, RoundHeader};
use super::{Entry, RingFile};
use crate::Error;

const PIECE_BYTES: usize = 1 << 20;

/// A file of the ring as it was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) file: RingFile,
    /// For reading, through the page cache.
    pub(super) reader: FileRef,
    /// The round at its beginning, if that is intact; [`Reader::new`] finds out.
    pub(super) first: Option<RoundHeader>,
}

pub(super) type ReadEntry = Result<Entry, (EntryHead, EntryDamage)>;

/// What an intact header vouches for.
#[derive(Debug)]
pub(super) struct ReadRound {
    pub(super) header: RoundHeader,
    /// With the bytes that each takes.
    pub(super) entries: Vec<(u64, ReadEntry)>,
}

#[derive(Debug)]
pub(super) struct Reader {
    id: Uuid,
    pub(super) found: Found,
    buffer: Vec<u8>,
    buffer_start: u64,
}

impl Reader {
    pub(super) fn new(id: Uuid, mut found: Found) -> Result<Self, Error> {
        found.first = None;
        let mut reader = Self { id, found, buffer: Vec::new(), buffer_start: 0 };
        reader.found.first = reader.header(0)?;
        reader.forget();
        Ok(reader)
    }

    /// Gives the memory back.
    pub(super) fn forget(&mut self) {
        self.buffer = Vec::new();
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.found.file.bytes
    }

    /// `len` bytes at `offset`, or `None` if the file ends before.
    pub(super) fn bytes(&mut self, offset: u64, len: u64) -> Result<Option<&[u8]>, Error> {
        if offset.checked_add(len).is_none_or(|end| end > self.file_bytes()) {
            return Ok(None);
        }
        let len = usize::try_from(len).map_err(|_| self.error(io::ErrorKind::OutOfMemory.into()))?;
        if offset < self.buffer_start || offset + len as u64 > self.buffer_start + self.buffer.len() as u64 {
            let left = usize::try_from(self.file_bytes() - offset).unwrap_or(usize::MAX);
            // The first look at a file is for its header only.
            let piece = if self.buffer.is_empty() { BLOCK_BYTES } else { PIECE_BYTES };
            self.buffer.resize(len.max(piece).min(left), 0);
            self.buffer_start = offset;
            let read = self.found.reader.read_at(&mut self.buffer, offset);
            let read = read.map_err(|source| self.error(source))?;
            self.buffer.truncate(read);
        }
        let from = usize::try_from(offset - self.buffer_start).unwrap_or(usize::MAX);
        Ok(self.buffer.get(from..from.saturating_add(len)))
    }

    fn error(&self, source: io::Error) -> Error {
        Error::io(&self.found.path, "read the journal")(source)
    }

    /// The header at `offset` if it and all heads behind it are intact.
    pub(super) fn header(&mut self, offset: u64) -> Result<Option<RoundHeader>, Error> {
        let id = self.id;
        let Some(header) = self.looks_like(offset)? else { return Ok(None) };
        if header.round_bytes() > self.file_bytes() - offset {
            return Ok(None);
        }
        let checked = self.bytes(offset, header.checked_bytes())?;
        Ok(checked.is_some_and(|checked| RoundHeader::is_intact(id, checked)).then_some(header))
    }

    /// The fixed part at `offset`, whether or not its checksum holds.
    pub(super) fn looks_like(&mut self, offset: u64) -> Result<Option<RoundHeader>, Error> {
        Ok(self.bytes(offset, HEADER_BYTES as u64)?.and_then(RoundHeader::parse))
    }

    /// The entries of the round at `offset`, whose header is intact.
    pub(super) fn round(&mut self, offset: u64, header: RoundHeader) -> Result<ReadRound, Error> {
        let mut entries = Vec::new();
        let bytes = self.bytes(offset, header.round_bytes())?.unwrap_or_default();
        let checked = usize::try_from(header.checked_bytes()).unwrap_or(usize::MAX);
        let (heads, mut payloads) = bytes.split_at_checked(checked).unwrap_or_default();
        for head in heads.get(HEADER_BYTES..).unwrap_or_default().chunks_exact(ENTRY_HEAD_BYTES) {
            let Some(parsed) = EntryHead::parse(head) else { continue };
            let len = usize::try_from(parsed.payload_bytes).unwrap_or(usize::MAX);
            let (payload, rest) = payloads.split_at_checked(len).unwrap_or((&[], &[]));
            payloads = rest;
            let bytes = (ENTRY_HEAD_BYTES + payload.len()) as u64;
            entries.push((bytes, parsed.entry(head, payload).map_err(|damage| (parsed, damage))));
        }
        Ok(ReadRound { header, entries })
    }

    /// An intact header of a round behind `number` within `bytes` from `offset` on, that `wanted` accepts.
    pub(super) fn search(
        &mut self,
        offset: u64,
        bytes: u64,
        wanted: impl Fn(&RoundHeader) -> bool,
    ) -> Result<Option<RoundHeader>, Error> {
        let end = offset.saturating_add(bytes).min(self.file_bytes());
        let mut at = offset;
        while at < end {
            // A round's own payload may look like anything, so every block is tried, not every round.
            if self.looks_like(at)?.is_some_and(|header| wanted(&header))
                && let Some(header) = self.header(at)?
            {
                return Ok(Some(header));
            }
            at += BLOCK_BYTES as u64;
        }
        Ok(None)
    }
}
