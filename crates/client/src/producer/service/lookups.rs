//! What has to be known before anything can be sent: who leads, and which producer id is ours.

use std::collections::BTreeSet;
use std::time::Duration;

use host::{Host, Instant};
use protocol::messages::init_producer_id_request::InitProducerIdRequest;
use protocol::{ErrorCode, ProducerEpoch, ProducerId, Str};

use super::super::batch::Identity;
use super::super::queue::Queue;
use super::{Event, Service, earlier};
use crate::cluster::refused;
use crate::{Backoff, Cluster, Error};

/// Something that is fetched once at a time, with pauses after failures.
#[derive(Debug, Default)]
pub(super) struct Fetching {
    under_way: bool,
    failures: u32,
    not_before: Instant,
}

impl Fetching {
    fn may_start(&self, now: Instant) -> bool {
        !self.under_way && self.not_before <= now
    }

    fn ended(&mut self, succeeded: bool, backoff: &Backoff, host: &Host) {
        self.under_way = false;
        self.failures = if succeeded { 0 } else { self.failures.saturating_add(1) };
        let pause = if succeeded { Duration::ZERO } else { backoff.delay(self.failures, &*host.rng) };
        self.not_before = host.now().after(pause);
    }
}

impl Service {
    /// Asks for a producer id if one is needed and there is something to write.
    pub(super) fn want_identity(&mut self, now: Instant) -> Option<Instant> {
        let exhausted = || self.topics.values().flat_map(|state| &state.queues).any(Queue::needs_new_id);
        let wanted = self.options.idempotence && (self.identity.is_none() || exhausted());
        if !wanted || self.topics.is_empty() || self.fatal.is_some() || self.identifying.under_way {
            return None;
        }
        if !self.identifying.may_start(now) {
            return Some(self.identifying.not_before);
        }
        self.identifying.under_way = true;
        let (cluster, report) = (self.cluster.clone(), self.report.clone());
        self.host.spawn(self.cluster.place(), "client producer id", async move {
            let _ = report.send(Event::Identified { result: identify(&cluster).await });
        });
        None
    }

    pub(super) fn identified(&mut self, result: Result<Identity, Error>) {
        self.identifying.ended(result.is_ok(), &self.cluster.options().retry_backoff, &self.host);
        match result {
            Ok(identity) => self.identity = Some(identity),
            Err(error) if error.is_retriable() => {
                for state in self.topics.values_mut() {
                    state.last_error = Some(error.clone());
                }
            }
            Err(error) => {
                for state in self.topics.values_mut() {
                    state.fail_pending(&error);
                    for batch in state.queues.iter_mut().flat_map(Queue::take_all) {
                        batch.fail(&error);
                    }
                }
                self.fatal = Some(error);
            }
        }
    }

    /// Fetches metadata for topics that are not known, have moved or are old.
    pub(super) fn want_metadata(&mut self, now: Instant) -> Option<Instant> {
        let mut expiry = None;
        for (name, state) in &self.topics {
            let old = state
                .topic
                .as_ref()
                .is_none_or(|topic| now.since(topic.fetched_at) >= self.cluster.options().metadata_age_max);
            if old && !state.is_idle() {
                self.stale.insert(name.clone());
            }
            expiry = earlier(expiry, state.pending.first().map(|pending| pending.expires_at));
        }
        if self.stale.is_empty() || self.refreshing.under_way {
            return expiry;
        }
        if !self.refreshing.may_start(now) {
            return earlier(expiry, Some(self.refreshing.not_before));
        }
        self.refreshing.under_way = true;
        let topics = std::mem::take(&mut self.stale);
        let (cluster, report, create) =
            (self.cluster.clone(), self.report.clone(), self.options.create_topics);
        self.host.spawn(self.cluster.place(), "client topics", async move {
            let result = cluster.refresh(topics.iter().cloned().collect(), create).await;
            let _ = report.send(Event::Refreshed { topics, result });
        });
        expiry
    }

    pub(super) fn refreshed(&mut self, topics: BTreeSet<Str>, result: Result<(), Error>) {
        let (snapshot, now) = (self.cluster.snapshot(), self.host.now());
        let mut all_known = result.is_ok();
        for name in topics {
            let Some(state) = self.topics.get_mut(&name) else { continue };
            let topic = snapshot.topics.get(&name);
            let error = match (&result, topic.map_or(ErrorCode::UnknownTopicOrPartition, |topic| topic.error))
            {
                (Err(error), _) => error.clone(),
                (Ok(()), ErrorCode::None) => {
                    if let Some(topic) = topic {
                        state.learn(topic, &self.options, &*self.host.rng, now);
                    }
                    continue;
                }
                (Ok(()), code) => refused(name.as_str(), code, None),
            };
            all_known = false;
            if !error.is_retriable() {
                state.fail_pending(&error);
            } else if !state.is_idle() {
                self.stale.insert(name);
            }
            state.last_error = Some(error);
        }
        self.refreshing.ended(all_known, &self.cluster.options().retry_backoff, &self.host);
    }
}

async fn identify(cluster: &Cluster) -> Result<Identity, Error> {
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdRequest::default()
    };
    let response = cluster.call(&request).await?;
    match ErrorCode::from(response.error_code) {
        ErrorCode::None => Ok(Identity {
            id: ProducerId(response.producer_id),
            epoch: ProducerEpoch(response.producer_epoch),
        }),
        code => Err(refused("InitProducerId", code, None)),
    }
}
