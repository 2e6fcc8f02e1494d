//! [`Held`]: which part of the journal a log still needs.
//!
//! Invariants: a run stands for the batches that end in `(end of the run before, end]` and were written at or behind
//! `position`; runs are as long as a megabyte of journal, so the answer may be a megabyte too low, never too high.

use std::collections::VecDeque;

use protocol::ids::Offset;

use crate::Position;

const RUN_BYTES: u64 = 1 << 20;

#[derive(Clone, Copy, Debug)]
struct Run {
    end: Offset,
    position: Position,
}

#[derive(Debug, Default)]
pub(crate) struct Held {
    runs: VecDeque<Run>,
}

impl Held {
    /// The batches up to `end` have been written to the journal at `position`.
    pub(crate) fn hold(&mut self, end: Offset, position: Position) {
        match self.runs.back_mut() {
            Some(last) if end <= last.end => {}
            Some(last) if position.0.saturating_sub(last.position.0) < RUN_BYTES => last.end = end,
            _ => self.runs.push_back(Run { end, position }),
        }
    }

    /// The batches up to `end` have been written once more, at `position`: older positions are no longer needed.
    pub(crate) fn moved(&mut self, end: Offset, position: Position) {
        while self.runs.front().is_some_and(|run| run.end <= end) {
            self.runs.pop_front();
        }
        // The rest of a run that reaches further stays where it was.
        self.runs.push_front(Run { end, position });
    }

    /// The batches up to `end` are synced in their segments.
    pub(crate) fn release(&mut self, end: Offset) {
        while self.runs.front().is_some_and(|run| run.end <= end) {
            self.runs.pop_front();
        }
    }

    /// Batches from `end` on are gone.
    pub(crate) fn truncate(&mut self, end: Offset) {
        while let Some(last) = self.runs.pop_back() {
            if last.end <= end {
                self.runs.push_back(last);
                break;
            }
            let before = self.runs.back().map(|run| run.end);
            if before.is_none_or(|before| before < end) {
                self.runs.push_back(Run { end, ..last });
                break;
            }
        }
    }

    /// The oldest position needed.
    pub(crate) fn oldest(&self) -> Option<Position> {
        self.runs.iter().map(|run| run.position).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn oldest_position() {
        let mut held = Held::default();
        assert_eq!(held.oldest(), None);
        for (end, position) in [(10, 5), (20, 6), (30, 5 + MIB), (40, 5 + 3 * MIB)] {
            held.hold(Offset(end), Position(position));
        }
        for (synced, oldest) in
            [(0, Some(5)), (19, Some(5)), (20, Some(5 + MIB)), (39, Some(5 + 3 * MIB)), (40, None)]
        {
            held.release(Offset(synced));
            assert_eq!(held.oldest(), oldest.map(Position), "{synced}");
        }
    }

    #[test]
    fn written_again_at_the_head() {
        let mut held = Held::default();
        held.hold(Offset(10), Position(5));
        held.hold(Offset(20), Position(5 + 2 * MIB));
        held.moved(Offset(10), Position(9 * MIB));
        assert_eq!(held.oldest(), Some(Position(5 + 2 * MIB)));
        held.release(Offset(10));
        held.moved(Offset(20), Position(10 * MIB));
        assert_eq!(held.oldest(), Some(Position(10 * MIB)));
    }

    #[test]
    fn truncated() {
        let mut held = Held::default();
        held.hold(Offset(10), Position(5));
        held.hold(Offset(20), Position(5 + 2 * MIB));
        held.truncate(Offset(15));
        held.release(Offset(14));
        assert_eq!(held.oldest(), Some(Position(5 + 2 * MIB)));
        held.truncate(Offset(3));
        held.release(Offset(3));
        assert_eq!(held.oldest(), None);
    }
}
