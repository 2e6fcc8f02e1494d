//! [`Unstable`]: which transactions keep readers of committed records back.
//!
//! Invariants: every open transaction is here, by its first offset; one that has ended is here until its marker is below the
//! high watermark, for only then nothing takes the decision back.

use std::collections::{BTreeSet, VecDeque};

use protocol::ids::Offset;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unstable {
    /// First offsets.
    open: BTreeSet<Offset>,
    /// Marker and first offset, by markers.
    ended: VecDeque<(Offset, Offset)>,
    /// First offsets of the same.
    ended_firsts: BTreeSet<Offset>,
}

impl Unstable {
    pub(super) fn begin(&mut self, first: Offset) {
        self.open.insert(first);
    }

    /// The transaction that began at `first` ends with the marker at `marker`, behind all other markers.
    pub(super) fn end(&mut self, first: Offset, marker: Offset) {
        if self.open.remove(&first) {
            self.ended.push_back((marker, first));
            self.ended_firsts.insert(first);
        }
    }

    /// Nothing below `high_watermark` is taken back.
    pub(super) fn settle(&mut self, high_watermark: Offset) {
        while let Some((marker, first)) = self.ended.front().copied().filter(|(at, _)| *at < high_watermark) {
            debug_assert!(marker >= first, "a marker at {marker} of a transaction from {first} on");
            self.ended.pop_front();
            self.ended_firsts.remove(&first);
        }
    }

    /// The first offset of which nobody can say yet whether it counts.
    pub(super) fn first(&self) -> Option<Offset> {
        let firsts = self.open.first().into_iter().chain(self.ended_firsts.first());
        firsts.min().copied()
    }

    pub(super) fn is_open(&self, first: Offset) -> bool {
        self.open.contains(&first)
    }

    /// Of the transactions that are open.
    pub(super) fn first_open(&self) -> Option<Offset> {
        self.open.first().copied()
    }
}
