//! [`TopicState`]: the partitions of one topic, and the records that wait until they are known.

use std::sync::Arc;

use host::{Instant, Rng};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::partitioner::{Sticky, partition_of_key};
use super::queue::Queue;
use super::{FlushGuard, ProducerOptions, size_of};
use crate::cluster::Topic;
use crate::{Delivered, Error, ProducerRecord};

/// A record of a topic whose partitions are not known yet.
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
        for pending in std::mem::take(&mut self.pending) {
            self.push(pending, options, rng, now);
        }
    }

    /// Puts a record into its partition's queue, or keeps it until the partitions are known.
    pub(super) fn push(&mut self, pending: Pending, options: &ProducerOptions, rng: &dyn Rng, now: Instant) {
        let Some(topic) = &self.topic else {
            self.pending.push(pending);
            return;
        };
        let Pending { record, reply, room, flushes, .. } = pending;
        let (size, count) = (size_of(&record), topic.partitions.len());
        let partition = match (record.partition, &record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_of_key(key, count),
            (None, None) => self.sticky.choose(topic, size, options.batch_bytes, rng),
        };
        let queue = usize::try_from(partition).ok().filter(|index| *index < count);
        match queue.and_then(|index| self.queues.get_mut(index)) {
            Some(queue) => {
                queue.push(&record, size, reply, room, (options, now));
                flushes.iter().for_each(|guard| queue.flush(guard));
            }
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
