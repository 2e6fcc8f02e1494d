//! Which transactions were aborted: [`Aborted`], as far as memory knows; the rest is in `.txnindex` files, and [`AbortedSearch`]
//! looks there, as an operation for a lane.
//!
//! Invariants: what is not synced in its file is in memory. Entries stand in the order of their markers. A file is believed only
//! as far as it is what was written; else the batches of its segment have to tell.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use host::{Files, OpenMode};
use protocol::ids::Offset;

use super::Log;
use crate::producers::AbortedTransaction;
use crate::segment::names::{FileKind, segment_file};
use crate::segment::replay::replay;
use crate::segment::scan::invalid;
use crate::segment::{OpenFiles, SealedSegment, txn_index};

/// So many are kept though files have them, too, for readers at the end of the log.
const KEPT_MAX: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct Aborted {
    /// All with markers at or behind `from`.
    entries: VecDeque<AbortedTransaction>,
    from: Offset,
}

impl Aborted {
    /// The entries with markers at or behind `from`.
    pub(super) fn new(entries: impl IntoIterator<Item = AbortedTransaction>, from: Offset) -> Self {
        Self { entries: entries.into_iter().collect(), from }
    }

    pub(super) fn push(&mut self, aborted: AbortedTransaction) {
        self.entries.push_back(aborted);
    }

    /// What is not here has its marker below this offset.
    pub(super) fn from(&self) -> Offset {
        self.from
    }

    /// Those with markers in `from..to`.
    pub(super) fn between(&self, from: Offset, to: Offset) -> impl Iterator<Item = &AbortedTransaction> {
        let first = self.entries.partition_point(|aborted| aborted.last_offset < from);
        self.entries.range(first..).take_while(move |aborted| aborted.last_offset < to)
    }

    /// Files have those with markers below `synced`, durably.
    pub(super) fn synced(&mut self, synced: Offset) {
        while self.entries.len() > KEPT_MAX
            && let Some(oldest) = self.entries.pop_front_if(|oldest| oldest.last_offset < synced)
        {
            self.from = oldest.last_offset.next();
        }
    }

    /// What was appended from `end` on is gone.
    pub(super) fn truncate(&mut self, end: Offset) {
        while self.entries.pop_back_if(|aborted| aborted.last_offset >= end).is_some() {}
        self.from = self.from.min(end);
    }
}

/// Those of `entries` that readers of `start..end` have to know, as far as these tell, and whether no later entry matters.
pub(super) fn overlapping<'a>(
    entries: impl Iterator<Item = &'a AbortedTransaction>,
    start: Offset,
    end: Offset,
    found: &mut Vec<AbortedTransaction>,
) -> bool {
    for aborted in entries {
        if aborted.last_offset >= start && aborted.first_offset < end {
            found.push(*aborted);
        }
        if aborted.last_stable_offset >= end {
            return true;
        }
    }
    false
}

/// How readers of committed records hear what of a range was aborted.
#[derive(Debug)]
pub enum AbortedIn {
    Known(Vec<AbortedTransaction>),
    /// Files have to be asked.
    Cold(AbortedSearch),
}

/// A look into `.txnindex` files.
#[derive(Debug)]
pub struct AbortedSearch {
    dir: PathBuf,
    start: Offset,
    end: Offset,
    /// Those with entries, oldest first, and whether each is closed.
    segments: Vec<(SealedSegment, bool)>,
    /// What is not in files, and from where on.
    in_memory: Vec<AbortedTransaction>,
    memory_from: Offset,
}

impl AbortedSearch {
    /// Only what readers of the range up to there have to know.
    #[must_use]
    pub fn up_to(self, end: Offset) -> Self {
        Self { end: end.min(self.end), ..self }
    }

    /// Blocking.
    pub fn run(&self, files: &dyn Files, open: &OpenFiles) -> io::Result<Vec<AbortedTransaction>> {
        let mut found = Vec::new();
        for (segment, is_closed) in &self.segments {
            let entries = self.entries(segment, *is_closed, files, open)?;
            let of_file = entries.iter().filter(|aborted| aborted.last_offset < self.memory_from);
            if overlapping(of_file, self.start, self.end, &mut found) {
                return Ok(found);
            }
        }
        overlapping(self.in_memory.iter(), self.start, self.end, &mut found);
        Ok(found)
    }

    fn entries(
        &self,
        segment: &SealedSegment,
        is_closed: bool,
        files: &dyn Files,
        open: &OpenFiles,
    ) -> io::Result<Vec<AbortedTransaction>> {
        let SealedSegment { base, end, bytes, aborted_entries, aborted_crc, .. } = *segment;
        let path = segment_file(&self.dir, base, FileKind::TxnIndex);
        let error = match txn_index::read(files, &path, aborted_entries, aborted_crc) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => error,
            read => return read,
        };
        let log = files.open(&segment_file(&self.dir, base, FileKind::Log), OpenMode::READ)?;
        let replayed = replay(files, &self.dir, base, (&*log, u64::from(bytes)), end)?;
        let path_shown = path.display();
        let Some(aborted) = replayed.map(|replayed| replayed.aborted) else {
            return Err(invalid(format!("{path_shown}: {error}, and there is no snapshot to find out from")));
        };
        if aborted.iter().fold(0, txn_index::entries_crc) == aborted_crc && is_closed {
            tracing::warn!("{path_shown}: {error}; it is written anew");
            open.forget(&path);
            files.replace(&path, &aborted.iter().flat_map(txn_index::entry).collect::<Vec<u8>>())?;
        } else {
            // Compaction has taken what was aborted, and the entries that are left speak of more than its batches.
            tracing::warn!("{path_shown}: {error}; what the batches say is told to readers");
        }
        Ok(aborted)
    }
}

impl Log {
    /// Which aborted transactions readers of `start..end` have to know.
    #[must_use]
    pub fn aborted_in(&self, start: Offset, end: Offset) -> AbortedIn {
        if start >= end {
            return AbortedIn::Known(Vec::new());
        }
        let memory_from = self.aborted.from();
        let in_memory = || self.aborted.between(start.max(memory_from), Offset(i64::MAX));
        let written = self.synced.base;
        let closed = self.sealed.iter().skip(self.sealed.partition_point(|segment| segment.end <= start));
        let closed = closed.take_while(|segment| segment.base < written).map(|segment| (*segment, true));
        let open = (SealedSegment::from(&self.synced), false);
        let asked = |(segment, _): &(SealedSegment, bool)| {
            segment.aborted_entries > 0 && segment.end > start && segment.base < memory_from
        };
        let segments: Vec<_> =
            if start < memory_from { closed.chain([open]).filter(asked).collect() } else { Vec::new() };
        if segments.is_empty() {
            let mut found = Vec::new();
            overlapping(in_memory(), start, end, &mut found);
            return AbortedIn::Known(found);
        }
        AbortedIn::Cold(AbortedSearch {
            dir: self.dir.clone(),
            start,
            end,
            segments,
            in_memory: in_memory().copied().collect(),
            memory_from,
        })
    }
}
