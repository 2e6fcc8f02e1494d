//! [`TopicState`]: the partitions of one topic, and the records that wait until they are known.

use std::sync::Arc;

use host::{Instant, Rng};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::partitioner::{Sticky, partition_of_key};
use super::queue::Queue;
use super::{FlushGuard, ProducerOptions, size_of};
use crate::cluster::Topic;
use crate::{Delivered, Error, ProducerRecord};

/// A record of a topic whose partitions are not known yet, or of a partition that is not.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) record: ProducerRecord,
    pub(super) reply: oneshot::Sender<Result<Delivered, Error>>,
    pub(super) room: OwnedSemaphorePermit,
    pub(super) flushes: Vec<Arc<FlushGuard>>,
    pub(super) expires_at: Instant,
}

#[derive(Debug, Default)]
pub(super) struct TopicState {
    pub(super) topic: Option<Arc<Topic>>,
    /// One a partition.
    pub(super) queues: Vec<Queue>,
    pub(super) pending: Vec<Pending>,
    sticky: Sticky,
    /// Why the partitions are not known.
    pub(super) last_error: Option<Error>,
}

impl TopicState {
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.queues.iter().all(Queue::is_idle)
    }

    /// False if the partition that the record names may be there, and metadata is too old to tell.
    pub(super) fn knows_partition(&self, record: &ProducerRecord) -> bool {
        match (&self.topic, record.partition) {
            (Some(topic), Some(index)) => index < 0 || topic.partition(index).is_some(),
            _ => true,
        }
    }

    /// Takes in what is known now, and sends the pending records their way.
    pub(super) fn learn(
        &mut self,
        topic: &Arc<Topic>,
        options: &ProducerOptions,
        rng: &dyn Rng,
        now: Instant,
    ) {
        if topic.partitions.len() > self.queues.len() {
            self.queues.resize_with(topic.partitions.len(), Queue::default);
        }
        self.topic = Some(Arc::clone(topic));
        let mut flushes: Vec<Arc<FlushGuard>> = Vec::new();
        for mut pending in std::mem::take(&mut self.pending) {
            for guard in pending.flushes.drain(..) {
                if !flushes.iter().any(|known| Arc::ptr_eq(known, &guard)) {
                    flushes.push(guard);
                }
            }
            self.push(pending, options, rng, now);
        }
        // Only now: a flush closes batches, and these records belong together.
        for guard in &flushes {
            self.queues.iter_mut().for_each(|queue| queue.flush(guard));
        }
    }

    /// Puts a record into its partition's queue, or keeps it until the partitions are known.
    pub(super) fn push(&mut self, pending: Pending, options: &ProducerOptions, rng: &dyn Rng, now: Instant) {
        let Some(topic) = &self.topic else {
            self.pending.push(pending);
            return;
        };
        let Pending { record, reply, room, .. } = pending;
        let (size, count) = (size_of(&record), topic.partitions.len());
        let partition = match (record.partition, &record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_of_key(key, count),
            (None, None) => self.sticky.choose(topic, size, options.batch_bytes, rng),
        };
        let queue = usize::try_from(partition).ok().filter(|index| *index < count);
        match queue.and_then(|index| self.queues.get_mut(index)) {
            Some(queue) => queue.push(&record, size, reply, room, (options, now)),
            None => {
                let text =
                    format!("topic {} has {count} partitions, there is no partition {partition}", topic.name);
                // Whoever waits may have gone.
                let _ = reply.send(Err(Error::Invalid(text)));
            }
        }
    }

    /// Gives up the pending records that have waited too long.
    pub(super) fn expire_pending(&mut self, error: impl Fn(Option<&Error>) -> Error, now: Instant) {
        for pending in self.pending.extract_if(.., |pending| pending.expires_at <= now) {
            let _ = pending.reply.send(Err(error(self.last_error.as_ref())));
        }
    }

    /// Gives up all pending records.
    pub(super) fn fail_pending(&mut self, error: &Error) {
        for pending in self.pending.drain(..) {
            let _ = pending.reply.send(Err(error.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{ErrorCode, LeaderEpoch, NodeId, Str, TopicId};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::cluster::Partition;

    #[derive(Debug)]
    struct Zero;

    impl Rng for Zero {
        fn next_u64(&self) -> u64 {
            0
        }

        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    fn topic() -> Arc<Topic> {
        let partition = Partition {
            index: 0,
            leader: Some(NodeId(1)),
            leader_epoch: LeaderEpoch(0),
            replicas: Vec::new(),
            isr: Vec::new(),
            offline: Vec::new(),
        };
        Arc::new(Topic {
            name: Str::from("t"),
            id: TopicId::default(),
            error: ErrorCode::None,
            is_internal: false,
            partitions: vec![partition],
            fetched_at: Instant::ZERO,
        })
    }

    #[test]
    fn a_flush_before_the_partitions_are_known_does_not_cut_batches_up() {
        let (options, mut state) = (ProducerOptions::default(), TopicState::default());
        let (room, (done, mut is_done)) = (Arc::new(Semaphore::new(10)), oneshot::channel());
        let guard = Arc::new(FlushGuard { _done: done });
        for _ in 0..3 {
            let pending = Pending {
                record: ProducerRecord::new("t").value("v"),
                reply: oneshot::channel().0,
                room: Arc::clone(&room).try_acquire_owned().unwrap(),
                flushes: vec![Arc::clone(&guard)],
                expires_at: Instant::ZERO,
            };
            state.push(pending, &options, &Zero, Instant::ZERO);
        }
        drop(guard);
        state.learn(&topic(), &options, &Zero, Instant::ZERO);
        let batch = state.queues[0].take(None).unwrap();
        assert_eq!((batch.record_count(), state.queues[0].has_waiting()), (3, false));
        assert!(is_done.try_recv() == Err(oneshot::error::TryRecvError::Empty), "not written yet");
        drop(batch);
        assert!(is_done.try_recv() == Err(oneshot::error::TryRecvError::Closed));
    }
}
