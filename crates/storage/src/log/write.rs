//! From memory to segment files: paced writes, the closing of segments, syncs. Operations for a lane.
//!
//! Where much is to be written it goes past the page cache, in whole blocks; what is left of the last one stays in memory
//! until there is more of it, or everything is to be written.
//!
//! Invariant: what the file has behind `written` is the beginning of the next batch, in whole blocks, unless a truncation
//! has taken that batch: then the next write cuts the file first.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use host::{File, Files, OpenMode};
use protocol::ids::Offset;

use super::Log;
use super::retention::is_full;
use crate::segment::blocks::{block_below, direct_part, write_blocks};
use crate::segment::index::IndexBytes;
use crate::segment::names::{EPOCHS_FILE, FileKind, METADATA_FILE, partition_metadata, segment_file};
use crate::segment::state::{OFFSET_ENTRY_BYTES, TIME_ENTRY_BYTES};
use crate::segment::txn_index::{self, TXN_ENTRY_BYTES};
use crate::segment::{OpenFiles, SegmentState};

/// One write of this size beside the journal leaves the journal's latency alone; 8 MiB do not. What is less waits for more.
pub const PIECE_BYTES: usize = 256 << 10;
/// Where as much as this is to be written at once, somebody writes in bulk, and each write costs its share of the processor. A
/// request of a virtual disk has room for 254 pages.
pub const WRITE_BYTES_MAX: usize = 1000 << 10;

/// Past the page cache goes what is at least such a part of a piece.
const DIRECT_SHARE: usize = 4;

/// How far a write goes at the end of what there is to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// If there is much more, to the border of a block: the rest of it comes with what is on its way to the journal.
    Blocks,
    /// To its end. What is on its way may be waiting for that.
    Everything,
}

/// What the writer does when it gets to the end of a closed segment.
#[derive(Clone, Debug)]
pub struct Seal {
    /// The segment that comes next, empty.
    pub(super) next: SegmentState,
    /// Producers' state at its base.
    pub(super) snapshot: Vec<u8>,
    /// The text of the leader-epoch checkpoint at its base.
    pub(super) epochs: String,
}

/// A write of batches to the end of a segment, with what belongs to them in the indexes.
#[derive(Debug)]
pub struct SegmentWrite {
    dir: PathBuf,
    topic_id: protocol::ids::TopicId,
    base: Offset,
    position: u64,
    pieces: Vec<Bytes>,
    bytes: usize,
    /// Whole blocks of so many bytes go past the page cache.
    direct_bytes_min: u64,
    /// Something else is behind `position`, which is cut off first.
    cuts: bool,
    /// Space to reserve for the segment when it is begun; set free at its end.
    reserve_bytes: u64,
    index_at: u64,
    time_index_at: u64,
    index: IndexBytes,
    aborted_at: u64,
    aborted: Vec<u8>,
    seal: Option<Seal>,
    batches: usize,
    after: SegmentState,
}

impl SegmentWrite {
    /// Bytes of batches.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Blocking. Running it again after a part of it was done gives the same files.
    pub fn run(&self, files: &dyn Files, open: &OpenFiles) -> io::Result<()> {
        if self.position == 0 {
            self.begin(files, open)?;
        }
        let path = |kind| segment_file(&self.dir, self.base, kind);
        let log = path(FileKind::Log);
        if self.cuts {
            open.get(files, &log)?.set_len(self.position)?;
        }
        write_blocks(files, open, &log, (&self.pieces, self.position), self.direct_bytes_min)?;
        for (kind, at, bytes) in [
            (FileKind::Index, self.index_at, &self.index.offset),
            (FileKind::TimeIndex, self.time_index_at, &self.index.time),
            (FileKind::TxnIndex, self.aborted_at, &self.aborted),
        ] {
            if !bytes.is_empty() {
                open.get_or_create(files, &path(kind))?.write_at(&[Bytes::copy_from_slice(bytes)], at)?;
            }
        }
        let Some(seal) = &self.seal else { return Ok(()) };
        if self.reserve_bytes > 0 {
            open.get(files, &path(FileKind::Log))?.set_len(self.position + self.bytes as u64)?;
        }
        let snapshot = segment_file(&self.dir, seal.next.base, FileKind::Snapshot);
        files.replace(&snapshot, &seal.snapshot)?;
        files.replace(&self.dir.join(EPOCHS_FILE), seal.epochs.as_bytes())
    }

