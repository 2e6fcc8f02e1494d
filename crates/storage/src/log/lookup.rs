//! [`Segment`]: where in a segment file to begin, by its indexes.
//!
//! Invariants: an entry of the offset index counts if the batch that it names is where it says. One of the time index is not
//! counted on alone: the walk begins at the one in front of it, which is right if either of them is, and counts if there is the
//! batch that it names, of its time. What is wrong with the indexes of a closed segment has them written anew, from a segment that is whole; those of the open one, and of one
//! that is known to be damaged, are passed over, and the walk is longer.

use std::io;

use host::{FileRef, Files, OpenMode};
use protocol::ids::Offset;

use super::cold::ColdRead;
use crate::segment::check::check_segment;
use crate::segment::index::{last_offset_entry, last_time_entries};
use crate::segment::names::{FileKind, segment_file};
use crate::segment::scan::{Headers, invalid, rebuild};
use crate::segment::{OffsetEntry, OpenFiles, TimeEntry};

/// A file and what is needed to look something up in its indexes.
pub(super) struct Segment<'a> {
    pub(super) read: &'a ColdRead,
    pub(super) files: &'a dyn Files,
    pub(super) open: &'a OpenFiles,
    pub(super) file: &'a FileRef,
}

impl Segment<'_> {
    /// The position of the last batch with an index entry that `wanted` accepts, or 0.
    pub(super) fn entry(&self, wanted: impl Fn(&OffsetEntry) -> bool) -> io::Result<u64> {
        self.believed(|| self.checked_entry(&wanted))
    }

    /// In front of this position no record is as late as `timestamp_ms`.
    pub(super) fn earlier_than(&self, timestamp_ms: i64) -> io::Result<u64> {
        match self.believed(|| self.checked_time(timestamp_ms))? {
            Some(offset) => self.entry(|entry| entry.last_offset <= offset),
            None => Ok(0),
        }
    }

    /// What an index says, or nothing if it cannot be had.
    fn believed<T: Default>(&self, look_up: impl Fn() -> io::Result<T>) -> io::Result<T> {
        let error = match look_up() {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        let ColdRead { dir, base, .. } = self.read;
        if !self.read.closed || self.read.damaged {
            tracing::debug!("{}: passing over the indexes of segment {base}: {error}", dir.display());
            return Ok(T::default());
        }
        self.rebuild(&error)?;
        look_up()
    }

    /// Writes the indexes of a closed segment anew.
    fn rebuild(&self, because: &io::Error) -> io::Result<()> {
        let ColdRead { dir, base, bytes, bounds, config, .. } = self.read;
        // An index that came with another segment is right for that one.
        let path = segment_file(dir, *base, FileKind::Log);
        if self.files.open(&path, OpenMode::READ)?.len()? != self.file.len()? {
            let text = format!("{}: it was replaced meanwhile", path.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        let bytes = u64::from(*bytes);
        // Or it would be the batches that are wrong, and the indexes after that.
        check_segment(&**self.file, *base, bytes, bounds.clone())?
            .map_err(|damage| io::Error::new(io::ErrorKind::InvalidData, damage))?;
        tracing::warn!("{}: rebuilding the indexes of segment {base}: {because}", dir.display());
        rebuild(self.files, self.open, dir, *base, (self.file, bytes), config)
    }

    fn checked_entry(&self, wanted: impl Fn(&OffsetEntry) -> bool) -> io::Result<u64> {
        let path = segment_file(&self.read.dir, self.read.base, FileKind::Index);
        let index = self.open.get(self.files, &path)?;
        let Some(entry) = last_offset_entry(&*index, self.read.base, wanted)? else { return Ok(0) };
        let position = u64::from(entry.position);
        let header = Headers::new(&**self.file, position, u64::from(self.read.bytes)).advance();
        match header {
            Ok(Some((_, header))) if header.last_offset() == entry.last_offset => Ok(position),
            Err(error) if error.kind() != io::ErrorKind::InvalidData => Err(error),
            _ => Err(invalid(format!("an entry names offset {} at byte {position}", entry.last_offset))),
        }
    }

    /// No record up to this offset is as late as that.
    fn checked_time(&self, timestamp_ms: i64) -> io::Result<Option<Offset>> {
        let path = segment_file(&self.read.dir, self.read.base, FileKind::TimeIndex);
        let index = self.open.get(self.files, &path)?;
        let found = last_time_entries(&*index, self.read.base, |entry| entry.timestamp_ms < timestamp_ms)?;
        let Some((Some(before), last)) = found else { return Ok(None) };
        if before.timestamp_ms >= last.timestamp_ms || before.offset >= last.offset {
            let TimeEntry { offset, .. } = before;
            return Err(invalid(format!("the times of offsets {offset} and {} do not grow", last.offset)));
        }
        self.check_time_entry(&before)?;
        Ok(Some(before.offset))
    }

    /// The batch that ends at the entry's offset has the entry's time.
    fn check_time_entry(&self, entry: &TimeEntry) -> io::Result<()> {
        let from = self.checked_entry(|indexed| indexed.last_offset <= entry.offset)?;
        let mut headers = Headers::new(&**self.file, from, u64::from(self.read.bytes));
        while let Some((_, header)) = headers.advance()? {
            if header.last_offset() < entry.offset {
                continue;
            }
            if header.last_offset() == entry.offset && header.max_timestamp == entry.timestamp_ms {
                return Ok(());
            }
            break;
        }
        Err(invalid(format!("no batch ends at offset {} with time {}", entry.offset, entry.timestamp_ms)))
    }
}
