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
//! Does not know: groups and commits; those are [`GroupConsumer`](crate::GroupConsumer)'s.

mod aborted;
mod driving;
mod fetch;
mod partition;
pub(crate) mod starts;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::records::{Limits, Record, Scratch};
use protocol::{NodeId, Offset};
use tokio::sync::mpsc;

use self::fetch::Fetched;
use self::partition::PartitionState;
use crate::connection::within;
use crate::offsets::Isolation;
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
    Found { partition: TopicPartition, asked_at: Offset, result: Result<Offset, Error> },
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
        let places = starts::resolve(&self.cluster, &self.options, starts).await?;
        self.place(places);
        Ok(())
    }

    /// As [`Consumer::assign`], when it is known already where the partitions begin.
    pub(crate) fn place(&mut self, places: Vec<starts::Place>) {
        for place in places {
            self.unassign(&place.partition);
            self.partitions.insert(place.partition, PartitionState::new(place.position, place.end));
        }
    }

    /// Takes a partition away, with what has been fetched of it.
    pub fn unassign(&mut self, partition: &TopicPartition) {
        self.ready.retain(|fetched| fetched.partition != *partition);
        self.partitions.remove(partition);
    }

    /// Has an assigned partition go on from another offset.
    pub fn seek(&mut self, partition: &TopicPartition, offset: Offset) {
        if let Some(state) = self.partitions.get(partition) {
            let end = state.end;
            self.place(vec![starts::Place { partition: partition.clone(), position: offset, end }]);
        }
    }

    /// Where the partition goes on: behind the last record that was given out.
    pub fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        self.partitions.get(partition).map(|state| state.position)
    }

    /// With `until_end`: the end that the partition had when it was assigned.
    pub fn end(&self, partition: &TopicPartition) -> Option<Offset> {
        self.partitions.get(partition)?.end
    }

    /// The partitions that nothing has been read from for so long but errors, with where they stand and the last error.
    pub fn failing(&self, lasting: Duration) -> impl Iterator<Item = (&TopicPartition, Offset, &Error)> {
        let now = self.cluster.host().now();
        let failing =
            self.partitions.iter().filter(move |(_, state)| state.has_failed_for(Some(lasting), now));
        failing.filter_map(|(key, state)| Some((key, state.position, state.failure.as_ref()?)))
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
