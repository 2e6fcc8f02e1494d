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
use crate::segment::{SealedSegment, txn_index};

/// So many are kept though files have them, too, for readers at the end of the log.
const KEPT_MAX: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct Aborted {
    /// All with markers at or behind `from`.
    entries: VecDeque<AbortedTransaction>,
    from: Offset,
}

impl Aborted {
    /// Nothing yet of what has its marker at or behind `from`.
    pub(super) fn behind(from: Offset) -> Self {
        Self { from, ..Self::default() }
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

    /// What files say below `end` is no longer what memory says.
    pub(super) fn forget_below(&mut self, end: Offset) {
        while self.entries.pop_front_if(|oldest| oldest.last_offset < end).is_some() {}
        self.from = self.from.max(end);
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
#[derive(Clone, Debug)]
pub enum AbortedIn {
    Known(Vec<AbortedTransaction>),
    /// Files have to be asked.
    Cold(AbortedSearch),
}

impl AbortedIn {
    /// Of a part of the range. Blocking.
    pub(crate) fn within(
        &self,
        files: &dyn Files,
        start: Offset,
        end: Offset,
    ) -> io::Result<Vec<AbortedTransaction>> {
        match self {
            Self::Known(known) => {
                let mut found = Vec::new();
                overlapping(known.iter(), start, end, &mut found);
                Ok(found)
            }
            Self::Cold(search) => search.within(files, start, end),
        }
    }
}

/// A look into `.txnindex` files.
#[derive(Clone, Debug)]
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
    /// Blocking.
    pub fn run(&self, files: &dyn Files) -> io::Result<Vec<AbortedTransaction>> {
        self.within(files, self.start, self.end)
    }

    fn within(&self, files: &dyn Files, start: Offset, end: Offset) -> io::Result<Vec<AbortedTransaction>> {
        let mut found = Vec::new();
        for (segment, is_closed) in self.segments.iter().filter(|(segment, _)| segment.end > start) {
            let entries = self.entries(segment, *is_closed, files)?;
            let of_file = entries.iter().filter(|aborted| aborted.last_offset < self.memory_from);
            if overlapping(of_file, start, end, &mut found) {
                return Ok(found);
            }
        }
        overlapping(self.in_memory.iter(), start, end, &mut found);
        Ok(found)
    }

    fn entries(
        &self,
        segment: &SealedSegment,
        is_closed: bool,
        files: &dyn Files,
    ) -> io::Result<Vec<AbortedTransaction>> {
        let SealedSegment { base, end, bytes, aborted_entries, aborted_crc, .. } = *segment;
        let path = segment_file(&self.dir, base, FileKind::TxnIndex);
        let error = match txn_index::read(files, &path, aborted_entries, aborted_crc) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => error,
            read => return read,
        };
        let log = files.open(&segment_file(&self.dir, base, FileKind::Log), OpenMode::READ)?;
        if is_closed && log.len()? != u64::from(bytes) {
            let text = format!("{}: its segment was replaced meanwhile", path.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        let replayed = replay(files, &self.dir, base, (&*log, u64::from(bytes)), end)?;
        let shown = path.display();
        let Some(aborted) = replayed.map(|replayed| replayed.aborted) else {
            return Err(invalid(format!("{shown}: {error}, and there is no snapshot to find out from")));
        };
        if is_closed && aborted.iter().fold(0, txn_index::entries_crc) == aborted_crc {
            tracing::warn!("{shown}: {error}; it is written anew");
            files.replace(&path, &aborted.iter().flat_map(txn_index::entry).collect::<Vec<u8>>())?;
        } else {
            // Of what was aborted, compaction may have left less than the index speaks of.
            tracing::warn!("{shown}: {error}; what the batches say counts");
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