    /// Makes the directory and the segment's files, empty, whatever a former life left under their names.
    fn begin(&self, files: &dyn Files, open: &OpenFiles) -> io::Result<()> {
        files.create_dir_all(&self.dir)?;
        self.begin_metadata(files)?;
        for kind in [FileKind::Log, FileKind::Index, FileKind::TimeIndex] {
            open.get_or_create(files, &segment_file(&self.dir, self.base, kind))?.set_len(0)?;
        }
        let aborted = segment_file(&self.dir, self.base, FileKind::TxnIndex);
        if files.exists(&aborted)? {
            open.get(files, &aborted)?.set_len(0)?;
        }
        if self.reserve_bytes > 0 {
            self.reserve(&*open.get(files, &segment_file(&self.dir, self.base, FileKind::Log))?)?;
        }
        Ok(())
    }

    /// Unsynced, until the first sync of the segment: of thousands of topics with a batch each, two syncs here for each held
    /// up all writes. What power loss leaves of it is written anew, since the segment then is, too.
    fn begin_metadata(&self, files: &dyn Files) -> io::Result<()> {
        let path = self.dir.join(METADATA_FILE);
        let text = partition_metadata(self.topic_id);
        if files.read(&path, 4096).is_ok_and(|found| found == text.as_bytes()) {
            return Ok(());
        }
        let file = files.open(&path, OpenMode::CREATE)?;
        file.set_len(0)?;
        file.write_at(&[Bytes::from(text)], 0)
    }

    /// Only the space: the file stays as long as what is in it, so that nobody meets zeros behind its last batch.
    fn reserve(&self, log: &dyn File) -> io::Result<()> {
        let bytes = self.reserve_bytes;
        match log.allocate(0, bytes) {
            Err(error) if is_full(&error) || error.kind() == io::ErrorKind::Unsupported => {
                let dir = self.dir.display();
                tracing::warn!(%dir, "cannot reserve {bytes} bytes for a segment (preallocate=true): {error}");
                Ok(())
            }
            reserved => reserved,
        }
    }
}

/// A sync of what has been written to segments.
#[derive(Debug)]
pub struct SegmentSync {
    dir: PathBuf,
    /// Each with its files. Of closed ones the indexes are synced too, since recovery believes them; what was aborted is, as soon as
    /// there is any.
    segments: Vec<(Offset, Vec<FileKind>)>,
    names: bool,
    /// What was reserved for the last of them is no longer needed.
    trims: bool,
    /// What had been written through the page cache.
    cached_bytes: u64,
    after: SegmentState,
}

impl SegmentSync {
    /// Blocking.
    pub fn run(&self, files: &dyn Files, open: &OpenFiles) -> io::Result<()> {
        if self.trims {
            let path = segment_file(&self.dir, self.after.base, FileKind::Log);
            open.get(files, &path)?.set_len(u64::from(self.after.bytes))?;
        }
        for (base, kinds) in &self.segments {
            for kind in kinds {
                open.get(files, &segment_file(&self.dir, *base, *kind))?.sync()?;
            }
        }
        if self.names {
            files.open(&self.dir.join(METADATA_FILE), OpenMode::WRITE)?.sync()?;
            files.sync_dir(&self.dir)?;
            if let Some(parent) = self.dir.parent() {
                files.sync_dir(parent)?;
            }
        }
        Ok(())
    }
}

impl Log {
    /// Bytes that are synced in the journal or on their way there, and not written to their segments.
    #[must_use]
    pub fn unwritten_bytes(&self) -> usize {
        self.tail.unwritten_bytes().saturating_sub(self.bytes_ahead())
    }

    /// What the file has of the batch behind `written`.
    fn bytes_ahead(&self) -> usize {
        usize::try_from(self.file_bytes.saturating_sub(u64::from(self.written.bytes))).unwrap_or(0)
    }

    /// Whether a closed segment waits for the rest of its batches.
    #[must_use]
    pub fn has_unwritten_segment(&self) -> bool {
        !self.seals.is_empty()
    }

