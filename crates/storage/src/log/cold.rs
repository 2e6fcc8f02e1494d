//! Reads of segment files, as operations for a lane: [`ColdRead`] finds a region of a file to send,
//! [`TimeSearch`] the first record at or after a time.
//!
//! Invariants: an index entry is believed only if the batch it names is where it says; else the indexes of a closed
//! segment are written anew, and those of the open one passed over. Nothing is read whole but single batches. Compaction may replace a
//! file between the plan of a read and its end: whoever planned it sees that, and plans anew.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use host::{File, FileRef, Files, OpenMode};
use protocol::ids::{LeaderEpoch, Offset};
use protocol::records::{BatchHeader, Limits, Scratch, ValidBatch};

use super::offsets::{Found, first_at};
use crate::LogConfig;
use crate::segment::check::check_region;
use crate::segment::index::{last_offset_entry, last_time_entry};
use crate::segment::names::{FileKind, segment_file};
use crate::segment::scan::{Headers, invalid, rebuild};
use crate::segment::{OffsetEntry, OpenFiles};

/// A read of one segment file.
#[derive(Debug)]
pub struct ColdRead {
    pub(super) dir: PathBuf,
    pub(super) base: Offset,
    /// Where the next segment begins.
    pub(super) end: Offset,
    /// Bytes of the file that may be read.
    pub(super) bytes: u32,
    pub(super) closed: bool,
    /// What is sent is checked first.
    pub(super) checked: bool,
    pub(super) offset: Offset,
    pub(super) limit: Option<Offset>,
    pub(super) bytes_max: usize,
    pub(super) at_least_one: bool,
    pub(super) config: Arc<LogConfig>,
}

/// Whole batches in a file.
#[derive(Clone, Debug)]
pub struct ColdRegion {
    pub file: FileRef,
    pub position: u64,
    /// 0: there is nothing to read, or nothing that fits.
    pub len: usize,
    /// The next batch is there and was too large for what is left.
    pub is_full: bool,
    /// Compaction has left nothing from the offset to the end of the segment: the next batch is at or behind this one.
    pub goes_on_at: Option<Offset>,
}

impl ColdRead {
    /// Blocking. `InvalidData` names the file that is not what it was.
    pub fn run(&self, files: &dyn Files, open: &OpenFiles) -> io::Result<ColdRegion> {
        let path = segment_file(&self.dir, self.base, FileKind::Log);
        self.region(open.get(files, &path)?, files, open).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => invalid(format!("{}: {error}", path.display())),
            _ => error,
        })
    }

    fn region(&self, file: FileRef, files: &dyn Files, open: &OpenFiles) -> io::Result<ColdRegion> {
        let segment = Segment { read: self, files, open, file: &file };
        let from = segment.entry(|entry| entry.last_offset <= self.offset)?;
        let mut headers = Headers::new(&*file, from, u64::from(self.bytes));
        let (start, first) = loop {
            match headers.advance()? {
                None => {
                    // Of the open segment, too: a truncation may have left a gap at its end.
                    let goes_on_at = (self.end > self.offset).then_some(self.end);
                    let position = u64::from(self.bytes);
                    return Ok(ColdRegion { file, position, len: 0, is_full: false, goes_on_at });
                }
                Some((at, header)) if header.last_offset() >= self.offset => break (at, header),
                Some(_) => {}
            }
        };
        let (end, is_full) = self.end(&segment, start, &first)?;
        // The check also brings what may not be in the page cache, here, on the lane: sending it does not wait for the disk on
        // a network thread. What was written a short while ago is there: the open segment is not read.
        let end = if self.checked { self.whole(&*file, start, end, first.base_offset)? } else { end };
        let len = usize::try_from(end - start).unwrap_or(usize::MAX);
        Ok(ColdRegion { file, position: start, len, is_full, goes_on_at: None })
    }

    /// How far the batches are what was appended; an error if not even the first one is.
    fn whole(&self, file: &dyn File, start: u64, end: u64, offset: Offset) -> io::Result<u64> {
        match check_region(file, start, end, offset)? {
            Ok(()) => Ok(end),
            Err(damage) if damage.position > start => Ok(damage.position),
            Err(damage) => Err(invalid(damage.to_string())),
        }
    }

    /// Where the last batch ends that is still to be sent, and whether the next one is too large.
    fn end(&self, segment: &Segment<'_>, start: u64, first: &BatchHeader) -> io::Result<(u64, bool)> {
        if self.limit.is_some_and(|limit| first.last_offset() >= limit) {
            return Ok((start, false));
        }
        let first_end = start + first.size() as u64;
        if first.size() > self.bytes_max {
            return Ok((if self.at_least_one { first_end } else { start }, true));
        }
        let end_max = start.saturating_add(self.bytes_max as u64);
        let bytes = u64::from(self.bytes);
        if self.limit.is_none() && end_max >= bytes {
            return Ok((bytes, false));
        }
        let below = |entry: &OffsetEntry| {
            u64::from(entry.position) <= end_max && self.limit.is_none_or(|limit| entry.last_offset < limit)
        };
        let from = segment.entry(below)?.max(first_end);
        let mut headers = Headers::new(&**segment.file, from, bytes);
        let mut end = from;
        loop {
            let header = match headers.advance() {
                Ok(Some((_, header))) => header,
                Ok(None) => break,
                // What comes before is sent; the next read will be about this.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => break,
                Err(error) => return Err(error),
            };
            if self.limit.is_some_and(|limit| header.last_offset() >= limit) {
                break;
            }
            if headers.position() > end_max {
                return Ok((end, true));
            }
            end = headers.position();
        }
        Ok((end, false))
    }
}

