//! [`GroupConsumer`]: reads what a group assigns to it, and commits how far it has come.
//!
//! Owns: membership in both protocols, the classic assignors, committed offsets.
//!
//! Invariants:
//! * What is committed has been handed out, and whoever it was handed out to has come back for more, or closes.
//! * Before a partition goes to another member its offset is committed, unless it has gone already.
//! * Heartbeats do not wait for whoever reads; what goes and comes does.
//! * [`GroupConsumer::next`] may be dropped at any await; nothing is lost by it.
//!
//! Does not know: how records are fetched ([`Consumer`]).

mod assignor;
mod attending;
mod coordinator;
mod embedded;
mod membership;
mod offsets;
mod options;
mod work;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use host::Instant;
use protocol::Offset;
use tokio::sync::{mpsc, oneshot, watch};

pub use self::assignor::Assignor;
use self::attending::{Attending, Event, Leave};
use self::coordinator::Coordinator;
use self::membership::{Change, Identity};
use self::offsets::{Committed, Offsets};
pub use self::options::{GroupOptions, GroupProtocol};
use self::work::{Placed, Work};
use crate::connection::within;
use crate::{Chunk, Cluster, Consumer, Error, TopicPartition};

/// Not a handle: whoever reads owns it. Dropped without [`GroupConsumer::close`], it leaves and commits nothing.
#[derive(Debug)]
pub struct GroupConsumer {
    cluster: Cluster,
    options: Arc<GroupOptions>,
    inner: Consumer,
    committed: Committed,
    events: mpsc::UnboundedReceiver<Event>,
    orders: mpsc::UnboundedSender<Leave>,
    owned: BTreeSet<TopicPartition>,
    /// Of `owned`: those whose offsets are being found out.
    unplaced: BTreeSet<TopicPartition>,
    /// What the group knows of `owned`.
    done: Offsets,
    commit_at: Instant,
    work: Work,
    failed: Option<Error>,
}

/// What [`GroupConsumer::next`] waits for.
enum Input {
    Event(Event),
    LetGo,
    Placed(Result<Placed, Error>),
    Committed(Offsets, Result<(), Error>),
    CommitTime,
    Read(Result<Option<Chunk>, Error>),
}

/// Leaving takes a request; the coordinator expels whoever does not get that far.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

impl GroupConsumer {
    /// Joins the group; what comes of it shows in [`GroupConsumer::next`].
    pub fn start(cluster: &Cluster, options: GroupOptions) -> Result<Self, Error> {
        if options.group.is_empty() {
            return Err(Error::Invalid("a group has a name".to_owned()));
        }
        if options.topics.is_empty() || options.assignors.is_empty() {
            return Err(Error::Invalid(
                "a member of a group reads some topic, with some assignor".to_owned(),
            ));
        }
        let options = Arc::new(options);
        let (tell, events) = mpsc::unbounded_channel();
        let (orders, hear) = mpsc::unbounded_channel();
        let (publish, identity) = watch::channel(Identity::default());
        let coordinator = Coordinator::new(cluster, options.group.clone());
        let attending = Attending {
            coordinator: coordinator.clone(),
            options: options.clone(),
            events: tell,
            orders: hear,
            identity: publish,
        };
        cluster.host().spawn(cluster.place(), "client group member", attending.run());
        let commit_at = cluster.host().now().after(options.commit_interval.unwrap_or_default());
        Ok(Self {
            cluster: cluster.clone(),
            inner: Consumer::new(cluster, options.consumer.clone()),
            options,
            committed: Committed { coordinator, identity },
            events,
            orders,
            owned: BTreeSet::new(),
            unplaced: BTreeSet::new(),
            done: Offsets::new(),
            commit_at,
            work: Work::default(),
            failed: None,
        })
    }

    /// What the group has assigned to us.
    pub fn assignment(&self) -> &BTreeSet<TopicPartition> {
        &self.owned
    }

    /// The consumer below, to look at: positions, and what fails.
    pub fn reader(&self) -> &Consumer {
        &self.inner
    }

    /// Has a partition go on from here; what is behind it counts as not handed out. One that we do not have stays as it is.
    pub fn seek(&mut self, partition: &TopicPartition, offset: Offset) {
        self.inner.seek(partition, offset);
    }

    /// With `until_end`: whether something is assigned, and all of it is at the end that it had then.
    pub fn is_at_end(&self) -> bool {
        !self.owned.is_empty()
            && self.unplaced.is_empty()
            && !self.work.is_letting_go()
            && self.inner.is_at_end()
            && self.options.consumer.until_end
    }

    /// As [`GroupConsumer::next`], but `None` also when nothing comes within `wait`.
    pub async fn poll(&mut self, wait: Duration) -> Result<Option<Chunk>, Error> {
        let host = self.cluster.host().clone();
        within(&host, wait, self.next()).await.unwrap_or(Ok(None))
    }

