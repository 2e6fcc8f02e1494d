//! [`Epochs`]: at which offset each leader epoch of a partition began.
//!
//! Invariants: epochs and start offsets both grow from entry to entry; an entry ends where the next one starts,
//! the last one at the log end. The lookups answer as Kafka's `LeaderEpochFileCache` does.

use protocol::ids::{LeaderEpoch, Offset};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    pub epoch: LeaderEpoch,
    pub start: Offset,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    entries: Vec<EpochEntry>,
}

impl Epochs {
    /// Entries read back from a disk; those that break the order are dropped as a later assignment would drop them.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = EpochEntry>) -> Self {
        let mut epochs = Self::default();
        for entry in entries {
            epochs.assign(entry.epoch, entry.start);
        }
        epochs
    }

    #[must_use]
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    #[must_use]
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|last| last.epoch)
    }

    /// `epoch` begins at `start`, unless `start` is known to lie in it. Entries that contradict it give way.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) {
        if epoch.is_none() || start.is_none() || self.at(start) == Some(epoch) {
            return;
        }
        while self.entries.last().is_some_and(|last| last.epoch >= epoch || last.start >= start) {
            self.entries.pop();
        }
        self.entries.push(EpochEntry { epoch, start });
    }

    /// The epoch and end of `asked`, or of the largest smaller epoch there is, as an answer to a follower or a
    /// consumer that looks for the point where it parted from this log. `None` if that is not known: an epoch
    /// that is newer than all here, or "none".
    #[must_use]
    pub fn end_of(&self, asked: LeaderEpoch, log_end: Offset) -> Option<EpochEntry> {
        if asked.is_none() {
            return None;
        }
        if self.latest() == Some(asked) {
            return Some(EpochEntry { epoch: asked, start: log_end });
        }
        let higher = self.entries.iter().find(|entry| entry.epoch > asked)?;
        let floor = self.entries.iter().rev().find(|entry| entry.epoch <= asked);
        Some(EpochEntry { epoch: floor.map_or(asked, |entry| entry.epoch), start: higher.start })
    }

    /// The epoch in which `offset` was written or would be.
    #[must_use]
    pub fn at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.entries.iter().rev().find(|entry| entry.start <= offset).map(|entry| entry.epoch)
    }

    /// What can be said of the offsets in `start..end`.
    #[must_use]
    pub fn between(&self, start: Offset, end: Offset) -> Self {
        let from = self.entries.partition_point(|entry| entry.start <= start).saturating_sub(1);
        let to = self.entries.partition_point(|entry| entry.start < end).max(from);
        Self { entries: self.entries.get(from..to).unwrap_or_default().to_vec() }
    }

    /// Forgets epochs that began at or behind `end`.
    pub fn truncate_from_end(&mut self, end: Offset) {
        while self.entries.last().is_some_and(|last| last.start >= end) {
            self.entries.pop();
        }
    }

    /// Forgets epochs that ended before `start`; the one that `start` lies in begins there now.
    pub fn truncate_from_start(&mut self, start: Offset) {
        let gone = self.entries.partition_point(|entry| entry.start <= start);
        if let Some(kept) = gone.checked_sub(1) {
            self.entries.drain(..kept);
            if let Some(first) = self.entries.first_mut() {
                first.start = start;
            }
        }
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> Epochs {
        Epochs::new(entries.iter().map(|&(epoch, start)| entry(epoch, start)))
    }

    fn entry(epoch: i32, start: i64) -> EpochEntry {
        EpochEntry { epoch: LeaderEpoch(epoch), start: Offset(start) }
    }

    #[test]
    fn assignments_keep_the_order() {
        for (given, kept) in [
            (&[(0, 0), (1, 5), (1, 9)][..], &[(0, 0), (1, 5)][..]),
            // Two elections without a record between them.
            (&[(0, 0), (1, 5), (2, 5)], &[(0, 0), (2, 5)]),
            // A log that was cut and written again by an older leader than the cache remembered.
            (&[(0, 0), (3, 5), (2, 4)], &[(0, 0), (2, 4)]),
            (&[(2, 3), (2, 1)], &[(2, 1)]),
            // A start takes batches again, out of the journal, whose epochs the checkpoint has known.
            (&[(0, 0), (1, 5), (2, 9), (1, 6), (1, 8), (2, 9)], &[(0, 0), (1, 5), (2, 9)]),
            // It did not know the first one's, though that of a leadership behind it.
            (&[(0, 0), (3, 9), (1, 5), (3, 9)], &[(0, 0), (1, 5), (3, 9)]),
            (&[(-1, 3), (1, -1)], &[]),
        ] {
            let kept: Vec<_> = kept.iter().map(|&(epoch, start)| entry(epoch, start)).collect();
            assert_eq!(epochs(given).entries(), kept, "{given:?}");
        }
    }

    #[test]
    fn ends_are_those_of_kafka() {
        let cache = epochs(&[(2, 10), (4, 20), (7, 30)]);
        for (asked, found) in [
            (-1, None),
            // Older than all: the epoch asked for, which ended where the oldest known begins.
            (0, Some((0, 10))),
            (2, Some((2, 20))),
            (3, Some((2, 20))),
            (4, Some((4, 30))),
            (6, Some((4, 30))),
            (7, Some((7, 42))),
            (8, None),
        ] {
            let found = found.map(|(epoch, end)| entry(epoch, end));
            assert_eq!(cache.end_of(LeaderEpoch(asked), Offset(42)), found, "epoch {asked}");
        }
        assert_eq!(Epochs::default().end_of(LeaderEpoch(0), Offset(0)), None);
    }

    #[test]
    fn epoch_at_an_offset() {
        let cache = epochs(&[(2, 10), (4, 20)]);
        for (offset, epoch) in [(9, None), (10, Some(2)), (19, Some(2)), (20, Some(4)), (99, Some(4))] {
            assert_eq!(cache.at(Offset(offset)), epoch.map(LeaderEpoch), "offset {offset}");
        }
    }

    #[test]
    fn truncations() {
        let cache = epochs(&[(2, 10), (4, 20), (7, 30)]);
        for (end, left) in [(10, &[][..]), (20, &[(2, 10)]), (21, &[(2, 10), (4, 20)])] {
            let mut cut = cache.clone();
            cut.truncate_from_end(Offset(end));
            assert_eq!(cut, epochs(left), "end {end}");
        }
        for (start, left) in [
            (5, &[(2, 10), (4, 20), (7, 30)][..]),
            (10, &[(2, 10), (4, 20), (7, 30)]),
            (15, &[(2, 15), (4, 20), (7, 30)]),
            (20, &[(4, 20), (7, 30)]),
            (35, &[(7, 35)]),
        ] {
            let mut cut = cache.clone();
            cut.truncate_from_start(Offset(start));
            assert_eq!(cut, epochs(left), "start {start}");
        }
    }
}
