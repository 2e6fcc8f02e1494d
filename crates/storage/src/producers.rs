//! [`Producers`]: what a partition remembers of idempotent producers, so that a retry is recognised.
//!
//! Invariants:
//! * Of each producer the last [`BATCHES_MAX`] batches of its newest epoch are kept, oldest first, by growing offsets.
//! * At most [`PRODUCERS_MAX`] producers; the ones that have been silent longest give way.
//! * [`Producers::check`] decides, [`Producers::apply`] records; replaying batches that are already recorded
//!   changes nothing.
//!
//! A producer that is not (or no longer) known may begin with any sequence (KIP-360). It does not know transactions yet.

use std::collections::{BTreeMap, VecDeque};

use protocol::ids::{Offset, ProducerId};

/// What Kafka keeps, and the most that a client has in flight.
pub const BATCHES_MAX: usize = 5;

/// Bounds memory to some MiB a partition even if every request comes from a new producer.
pub const PRODUCERS_MAX: usize = 20_000;

/// The part of a batch's header that idempotence looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerFacts {
    pub producer_id: ProducerId,
    pub epoch: i16,
    pub first_sequence: i32,
    pub last_sequence: i32,
}

/// A batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMark {
    pub first_sequence: i32,
    pub last_sequence: i32,
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub timestamp_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerState {
    pub epoch: i16,
    pub batches: VecDeque<BatchMark>,
    /// Wall clock of the last append, for expiry.
    pub last_seen_ms: i64,
}

impl ProducerState {
    fn last_sequence(&self) -> Option<i32> {
        self.batches.back().map(|batch| batch.last_sequence)
    }

    fn last_offset(&self) -> Offset {
        self.batches.back().map_or(Offset::NONE, |batch| batch.last_offset)
    }
}

/// What is to be done with a batch of an idempotent producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Append,
    /// It has been appended before, here.
    Duplicate(BatchMark),
    /// INVALID_PRODUCER_EPOCH
    OldEpoch {
        current: i16,
    },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER
    OutOfOrder {
        expected: i32,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    known: BTreeMap<ProducerId, ProducerState>,
}

impl Producers {
    #[must_use]
    pub fn new(known: impl IntoIterator<Item = (ProducerId, ProducerState)>) -> Self {
        Self { known: known.into_iter().collect() }
    }

    /// By producer id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ProducerId, &ProducerState)> {
        self.known.iter().map(|(id, state)| (*id, state))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    #[must_use]
    pub fn check(&self, batch: &ProducerFacts) -> Verdict {
        let Some(known) = self.known.get(&batch.producer_id) else { return Verdict::Append };
        if batch.epoch < known.epoch {
            return Verdict::OldEpoch { current: known.epoch };
        }
        if batch.epoch > known.epoch {
            return if batch.first_sequence == 0 {
                Verdict::Append
            } else {
                Verdict::OutOfOrder { expected: 0 }
            };
        }
        let same = |mark: &&BatchMark| {
            mark.first_sequence == batch.first_sequence && mark.last_sequence == batch.last_sequence
        };
        if let Some(mark) = known.batches.iter().find(same) {
            return Verdict::Duplicate(*mark);
        }
        let Some(last) = known.last_sequence() else { return Verdict::Append };
        let expected = next_sequence(last);
        if batch.first_sequence == expected { Verdict::Append } else { Verdict::OutOfOrder { expected } }
    }

    /// Records an appended batch, without asking whether it should have been.
    pub fn apply(&mut self, producer_id: ProducerId, epoch: i16, mark: BatchMark, now_ms: i64) {
        let new = || ProducerState { epoch, batches: VecDeque::new(), last_seen_ms: now_ms };
        let known = self.known.entry(producer_id).or_insert_with(new);
        if known.last_offset() >= mark.base_offset {
            return;
        }
        if known.epoch != epoch {
            known.epoch = epoch;
            known.batches.clear();
        }
        if known.batches.len() == BATCHES_MAX {
            known.batches.pop_front();
        }
        known.batches.push_back(mark);
        known.last_seen_ms = known.last_seen_ms.max(now_ms);
        if self.known.len() > PRODUCERS_MAX {
            self.forget_silent(PRODUCERS_MAX / 10);
        }
    }

    /// Forgets what was appended at or behind `end`, because the log no longer has it.
    pub fn truncate_from_end(&mut self, end: Offset) {
        self.known.retain(|_, state| {
            while state.batches.back().is_some_and(|mark| mark.last_offset >= end) {
                state.batches.pop_back();
            }
            !state.batches.is_empty()
        });
    }

    /// Forgets producers that have appended nothing since `before_ms`.
    pub fn expire(&mut self, before_ms: i64) {
        self.known.retain(|_, state| state.last_seen_ms >= before_ms);
    }

