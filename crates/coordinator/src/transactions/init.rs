//! InitProducerId: who is the producer of a transactional id from now on.

use protocol::ids::ProducerId;
use protocol::{ErrorCode, Str};

use super::state::State;
use super::transaction::{LAST_EPOCH, Transaction};
use super::{Reply, Turn, Verdict};
use crate::Producer;

impl Turn<'_> {
    pub(super) fn init(
        &mut self,
        id: &Str,
        timeout_ms: i32,
        current: Option<Producer>,
        fresh: Option<ProducerId>,
    ) -> Verdict {
        if id.is_empty() {
            return Verdict::producer(Err(ErrorCode::InvalidRequest));
        }
        if timeout_ms <= 0 || timeout_ms > self.options.transaction_max_timeout_ms {
            return Verdict::producer(Err(ErrorCode::InvalidTransactionTimeout));
        }
        let Some(known) = self.logged.get(id) else {
            let Some(fresh) = fresh else { return Verdict::Reply(Reply::ProducerIdWanted) };
            let transaction = Transaction::begin(fresh, timeout_ms, self.now.wall_ms);
            return self.become_producer(id, transaction, None);
        };
        if current.is_some_and(|current| !is_or_was(known, current)) {
            return Verdict::producer(Err(ErrorCode::ProducerFenced));
        }
        match known.state {
            State::PrepareCommit | State::PrepareAbort => Verdict::Wait,
            State::Ongoing | State::Dead | State::PrepareEpochFence => {
                // The epoch of the fence is nobody's: whoever asks gets the one after it.
                self.fence(id);
                Verdict::Wait
            }
            State::Empty | State::CompleteCommit | State::CompleteAbort => {
                self.next_epoch(id, timeout_ms, current.map(|current| current.epoch.0), fresh)
            }
        }
    }

    fn next_epoch(
        &mut self,
        id: &Str,
        timeout_ms: i32,
        expected: Option<i16>,
        fresh: Option<ProducerId>,
    ) -> Verdict {
        let Some(known) = self.logged.get(id) else {
            return Verdict::producer(Err(ErrorCode::ProducerFenced));
        };
        let now_ms = self.now.wall_ms;
        let last = self.soft.live.get(id).and_then(|live| live.last_epoch);
        match expected {
            Some(expected) if expected != known.epoch && Some(expected) != last => {
                Verdict::producer(Err(ErrorCode::ProducerFenced))
            }
            // A retry: the answer to the first attempt was lost.
            Some(expected) if expected != known.epoch && known.epoch <= LAST_EPOCH => {
                let same = known.initialized(known.epoch, timeout_ms, now_ms);
                self.become_producer(id, same, last)
            }
            _ if known.is_exhausted() => {
                let Some(fresh) = fresh else { return Verdict::Reply(Reply::ProducerIdWanted) };
                let last = expected.map(|_| known.epoch);
                self.become_producer(id, known.rotated(fresh, timeout_ms, now_ms), last)
            }
            _ => {
                let last = expected.map(|_| known.epoch);
                let epoch = known.epoch.saturating_add(1);
                self.become_producer(id, known.initialized(epoch, timeout_ms, now_ms), last)
            }
        }
    }

    fn become_producer(&mut self, id: &Str, transaction: Transaction, last_epoch: Option<i16>) -> Verdict {
        let producer = transaction.producer();
        self.emit(id, Some(transaction));
        self.set_last_epoch(id, last_epoch);
        Verdict::producer(Ok(producer))
    }
}

/// Whoever says so may be the producer, as far as its id tells; or it was until its epochs were used up, and has not heard
/// of its new id.
fn is_or_was(known: &Transaction, current: Producer) -> bool {
    current.id == known.producer_id
        || (current.id == known.previous_producer_id && current.epoch.0 >= LAST_EPOCH)
}
