//! [`Consumer`]: reads assigned partitions in order of their offsets.
//!
//! Owns: positions, one fetch at a time to each leader, checking and opening of what comes back.
//!
//! Invariants:
//! * The records of a partition come in order, none twice, each checked against the CRC of its batch.
//! * A partition is fetched again only when what it sent last has been taken: what is buffered is at most
//!   `fetch_bytes_max` a leader, and one batch is open at a time.
//! * [`Consumer::next`] may be dropped at any await; nothing is lost by it.
//!
//! Does not know: groups and commits (a later issue).

mod aborted;
mod fetch;
mod partition;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use host::Instant;
use protocol::records::{Limits, Record, Scratch};
use protocol::{ErrorCode, NodeId, Offset, Str};
use tokio::sync::mpsc;

use self::fetch::{Fetched, Wanted};
use self::partition::PartitionState;
use crate::cluster::refused;
use crate::connection::within;
use crate::offsets::{self, Isolation, OffsetSpec};
use crate::{Cluster, Error, TopicPartition};

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Earliest,
    Latest,
    Offset(Offset),
    /// The first record at or after this time, or the end.
    Timestamp(i64),
    /// So many before the end.
    Tail(i64),
}

/// What to do when a position is outside what the partition holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutOfRange {
    Earliest,
    #[default]
    Latest,
    Fail,
}

#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// How long a broker may hold a fetch that finds nothing.
    pub wait_max: Duration,
    pub fetch_bytes_min: i32,
    pub fetch_bytes_max: i32,
    pub partition_bytes_max: i32,
    pub out_of_range: OutOfRange,
    pub isolation: Isolation,
    /// End at the ends that the partitions had when they were assigned.
    pub until_end: bool,
    /// How long a partition may fail before that is an error; `None` for ever.
    pub patience: Option<Duration>,
    /// Bounds of what a compressed batch may become.
    pub limits: Limits,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            wait_max: Duration::from_millis(500),
            fetch_bytes_min: 1,
            fetch_bytes_max: 50 << 20,
            partition_bytes_max: 1 << 20,
            out_of_range: OutOfRange::default(),
            isolation: Isolation::default(),
            until_end: false,
            patience: Some(Duration::from_secs(60)),
            limits: Limits::default(),
        }
    }
}

/// The records of one batch.
#[derive(Clone, Debug)]
pub struct Chunk {
    pub partition: TopicPartition,
    pub records: Vec<Record>,
    /// As of the fetch that brought the batch.
    pub high_watermark: Offset,
}

#[derive(Debug)]
enum Event {
    Fetched { node: NodeId, result: Result<Vec<Fetched>, Error>, asked: Vec<TopicPartition> },
    Refreshed { result: Result<(), Error> },
    Found { partition: TopicPartition, result: Result<Offset, Error> },
}

/// Not a handle: whoever reads owns it.
#[derive(Debug)]
pub struct Consumer {
    cluster: Cluster,
    options: ConsumerOptions,
    partitions: BTreeMap<TopicPartition, PartitionState>,
    /// Leaders with a fetch under way.
    fetching: BTreeSet<NodeId>,
    refreshing: bool,
    ready: std::collections::VecDeque<Fetched>,
    events: mpsc::UnboundedReceiver<Event>,
    report: mpsc::UnboundedSender<Event>,
    scratch: Scratch,
}

impl Consumer {
    pub fn new(cluster: &Cluster, options: ConsumerOptions) -> Self {
        let (report, events) = mpsc::unbounded_channel();
        Self {
            cluster: cluster.clone(),
            options,
            partitions: BTreeMap::new(),
            fetching: BTreeSet::new(),
            refreshing: false,
            ready: std::collections::VecDeque::new(),
            events,
            report,
            scratch: Scratch::default(),
        }
    }

    /// Adds partitions; each begins at its own start. With `until_end` the ends are noted now.
    pub async fn assign(&mut self, starts: Vec<(TopicPartition, Start)>) -> Result<(), Error> {
        let of = |spec: OffsetSpec| move |(partition, _): &(TopicPartition, Start)| (partition.clone(), spec);
        let needs = |wanted: fn(&Start) -> bool| starts.iter().filter(move |(_, start)| wanted(start));
        let isolation = self.options.isolation;
        let ends_needed = |start: &Start| !matches!(start, Start::Earliest | Start::Offset(_));
        let ends = match self.options.until_end {
            true => starts.iter().map(of(OffsetSpec::Latest)).collect::<Vec<_>>(),
            false => needs(ends_needed).map(of(OffsetSpec::Latest)).collect(),
        };
        let ends = all(offsets::list(&self.cluster, ends, isolation).await?)?;
        let begins =
            needs(|start| matches!(start, Start::Earliest | Start::Tail(_))).map(of(OffsetSpec::Earliest));
        let begins = all(offsets::list(&self.cluster, begins.collect::<Vec<_>>(), isolation).await?)?;
        let times = starts.iter().filter_map(|(partition, start)| match start {
            Start::Timestamp(ms) => Some((partition.clone(), OffsetSpec::Timestamp(*ms))),
            _ => None,
        });
        let times = all(offsets::list(&self.cluster, times.collect::<Vec<_>>(), isolation).await?)?;
        for (partition, start) in starts {
            let at = |map: &BTreeMap<TopicPartition, Option<Offset>>| map.get(&partition).copied().flatten();
            let (begin, end) = (at(&begins).unwrap_or(Offset::ZERO), at(&ends).unwrap_or(Offset::ZERO));
            let position = match start {
                Start::Earliest => begin,
                Start::Latest => end,
                Start::Offset(offset) => offset,
                Start::Timestamp(_) => at(&times).unwrap_or(end),
                Start::Tail(count) => Offset(end.get().saturating_sub(count.max(0))).max(begin),
            };
            let end = self.options.until_end.then_some(end);
            self.partitions.insert(partition, PartitionState::new(position, end));
        }
        Ok(())
    }

