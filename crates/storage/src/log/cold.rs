//! Reads of segment files, as operations for a lane: [`ColdRead`] finds a region of a file to send,
//! [`TimeSearch`] the first record at or after a time.
//!
//! Invariants: what is sent of a closed segment is checked, and of the open one what was in its file before this life; of
//! what this life has written there, every header that is read. Where a read passes over
//! batches to a later offset than it was asked for, those are checked, too, or a batch that says that it has less
//! than it has would be silence. Compaction may replace a file between the plan of a read and its end, and a truncation may cut
//! it: whoever planned it sees that, and plans anew.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use host::{File, FileRef, Files};
use protocol::ids::{LeaderEpoch, Offset};
use protocol::records::{BatchHeader, Limits, Scratch, ValidBatch};

use super::lookup::Segment;
use super::offsets::{Found, first_at};
use crate::LogConfig;
use crate::segment::check::{Bounds, check_region};
use crate::segment::names::{FileKind, segment_file};
use crate::segment::scan::{Headers, invalid};
use crate::segment::{Damage, OffsetEntry, OpenFiles};

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
    pub(super) bounds: Bounds,
    /// It is known to be: no index is made of it.
    pub(super) damaged: bool,
    /// Which batch it is that says the wrong thing of itself is not known, so none is sent.
    pub(super) refused: bool,
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
    /// Behind the last batch, if not further.
    pub end: Offset,
    /// The next batch is there and was too large for what is left.
    pub is_full: bool,
    /// Compaction has left nothing from the offset to the end of the segment: the next batch is at or behind this one.
    pub goes_on_at: Option<Offset>,
}

/// What a read has met: the segment is not what was written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct DamagedSegment {
    path: PathBuf,
    what: String,
    pub base: Offset,
    pub unplaced: bool,
}

impl DamagedSegment {
    /// If that is what an error of a read says.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl ColdRead {
    /// Blocking. An error that speaks of damage is a [`DamagedSegment`].
    pub fn run(&self, files: &dyn Files, open: &OpenFiles) -> io::Result<ColdRegion> {
        self.region(self.open(files, open)?, files, open).map_err(|error| self.named(error))
    }

    fn open(&self, files: &dyn Files, open: &OpenFiles) -> io::Result<FileRef> {
        let file = open.get(files, &segment_file(&self.dir, self.base, FileKind::Log))?;
        if self.refused {
            let what = "offsets or epochs of its batches are not those that were appended";
            return Err(self.named(invalid(what.to_owned())));
        }
        Ok(file)
    }

    /// An error, with the file that it is about.
    fn named(&self, error: io::Error) -> io::Error {
        if error.kind() != io::ErrorKind::InvalidData {
            return error;
        }
        let damage: Option<&Damage> = error.get_ref().and_then(|inner| inner.downcast_ref());
        let unplaced = self.refused || damage.is_some_and(|damage| damage.unplaced);
        let path = segment_file(&self.dir, self.base, FileKind::Log);
        let named = DamagedSegment { path, what: error.to_string(), base: self.base, unplaced };
        io::Error::new(io::ErrorKind::InvalidData, named)
    }

    fn region(&self, file: FileRef, files: &dyn Files, open: &OpenFiles) -> io::Result<ColdRegion> {
        let segment = Segment { read: self, files, open, file: &file };
        let from = segment.entry(|entry| entry.last_offset <= self.offset)?;
        let bytes = u64::from(self.bytes);
        let mut headers = Headers::new(&*file, from, bytes);
        // Of the batch that an index entry has named, the offset is known.
        let mut before = if from == 0 { Some(self.base) } else { None };
        let (start, first) = loop {
            match self.next(&mut headers, &mut before)? {
                None => {
                    self.check_passed(&*file, from, bytes)?;
                    // Of the open segment, too: a truncation may have left a gap at its end.
                    let goes_on_at = (self.end > self.offset).then_some(self.end);
                    let end = self.offset;
                    return Ok(ColdRegion { file, position: bytes, len: 0, end, is_full: false, goes_on_at });
                }
                Some((at, header)) if header.last_offset() >= self.offset => break (at, header),
                Some((_, header)) => before = Some(header.next_offset()),
            }
        };
        if first.base_offset > self.offset {
            // Compaction has taken the offset, or a batch says that it has less than it has.
            self.check_passed(&*file, from, start)?;
        }
        let End { position: end, is_full, offset: end_offset } = self.end(&segment, start, &first)?;
        // Either brings what may not be in the page cache, here, on the lane: sending it does not wait for the disk on a
        // network thread.
        let behind = before.unwrap_or(first.base_offset);
        let end = if self.checked {
            self.whole(&*file, start, end, behind)?
        } else {
            load(&*file, start, end)?;
            end
        };
        let len = usize::try_from(end - start).unwrap_or(usize::MAX);
        Ok(ColdRegion { file, position: start, len, end: end_offset, is_full, goes_on_at: None })
    }

