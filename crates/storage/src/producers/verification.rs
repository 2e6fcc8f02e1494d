//! [`Verifications`]: for which producers the coordinator is being asked whether this partition belongs to their transaction
//! (KIP-890).
//!
//! The first batch of a transaction is appended only with the [`Guard`] that was given out before the question was asked. Any
//! batch or marker of the transaction voids it, so that an answer that comes late cannot begin a transaction anew that has
//! been ended meanwhile, and that nobody would ever end.
//!
//! Invariant: at most one guard of a producer is good. Nothing of this outlives the process, nor do the questions.

use std::collections::BTreeMap;

use protocol::ids::ProducerId;

use super::PRODUCERS_MAX;

/// Good for the first batch of a transaction, unless something comes in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard(u64);

#[derive(Clone, Copy, Debug)]
pub struct Asked {
    guard: Guard,
    epoch: i16,
    /// No batch behind this one may come first, or the one in front could never be appended.
    pub(super) lowest_sequence: i32,
    /// The producer's epoch grows with every transaction, and its sequences begin anew.
    pub(super) epoch_per_transaction: bool,
    since_ms: i64,
}

/// A batch of which the coordinator has to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    pub producer_id: ProducerId,
    pub epoch: i16,
    pub first_sequence: i32,
    /// By transaction version 2.
    pub epoch_per_transaction: bool,
}

/// Questions without an answer.
#[derive(Debug, Default)]
pub struct Verifications {
    by_producer: BTreeMap<ProducerId, Asked>,
    last: u64,
}

impl Verifications {
    /// The guard for the answer.
    pub fn ask(&mut self, question: &Question, now_ms: i64) -> Guard {
        if self.by_producer.len() >= PRODUCERS_MAX && !self.by_producer.contains_key(&question.producer_id) {
            self.forget_oldest();
        }
        let last = &mut self.last;
        let asked = self.by_producer.entry(question.producer_id).or_insert_with(|| {
            *last += 1;
            Asked {
                guard: Guard(*last),
                epoch: question.epoch,
                lowest_sequence: question.first_sequence,
                epoch_per_transaction: question.epoch_per_transaction,
                since_ms: now_ms,
            }
        });
        if question.epoch > asked.epoch {
            asked.epoch = question.epoch;
            asked.lowest_sequence = question.first_sequence;
        } else if question.epoch == asked.epoch {
            asked.lowest_sequence = asked.lowest_sequence.min(question.first_sequence);
        }
        asked.guard
    }

    #[must_use]
    pub fn get(&self, producer_id: ProducerId) -> Option<&Asked> {
        self.by_producer.get(&producer_id)
    }

    /// Whether a batch of the producer may begin a transaction with this guard.
    #[must_use]
    pub fn is_good(&self, producer_id: ProducerId, guard: Option<Guard>) -> bool {
        guard.is_some() && self.get(producer_id).map(|asked| asked.guard) == guard
    }

    /// A batch or a marker of a transaction of the producer has been appended.
    pub fn void(&mut self, producer_id: ProducerId) {
        if !self.by_producer.is_empty() {
            self.by_producer.remove(&producer_id);
        }
    }

    /// Forgets what was asked before `before_ms`.
    pub fn expire(&mut self, before_ms: i64) {
        self.by_producer.retain(|_, asked| asked.since_ms >= before_ms);
    }

    /// Whoever waits for the answer is refused and asks again.
    fn forget_oldest(&mut self) {
        let mut since: Vec<_> = self.by_producer.iter().map(|(id, asked)| (asked.since_ms, *id)).collect();
        since.sort_unstable();
        for (_, id) in since.into_iter().take(PRODUCERS_MAX / 10) {
            self.by_producer.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ProducerId = ProducerId(7);

    fn question(epoch: i16, first_sequence: i32) -> Question {
        Question { producer_id: ID, epoch, first_sequence, epoch_per_transaction: false }
    }

    #[test]
    fn what_comes_in_between_voids_a_guard() {
        let mut asked = Verifications::default();
        let guard = asked.ask(&question(3, 5), 0);
        assert!(asked.is_good(ID, Some(guard)) && !asked.is_good(ID, None));
        assert_eq!(asked.ask(&question(3, 9), 0), guard, "two batches of a producer are on their way");
        asked.void(ID);
        assert!(!asked.is_good(ID, Some(guard)));
        let next = asked.ask(&question(3, 5), 0);
        assert!(next != guard && asked.is_good(ID, Some(next)) && !asked.is_good(ID, Some(guard)));
        asked.expire(1);
        assert!(!asked.is_good(ID, Some(next)));
    }

    #[test]
    fn the_lowest_sequence_of_the_newest_epoch_counts() {
        let mut asked = Verifications::default();
        for (epoch, sequence, lowest) in [(3, 5, 5), (3, 9, 5), (3, 4, 4), (2, 0, 4), (4, 7, 7), (3, 1, 7)] {
            asked.ask(&question(epoch, sequence), 0);
            assert_eq!(asked.get(ID).map(|asked| asked.lowest_sequence), Some(lowest), "{epoch} {sequence}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut asked = Verifications::default();
        for id in 0..=PRODUCERS_MAX as i64 {
            asked.ask(&Question { producer_id: ProducerId(id), ..question(0, 0) }, id);
        }
        assert!(asked.by_producer.len() <= PRODUCERS_MAX);
        assert!(asked.get(ProducerId(0)).is_none() && asked.get(ProducerId(PRODUCERS_MAX as i64)).is_some());
    }
}
