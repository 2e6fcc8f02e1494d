//! [`Source`]: the batches of a closed segment, checked, a piece at a time.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use host::{FileRef, Files, OpenMode};
use protocol::ids::Offset;
use protocol::records::{BATCH_OVERHEAD, BatchHeader, ValidBatch};

use crate::log::PIECE_BYTES;
use crate::segment::SealedSegment;
use crate::segment::names::{FileKind, segment_file};
use crate::segment::scan::invalid;
use crate::segment::state::heads_crc;

#[derive(Debug)]
pub(super) struct Source {
    file: FileRef,
    path: PathBuf,
    /// Behind the batches that have been taken.
    position: u64,
    bytes: u64,
    /// What has been read from there on.
    chunk: Bytes,
    /// Where the next batch may begin, and where the segment ends.
    offset: Offset,
    end: Offset,
    /// Of the batches so far, and of all.
    heads_crc: u32,
    heads_crc_of_all: u32,
}

impl Source {
    pub(super) fn open(files: &dyn Files, dir: &Path, segment: &SealedSegment) -> io::Result<Self> {
        let path = segment_file(dir, segment.base, FileKind::Log);
        let file = files.open(&path, OpenMode::READ)?;
        Ok(Self {
            file,
            path,
            position: 0,
            bytes: u64::from(segment.bytes),
            chunk: Bytes::new(),
            offset: segment.base,
            end: segment.end,
            heads_crc: 0,
            heads_crc_of_all: segment.heads_crc,
        })
    }

    /// Reads the next piece, of one whole batch at least; 0 at the end, if all that was read is what was written. What was read
    /// before must have been taken.
    pub(super) fn fill(&mut self) -> io::Result<usize> {
        let left = usize::try_from(self.bytes - self.position).unwrap_or(usize::MAX);
        self.chunk = self.read(left.min(PIECE_BYTES))?;
        if left > 0 {
            let size = self.header()?.size();
            if size > left {
                return Err(self.damaged(format!("a batch of {size} bytes is cut off")));
            }
            if size > self.chunk.len() {
                self.chunk = self.read(size)?;
            }
        } else if self.heads_crc != self.heads_crc_of_all {
            let path = self.path.display();
            return Err(invalid(format!(
                "{path}: offsets or epochs of its batches are not those that were appended"
            )));
        }
        Ok(self.chunk.len())
    }

    /// The next batch of what has been read.
    pub(super) fn take(&mut self) -> io::Result<Option<ValidBatch>> {
        if self.chunk.len() < BATCH_OVERHEAD || self.header()?.size() > self.chunk.len() {
            return Ok(None);
        }
        let batch =
            ValidBatch::split_from(&mut self.chunk).map_err(|error| self.damaged(error.to_string()))?;
        let header = batch.header();
        // The checksum does not cover where the batch says that it belongs.
        if header.base_offset < self.offset || header.next_offset() > self.end {
            let (from, to) = (header.base_offset, header.last_offset());
            let text = format!("offsets {from} to {to} where {} to {} belong", self.offset, self.end);
            return Err(self.damaged(text));
        }
        self.heads_crc = heads_crc(self.heads_crc, header.base_offset, header.partition_leader_epoch);
        self.offset = header.next_offset();
        self.position += batch.size() as u64;
        Ok(Some(batch))
    }

    /// For what somebody else finds wrong with the batch that was taken last.
    pub(super) fn damaged_before(&self, what: &impl ToString) -> io::Error {
        invalid(format!(
            "{}: damaged before byte {}: {}",
            self.path.display(),
            self.position,
            what.to_string()
        ))
    }

    fn header(&self) -> io::Result<BatchHeader> {
        BatchHeader::parse(&self.chunk).map_err(|error| self.damaged(error.to_string()))
    }

    fn read(&self, len: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; len];
        let got = self.file.read_at(&mut bytes, self.position)?;
        if got < len {
            return Err(self.damaged(format!("{} bytes were synced, it ends after {got} more", self.bytes)));
        }
        Ok(Bytes::from(bytes))
    }

    fn damaged(&self, what: String) -> io::Error {
        invalid(format!("{}: damaged at byte {}: {what}", self.path.display(), self.position))
    }
}
