//! What is too old or too much: retention by time and size, the log start, and the deletion of segments.

use std::io;
use std::path::{Path, PathBuf};

use host::{Files, OpenMode};
use protocol::ids::Offset;

use super::Log;
use crate::LogConfig;
use crate::journal::{Body, Entry};
use crate::segment::names::{DELETED_SUFFIX, FileKind, segment_file};
use crate::segment::{OpenFiles, SealedSegment, SegmentState};

/// How many of a log's segments, from the oldest on, are to go by Kafka's rules: later than none of the reasons to
/// keep them, and below the high watermark. Counts the open segment `active` as one behind the closed ones.
#[must_use]
pub fn expired_segments(
    closed: &[SealedSegment],
    active: &SegmentState,
    config: &LogConfig,
    high_watermark: Offset,
    now_ms: i64,
) -> usize {
    if !config.cleanup_policy.delete {
        return 0;
    }
    let all = || closed.iter().copied().chain((active.bytes > 0).then(|| SealedSegment::from(active)));
    let total: u64 = all().map(|segment| u64::from(segment.bytes)).sum();
    let deletable = |segment: &SealedSegment| segment.end <= high_watermark;
    let by_time = config.retention_ms.map_or(0, |retention_ms| {
        let too_old = |segment: &SealedSegment| {
            // Without timestamps, the time of its making has to do.
            let latest =
                if segment.max_timestamp_ms >= 0 { segment.max_timestamp_ms } else { segment.created_ms };
            u64::try_from(now_ms.saturating_sub(latest)).is_ok_and(|age_ms| age_ms > retention_ms)
        };
        all().take_while(|segment| deletable(segment) && too_old(segment)).count()
    });
    let by_size = config.retention_bytes.map_or(0, |retention_bytes| {
        let mut excess = total.saturating_sub(retention_bytes);
        let too_much = |segment: &SealedSegment| match excess.checked_sub(u64::from(segment.bytes)) {
            Some(rest) => {
                excess = rest;
                true
            }
            None => false,
        };
        all().take_while(deletable).take_while(too_much).count()
    });
    by_time.max(by_size)
}

/// Renames the files of segments that are no longer part of a log.
#[derive(Debug)]
pub struct SegmentDelete {
    pub(super) dir: PathBuf,
    pub(super) bases: Vec<Offset>,
}

/// Files under their last names, to be removed after `file.delete.delay.ms`.
#[derive(Debug, Default)]
pub struct DeletedFiles {
    paths: Vec<PathBuf>,
}

pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl SegmentDelete {
    /// Blocking.
    pub fn run(&self, files: &dyn Files, open: &OpenFiles) -> io::Result<DeletedFiles> {
        let mut deleted = DeletedFiles::default();
        for base in &self.bases {
            for kind in FileKind::ALL {
                deleted.take(files, open, &segment_file(&self.dir, *base, kind))?;
            }
        }
        Ok(deleted)
    }
}

/// Of what is removed, so much is set free at once: a fraction of a millisecond.
const FREE_BYTES: u64 = 1 << 20;

/// Sets free what a file holds, in pieces from its end: its removal would do that in one call, a whole segment takes tens of
/// milliseconds, and whoever waits for that processor waits so long. Who still reads it by now is told that it is short.
fn set_free(files: &dyn Files, path: &Path) -> io::Result<()> {
    let file = files.open(path, OpenMode::WRITE)?;
    let mut len = file.len()?;
    while len > FREE_BYTES {
        len -= FREE_BYTES;
        file.set_len(len)?;
    }
    Ok(())
}

impl DeletedFiles {
    /// Gives a file its last name, if it is there.
    pub(super) fn take(&mut self, files: &dyn Files, open: &OpenFiles, path: &Path) -> io::Result<()> {
        open.forget(path);
        let mut name = path.as_os_str().to_owned();
        name.push(DELETED_SUFFIX);
        let to = PathBuf::from(name);
        match files.rename(path, &to) {
            Ok(()) => self.paths.push(to),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // There is no room for another name, and this makes some.
            Err(error) if is_full(&error) => files.remove_file(path)?,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.paths.append(&mut other.paths);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Blocking.
    pub fn remove(&self, files: &dyn Files) -> io::Result<()> {
        for path in &self.paths {
            match set_free(files, path).and_then(|()| files.remove_file(path)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Log {
    /// Applies retention: moves the log start behind the segments that are to go. Their deletion follows when the
    /// journal has the entry.
    pub fn retain(&mut self, now_ms: i64) -> Option<Entry> {
        if self.cut.is_some() {
            return None;
        }
        let closed: Vec<_> =
            self.sealed.iter().filter(|segment| segment.end > self.next_start).copied().collect();
        let count = expired_segments(&closed, &self.active, &self.config, self.high_watermark, now_ms);
        if count > closed.len() {
            self.roll(now_ms);
        }
        let last = self.sealed.iter().filter(|segment| segment.end > self.next_start).take(count).last();
        let start = last.map(|segment| segment.end)?;
        self.start_at(start)
    }

    /// Everything below `offset` is gone. `None` if it was gone before. `offset` is at most the high watermark.
    pub fn start_at(&mut self, offset: Offset) -> Option<Entry> {
        let offset = offset.min(self.high_watermark);
        if offset <= self.next_start {
            return None;
        }
        self.next_start = offset;
        self.changed = true;
        Some(Entry { key: self.key, body: Body::LogStart { offset } })
    }

    /// The journal has synced the entry that says that the log starts at `offset`.
    pub fn log_start_synced(&mut self, offset: Offset) {
        // A truncation may have cut below it meanwhile.
        self.log_start = self.log_start.max(offset.min(self.next_start));
        self.epochs.truncate_from_start(self.log_start);
    }

    /// The segments that lie below the log start and that nothing needs any more.
    pub fn next_delete(&mut self) -> Option<SegmentDelete> {
        if self.is_busy() || self.cut.is_some() || self.replacing.is_some() {
            return None;
        }
        let gone = |segment: &SealedSegment| segment.end <= self.log_start && segment.base < self.synced.base;
        let count = self.sealed.iter().take_while(|segment| gone(segment)).count();
        let bases: Vec<_> = self.sealed.drain(..count).map(|segment| segment.base).collect();
        if bases.is_empty() {
            return None;
        }
        self.changed = true;
        // Memory may still hold batches of them; they are below the log start, hence never read.
        Some(SegmentDelete { dir: self.dir.clone(), bases })
    }
}
