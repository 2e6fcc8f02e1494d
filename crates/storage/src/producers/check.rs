//! What is to be done with a batch or a marker, by what is known of its producer: Kafka's rules, in Kafka's order.

use protocol::ids::ProducerId;
use protocol::records::TxnMarker;

use super::{Asked, BatchMark, ProducerFacts, ProducerState, Producers};

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
    /// INVALID_TXN_STATE: a batch outside of the transaction that its producer has open.
    NotTransactional,
}

/// What is to be done with a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerVerdict {
    Append,
    /// INVALID_PRODUCER_EPOCH
    OldEpoch {
        current: i16,
    },
    /// TRANSACTION_COORDINATOR_FENCED
    OldCoordinator {
        current: i32,
    },
}

impl Producers {
    /// Whether the batch has been appended before.
    #[must_use]
    pub fn duplicate(&self, batch: &ProducerFacts) -> Option<BatchMark> {
        let known = self.known.get(&batch.producer_id).filter(|known| known.epoch == batch.epoch)?;
        let same = |mark: &&BatchMark| {
            mark.first_sequence == batch.first_sequence && mark.last_sequence == batch.last_sequence
        };
        known.batches.iter().find(same).copied().filter(|_| batch.first_sequence >= 0)
    }

    /// What is to be done with a batch; `asked` is what was asked about its producer's transaction.
    #[must_use]
    pub fn check(&self, batch: &ProducerFacts, asked: Option<&Asked>) -> Verdict {
        if let Some(mark) = self.duplicate(batch) {
            return Verdict::Duplicate(mark);
        }
        let known = self.known.get(&batch.producer_id);
        if let Some(current) = known.map(|known| known.epoch).filter(|current| batch.epoch < *current) {
            return Verdict::OldEpoch { current };
        }
        if batch.first_sequence >= 0
            && let Some(expected) = expected_sequence(batch, known, asked)
        {
            return Verdict::OutOfOrder { expected };
        }
        if known.is_some_and(|known| known.transaction.is_some()) && !batch.transactional {
            return Verdict::NotTransactional;
        }
        Verdict::Append
    }

    /// What is to be done with the end of a transaction. From version 2 of transactions on, the epoch grows with every one of them,
    /// and the marker carries the new one: one that does not is late (KIP-890). The same once more, after the transaction,
    /// is a retry.
    #[must_use]
    pub fn check_marker(
        &self,
        producer_id: ProducerId,
        epoch: i16,
        marker: &TxnMarker,
        transaction_version: i8,
    ) -> MarkerVerdict {
        let Some(known) = self.known.get(&producer_id) else { return MarkerVerdict::Append };
        let is_late = transaction_version >= 2 && epoch == known.epoch && known.transaction.is_some();
        if epoch < known.epoch || is_late {
            return MarkerVerdict::OldEpoch { current: known.epoch };
        }
        if marker.coordinator_epoch < known.coordinator_epoch {
            return MarkerVerdict::OldCoordinator { current: known.coordinator_epoch };
        }
        MarkerVerdict::Append
    }
}

/// The sequence that should have come, if another one has.
fn expected_sequence(
    batch: &ProducerFacts,
    known: Option<&ProducerState>,
    asked: Option<&Asked>,
) -> Option<i32> {
    let first = batch.first_sequence;
    let is_new = known.is_none_or(|known| known.batches.is_empty());
    if let Some(asked) = asked {
        if asked.epoch_per_transaction && is_new && first != 0 {
            return Some(0);
        }
        if first > asked.lowest_sequence {
            return Some(asked.lowest_sequence);
        }
    }
    let known = known?;
    let expected = match known.last_sequence() {
        _ if batch.epoch != known.epoch => 0,
        Some(last) => next_sequence(last),
        // A truncation has taken the batches of its transaction that were known; what came before is not.
        _ if known.transaction.is_some() => return None,
        // Its epoch is known from a marker only.
        _ => 0,
    };
    (first != expected).then_some(expected)
}

/// Sequences go round from the largest `i32` to 0.
#[must_use]
pub fn next_sequence(last: i32) -> i32 {
    last.checked_add(1).unwrap_or(0)
}
