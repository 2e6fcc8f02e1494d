//! [`Transaction`]: what a record says of a transactional id, and the steps from one record to the next.
//!
//! Invariants:
//! * A step is a function of the state before; it never changes it in place.
//! * An epoch that a client may use is at most [`LAST_EPOCH`]: one more is left to fence whoever has it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::Str;
use protocol::ids::{ProducerEpoch, ProducerId};

use super::state::State;
use crate::Producer;

/// Partitions by topic.
pub(crate) type Partitions = BTreeMap<Str, BTreeSet<i32>>;

/// From this epoch on a producer gets another id.
pub(crate) const LAST_EPOCH: i16 = i16::MAX - 1;

/// No transaction has begun.
pub(crate) const NEVER: i64 = -1;

/// From this transaction version on every transaction has an epoch of its own (KIP-890).
pub(crate) const EPOCH_A_TRANSACTION: i16 = 2;

/// From this transaction version on records have tagged fields.
const FLEXIBLE_RECORDS: i16 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub producer_id: ProducerId,
    /// Of the record before; none if there was none.
    pub previous_producer_id: ProducerId,
    /// What the producer goes on with once the transaction has completed, if its epochs are used up.
    pub next_producer_id: ProducerId,
    pub epoch: i16,
    pub timeout_ms: i32,
    pub state: State,
    pub partitions: Partitions,
    pub start_ms: i64,
    pub last_update_ms: i64,
    /// What the client speaks that has made this record.
    pub client_version: i16,
}

impl Transaction {
    /// Of an id that nobody has used.
    pub(crate) fn begin(producer_id: ProducerId, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            producer_id,
            // Kafka makes the id in memory first, so that it follows itself.
            previous_producer_id: producer_id,
            next_producer_id: ProducerId::NONE,
            epoch: 0,
            timeout_ms,
            state: State::Empty,
            partitions: Partitions::new(),
            start_ms: NEVER,
            last_update_ms: now_ms,
            client_version: 0,
        }
    }

    pub(crate) fn producer(&self) -> Producer {
        Producer { id: self.producer_id, epoch: ProducerEpoch(self.epoch) }
    }

    /// Who the producer is once the transaction that is being completed has been.
    pub(crate) fn next_producer(&self) -> Producer {
        match self.next_producer_id.known() {
            Some(id) => Producer { id, epoch: ProducerEpoch(0) },
            None => self.producer(),
        }
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        self.epoch >= LAST_EPOCH
    }

    fn step(&self, state: State, now_ms: i64) -> Self {
        Self { state, previous_producer_id: self.producer_id, last_update_ms: now_ms, ..self.clone() }
    }

    /// A producer with this epoch begins.
    pub(crate) fn initialized(&self, epoch: i16, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            epoch,
            timeout_ms,
            partitions: Partitions::new(),
            start_ms: NEVER,
            ..self.step(State::Empty, now_ms)
        }
    }

    /// The epochs are used up.
    pub(crate) fn rotated(&self, producer_id: ProducerId, timeout_ms: i32, now_ms: i64) -> Self {
        Self { producer_id, ..self.initialized(0, timeout_ms, now_ms) }
    }

    /// Has all of `added`.
    pub(crate) fn has(&self, added: &[(Str, Vec<i32>)]) -> bool {
        let has = |(topic, partitions): &(Str, Vec<i32>)| {
            let own = self.partitions.get(topic);
            partitions.iter().all(|partition| own.is_some_and(|own| own.contains(partition)))
        };
        added.iter().all(has)
    }

    pub(crate) fn with(&self, added: &[(Str, Vec<i32>)], client_version: i16, now_ms: i64) -> Self {
        let mut next = self.step(State::Ongoing, now_ms);
        for (topic, partitions) in added {
            let own = match next.partitions.get_mut(topic) {
                Some(own) => own,
                None => next.partitions.entry(topic.detached()).or_default(),
            };
            own.extend(partitions);
        }
        if self.state != State::Ongoing {
            next.start_ms = now_ms;
        }
        Self { client_version, ..next }
    }

    /// The end is decided. With an epoch a transaction, its markers have the next epoch already: what was written before
    /// them can be told from what comes after.
    pub(crate) fn ending(
        &self,
        commit: bool,
        client_version: i16,
        next: Option<ProducerId>,
        now_ms: i64,
    ) -> Self {
        let state = if commit { State::PrepareCommit } else { State::PrepareAbort };
        let bumps = client_version >= EPOCH_A_TRANSACTION;
        Self {
            epoch: if bumps { self.epoch.saturating_add(1) } else { self.epoch },
            next_producer_id: next.unwrap_or(ProducerId::NONE),
            // Nothing had begun: then the abort begins and ends it.
            start_ms: if self.state == State::Ongoing { self.start_ms } else { now_ms },
            client_version,
            ..self.step(state, now_ms)
        }
    }

    /// The coordinator aborts it, and fences the producer.
    pub(crate) fn fenced(&self, version: i16, now_ms: i64) -> Self {
        let client_version = if version >= EPOCH_A_TRANSACTION { version } else { 0 };
        Self { epoch: self.epoch.saturating_add(1), ..self.ending(false, client_version, None, now_ms) }
    }

    /// What records of brokers of this transaction version can say.
    pub(crate) fn recorded(self, version: i16) -> Self {
        if version >= FLEXIBLE_RECORDS {
            return self;
        }
        let none = ProducerId::NONE;
        Self { previous_producer_id: none, next_producer_id: none, client_version: 0, ..self }
    }

    /// Every partition has its marker.
    pub(crate) fn completed(&self, now_ms: i64) -> Self {
        let state = match self.state {
            State::PrepareCommit => State::CompleteCommit,
            _ => State::CompleteAbort,
        };
        let Producer { id, epoch } = self.next_producer();
        Self {
            producer_id: id,
            epoch: epoch.0,
            next_producer_id: ProducerId::NONE,
            partitions: Partitions::new(),
            ..self.step(state, now_ms)
        }
    }
}

/// Partitions as messages have them.
pub(crate) fn listed(partitions: &Partitions) -> Vec<(Str, Vec<i32>)> {
    partitions.iter().map(|(topic, ids)| (topic.clone(), ids.iter().copied().collect())).collect()
}
