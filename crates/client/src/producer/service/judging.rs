//! What comes back: answers judged batch by batch, and batches whose time is over.

use std::collections::BTreeMap;
use std::time::Duration;

use host::Instant;
use protocol::messages::produce_response::{PartitionProduceResponse, ProduceResponse};
use protocol::{Offset, Str};

use super::super::answer::{Verdict, verdict};
use super::super::queue::Queue;
use super::super::requests::{Addressed, Answers, InFlight};
use super::super::topics::TopicState;
use super::Service;
use crate::Error;

impl Service {
    pub(super) fn answered(&mut self, request: u64, version: i16, result: Result<ProduceResponse, Error>) {
        let Some(InFlight { node, batches }) = self.landed(request) else { return };
        match result {
            Ok(response) => {
                let mut answers = Answers::new(version, response);
                for addressed in batches {
                    match answers.take(&addressed) {
                        Some(answer) => self.judge(addressed, &answer),
                        None => {
                            let what = "the answer says nothing about it".to_owned();
                            let address = format!("broker {node}");
                            self.again(addressed, Error::Disconnected { address, reason: what });
                        }
                    }
                }
            }
            Err(error) if error.is_retriable() => {
                batches.into_iter().for_each(|addressed| self.again(addressed, error.clone()));
            }
            Err(error) => batches.into_iter().for_each(|addressed| self.give_up(addressed, &error)),
        }
    }

    /// Requests without acks are done when they are on their way.
    pub(super) fn written(&mut self, request: u64, result: Result<(), Error>) {
        if let Err(error) = result {
            self.answered(request, 0, Err(error));
            return;
        }
        let Some(InFlight { batches, .. }) = self.landed(request) else { return };
        for addressed in batches {
            if let Some(queue) = queue_of(&mut self.topics, &addressed) {
                queue.done(addressed.batch.number);
            }
            addressed.batch.deliver(addressed.partition, Offset::NONE, None);
        }
    }

    /// What was in flight with a request.
    fn landed(&mut self, request: u64) -> Option<InFlight> {
        let landed = self.requests.remove(&request)?;
        if let Some(node) = self.nodes.get_mut(&landed.node) {
            node.in_flight = node.in_flight.saturating_sub(1);
        }
        Some(landed)
    }

    fn judge(&mut self, addressed: Addressed, answer: &PartitionProduceResponse) {
        let subject = format!("{}-{}", addressed.topic.name, addressed.partition);
        let verdict = verdict(answer, &subject, self.options.idempotence);
        let Some(queue) = queue_of(&mut self.topics, &addressed) else { return };
        match verdict {
            Verdict::Written { base_offset, append_time_ms } => {
                queue.done(addressed.batch.number);
                addressed.batch.deliver(addressed.partition, base_offset, append_time_ms);
            }
            Verdict::Again { error } => self.again(addressed, error),
            Verdict::AgainInOrder { error } => {
                if queue.is_oldest(addressed.batch.number) {
                    queue.start_again();
                }
                self.again(addressed, error);
            }
            Verdict::Halves { error } => {
                let Addressed { topic, partition, batch } = addressed;
                match batch.split(self.options.compression) {
                    Ok((first, second)) => {
                        queue.put_back(first);
                        queue.put_back(second);
                    }
                    Err(batch) => self.give_up(Addressed { topic, partition, batch: *batch }, &error),
                }
            }
            Verdict::Refused { error } => self.give_up(addressed, &error),
        }
    }

    /// Sends a batch again after a pause, unless its time is over.
    fn again(&mut self, mut addressed: Addressed, error: Error) {
        let now = self.host.now();
        self.stale.insert(addressed.topic.name.clone());
        let batch = &mut addressed.batch;
        batch.failures = batch.failures.saturating_add(1);
        let pause = self.cluster.options().retry_backoff.delay(batch.failures, &*self.host.rng);
        batch.not_before = now.after(pause);
        if batch.created_at.after(self.options.delivery_timeout) <= batch.not_before {
            let error = self.expired(&addressed.topic.name, Some(&error));
            self.give_up(addressed, &error);
            return;
        }
        batch.last_error = Some(error);
        if let Some(queue) = queue_of(&mut self.topics, &addressed) {
            queue.put_back(addressed.batch);
        }
    }

    fn give_up(&mut self, addressed: Addressed, error: &Error) {
        if let Some(queue) = queue_of(&mut self.topics, &addressed) {
            queue.lost(&addressed.batch);
        }
        addressed.batch.fail(error);
    }

    fn expired(&self, topic: &Str, cause: Option<&Error>) -> Error {
        expired(self.options.delivery_timeout, topic, cause)
    }

    pub(super) fn expire(&mut self, now: Instant) {
        let limit = self.options.delivery_timeout;
        for (name, state) in &mut self.topics {
            state.expire_pending(|cause| expired(limit, name, cause), now);
            for queue in &mut state.queues {
                for batch in queue.expire(limit, now) {
                    let cause = batch.last_error.clone().or_else(|| state.last_error.clone());
                    batch.fail(&expired(limit, name, cause.as_ref()));
                }
            }
        }
    }
}

fn queue_of<'a>(topics: &'a mut BTreeMap<Str, TopicState>, addressed: &Addressed) -> Option<&'a mut Queue> {
    let state = topics.get_mut(&addressed.topic.name)?;
    state.queues.get_mut(usize::try_from(addressed.partition).ok()?)
}

fn expired(limit: Duration, topic: &Str, cause: Option<&Error>) -> Error {
    let because = cause.map_or(String::new(), |cause| format!(" ({cause})"));
    let what = format!("records for {topic} could not be delivered{because}");
    Error::Expired { what, ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) }
}
