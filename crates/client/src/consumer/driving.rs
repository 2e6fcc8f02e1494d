//! What goes on behind a [`Consumer`]: fetches, finding out who leads, offsets looked up again; and when a failure has
//! lasted so long that it is an error.

use std::collections::{BTreeMap, BTreeSet};

use host::Instant;
use protocol::{ErrorCode, NodeId, Offset, Str};

use super::fetch::{self, Fetched, Wanted};
use super::partition::PartitionState;
use super::starts::all;
use super::{Consumer, Event, OutOfRange};
use crate::cluster::refused;
use crate::offsets::{self, OffsetSpec};
use crate::{Error, TopicPartition};

impl Consumer {
    /// Starts what can be started: fetches, or finding out who leads.
    pub(super) fn drive(&mut self) {
        let snapshot = self.cluster.snapshot();
        let mut wanted: BTreeMap<NodeId, Vec<Wanted>> = BTreeMap::new();
        let mut unknown: BTreeSet<Str> = BTreeSet::new();
        for (key, state) in &self.partitions {
            if state.busy || state.is_at_end() {
                continue;
            }
            let topic = snapshot.topics.get(&key.topic).filter(|topic| topic.error.is_none());
            let partition = topic.and_then(|topic| topic.partition(key.partition));
            match (topic, partition, partition.and_then(|partition| partition.leader)) {
                (Some(topic), Some(partition), Some(leader)) if !state.stale => {
                    wanted.entry(leader).or_default().push(Wanted {
                        partition: key.clone(),
                        topic_id: topic.id,
                        leader_epoch: partition.leader_epoch,
                        offset: state.position,
                    });
                }
                _ => {
                    unknown.insert(key.topic.clone());
                }
            }
        }
        if !unknown.is_empty() && !self.refreshing {
            self.refreshing = true;
            let (cluster, report) = (self.cluster.clone(), self.report.clone());
            self.spawn("client refresh", async move {
                let result = cluster.refresh(unknown.into_iter().collect(), false).await;
                // Nobody listens any more when the consumer is gone.
                let _ = report.send(Event::Refreshed { result });
            });
        }
        for (node, wanted) in wanted {
            if !self.fetching.insert(node) {
                continue;
            }
            let asked: Vec<TopicPartition> = wanted.iter().map(|one| one.partition.clone()).collect();
            for key in &asked {
                if let Some(state) = self.partitions.get_mut(key) {
                    state.busy = true;
                }
            }
            let (cluster, report, options) =
                (self.cluster.clone(), self.report.clone(), self.options.clone());
            self.spawn("client fetch", async move {
                let result = fetch::fetch(&cluster, node, &wanted, &options).await;
                let _ = report.send(Event::Fetched { node, result, asked });
            });
        }
    }

    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.cluster.host().spawn(self.cluster.place(), name, task);
    }

    pub(super) fn take_in(&mut self, event: Event) -> Result<(), Error> {
        let now = self.cluster.host().now();
        match event {
            Event::Refreshed { result } => self.refreshed(&result, now),
            Event::Found { partition, asked_at, result } => self.found(&partition, asked_at, result, now),
            Event::Fetched { node, result, asked } => {
                self.fetching.remove(&node);
                match result {
                    Ok(fetched) => self.sort(asked, fetched, now),
                    Err(error) => {
                        for key in &asked {
                            self.failed(key, &error, now);
                        }
                        let passes = error.is_retriable();
                        self.raise(error, passes, now)
                    }
                }
            }
        }
    }

    fn refreshed(&mut self, result: &Result<(), Error>, now: Instant) -> Result<(), Error> {
        self.refreshing = false;
        let snapshot = self.cluster.snapshot();
        let mut raised = None;
        for (key, state) in &mut self.partitions {
            state.stale = false;
            let topic = snapshot.topics.get(&key.topic);
            let code = match topic {
                Some(topic) if topic.error.is_error() => topic.error,
                Some(topic) if topic.leader(key.partition).is_some() => ErrorCode::None,
                Some(topic) if topic.partition(key.partition).is_some() => ErrorCode::LeaderNotAvailable,
                _ => ErrorCode::UnknownTopicOrPartition,
            };
            let error = match result {
                Err(error) => error.clone(),
                Ok(()) if code.is_none() => continue,
                Ok(()) => refused(key.to_string(), code, None),
            };
            if state.fails(&error, self.options.patience, now) || !error.is_retriable() {
                raised.get_or_insert(error);
            }
        }
        raised.map_or(Ok(()), Err)
    }

    /// An error is the caller's if it does not pass, or when a partition has failed for too long.
    fn raise(&self, error: Error, passes: bool, now: Instant) -> Result<(), Error> {
        let lasted = |state: &PartitionState| state.has_failed_for(self.options.patience, now);
        if passes && !self.partitions.values().any(lasted) { Ok(()) } else { Err(error) }
    }

    fn failed(&mut self, key: &TopicPartition, error: &Error, now: Instant) {
        let patience = self.options.patience;
        if let Some(state) = self.partitions.get_mut(key) {
            state.busy = false;
            state.stale = true;
            state.fails(error, patience, now);
        }
    }

    /// Takes in the answers of one fetch.
    fn sort(&mut self, asked: Vec<TopicPartition>, fetched: Vec<Fetched>, now: Instant) -> Result<(), Error> {
        let mut missing: BTreeSet<TopicPartition> = asked.into_iter().collect();
        let mut result = Ok(());
        for fetched in fetched {
            if !missing.remove(&fetched.partition) {
                continue;
            }
            let Some(state) = self.partitions.get_mut(&fetched.partition) else { continue };
            if state.position != fetched.offset {
                // It was asked for before the partition was taken away and given back, or sent elsewhere.
                state.busy = false;
                continue;
            }
            match fetched.error {
                ErrorCode::None => {
                    state.failing_since = None;
                    // Busy until it has been taken.
                    state.busy = !fetched.batches.left().is_empty();
                    if state.busy {
                        self.ready.push_back(fetched);
                    }
                }
                ErrorCode::OffsetOutOfRange => {
                    result = result.and(self.out_of_range(&fetched));
                }
                code => {
                    let error = refused(fetched.partition.to_string(), code, None);
                    self.failed(&fetched.partition, &error, now);
                    let passes = code.is_retriable() || code == ErrorCode::FencedLeaderEpoch;
                    result = result.and(self.raise(error, passes, now));
                }
            }
        }
        for key in &missing {
            let left_out = refused(key.to_string(), ErrorCode::UnknownServerError, None);
            self.failed(key, &left_out, now);
        }
        result
    }

    fn out_of_range(&mut self, fetched: &Fetched) -> Result<(), Error> {
        let spec = match self.options.out_of_range {
            OutOfRange::Earliest => OffsetSpec::Earliest,
            OutOfRange::Latest => OffsetSpec::Latest,
            OutOfRange::Fail => {
                let message = format!("offset {} is not in the partition", fetched.offset);
                let text = Str::from(message);
                if let Some(state) = self.partitions.get_mut(&fetched.partition) {
                    state.busy = false;
                }
                let subject = fetched.partition.to_string();
                return Err(refused(subject, ErrorCode::OffsetOutOfRange, Some(&text)));
            }
        };
        let (cluster, report) = (self.cluster.clone(), self.report.clone());
        let (partition, isolation) = (fetched.partition.clone(), self.options.isolation);
        let asked_at = fetched.offset;
        self.spawn("client reset", async move {
            let asked = [(partition.clone(), spec)];
            let result = offsets::list(&cluster, asked, isolation).await.and_then(all);
            let result = result.map(|found| found.into_values().flatten().next().unwrap_or(Offset::ZERO));
            let _ = report.send(Event::Found { partition, asked_at, result });
        });
        Ok(())
    }

    fn found(
        &mut self,
        key: &TopicPartition,
        asked_at: Offset,
        result: Result<Offset, Error>,
        now: Instant,
    ) -> Result<(), Error> {
        let is_still_there = |state: &&mut PartitionState| state.position == asked_at;
        match (result, self.partitions.get_mut(key).filter(is_still_there)) {
            (_, None) => Ok(()),
            (Ok(offset), Some(state)) => {
                state.position = offset;
                state.busy = false;
                Ok(())
            }
            (Err(error), Some(_)) => {
                self.failed(key, &error, now);
                let passes = error.is_retriable();
                self.raise(error, passes, now)
            }
        }
    }
}
