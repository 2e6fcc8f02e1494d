//! [`Producers`]: what a partition remembers of idempotent and transactional producers: so that a retry is recognised, an old
//! epoch fenced off, and known how far readers of committed records may read.
//!
//! Invariants:
//! * Of each producer the last [`BATCHES_MAX`] batches of its newest epoch are kept, oldest first, by growing offsets.
//! * At most [`PRODUCERS_MAX`] producers, not counting those with an open transaction; the ones that have been silent longest
//!   give way. A producer with an open transaction is not forgotten.
//! * [`Producers::check`] decides, [`Producers::apply`] records; replaying batches that are already recorded
//!   changes nothing.
//! * What a marker, or a new epoch, has replaced is kept until nothing takes it back ([`Producers::settle`]), so that a
//!   truncation brings it back, and a start can begin where the segments end.
//!
//! A producer that is not (or no longer) known may begin with any sequence (KIP-360), unless its epoch grows with every
//! transaction (KIP-890): then it begins with 0.
//!
//! Does not know: whether a transaction may begin here (its coordinator does), who the coordinator is.

mod check;
pub(crate) mod encoding;
mod unstable;
mod verification;

use std::collections::{BTreeMap, VecDeque};

use protocol::ids::{Offset, ProducerId};
use protocol::records::{BatchHeader, TxnMarker};

pub use check::{MarkerVerdict, Verdict, next_sequence};
use unstable::Unstable;
pub use verification::{Asked, Guard, Question, Verifications};

/// What Kafka keeps, and the most that a client has in flight.
pub const BATCHES_MAX: usize = 5;

/// Bounds memory to some MiB a partition even if every request comes from a new producer.
pub const PRODUCERS_MAX: usize = 20_000;

/// What has been replaced and may come back is bounded, too. Beyond that, a truncation has to read the log.
pub const REPLACED_MAX: usize = 10_000;

/// The part of a batch's header that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerFacts {
    pub producer_id: ProducerId,
    pub epoch: i16,
    /// -1 for what a coordinator writes, which counts no sequences.
    pub first_sequence: i32,
    pub last_sequence: i32,
    pub transactional: bool,
}

impl From<&BatchHeader> for ProducerFacts {
    fn from(header: &BatchHeader) -> Self {
        Self {
            producer_id: header.producer_id,
            epoch: header.producer_epoch.0,
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            transactional: header.attributes.is_transactional(),
        }
    }
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
    /// Of the newest marker; -1 if there was none.
    pub coordinator_epoch: i32,
    /// Where its open transaction began.
    pub transaction: Option<Offset>,
    pub batches: VecDeque<BatchMark>,
    /// Timestamp of the last batch or marker; -1 if there was none.
    pub last_timestamp_ms: i64,
    /// Wall clock of the last append, for expiry.
    pub last_seen_ms: i64,
}

impl ProducerState {
    #[must_use]
    pub fn new(epoch: i16, now_ms: i64) -> Self {
        Self {
            epoch,
            coordinator_epoch: NO_EPOCH,
            transaction: None,
            batches: VecDeque::new(),
            last_timestamp_ms: -1,
            last_seen_ms: now_ms,
        }
    }

    fn last_sequence(&self) -> Option<i32> {
        self.batches.back().map(|batch| batch.last_sequence)
    }

    fn enter_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
    }
}

/// No coordinator has written a marker.
const NO_EPOCH: i32 = -1;

/// What a batch at `offset` has replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    pub offset: Offset,
    pub producer_id: ProducerId,
    /// `None`: the producer was not known.
    pub before: Option<ProducerState>,
}

/// An entry of the index of aborted transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
    /// Of the marker.
    pub last_offset: Offset,
    /// Where readers of committed records may read to, as soon as nothing takes the marker back: no transaction whose marker
    /// comes later begins below.
    pub last_stable_offset: Offset,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    known: BTreeMap<ProducerId, ProducerState>,
    /// Behind everything that is recorded.
    end: Offset,
    unstable: Unstable,
    /// By offsets.
    replaced: VecDeque<Replaced>,
    /// Nothing below this offset may be truncated: what it would bring back is not known any more.
    truncatable: Offset,
}

