//! [`Queue`]: the batches of one partition, in order: open, waiting, in flight, coming back.
//!
//! Invariants:
//! * Batches are handed out by ascending number; what comes back to be sent again is handed out before anything newer,
//!   and only when nothing else of the partition is in flight.
//! * With idempotence, the batches handed out have sequences without gaps. When one of them is given up, those handed out
//!   with it keep theirs until their fate is known, since they may be written already; what follows starts from zero in
//!   a new epoch, so that a late copy of the lost one is fenced off.
//! * A batch gets another sequence only when the broker has said that it is not written.
//!
//! Does not know: brokers, requests, why a batch comes back.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use host::Instant;
use protocol::ProducerEpoch;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::batch::{Batch, Identity, Stamp};
use super::{FlushGuard, ProducerOptions};
use crate::{Delivered, Error, ProducerRecord};

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// By ascending number; only the last may be open.
    waiting: VecDeque<Batch>,
    in_flight: BTreeSet<u64>,
    next_number: u64,
    identity: Option<Identity>,
    next_sequence: i32,
    /// Something came back: nothing is handed out until all of it is here.
    returning: bool,
    /// A batch with a sequence was given up: start a new epoch when nothing is left that has one.
    lost: bool,
    /// The broker does not take the oldest sequence: start a new epoch when nothing is in flight.
    broken: bool,
}

/// What a queue could do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing, until a batch comes back or a record arrives.
    Nothing,
    /// Hand out a batch.
    Now,
    /// Hand out a batch then.
    At(Instant),
}

impl Queue {
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Adds a record behind all others.
    pub(super) fn push(
        &mut self,
        record: &ProducerRecord,
        size: usize,
        reply: oneshot::Sender<Result<Delivered, Error>>,
        room: OwnedSemaphorePermit,
        (options, now): (&ProducerOptions, Instant),
    ) {
        let fits = self.waiting.back().is_some_and(|last| last.has_room(size, options.batch_bytes));
        if !fits {
            if let Some(last) = self.waiting.back_mut() {
                last.closed = true;
            }
            self.waiting.push_back(Batch::new(self.next_number, options.compression, now));
        }
        self.next_number += 1;
        if let Some(last) = self.waiting.back_mut() {
            last.push(record, reply, room);
            if last.is_empty() {
                self.waiting.pop_back();
            } else if last.uncompressed_size() >= options.batch_bytes {
                last.closed = true;
            }
        }
    }

    /// The guard is dropped when everything that is here now, or in flight, is done. In flight batches are not here:
    /// see [`Queue::in_flight`].
    pub(super) fn flush(&mut self, guard: &Arc<FlushGuard>) {
        for batch in &mut self.waiting {
            batch.closed = true;
            batch.flushes.push(Arc::clone(guard));
        }
    }

    /// What can be done at `now`; with `hurry` nothing lingers.
    pub(super) fn next(&self, options: &ProducerOptions, hurry: bool, now: Instant) -> Next {
        let waits = self.returning || self.broken || (self.lost && self.are_stamped_done());
        let held = waits && !self.in_flight.is_empty();
        let full = options.idempotence && self.in_flight.len() >= super::IDEMPOTENT_IN_FLIGHT_MAX;
        let Some(first) = self.waiting.front().filter(|_| !held && !full) else { return Next::Nothing };
        let lingers = !(first.closed || hurry);
        let ready = if lingers { first.created_at.after(options.linger) } else { Instant::ZERO };
        match ready.max(first.not_before) {
            at if at <= now => Next::Now,
            at => Next::At(at),
        }
    }

    /// Takes the first batch, built and stamped. `identity` is the producer's, `None` without idempotence. A batch that
    /// cannot be built is told so, and `None` comes back.
    pub(super) fn take(&mut self, identity: Option<Identity>) -> Option<Batch> {
        self.settle(identity);
        let mut batch = self.waiting.pop_front()?;
        if let Err(error) = batch.build() {
            batch.fail(&Error::Invalid(error.to_string()));
            return None;
        }
        if let Some(identity) = identity
            && batch.stamp().is_none()
        {
            let identity = *self.identity.get_or_insert(identity);
            batch.set_stamp(Stamp { identity, base_sequence: self.next_sequence });
            self.next_sequence = batch.sequence_behind(self.next_sequence);
        }
        self.in_flight.insert(batch.number);
        Some(batch)
    }

