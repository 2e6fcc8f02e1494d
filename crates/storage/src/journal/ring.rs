//! The files of a journal: which hold rounds that may still be needed, which may be written over.
//!
//! Invariants:
//! * A round lies in one file. Where it does not fit into the rest of one, the rest is left and its positions are
//!   never used.
//! * A file is written over only once everything in it has been released, durably: the checkpoint no longer asks
//!   for it.
//! * Positions only grow, while files come round again; the last live file is the one being written.

use std::collections::VecDeque;

use host::FileRef;

use super::replay::RingSize;
use crate::Position;

/// A file of the ring, zero-filled and synced to its full length.
#[derive(Clone, Debug)]
pub struct RingFile {
    /// Its name: `<id>.ring`.
    pub id: u32,
    pub file: FileRef,
    pub bytes: u64,
}

/// Where replay begins: a round's first byte, or the end of the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    pub position: Position,
    /// The number of the round that begins here.
    pub round: u64,
    /// No older incarnation than this one can have written it.
    pub incarnation: u64,
    /// The file, and the place in it; `None` if the round will begin in whatever file comes next.
    pub place: Option<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub file_id: u32,
    pub offset: u64,
}

/// Room for a round.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) file: RingFile,
    pub(super) offset: u64,
    pub(super) start: Position,
}

#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(super) file: RingFile,
    /// Position of its first byte.
    pub(super) start: u64,
}

impl Live {
    fn end(&self) -> u64 {
        self.start + self.file.bytes
    }
}

/// Distance between the places where replay may begin.
const MARK_BYTES: u64 = 256 << 10;

#[derive(Debug)]
pub(crate) struct Ring {
    live: VecDeque<Live>,
    free: VecDeque<RingFile>,
    /// Where the next round begins, unless it has to go to another file.
    head: u64,
    released: u64,
    marks: VecDeque<Mark>,
    total_bytes: u64,
}

impl Ring {
    /// `live` in the order of their positions.
    pub(super) fn new(live: Vec<Live>, free: Vec<RingFile>, head: Position, released: Mark) -> Self {
        let total_bytes = live.iter().map(|live| live.file.bytes).sum::<u64>()
            + free.iter().map(|file| file.bytes).sum::<u64>();
        let marks = VecDeque::from([released]);
        Self {
            live: live.into(),
            free: free.into(),
            head: head.0,
            released: released.position.0,
            marks,
            total_bytes,
        }
    }

    pub(super) fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    pub(crate) fn head(&self) -> Position {
        Position(self.head)
    }

    /// Bytes that cannot be written over.
    pub(super) fn used_bytes(&self) -> u64 {
        self.head.saturating_sub(self.released)
    }

    /// Bytes that can still be written without a release.
    pub(super) fn free_bytes(&self) -> u64 {
        self.rest_bytes() + self.free.iter().map(|file| file.bytes).sum::<u64>()
    }

    /// Where the oldest file ends of those that cannot be written over; the one being written does not count.
    pub(super) fn oldest_end(&self) -> Position {
        let oldest = self.live.front().filter(|_| self.live.len() > 1);
        Position(oldest.map_or(0, Live::end))
    }

    /// A file that is to be added counts as well.
    pub(crate) fn size_with(&self, next: Option<&RingFile>) -> RingSize {
        let files = self.live.len() + self.free.len() + usize::from(next.is_some());
        RingSize {
            files: u32::try_from(files).unwrap_or(u32::MAX),
            bytes: self.total_bytes + next.map_or(0, |file| file.bytes),
        }
    }

    /// Where the checkpoint on disk says that replay begins.
    pub(super) fn durable_mark(&self) -> Mark {
        self.marks.front().copied().unwrap_or_default()
    }

    pub(super) fn largest_file_bytes(&self) -> u64 {
        let live = self.live.iter().map(|live| live.file.bytes);
        live.chain(self.free.iter().map(|file| file.bytes)).max().unwrap_or(0)
    }

    pub(super) fn is_one_file_in_use(&self) -> bool {
        self.live.len() <= 1
    }

    pub(super) fn next_file_id(&self) -> u32 {
        let live = self.live.iter().map(|live| live.file.id);
        live.chain(self.free.iter().map(|file| file.id)).max().map_or(0, |id| id + 1)
    }

    fn rest_bytes(&self) -> u64 {
        self.live.back().map_or(0, |live| live.end().saturating_sub(self.head))
    }

    /// The largest round that can begin now if it has to hold at least `bytes_min`; `None` if none can.
    pub(super) fn room(&self, bytes_min: u64) -> Option<u64> {
        let rest = self.rest_bytes();
        if rest >= bytes_min {
            return Some(rest);
        }
        self.free.iter().map(|file| file.bytes).find(|bytes| *bytes >= bytes_min)
    }

    /// Takes `bytes` for round `round`; [`Self::room`] has said that they are there.
    pub(super) fn take(&mut self, bytes: u64, round: u64, incarnation: u64) -> Option<Slot> {
        if self.rest_bytes() < bytes {
            let at = self.free.iter().position(|file| file.bytes >= bytes)?;
            let file = self.free.remove(at)?;
            self.head = self.live.back().map_or(self.head, Live::end);
            self.live.push_back(Live { file, start: self.head });
        }
        let live = self.live.back()?;
        let slot =
            Slot { file: live.file.clone(), offset: self.head - live.start, start: Position(self.head) };
        let place = Some(Place { file_id: slot.file.id, offset: slot.offset });
        let last_marked = self.marks.back().and_then(|mark| Some((mark.place?.file_id, mark.position.0)));
        if last_marked.is_none_or(|(file, at)| file != slot.file.id || self.head >= at + MARK_BYTES) {
            self.marks.push_back(Mark { position: slot.start, round, incarnation, place });
        }
        self.head += bytes;
        Some(slot)
    }

    /// Where replay has to begin so that it meets every round that ends behind `released`.
    pub(crate) fn mark_for(&self, released: Position, next_round: u64, incarnation: u64) -> Mark {
        if released.0 >= self.head {
            // A file that is full to its end may be written over as soon as the next one is begun.
            let last = self.live.back().filter(|live| self.head < live.end());
            let place = last
                .map(|live| Place { file_id: live.file.id, offset: self.head.saturating_sub(live.start) });
            return Mark { position: self.head(), round: next_round, incarnation, place };
        }
        let found = self.marks.iter().rev().find(|mark| mark.position <= released);
        found.or(self.marks.front()).copied().unwrap_or_default()
    }

    /// Nothing before `mark` will be asked for again, not even after a crash.
    pub(crate) fn release(&mut self, mark: &Mark) {
        if mark.position.0 < self.released || mark.position.0 > self.head {
            return;
        }
        self.released = mark.position.0;
        while self.live.len() > 1 && self.live.front().is_some_and(|live| live.end() <= self.released) {
            let Some(live) = self.live.pop_front() else { break };
            self.free.push_back(live.file);
        }
        // Older marks may lie in files that are written over from now on.
        while self.marks.front().is_some_and(|first| first.position <= mark.position) {
            self.marks.pop_front();
        }
        self.marks.push_front(*mark);
    }

    pub(super) fn add(&mut self, file: RingFile) {
        self.total_bytes += file.bytes;
        self.free.push_back(file);
    }
}