    /// The next batch, which can be there behind what ends at `before`.
    fn next(
        &self,
        headers: &mut Headers<'_>,
        before: &mut Option<Offset>,
    ) -> io::Result<Option<(u64, BatchHeader)>> {
        let next = headers.advance()?;
        if let Some((at, header)) = &next {
            let end = before.unwrap_or(header.base_offset);
            self.bounds.check(header, end).map_err(|what| invalid(format!("at byte {at}: {what}")))?;
        }
        Ok(next)
    }

    /// Batches that are passed over because of what they say of themselves.
    fn check_passed(&self, file: &dyn File, from: u64, to: u64) -> io::Result<()> {
        let region = (from, to, u64::from(self.bytes));
        let found = check_region(file, region, self.base, self.bounds.clone())?;
        found.map_err(|damage| invalid(damage.to_string()))
    }

    /// How far the batches are what was appended; an error if not even the first one is.
    fn whole(&self, file: &dyn File, start: u64, end: u64, offset: Offset) -> io::Result<u64> {
        let region = (start, end, u64::from(self.bytes));
        match check_region(file, region, offset, self.bounds.clone())? {
            Ok(()) => Ok(end),
            Err(damage) if damage.position > start => Ok(damage.position),
            Err(damage) => Err(invalid(damage.to_string())),
        }
    }

    /// Where the last batch ends that is still to be sent.
    fn end(&self, segment: &Segment<'_>, start: u64, first: &BatchHeader) -> io::Result<End> {
        let end = |position, is_full, offset| Ok(End { position, is_full, offset });
        if self.limit.is_some_and(|limit| first.last_offset() >= limit) {
            return end(start, false, first.base_offset);
        }
        let first_end = start + first.size() as u64;
        if first.size() > self.bytes_max {
            return end(if self.at_least_one { first_end } else { start }, true, first.next_offset());
        }
        let end_max = start.saturating_add(self.bytes_max as u64);
        let bytes = u64::from(self.bytes);
        if self.limit.is_none() && end_max >= bytes {
            return end(bytes, false, self.end);
        }
        let below = |entry: &OffsetEntry| {
            u64::from(entry.position) <= end_max && self.limit.is_none_or(|limit| entry.last_offset < limit)
        };
        let from = segment.entry(below)?.max(first_end);
        let mut headers = Headers::new(&**segment.file, from, bytes);
        let mut position = from;
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
                return end(position, true, header.base_offset);
            }
            position = headers.position();
        }
        end(position, false, self.limit.unwrap_or(self.end))
    }
}

/// How far a read goes.
struct End {
    position: u64,
    /// The next batch is there and is too large.
    is_full: bool,
    /// Behind the last batch, if not further.
    offset: Offset,
}

/// The disk is asked for so much at once, and for as much ahead of it: a reader gets what the disk can give, and the journal
/// does not have to wait for long.
const LOAD_BYTES: u64 = 256 << 10;

fn load(file: &dyn File, start: u64, end: u64) -> io::Result<()> {
    let mut at = start;
    while at < end {
        let next = at.saturating_add(LOAD_BYTES);
        file.read_ahead(next, LOAD_BYTES);
        file.load(at, end.min(next) - at)?;
        at = next;
    }
    Ok(())
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
            let found = self.search(read, files, open, &mut scratch).map_err(|error| read.named(error));
            if let Some(found) = found? {
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
        let file = read.open(files, open)?;
        let position = Segment { read, files, open, file: &file }.earlier_than(self.timestamp_ms)?;
        let bytes = u64::from(read.bytes);
        let mut headers = Headers::new(&*file, position, bytes);
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
                // What is passed over because of its own time is what was appended, and the offset that is found as well.
                read.check_passed(&*file, position, headers.position())?;
                return Ok(Some(found));
            }
        }
        read.check_passed(&*file, position, bytes)?;
        Ok(None)
    }
}

impl Found {
    /// What a lane reports for "no such record".
    pub const NOTHING: Self =
        Self { offset: Offset::NONE, timestamp_ms: -1, leader_epoch: LeaderEpoch::NONE };
}
