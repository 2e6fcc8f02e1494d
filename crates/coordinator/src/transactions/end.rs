//! EndTxn, and transactions that the coordinator aborts.

use protocol::ids::ProducerId;
use protocol::{ErrorCode, Str};

use super::state::State;
use super::transaction::{EPOCH_A_TRANSACTION, LAST_EPOCH, Transaction};
use super::{Reply, Turn, Verdict};
use crate::Producer;

/// What becomes of an EndTxn.
enum Step {
    /// It is decided now.
    End,
    /// It was decided before, so, and whoever asks did not hear of it.
    AlreadyDone,
    /// It was decided so, and is not done.
    Wait,
}

impl Turn<'_> {
    pub(super) fn end(
        &mut self,
        id: &Str,
        producer: Producer,
        commit: bool,
        client_version: i16,
        fresh: Option<ProducerId>,
    ) -> Verdict {
        if id.is_empty() {
            return Verdict::producer(Err(ErrorCode::InvalidRequest));
        }
        let Some(known) = self.logged.get(id) else {
            return Verdict::producer(Err(ErrorCode::InvalidProducerIdMapping));
        };
        let bumps = client_version >= EPOCH_A_TRANSACTION;
        let step =
            if bumps { with_epochs(known, producer, commit) } else { without(known, producer, commit) };
        match step {
            Err(error) => Verdict::producer(Err(error)),
            Ok(Step::AlreadyDone) => Verdict::producer(Ok(known.producer())),
            Ok(Step::Wait) => Verdict::Wait,
            Ok(Step::End) => {
                let exhausted = bumps && known.is_exhausted();
                if exhausted && fresh.is_none() {
                    return Verdict::Reply(Reply::ProducerIdWanted);
                }
                let next = fresh.filter(|_| exhausted);
                let last_epoch = known.epoch;
                let ended = known.ending(commit, client_version, next, self.now.wall_ms);
                let producer = ended.next_producer();
                if bumps {
                    self.set_last_epoch(id, Some(last_epoch));
                }
                self.decide_end(id, ended);
                Verdict::producer(Ok(producer))
            }
        }
    }

    /// Aborts the transaction that runs, and sees to it that whoever runs it cannot go on.
    ///
    /// Where Kafka may give a new producer id here, the last epoch of the old one is used up: it is left for this, and no
    /// client gets it. The next InitProducerId gives a new id.
    pub(super) fn fence(&mut self, id: &Str) {
        let Some(known) = self.logged.get(id) else { return };
        let version = self.options.transaction_version;
        let last_epoch = (version >= EPOCH_A_TRANSACTION).then_some(known.epoch);
        let ended = known.fenced(version, self.now.wall_ms);
        self.set_last_epoch(id, last_epoch);
        self.decide_end(id, ended);
    }

    fn decide_end(&mut self, id: &Str, ended: Transaction) {
        self.emit(id, Some(ended));
        self.clear_deadline(id);
        self.complete(id);
    }
}

/// An epoch is for one producer, however many transactions it has: asking twice cannot be told from asking for the next.
fn without(known: &Transaction, producer: Producer, commit: bool) -> Result<Step, ErrorCode> {
    if known.producer_id != producer.id {
        return Err(ErrorCode::InvalidProducerIdMapping);
    }
    if known.epoch != producer.epoch.0 {
        return Err(ErrorCode::ProducerFenced);
    }
    match known.state {
        State::Ongoing => Ok(Step::End),
        State::PrepareCommit if commit => Ok(Step::Wait),
        State::PrepareAbort if !commit => Ok(Step::Wait),
        State::CompleteCommit if commit => Ok(Step::AlreadyDone),
        State::CompleteAbort if !commit => Ok(Step::AlreadyDone),
        _ => Err(ErrorCode::InvalidTxnState),
    }
}

/// Every transaction has an epoch of its own (KIP-890): who asks again names the epoch before. A transaction that wrote
/// nothing can be aborted, for its producer does not know whether anything has begun.
fn with_epochs(known: &Transaction, producer: Producer, commit: bool) -> Result<Step, ErrorCode> {
    let epoch = producer.epoch.0;
    // The epoch of a fence, which nobody gets.
    let is_nobodys = known.epoch > LAST_EPOCH && known.next_producer_id.is_none();
    let asks_again = known.epoch.checked_sub(1) == Some(epoch) && !is_nobodys;
    // The epoch before was the last of another id.
    let asks_again_as_other =
        known.previous_producer_id == producer.id && epoch == LAST_EPOCH && known.epoch == 0;
    if known.producer_id != producer.id && !asks_again_as_other {
        return Err(ErrorCode::InvalidProducerIdMapping);
    }
    let is_retry = asks_again || asks_again_as_other;
    let is_current = epoch == known.epoch;
    let is_valid = match known.state {
        State::PrepareCommit | State::PrepareAbort => asks_again,
        State::CompleteCommit | State::CompleteAbort => is_retry || is_current,
        State::Ongoing | State::Empty | State::Dead | State::PrepareEpochFence => is_current,
    };
    if !is_valid {
        return Err(ErrorCode::ProducerFenced);
    }
    match known.state {
        State::Ongoing => Ok(Step::End),
        State::PrepareCommit if commit => Ok(Step::Wait),
        State::PrepareAbort if !commit => Ok(Step::Wait),
        State::CompleteCommit if commit && is_retry => Ok(Step::AlreadyDone),
        State::CompleteAbort if !commit && is_retry => Ok(Step::AlreadyDone),
        State::Empty | State::CompleteCommit | State::CompleteAbort if !commit && !is_retry => Ok(Step::End),
        _ => Err(ErrorCode::InvalidTxnState),
    }
}