    /// Where the partition goes on: behind the last record that was given out.
    pub fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        self.partitions.get(partition).map(|state| state.position)
    }

    /// Whether every partition is at the end it had when it was assigned.
    pub fn is_at_end(&self) -> bool {
        self.partitions.values().all(PartitionState::is_at_end)
    }

    /// As [`Consumer::next`], but `None` also when nothing comes within `wait`.
    pub async fn poll(&mut self, wait: Duration) -> Result<Option<Chunk>, Error> {
        let host = self.cluster.host().clone();
        within(&host, wait, self.next()).await.unwrap_or(Ok(None))
    }

    /// The next records; with `until_end`, `None` when every partition is at its end.
    pub async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        loop {
            let chunk = self.take_ready()?;
            // The next fetch runs while these records are looked at. If there are none, what was taken may have held
            // nothing for us, and only a fetch brings more.
            self.drive();
            if chunk.is_some() || self.is_at_end() {
                return Ok(chunk);
            }
            // We hold a sender ourselves.
            if let Some(event) = self.events.recv().await {
                self.take_in(event)?;
            }
        }
    }

    /// Starts what can be started: fetches, or finding out who leads.
    fn drive(&mut self) {
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

    fn take_in(&mut self, event: Event) -> Result<(), Error> {
        let now = self.cluster.host().now();
        match event {
            Event::Refreshed { result } => self.refreshed(&result, now),
            Event::Found { partition, result } => self.found(partition, result, now),
            Event::Fetched { node, result, asked } => {
                self.fetching.remove(&node);
                match result {
                    Ok(fetched) => self.sort(asked, fetched, now),
                    Err(error) => {
                        for key in &asked {
                            self.failed(key, now);
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
            if state.fails(self.options.patience, now) || !error.is_retriable() {
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

    fn failed(&mut self, key: &TopicPartition, now: Instant) {
        if let Some(state) = self.partitions.get_mut(key) {
            state.busy = false;
            state.stale = true;
            state.failing_since.get_or_insert(now);
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
                    self.failed(&fetched.partition, now);
                    let passes = code.is_retriable() || code == ErrorCode::FencedLeaderEpoch;
                    result = result.and(self.raise(error, passes, now));
                }
            }
        }
        missing.iter().for_each(|key| self.failed(key, now));
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
        self.spawn("client reset", async move {
            let asked = [(partition.clone(), spec)];
            let result = offsets::list(&cluster, asked, isolation).await.and_then(all);
            let result = result.map(|found| found.into_values().flatten().next().unwrap_or(Offset::ZERO));
            let _ = report.send(Event::Found { partition, result });
        });
        Ok(())
    }

    fn found(
        &mut self,
        key: TopicPartition,
        result: Result<Offset, Error>,
        now: Instant,
    ) -> Result<(), Error> {
        match (result, self.partitions.get_mut(&key)) {
            (_, None) => Ok(()),
            (Ok(offset), Some(state)) => {
                state.position = offset;
                state.busy = false;
                Ok(())
            }
            (Err(error), Some(_)) => {
                self.failed(&key, now);
                let passes = error.is_retriable();
                self.raise(error, passes, now)
            }
        }
    }

    /// Opens the next batch of what has been fetched.
    fn take_ready(&mut self) -> Result<Option<Chunk>, Error> {
        while let Some(mut front) = self.ready.pop_front() {
            let Some(state) = self.partitions.get_mut(&front.partition) else { continue };
            // After an error it is fetched again from the same position: what is damaged is never skipped.
            state.busy = false;
            let (from, end) = (state.position, state.end);
            let Some(opened) = front.open_next(from, end, &mut self.scratch, &self.options.limits)? else {
                continue;
            };
            state.position = from.max(opened.next_offset);
            let (partition, high_watermark) = (front.partition.clone(), front.high_watermark);
            if !front.batches.left().is_empty() && !state.is_at_end() {
                state.busy = true;
                self.ready.push_front(front);
            }
            if !opened.records.is_empty() {
                return Ok(Some(Chunk { partition, records: opened.records, high_watermark }));
            }
        }
        Ok(None)
    }
}

/// The offsets of all partitions, or the first error.
fn all(
    answers: BTreeMap<TopicPartition, Result<offsets::ListedOffset, Error>>,
) -> Result<BTreeMap<TopicPartition, Option<Offset>>, Error> {
    answers.into_iter().map(|(key, answer)| answer.map(|answer| (key, answer.offset))).collect()
}