impl Producers {
    /// What is known of the batches below `end`.
    #[must_use]
    pub fn new(
        known: impl IntoIterator<Item = (ProducerId, ProducerState)>,
        replaced: impl IntoIterator<Item = Replaced>,
        end: Offset,
        truncatable: Offset,
    ) -> Self {
        let mut new = Self { known: known.into_iter().collect(), end, truncatable, ..Self::default() };
        new.replaced = replaced.into_iter().collect();
        new.count_unstable();
        new
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

    /// Behind everything that is recorded.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.end
    }

    /// What a truncation may bring back, by offsets.
    pub fn replaced(&self) -> impl ExactSizeIterator<Item = &Replaced> {
        self.replaced.iter()
    }

    /// Memory that it takes.
    #[must_use]
    pub fn replaced_bytes(&self) -> usize {
        // Most have one or two batches, in room for four.
        self.replaced.len() * (size_of::<Replaced>() + 4 * size_of::<BatchMark>())
    }

    /// A truncation to an offset below this one does not bring back all that it should: the producers have to be read out of the
    /// log then.
    #[must_use]
    pub fn truncatable(&self) -> Offset {
        self.truncatable
    }

    /// The first offset of which nobody can say yet whether readers of committed records may have it.
    #[must_use]
    pub fn first_unstable(&self) -> Option<Offset> {
        self.unstable.first()
    }

    /// Whether the producer has an open transaction, of this epoch.
    #[must_use]
    pub fn is_in_transaction(&self, producer_id: ProducerId, epoch: i16) -> bool {
        let state = self.known.get(&producer_id);
        state.is_some_and(|state| state.transaction.is_some() && state.epoch == epoch)
    }

    /// Records an appended batch, without asking whether it should have been. `marker` is what a control batch holds. Answers
    /// what is to be indexed.
    pub fn apply(
        &mut self,
        header: &BatchHeader,
        marker: Option<TxnMarker>,
        now_ms: i64,
    ) -> Option<AbortedTransaction> {
        if header.base_offset < self.end {
            return None;
        }
        self.end = header.next_offset();
        let producer_id = header.producer_id.known()?;
        let aborted = if header.attributes.is_control() {
            self.apply_marker(producer_id, header, marker?, now_ms)
        } else {
            self.apply_batch(producer_id, header, now_ms);
            None
        };
        if self.known.len() > PRODUCERS_MAX {
            self.forget_silent(PRODUCERS_MAX / 10);
        }
        aborted
    }

    fn apply_batch(&mut self, producer_id: ProducerId, header: &BatchHeader, now_ms: i64) {
        let epoch = header.producer_epoch.0;
        if let Some(known) = self.known.get(&producer_id)
            && (known.epoch != epoch || known.batches.is_empty())
        {
            let before = Some(known.clone());
            self.replace(Replaced { offset: header.base_offset, producer_id, before });
        }
        let state = self.known.entry(producer_id).or_insert_with(|| ProducerState::new(epoch, now_ms));
        state.enter_epoch(epoch);
        if state.batches.len() == BATCHES_MAX {
            state.batches.pop_front();
        }
        state.batches.push_back(BatchMark {
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            timestamp_ms: header.max_timestamp,
        });
        state.last_timestamp_ms = header.max_timestamp;
        state.last_seen_ms = state.last_seen_ms.max(now_ms);
        if header.attributes.is_transactional() && state.transaction.is_none() {
            state.transaction = Some(header.base_offset);
            self.unstable.begin(header.base_offset);
        }
    }

