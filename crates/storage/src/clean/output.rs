//! [`Output`]: the segment that a pass writes, beside the ones that it will replace.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use host::disk::{AlignedBuf, BLOCK_BYTES};
use host::{FileRef, Files, OpenMode};
use protocol::ids::Offset;
use protocol::records::ValidBatch;

use crate::log::PIECE_BYTES;
use crate::producers::AbortedTransaction;
use crate::segment::index::IndexBytes;
use crate::segment::names::{CLEANED_KINDS, FileKind, cleaned_file};
use crate::segment::scan::facts;
use crate::segment::{SealedSegment, SegmentState, txn_index};

/// After so many bytes it is seen whether the disk still has room, and where files cannot be written past the page cache,
/// they are synced: what is left to it holds up the syncs of others.
const CHECK_BYTES: u64 = 4 << 20;

#[derive(Debug)]
pub(super) struct Output {
    dir: PathBuf,
    base: Offset,
    number: u64,
    state: SegmentState,
    index: IndexBytes,
    log: FileRef,
    /// Not written yet.
    pending: AlignedBuf,
    /// Whole blocks.
    written: u64,
    /// Where the next check is due.
    check_at: u64,
    disk_reserve_bytes: u64,
    /// Of the index of aborted transactions; none if none of the segments has one. One without entries replaces another.
    aborted: Option<Vec<u8>>,
}

impl Output {
    pub(super) fn create(
        files: &dyn Files,
        dir: PathBuf,
        state: SegmentState,
        number: u64,
        disk_reserve_bytes: u64,
        has_aborted: bool,
    ) -> io::Result<Self> {
        let base = state.base;
        let mode = OpenMode::CREATE.direct();
        let log = files.open(&cleaned_file(&dir, base, FileKind::Log, number), mode)?;
        log.set_len(0)?;
        Ok(Self {
            dir,
            base,
            number,
            state,
            index: IndexBytes::default(),
            log,
            pending: AlignedBuf::with_capacity(PIECE_BYTES),
            written: 0,
            check_at: 0,
            disk_reserve_bytes,
            aborted: has_aborted.then(Vec::new),
        })
    }

    /// The batch comes next. It is written with the next [`Self::flush`].
    pub(super) fn push(&mut self, batch: &ValidBatch) {
        let entries = self.state.advance(&facts(batch.header()));
        self.index.push(self.base, entries);
        self.pending.extend_from_slice(&batch.head());
        self.pending.extend_from_slice(batch.rest());
    }

    /// The marker that comes next has aborted this.
    pub(super) fn index_aborted(&mut self, aborted: &AbortedTransaction) {
        self.state.index_aborted(aborted);
        self.aborted.get_or_insert_default().extend(txn_index::entry(aborted));
    }

    /// Writes what has been pushed, except for a last part of a block; returns how much that was.
    pub(super) fn flush(&mut self, files: &dyn Files) -> io::Result<usize> {
        let bytes = self.pending.len() - self.pending.len() % BLOCK_BYTES;
        if bytes > 0 {
            self.check(files)?;
            let pending = std::mem::replace(&mut self.pending, AlignedBuf::with_capacity(PIECE_BYTES));
            let mut whole = pending.freeze();
            self.pending.extend_from_slice(&whole.split_off(bytes));
            self.log.write_at(&[whole], self.written)?;
            self.written += bytes as u64;
        }
        Ok(bytes)
    }

    /// Now and then.
    fn check(&mut self, files: &dyn Files) -> io::Result<()> {
        if self.written < self.check_at {
            return Ok(());
        }
        self.check_at = self.written + CHECK_BYTES;
        if !self.log.is_direct() && self.written > 0 {
            self.log.sync()?;
        }
        let (free, reserve) = (files.space(&self.dir)?.available_bytes, self.disk_reserve_bytes);
        if free < reserve {
            let text =
                format!("{free} bytes are free and {reserve} are to stay free (bourn.disk.reserve.bytes)");
            return Err(io::Error::new(io::ErrorKind::StorageFull, text));
        }
        Ok(())
    }

    /// Makes everything durable under the names that it has for now. The segment reaches to `end`.
    pub(super) fn finish(
        mut self,
        files: &dyn Files,
        end: Offset,
        created_ms: i64,
    ) -> io::Result<SealedSegment> {
        let bytes = self.written + self.pending.len() as u64;
        self.pending.pad_to_block();
        self.flush(files)?;
        self.log.set_len(bytes)?;
        if let Some(entry) = self.state.closing_entry() {
            self.index.push_time(self.base, entry);
        }
        self.log.sync()?;
        let aborted = self.aborted.map(|bytes| (FileKind::TxnIndex, bytes));
        let indexes = [(FileKind::Index, self.index.offset), (FileKind::TimeIndex, self.index.time)];
        for (kind, bytes) in indexes.into_iter().chain(aborted) {
            let file =
                files.open(&cleaned_file(&self.dir, self.base, kind, self.number), OpenMode::CREATE)?;
            file.set_len(0)?;
            file.write_at(&[Bytes::from(bytes)], 0)?;
            file.sync()?;
        }
        files.sync_dir(&self.dir)?;
        Ok(SealedSegment { end, created_ms, ..SealedSegment::from(&self.state) })
    }
}

/// Removes what there is of the files.
pub(super) fn remove_cleaned(files: &dyn Files, dir: &Path, base: Offset, number: u64) -> io::Result<()> {
    for kind in CLEANED_KINDS {
        match files.remove_file(&cleaned_file(dir, base, kind, number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