    pub fn clear(&mut self) {
        self.known.clear();
    }

    fn forget_silent(&mut self, count: usize) {
        let mut silent: Vec<_> = self.known.iter().map(|(id, state)| (state.last_seen_ms, *id)).collect();
        silent.sort_unstable();
        for (_, id) in silent.into_iter().take(count) {
            self.known.remove(&id);
        }
    }
}

/// Sequences go round from the largest `i32` to 0.
#[must_use]
pub fn next_sequence(last: i32) -> i32 {
    last.checked_add(1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ProducerId = ProducerId(7);

    fn facts(epoch: i16, first: i32, last: i32) -> ProducerFacts {
        ProducerFacts { producer_id: ID, epoch, first_sequence: first, last_sequence: last }
    }

    fn mark(first: i32, last: i32, base: i64) -> BatchMark {
        let records = i64::from(last.wrapping_sub(first) & i32::MAX);
        BatchMark {
            first_sequence: first,
            last_sequence: last,
            base_offset: Offset(base),
            last_offset: Offset(base + records),
            timestamp_ms: 1,
        }
    }

    /// Six batches of two records in epoch 3, offsets from 100.
    fn some() -> Producers {
        let mut producers = Producers::default();
        for batch in 0..6 {
            producers.apply(ID, 3, mark(batch * 2, batch * 2 + 1, 100 + i64::from(batch) * 2), 50);
        }
        producers
    }

    #[test]
    fn verdicts() {
        for (batch, verdict) in [
            (facts(3, 12, 14), Verdict::Append),
            (facts(3, 10, 11), Verdict::Duplicate(mark(10, 11, 110))),
            (facts(3, 2, 3), Verdict::Duplicate(mark(2, 3, 102))),
            // The sixth last is forgotten.
            (facts(3, 0, 1), Verdict::OutOfOrder { expected: 12 }),
            // Same start, another end: not the same batch.
            (facts(3, 10, 12), Verdict::OutOfOrder { expected: 12 }),
            (facts(3, 13, 13), Verdict::OutOfOrder { expected: 12 }),
            (facts(2, 12, 12), Verdict::OldEpoch { current: 3 }),
            (facts(4, 0, 0), Verdict::Append),
            (facts(4, 12, 12), Verdict::OutOfOrder { expected: 0 }),
            (ProducerFacts { producer_id: ProducerId(8), ..facts(0, 99, 99) }, Verdict::Append),
        ] {
            assert_eq!(some().check(&batch), verdict, "{batch:?}");
        }
    }

    #[test]
    fn sequences_go_round() {
        let mut producers = Producers::default();
        producers.apply(ID, 0, mark(i32::MAX - 1, i32::MAX, 0), 0);
        assert_eq!(producers.check(&facts(0, 0, 4)), Verdict::Append);
        let mut producers = Producers::default();
        producers.apply(ID, 0, mark(i32::MAX, 1, 0), 0);
        assert_eq!(producers.check(&facts(0, 2, 2)), Verdict::Append);
        assert_eq!(producers.check(&facts(0, i32::MAX, 1)), Verdict::Duplicate(mark(i32::MAX, 1, 0)));
    }

    #[test]
    fn replay_changes_nothing() {
        let mut again = some();
        for batch in 3..6 {
            again.apply(ID, 3, mark(batch * 2, batch * 2 + 1, 100 + i64::from(batch) * 2), 90);
        }
        assert_eq!(again, some());
    }

    #[test]
    fn any_sequence_after_expiry() {
        let mut producers = some();
        producers.expire(50);
        assert_eq!(producers.len(), 1);
        producers.expire(51);
        assert_eq!(producers.check(&facts(3, 77, 77)), Verdict::Append);
    }

    #[test]
    fn truncation_forgets_what_was_cut() {
        let mut producers = some();
        producers.truncate_from_end(Offset(109));
        assert_eq!(producers.check(&facts(3, 8, 9)), Verdict::Append);
        assert_eq!(producers.check(&facts(3, 6, 7)), Verdict::Duplicate(mark(6, 7, 106)));
        producers.truncate_from_end(Offset(0));
        assert!(producers.is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut producers = Producers::default();
        for id in 0..=PRODUCERS_MAX as i64 {
            producers.apply(ProducerId(id), 0, mark(0, 0, id), id);
        }
        assert!(producers.len() <= PRODUCERS_MAX);
        // The silent ones are gone, the newest is there.
        assert_eq!(producers.iter().next().map(|(id, _)| id), Some(ProducerId(PRODUCERS_MAX as i64 / 10)));
        assert_eq!(producers.iter().last().map(|(id, _)| id), Some(ProducerId(PRODUCERS_MAX as i64)));
    }
}