    /// Whether something is written and not synced.
    #[must_use]
    pub fn needs_sync(&self) -> bool {
        self.synced.end < self.written.end || self.synced.base < self.written.base || self.wants_trim()
    }

    /// Nothing is appended any more: what is reserved for the open segment is set free with the next sync.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// Not before everything is written: writes go on beside a sync.
    fn wants_trim(&self) -> bool {
        let all_written = self.tail.unwritten_bytes() == 0 && self.seals.is_empty();
        self.closing && self.reserved_bytes > 0 && self.written.bytes > 0 && all_written
    }

    /// Bytes written and not synced.
    #[must_use]
    pub fn unsynced_bytes(&self) -> u64 {
        let between = self.sealed.iter().skip_while(|segment| segment.base < self.synced.base);
        let closed: u64 = between
            .take_while(|segment| segment.base < self.written.base)
            .map(|segment| u64::from(segment.bytes))
            .sum();
        (closed + u64::from(self.written.bytes)).saturating_sub(u64::from(self.synced.bytes))
    }

    /// Bytes written through the page cache and not synced.
    #[must_use]
    pub fn unsynced_cached_bytes(&self) -> u64 {
        self.cached_bytes
    }

    /// The next write of at most [`WRITE_BYTES_MAX`] bytes (one batch if it is larger); `None` if there is nothing
    /// that the journal has synced, or while another write or a truncation is under way.
    pub fn next_write(&mut self, reach: Reach) -> Option<SegmentWrite> {
        self.next_piece(reach, PIECE_BYTES)
    }

    /// The same with another size of what is worth a write, of which there may be a few in one.
    pub fn next_piece(&mut self, reach: Reach, piece_bytes: usize) -> Option<SegmentWrite> {
        if self.writing || self.cut.is_some() {
            return None;
        }
        let segment_end = self.seals.front().map_or(Offset(i64::MAX), |seal| seal.next.base);
        let position = self.file_bytes;
        let to = self.piece_end(segment_end, reach, piece_bytes);
        let mut after = self.written;
        let (mut pieces, mut batches, mut aborted) = (Vec::new(), 0, Vec::new());
        let mut index = IndexBytes::default();
        let mut at = u64::from(after.bytes);
        for batch in self.tail.unwritten() {
            if at >= to {
                break;
            }
            batch.pieces(|piece| {
                let end = at + piece.len() as u64;
                let within = |border: u64| usize::try_from(border.clamp(at, end) - at).unwrap_or(0);
                let piece = piece.slice(within(position)..within(to));
                pieces.extend((!piece.is_empty()).then_some(piece));
                at = end;
            });
            if at <= to {
                index.push(after.base, after.advance(&batch.facts));
                batches += 1;
            }
        }
        let seal = if after.end == segment_end { self.seals.front().cloned() } else { None };
        if pieces.is_empty() && batches == 0 && seal.is_none() {
            return None;
        }
        for ended in self.aborted.between(self.written.end, after.end) {
            after.index_aborted(ended);
            aborted.extend(txn_index::entry(ended));
        }
        if let Some(seal) = &seal {
            if let Some(entry) = after.closing_entry() {
                index.push_time(after.base, entry);
            }
            after = seal.next;
        }
        if position == 0 {
            let wanted = self.config.preallocate && !self.closing;
            self.reserved_bytes = if wanted { u64::from(self.config.segment_bytes) } else { 0 };
        }
        self.writing = true;
        Some(SegmentWrite {
            dir: self.dir.clone(),
            topic_id: self.key.topic_id,
            base: self.written.base,
            position,
            bytes: pieces.iter().map(Bytes::len).sum(),
            pieces,
            direct_bytes_min: (piece_bytes / DIRECT_SHARE) as u64,
            cuts: self.overhangs,
            reserve_bytes: self.reserved_bytes,
            index_at: u64::from(self.written.offset_entries) * u64::from(OFFSET_ENTRY_BYTES),
            time_index_at: u64::from(self.written.time_entries) * u64::from(TIME_ENTRY_BYTES),
            index,
            aborted_at: u64::from(self.written.aborted_entries) * u64::from(TXN_ENTRY_BYTES),
            aborted,
            seal,
            batches,
            after,
        })
    }