    fn apply_marker(
        &mut self,
        producer_id: ProducerId,
        header: &BatchHeader,
        marker: TxnMarker,
        now_ms: i64,
    ) -> Option<AbortedTransaction> {
        let (offset, epoch) = (header.base_offset, header.producer_epoch.0);
        let before = self.known.get(&producer_id).cloned();
        self.replace(Replaced { offset, producer_id, before });
        let state = self.known.entry(producer_id).or_insert_with(|| ProducerState::new(epoch, now_ms));
        state.enter_epoch(epoch);
        state.coordinator_epoch = marker.coordinator_epoch;
        state.last_timestamp_ms = header.max_timestamp;
        state.last_seen_ms = state.last_seen_ms.max(now_ms);
        // A marker without records of its transaction decides about nothing.
        let first_offset = state.transaction.take()?;
        self.unstable.end(first_offset, offset);
        let last_stable_offset = self.unstable.first_open().unwrap_or(header.next_offset());
        let aborted =
            AbortedTransaction { producer_id, first_offset, last_offset: offset, last_stable_offset };
        (!marker.commit).then_some(aborted)
    }

    fn replace(&mut self, replaced: Replaced) {
        self.replaced.push_back(replaced);
        if self.replaced.len() > REPLACED_MAX
            && let Some(lost) = self.replaced.pop_front()
        {
            self.truncatable = self.truncatable.max(lost.offset.next());
        }
    }

    /// Nothing below `high_watermark` is taken back, and a start has segments up to `kept`.
    pub fn settle(&mut self, high_watermark: Offset, kept: Offset) {
        self.unstable.settle(high_watermark);
        let settled = high_watermark.min(kept);
        while let Some(settled) = self.replaced.pop_front_if(|replaced| replaced.offset < settled) {
            self.truncatable = self.truncatable.max(settled.offset.next());
        }
    }

    /// Forgets what was appended at or behind `end`, because the log no longer has it.
    pub fn truncate_from_end(&mut self, end: Offset) {
        while let Some(Replaced { producer_id, before, .. }) =
            self.replaced.pop_back_if(|replaced| replaced.offset >= end)
        {
            match before {
                Some(state) => drop(self.known.insert(producer_id, state)),
                None => drop(self.known.remove(&producer_id)),
            }
        }
        self.known.retain(|_, state| {
            let before = state.batches.len();
            while state.batches.back().is_some_and(|mark| mark.last_offset >= end) {
                state.batches.pop_back();
                state.last_timestamp_ms = state.batches.back().map_or(-1, |mark| mark.timestamp_ms);
            }
            state.transaction = state.transaction.filter(|first| *first < end);
            let lost_all = before > 0 && state.batches.is_empty();
            !lost_all || state.transaction.is_some()
        });
        self.end = self.end.min(end);
        self.count_unstable();
    }

    /// The open transaction of a producer is known to have ended.
    pub fn end_transaction(&mut self, producer_id: ProducerId) {
        if let Some(state) = self.known.get_mut(&producer_id) {
            state.transaction = None;
            self.count_unstable();
        }
    }

    /// From what the producers say, and what may still be taken back.
    fn count_unstable(&mut self) {
        self.unstable = Unstable::default();
        for first in self.known.values().filter_map(|state| state.transaction) {
            self.unstable.begin(first);
        }
        // What has changed a transaction last has ended it, unless it is open still.
        let transaction = |replaced: &Replaced| replaced.before.as_ref().and_then(|state| state.transaction);
        let last: BTreeMap<Offset, Offset> = self
            .replaced
            .iter()
            .filter_map(|replaced| Some((transaction(replaced)?, replaced.offset)))
            .filter(|(first, _)| !self.unstable.is_open(*first))
            .collect();
        let mut ended: Vec<_> = last.into_iter().map(|(first, marker)| (marker, first)).collect();
        ended.sort_unstable();
        for (marker, first) in ended {
            self.unstable.begin(first);
            self.unstable.end(first, marker);
        }
    }

    /// Forgets producers that have appended nothing since `before_ms`, and have no open transaction.
    pub fn expire(&mut self, before_ms: i64) {
        self.known.retain(|_, state| state.last_seen_ms >= before_ms || state.transaction.is_some());
    }

    fn forget_silent(&mut self, count: usize) {
        let idle = self.known.iter().filter(|(_, state)| state.transaction.is_none());
        let mut silent: Vec<_> = idle.map(|(id, state)| (state.last_seen_ms, *id)).collect();
        silent.sort_unstable();
        for (_, id) in silent.into_iter().take(count) {
            self.known.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests;