    /// Before the first batch after a pause: everything is back.
    fn settle(&mut self, identity: Option<Identity>) {
        if !self.in_flight.is_empty() {
            return;
        }
        self.returning = false;
        if !self.starts_epoch() {
            return;
        }
        (self.broken, self.lost) = (false, false);
        self.identity = match (self.identity, identity) {
            // The producer has got another id in the meantime.
            (Some(mine), Some(newer)) if mine.id != newer.id => Some(newer),
            (Some(mine), _) => {
                mine.epoch.get().checked_add(1).map(ProducerEpoch).map(|epoch| Identity { epoch, ..mine })
            }
            (None, newer) => newer,
        };
        self.next_sequence = 0;
        let Some(identity) = self.identity else { return };
        for batch in self.waiting.iter_mut().filter(|batch| batch.stamp().is_some()) {
            batch.set_stamp(Stamp { identity, base_sequence: self.next_sequence });
            self.next_sequence = batch.sequence_behind(self.next_sequence);
        }
    }

    /// No batch that waits has a sequence: those that have one are in front.
    fn are_stamped_done(&self) -> bool {
        self.waiting.front().is_none_or(|first| first.stamp().is_none())
    }

    /// What is handed out next begins a new epoch.
    fn starts_epoch(&self) -> bool {
        self.broken || (self.lost && self.are_stamped_done())
    }

    /// The epochs of the id are used up: a new id is needed before anything can be handed out.
    pub(super) fn needs_new_id(&self) -> bool {
        self.starts_epoch()
            && self.in_flight.is_empty()
            && self.identity.is_some_and(|identity| identity.epoch.get() == i16::MAX)
    }

    /// Whether a batch that has come back is older than everything else that has been handed out.
    pub(super) fn is_oldest(&self, number: u64) -> bool {
        let before = |other: Option<u64>| other.is_some_and(|other| other < number);
        !before(self.in_flight.first().copied()) && !before(self.waiting.front().map(|batch| batch.number))
    }

    /// A batch is done: written, or refused before it had a sequence.
    pub(super) fn done(&mut self, number: u64) {
        self.in_flight.remove(&number);
    }

    /// A batch is given up, and what the broker knows of its sequences is not known.
    pub(super) fn lost(&mut self, batch: &Batch) {
        self.in_flight.remove(&batch.number);
        self.lost |= batch.stamp().is_some();
    }

    /// The broker's idea of our sequences is not ours.
    pub(super) fn start_again(&mut self) {
        self.broken = true;
    }

    /// Puts a batch back in its place, to be sent again.
    pub(super) fn put_back(&mut self, batch: Batch) {
        self.in_flight.remove(&batch.number);
        self.returning = true;
        let place = self.waiting.partition_point(|other| other.number < batch.number);
        self.waiting.insert(place, batch);
    }

    /// Takes out the waiting batches that were made before `limit` ago.
    pub(super) fn expire(&mut self, limit: Duration, now: Instant) -> Vec<Batch> {
        let mut expired = Vec::new();
        while let Some(batch) = self.waiting.pop_front_if(|first| first.created_at.after(limit) <= now) {
            self.lost |= batch.stamp().is_some();
            expired.push(batch);
        }
        expired
    }

    /// When the first waiting batch expires.
    pub(super) fn expires_at(&self, limit: Duration) -> Option<Instant> {
        self.waiting.front().map(|first| first.created_at.after(limit))
    }

