//! A new file for the ring: zero-filled in small pieces beside everything else, and renamed when it is whole.
//!
//! Writing to a region that has been written and synced before costs half of what a growing or preallocated file
//! costs to sync, hence the zeros.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use host::disk::AlignedBuf;
use host::{FileRef, Files, OpenMode};

use crate::Error;
use crate::journal::{RingFile, ring_path};

/// Of one write; larger ones would delay the journal's own.
const PIECE_BYTES: u64 = 256 << 10;

#[derive(Debug)]
pub struct Growth {
    id: u32,
    path: PathBuf,
    unfinished: PathBuf,
    file: FileRef,
    bytes: u64,
    filled: u64,
    zeros: Bytes,
}

impl Growth {
    pub fn begin(files: &dyn Files, journal: &Path, id: u32, bytes: u64) -> Result<Self, Error> {
        let path = ring_path(journal, id);
        let unfinished = path.with_extension("new");
        let mode = OpenMode::CREATE.direct();
        let file = files.open(&unfinished, mode).map_err(Error::io(&unfinished, "create a journal file"))?;
        let mut zeros = AlignedBuf::with_capacity(0);
        zeros.resize(usize::try_from(PIECE_BYTES.min(bytes)).unwrap_or(usize::MAX));
        Ok(Self { id, path, unfinished, file, bytes, filled: 0, zeros: zeros.freeze() })
    }

    /// Fills one more piece. False once all is full.
    pub fn step(&mut self) -> Result<bool, Error> {
        let len = PIECE_BYTES.min(self.bytes - self.filled);
        if len == 0 {
            return Ok(false);
        }
        let piece = self.zeros.slice(..usize::try_from(len).unwrap_or(usize::MAX).min(self.zeros.len()));
        let result = self.file.write_at(&[piece], self.filled);
        result.map_err(Error::io(&self.unfinished, "fill a journal file"))?;
        self.filled += len;
        Ok(true)
    }

    pub fn finish(self, files: &dyn Files) -> Result<RingFile, Error> {
        self.file.sync().map_err(Error::io(&self.unfinished, "sync a journal file"))?;
        files.rename(&self.unfinished, &self.path).map_err(Error::io(&self.path, "name a journal file"))?;
        let parent = self.path.parent().unwrap_or(Path::new("."));
        files.sync_dir(parent).map_err(Error::io(parent, "sync the journal's directory"))?;
        Ok(RingFile { id: self.id, file: self.file, bytes: self.bytes })
    }

    /// Gives the space back.
    pub fn abandon(self, files: &dyn Files) -> Result<(), Error> {
        drop(self.file);
        files
            .remove_file(&self.unfinished)
            .map_err(Error::io(&self.unfinished, "remove an unfinished journal file"))
    }
}
