//! The check of what lies on disk, so that damage is found before a reader meets it: [`SegmentScrub`], one segment, a
//! piece at a time, as an operation for a lane.
//!
//! Reads go past the page cache: what counts is what the disk gives back. Only what is synced is looked at.

use std::io;
use std::path::PathBuf;

use host::{FileRef, Files, OpenMode};
use protocol::ids::Offset;

use super::Log;
use crate::epochs::Epochs;
use crate::segment::check::{BatchCheck, Bounds, CHECK_BYTES, Damage};
use crate::segment::names::{FileKind, segment_file};
use crate::segment::{SealedSegment, SegmentState};

/// A segment on its way through the check.
#[derive(Debug)]
pub struct SegmentScrub {
    path: PathBuf,
    base: Offset,
    /// How much of the file is to be there.
    bytes: u32,
    file: Option<FileRef>,
    at: u64,
    check: BatchCheck,
}

/// What a piece of the check has brought.
#[derive(Debug)]
pub enum Scrubbed {
    /// Whole so far.
    More(Box<SegmentScrub>),
    Whole,
    Damaged(Damage),
}

impl SegmentScrub {
    #[must_use]
    pub fn base(&self) -> Offset {
        self.base
    }

    #[must_use]
    pub fn bytes(&self) -> u32 {
        self.bytes
    }

    /// Reads about `bytes_max` bytes more, and says how many. Blocking.
    pub fn run(mut self, files: &dyn Files, bytes_max: u64) -> io::Result<(u64, Scrubbed)> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => files.open(&self.path, OpenMode::READ.direct())?,
        };
        let (end, from) = (u64::from(self.bytes), self.at);
        let mut chunk = vec![0; CHECK_BYTES];
        while self.at < end && self.at - from < bytes_max {
            let wanted = chunk.len().min(usize::try_from(end - self.at).unwrap_or(usize::MAX));
            let got = file.read_at(chunk.get_mut(..wanted).unwrap_or_default(), self.at)?;
            self.at += got as u64;
            if let Err(damage) = self.check.feed(chunk.get(..got).unwrap_or_default()) {
                return Ok((self.at - from, Scrubbed::Damaged(damage)));
            }
            if got < wanted {
                let what = format!("{end} bytes were synced, {} are there", self.at);
                return Ok((self.at - from, Scrubbed::Damaged(self.check.damage(what))));
            }
        }
        let read = self.at - from;
        if self.at < end {
            self.file = Some(file);
            return Ok((read, Scrubbed::More(Box::new(self))));
        }
        Ok((read, self.check.finish_segment().map_or_else(Scrubbed::Damaged, |()| Scrubbed::Whole)))
    }
}

impl Log {
    /// The check of the first segment behind the one at `behind`, or of the first at all. The last one is the open segment,
    /// if all of it is synced.
    #[must_use]
    pub fn next_scrub(&self, behind: Option<Offset>) -> Option<SegmentScrub> {
        if self.cut.is_some() {
            return None;
        }
        let closed = self.sealed.iter().take_while(|segment| segment.base < self.synced.base);
        let closed = closed.filter(|segment| segment.end > self.next_start).copied();
        let SegmentState { base, bytes, .. } = self.synced;
        let is_synced = base == self.written.base && bytes == self.written.bytes;
        let open = (is_synced && bytes > 0).then(|| SealedSegment::from(&self.synced));
        let segment = closed.chain(open).find(|segment| behind.is_none_or(|behind| segment.base > behind))?;
        let SealedSegment { base, bytes, .. } = segment;
        let check = BatchCheck::new(0, base, self.bounds(&segment));
        let path = segment_file(&self.dir, base, FileKind::Log);
        Some(SegmentScrub { path, base, bytes, file: None, at: 0, check })
    }

    /// What is known of the batches of a segment.
    pub(super) fn bounds(&self, segment: &SealedSegment) -> Bounds {
        let SealedSegment { base, end, heads_crc, .. } = *segment;
        // Until the files have followed a truncation, they have batches behind it of which nothing is known any more.
        let is_cut = self.cut.is_some_and(|cut| cut < end);
        let epochs = if is_cut { Epochs::default() } else { self.epochs.between(base, end) };
        Bounds { end, epochs, heads_crc: Some(heads_crc) }
    }

    /// Whether the segment at `base` still has the first `bytes` bytes that it had when its check began.
    #[must_use]
    pub fn still_has(&self, base: Offset, bytes: u32) -> bool {
        let open = self.cut.is_none() && self.synced.base == base && self.synced.bytes >= bytes;
        let closed = |segment: &crate::segment::SealedSegment| segment.base == base && segment.bytes >= bytes;
        open || (self.cut.is_none() && self.sealed.iter().any(closed))
    }

    /// Segments that were found damaged.
    #[must_use]
    pub fn suspects(&self) -> usize {
        // Retention takes them without a word.
        let oldest = self.sealed.front().map_or(self.written.base, |segment| segment.base);
        self.suspects.range(oldest..).count()
    }

    /// The segment at `base` was found damaged: what readers get of it is checked from now on, also while it is open. Nothing
    /// of it is read any more if it is not known where ([`Damage::unplaced`]). False if it was known before.
    pub fn suspect(&mut self, base: Offset, unplaced: bool) -> bool {
        let known = self.suspects.get(&base).copied();
        self.suspects.insert(base, unplaced || known == Some(true));
        known.is_none()
    }
}