    /// The next records. What was handed out before counts as done with from now on. With `until_end`, `None` when
    /// everything assigned is at its end.
    pub async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        loop {
            if let Some(error) = &self.failed {
                return Err(error.clone());
            }
            if self.is_at_end() {
                return Ok(None);
            }
            self.start_placing();
            match self.input().await {
                Input::Event(Event::Change(change, changed)) => self.change(change, changed),
                Input::Event(Event::Failed(error)) => self.failed = Some(error),
                Input::LetGo => {}
                Input::Placed(result) => {
                    let Placed { places, committed } = result?;
                    for place in &places {
                        self.unplaced.remove(&place.partition);
                    }
                    self.inner.place(places);
                    self.done.extend(committed);
                }
                Input::Committed(offsets, Ok(())) => self.done.extend(offsets),
                Input::Committed(_, Err(error)) => self.warn(&error),
                Input::CommitTime => self.start_committing(),
                Input::Read(result) => {
                    if let Some(chunk) = result? {
                        return Ok(Some(chunk));
                    }
                }
            }
        }
    }

    async fn input(&mut self) -> Input {
        let commits = self.options.commit_interval.is_some() && !self.work.is_committing();
        let mut timer = self.cluster.host().clock.sleep_until(self.commit_at);
        let Self { inner, events, work, .. } = self;
        let mut read = (!inner.is_at_end()).then(|| Box::pin(inner.next()));
        std::future::poll_fn(|cx| {
            if let Poll::Ready(input) = work.poll(cx) {
                return Poll::Ready(input);
            }
            // One change after the other.
            if !work.is_letting_go()
                && let Poll::Ready(event) = events.poll_recv(cx)
            {
                return Poll::Ready(Input::Event(event.unwrap_or(Event::Failed(Error::Closed))));
            }
            if commits && timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Input::CommitTime);
            }
            match &mut read {
                Some(read) => read.as_mut().poll(cx).map(Input::Read),
                None => Poll::Pending,
            }
        })
        .await
    }

    fn change(&mut self, change: Change, changed: oneshot::Sender<()>) {
        let going = self.progress(&change.give);
        for partition in &change.give {
            self.inner.unassign(partition);
            self.owned.remove(partition);
            self.unplaced.remove(partition);
            self.done.remove(partition);
        }
        self.owned.extend(change.take.iter().cloned());
        self.unplaced.extend(change.take);
        self.work.stop_placing();
        if change.lost || going.is_empty() || self.options.commit_interval.is_none() {
            // The member task may have ended; then that is the next event.
            let _ = changed.send(());
        } else {
            let limit = self.cluster.options().connection.request_timeout;
            self.work.let_go(self.cluster.host(), limit, self.committed.clone(), going, changed);
        }
    }

    /// Of these partitions: what has been handed out since it was committed.
    fn progress(&self, partitions: &BTreeSet<TopicPartition>) -> Offsets {
        let placed = partitions.iter().filter(|partition| !self.unplaced.contains(*partition));
        let position =
            |partition: &TopicPartition| Some((partition.clone(), self.inner.position(partition)?));
        placed.filter_map(position).filter(|(key, offset)| self.done.get(key) != Some(offset)).collect()
    }

    fn start_placing(&mut self) {
        if !self.unplaced.is_empty() && !self.work.is_placing() {
            self.work.place(&self.cluster, &self.options, self.committed.clone(), self.unplaced.clone());
        }
    }

    fn start_committing(&mut self) {
        let interval = self.options.commit_interval.unwrap_or_default();
        self.commit_at = self.cluster.host().now().after(interval);
        let offsets = self.progress(&self.owned);
        if !offsets.is_empty() && !self.work.is_letting_go() {
            self.work.commit(self.committed.clone(), offsets);
        }
    }

    /// Commits what has been handed out, all of it.
    pub async fn commit(&mut self) -> Result<(), Error> {
        self.work.stop_committing();
        let offsets = self.progress(&self.owned);
        if !offsets.is_empty() {
            self.committed.clone().write(offsets.clone()).await?;
            self.done.extend(offsets);
        }
        Ok(())
    }

    /// Commits what has been handed out, unless that is left to [`GroupConsumer::commit`], and leaves the group. The error
    /// is that of the commit.
    pub async fn close(mut self) -> Result<(), Error> {
        let host = self.cluster.host().clone();
        let result = match (&self.failed, self.options.commit_interval) {
            // What went wrong is known already.
            (None, Some(_)) => {
                let limit = self.cluster.options().connection.request_timeout;
                let ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
                let late = || Error::Expired { what: "the last commit is not answered".to_owned(), ms };
                within(&host, limit, self.commit()).await.unwrap_or_else(|| Err(late()))
            }
            _ => Ok(()),
        };
        self.leave().await;
        result
    }

    /// Leaves the group and commits nothing.
    pub async fn leave(self) {
        let (reply, left) = oneshot::channel();
        if self.orders.send(reply).is_ok() {
            let host = self.cluster.host().clone();
            // A coordinator that cannot be reached finds out by itself.
            let _ = within(&host, CLOSE_PATIENCE, left).await;
        }
    }

    fn warn(&self, error: &Error) {
        tracing::warn!("group {}: what was read is not committed: {error}", self.options.group);
    }
}