/// A file and what is needed to look something up in its index.
struct Segment<'a> {
    read: &'a ColdRead,
    files: &'a dyn Files,
    open: &'a OpenFiles,
    file: &'a FileRef,
}

impl Segment<'_> {
    /// The position of the last batch with an index entry that `wanted` accepts, or 0.
    fn entry(&self, wanted: impl Fn(&OffsetEntry) -> bool) -> io::Result<u64> {
        match self.checked_entry(&wanted) {
            Ok(position) => Ok(position),
            Err(error) if !self.read.closed => {
                let (dir, base) = (self.read.dir.display(), self.read.base);
                tracing::debug!("{dir}: passing over the index of the open segment {base}: {error}");
                Ok(0)
            }
            Err(error) => {
                // An index that came with another segment is right for that one.
                let path = segment_file(&self.read.dir, self.read.base, FileKind::Log);
                if self.files.open(&path, OpenMode::READ)?.len()? != self.file.len()? {
                    let text = format!("{}: it was replaced meanwhile", path.display());
                    return Err(io::Error::new(io::ErrorKind::NotFound, text));
                }
                let (dir, base) = (self.read.dir.display(), self.read.base);
                tracing::warn!("{dir}: rebuilding the indexes of segment {base}: {error}");
                rebuild(self.files, self.open, &self.read.dir, base, self.file, &self.read.config)?;
                self.checked_entry(&wanted)
            }
        }
    }

    fn checked_entry(&self, wanted: impl Fn(&OffsetEntry) -> bool) -> io::Result<u64> {
        let path = segment_file(&self.read.dir, self.read.base, FileKind::Index);
        let index = self.open.get(self.files, &path)?;
        let Some(entry) = last_offset_entry(&*index, self.read.base, wanted)? else { return Ok(0) };
        let position = u64::from(entry.position);
        let header = Headers::new(&**self.file, position, u64::from(self.read.bytes)).advance()?;
        match header {
            Some((_, header)) if header.last_offset() == entry.last_offset => Ok(position),
            _ => Err(invalid(format!("an entry names offset {} at byte {position}", entry.last_offset))),
        }
    }
}

/// A search for the first record at or after a time, in segment files.
#[derive(Debug)]
pub struct TimeSearch {
    pub(super) timestamp_ms: i64,
    /// Records below are not there.
    pub(super) start: Offset,
    /// Segments in which there may be one, oldest first.
    pub(super) segments: Vec<ColdRead>,
}

impl TimeSearch {
    /// Blocking.
    pub fn run(&self, files: &dyn Files, open: &OpenFiles) -> io::Result<Option<Found>> {
        let mut scratch = Scratch::default();
        for read in &self.segments {
            if let Some(found) = self.search(read, files, open, &mut scratch)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn search(
        &self,
        read: &ColdRead,
        files: &dyn Files,
        open: &OpenFiles,
        scratch: &mut Scratch,
    ) -> io::Result<Option<Found>> {
        let file = open.get(files, &segment_file(&read.dir, read.base, FileKind::Log))?;
        let segment = Segment { read, files, open, file: &file };
        let from = self.earliest(read, files, open)?;
        let position = segment.entry(|entry| entry.last_offset <= from)?;
        let mut headers = Headers::new(&*file, position, u64::from(read.bytes));
        while let Some((at, header)) = headers.advance()? {
            if header.max_timestamp < self.timestamp_ms || header.last_offset() < self.start {
                continue;
            }
            let mut bytes = vec![0; header.size()];
            let got = file.read_at(&mut bytes, at)?;
            bytes.truncate(got);
            let batch = ValidBatch::split_from(&mut Bytes::from(bytes))
                .map_err(|error| invalid(error.to_string()))?;
            let found = first_at(&batch, self.timestamp_ms, self.start, scratch, &Limits::default());
            if let Some(found) = found.map_err(|error| invalid(error.to_string()))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// No record below this offset is late enough, as far as the time index knows.
    fn earliest(&self, read: &ColdRead, files: &dyn Files, open: &OpenFiles) -> io::Result<Offset> {
        let path = segment_file(&read.dir, read.base, FileKind::TimeIndex);
        let index = match open.get(files, &path) {
            Ok(index) => index,
            // Then the walk is longer.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(read.base),
            Err(error) => return Err(error),
        };
        let entry = last_time_entry(&*index, read.base, |entry| entry.timestamp_ms < self.timestamp_ms)?;
        Ok(entry.map_or(read.base, |entry| entry.offset))
    }
}

impl Found {
    /// What a lane reports for "no such record".
    pub const NOTHING: Self =
        Self { offset: Offset::NONE, timestamp_ms: -1, leader_epoch: LeaderEpoch::NONE };
}