    /// Up to where in the file the next piece goes: to a border of blocks if more comes behind it soon.
    fn piece_end(&self, segment_end: Offset, reach: Reach, piece_bytes: usize) -> u64 {
        let from = self.file_bytes;
        let to_max = from + (piece_bytes * WRITE_BYTES_MAX / PIECE_BYTES) as u64;
        let (mut end, mut end_offset) = (u64::from(self.written.bytes), self.written.end);
        for batch in self.tail.unwritten() {
            let (facts, size) = (&batch.facts, batch.size() as u64);
            if facts.last_offset >= self.journal_synced || facts.base_offset >= segment_end {
                break;
            }
            if block_below(end) > from && end + size > to_max {
                return block_below(end);
            }
            end += size;
            end_offset = facts.last_offset.next();
        }
        let more_comes = self.unwritten_bytes() >= piece_bytes && end_offset != segment_end;
        if reach == Reach::Blocks && more_comes { block_below(end).max(from) } else { end }
    }

    /// `write` has been carried out.
    pub fn wrote(&mut self, write: &SegmentWrite) {
        assert!(self.writing, "{}: a write has ended that had not begun", self.key);
        self.writing = false;
        self.tail.wrote(write.batches);
        let is_first_aborted = write.aborted_at == 0 && !write.aborted.is_empty();
        self.new_names |= write.position == 0 || write.seal.is_some() || is_first_aborted;
        self.written = write.after;
        self.file_bytes = if write.seal.is_some() { 0 } else { write.position + write.bytes as u64 };
        self.overhangs = false;
        let bytes = write.bytes as u64;
        let direct = direct_part(write.position, bytes, write.direct_bytes_min);
        self.cached_bytes += bytes - direct.map_or(0, |part| part.end - part.start);
        // A truncation may have taken the seal away.
        let sealed = write.seal.as_ref().map(|seal| seal.next.base);
        if sealed.is_some() && self.seals.front().map(|seal| seal.next.base) == sealed {
            self.seals.pop_front();
        }
        self.changed = true;
    }

    /// A write has failed. It may be tried again: what was to be written is still there, and the same bytes go to the
    /// same places.
    pub fn write_failed(&mut self) {
        self.writing = false;
    }

    /// A sync of everything written so far; `None` if nothing was written since the last one, or while another sync,
    /// a write or a truncation is under way.
    pub fn next_sync(&mut self) -> Option<SegmentSync> {
        if self.syncing || self.writing || self.cut.is_some() || !self.needs_sync() {
            return None;
        }
        self.syncing = true;
        let (from, to) = (self.synced.base, self.written.base);
        let closed = self.sealed.iter().filter(|segment| (from..to).contains(&segment.base));
        let mut segments: Vec<_> = closed
            .map(|segment| {
                let mut kinds = vec![FileKind::Log, FileKind::Index, FileKind::TimeIndex];
                kinds.extend((segment.aborted_entries > 0).then_some(FileKind::TxnIndex));
                (segment.base, kinds)
            })
            .collect();
        if self.written.bytes > 0 {
            let before = if from == to { self.synced.aborted_entries } else { 0 };
            let mut kinds = vec![FileKind::Log];
            kinds.extend((self.written.aborted_entries > before).then_some(FileKind::TxnIndex));
            segments.push((to, kinds));
        }
        Some(SegmentSync {
            dir: self.dir.clone(),
            segments,
            names: std::mem::take(&mut self.new_names),
            trims: self.wants_trim(),
            cached_bytes: self.cached_bytes,
            after: self.written,
        })
    }

    /// `sync` has been carried out.
    pub fn synced(&mut self, sync: &SegmentSync) {
        assert!(self.syncing, "{}: a sync has ended that had not begun", self.key);
        self.syncing = false;
        if sync.trims {
            self.reserved_bytes = 0;
        }
        self.synced = sync.after;
        self.cached_bytes = self.cached_bytes.saturating_sub(sync.cached_bytes);
        self.held.release(self.synced.end);
        self.aborted.synced(self.synced.end);
        self.producers.settle(self.high_watermark, self.synced.end);
        self.changed = true;
    }

    /// Whether an operation on files is under way that must end before the directory may go.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.writing || self.syncing || self.is_swapping()
    }
}