    /// Everything that waits, for a producer that cannot go on.
    pub(super) fn take_all(&mut self) -> Vec<Batch> {
        self.waiting.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use protocol::ProducerId;
    use tokio::sync::Semaphore;

    use super::*;

    const ME: Identity = Identity { id: ProducerId(7), epoch: ProducerEpoch(0) };

    fn options() -> ProducerOptions {
        ProducerOptions { batch_bytes: 100, linger: Duration::from_millis(5), ..ProducerOptions::default() }
    }

    /// One record a batch.
    fn filled(records: usize) -> Queue {
        let (mut queue, room) = (Queue::default(), Arc::new(Semaphore::new(100)));
        for _ in 0..records {
            let record = ProducerRecord::new("t").value(vec![0; 60]);
            let room = Arc::clone(&room).try_acquire_owned().unwrap();
            queue.push(&record, 120, oneshot::channel().0, room, (&options(), Instant::ZERO));
        }
        queue
    }

    fn take(queue: &mut Queue) -> Batch {
        assert_eq!(queue.next(&options(), false, Instant::ZERO), Next::Now);
        queue.take(Some(ME)).unwrap()
    }

    fn sequence(batch: &Batch) -> (i16, i32) {
        let stamp = batch.stamp().unwrap();
        (stamp.identity.epoch.get(), stamp.base_sequence)
    }

    #[test]
    fn a_batch_lingers_until_it_is_full_or_hurried() {
        let mut queue = Queue::default();
        let room = Arc::new(Semaphore::new(100));
        let push = |queue: &mut Queue, bytes: usize| {
            let record = ProducerRecord::new("t").value(vec![0; bytes]);
            let room = Arc::clone(&room).try_acquire_owned().unwrap();
            queue.push(&record, bytes + 30, oneshot::channel().0, room, (&options(), Instant::ZERO));
        };
        assert_eq!(queue.next(&options(), true, Instant::ZERO), Next::Nothing);
        push(&mut queue, 1);
        let linger = Instant::ZERO.after(Duration::from_millis(5));
        assert_eq!(queue.next(&options(), false, Instant::ZERO), Next::At(linger));
        assert_eq!(queue.next(&options(), true, Instant::ZERO), Next::Now);
        assert_eq!(queue.next(&options(), false, linger), Next::Now);
        push(&mut queue, 60);
        assert_eq!(queue.next(&options(), false, Instant::ZERO), Next::Now);
        assert_eq!(queue.take(None).unwrap().record_count(), 1);
    }

    #[test]
    fn what_comes_back_goes_first_and_alone() {
        let mut queue = filled(4);
        let [a, b, c] = [0; 3].map(|_| take(&mut queue));
        assert_eq!([&a, &b, &c].map(sequence), [(0, 0), (0, 1), (0, 2)]);
        assert!(queue.is_oldest(a.number) && !queue.is_oldest(b.number));
        queue.put_back(b);
        assert_eq!(queue.next(&options(), false, Instant::ZERO), Next::Nothing);
        queue.put_back(a);
        queue.done(c.number);
        let again: Vec<(i16, i32)> = (0..3).map(|_| sequence(&take(&mut queue))).collect();
        assert_eq!(again, [(0, 0), (0, 1), (0, 3)]);
    }

    /// What is in flight with a batch that expires may be written already. It got a new sequence in a new epoch once, and
    /// was written twice (simulator, seeds 197 and 210).
    #[test]
    fn after_a_loss_the_others_are_sent_as_they_were() {
        let mut queue = filled(4);
        let [a, b] = [0; 2].map(|_| take(&mut queue));
        queue.lost(&a);
        assert_eq!(queue.next(&options(), false, Instant::ZERO), Next::Nothing, "c is to begin an epoch");
        queue.put_back(b);
        let b = take(&mut queue);
        assert_eq!(sequence(&b), (0, 1));
        assert_eq!(queue.next(&options(), false, Instant::ZERO), Next::Nothing);
        queue.done(b.number);
        let behind: Vec<(i16, i32)> = (0..2).map(|_| sequence(&take(&mut queue))).collect();
        assert_eq!(behind, [(1, 0), (1, 1)]);
    }

    #[test]
    fn after_a_loss_that_leaves_a_gap_sequences_start_again_in_a_new_epoch() {
        let mut queue = filled(4);
        let [a, b] = [0; 2].map(|_| take(&mut queue));
        queue.lost(&a);
        queue.put_back(b);
        let b = take(&mut queue);
        assert!(queue.is_oldest(b.number));
        queue.start_again();
        queue.put_back(b);
        let again: Vec<(i16, i32)> = (0..3).map(|_| sequence(&take(&mut queue))).collect();
        assert_eq!(again, [(1, 0), (1, 1), (1, 2)]);
    }

    #[test]
    fn at_most_five_are_in_flight() {
        let mut queue = filled(6);
        for _ in 0..5 {
            take(&mut queue);
        }
        assert_eq!(queue.next(&options(), true, Instant::ZERO), Next::Nothing);
    }

    #[test]
    fn epochs_run_out() {
        let mut queue = filled(2);
        let last = Identity { epoch: ProducerEpoch(i16::MAX), ..ME };
        let first = queue.take(Some(last)).unwrap();
        queue.lost(&first);
        assert!(queue.needs_new_id());
        let other = Identity { id: ProducerId(8), epoch: ProducerEpoch(0) };
        assert_eq!(queue.take(Some(other)).unwrap().stamp().unwrap().identity, other);
    }

    #[test]
    fn old_batches_expire_in_order() {
        let mut queue = filled(3);
        let limit = Duration::from_millis(10);
        assert_eq!(queue.expires_at(limit), Some(Instant::ZERO.after(limit)));
        assert!(queue.expire(limit, Instant::ZERO).is_empty());
        assert_eq!(queue.expire(limit, Instant::ZERO.after(limit)).len(), 3);
        assert!(queue.is_idle());
    }
}
