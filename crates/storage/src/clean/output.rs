//! [`Output`]: the segment that a pass writes, beside the ones that it will replace.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use host::{FileRef, Files, OpenMode};
use protocol::ids::Offset;
use protocol::records::ValidBatch;

use crate::LogConfig;
use crate::segment::index::IndexBytes;
use crate::segment::names::{CLEANED_KINDS, FileKind, cleaned_file};
use crate::segment::scan::facts;
use crate::segment::{SealedSegment, SegmentState};

/// So much is left to the page cache at most, so that a sync does not hold up those of others.
const SYNC_BYTES: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct Output {
    dir: PathBuf,
    base: Offset,
    number: u64,
    state: SegmentState,
    index: IndexBytes,
    log: FileRef,
    pieces: Vec<Bytes>,
    written: u64,
    unsynced: usize,
}

impl Output {
    pub(super) fn create(files: &dyn Files, dir: PathBuf, base: Offset, number: u64) -> io::Result<Self> {
        let log = files.open(&cleaned_file(&dir, base, FileKind::Log, number), OpenMode::CREATE)?;
        log.set_len(0)?;
        Ok(Self {
            dir,
            base,
            number,
            state: SegmentState::new(base, 0),
            index: IndexBytes::default(),
            log,
            pieces: Vec::new(),
            written: 0,
            unsynced: 0,
        })
    }

    /// The batch comes next. It is written with the next [`Self::flush`].
    pub(super) fn push(&mut self, batch: &ValidBatch, config: &LogConfig) {
        let entries = self.state.advance(&facts(batch.header()), config);
        self.index.push(self.base, entries);
        self.pieces.push(Bytes::copy_from_slice(&batch.head()));
        self.pieces.push(batch.rest().clone());
    }

    /// Writes what has been pushed; returns how much that was.
    pub(super) fn flush(&mut self) -> io::Result<usize> {
        let bytes = self.pieces.iter().map(Bytes::len).sum();
        if bytes > 0 {
            self.log.write_at(&self.pieces, self.written)?;
            self.pieces.clear();
            self.written += bytes as u64;
            self.unsynced += bytes;
        }
        if self.unsynced >= SYNC_BYTES {
            self.log.sync()?;
            self.unsynced = 0;
        }
        Ok(bytes)
    }

    /// Makes everything durable under the names that it has for now. The segment reaches to `end`.
    pub(super) fn finish(
        mut self,
        files: &dyn Files,
        end: Offset,
        created_ms: i64,
    ) -> io::Result<SealedSegment> {
        self.flush()?;
        if let Some(entry) = self.state.closing_entry() {
            self.index.push_time(self.base, entry);
        }
        self.log.sync()?;
        for (kind, bytes) in [(FileKind::Index, self.index.offset), (FileKind::TimeIndex, self.index.time)] {
            let file =
                files.open(&cleaned_file(&self.dir, self.base, kind, self.number), OpenMode::CREATE)?;
            file.set_len(0)?;
            file.write_at(&[Bytes::from(bytes)], 0)?;
            file.sync()?;
        }
        files.sync_dir(&self.dir)?;
        Ok(SealedSegment { end, created_ms, ..SealedSegment::from(&self.state) })
    }

    /// Removes what there is of the files.
    pub(super) fn remove(self, files: &dyn Files) -> io::Result<()> {
        for kind in CLEANED_KINDS {
            match files.remove_file(&cleaned_file(&self.dir, self.base, kind, self.number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
