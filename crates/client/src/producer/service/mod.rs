//! The task behind [`Producer`](super::Producer): fills queues, sends what is ready, works answers in.
//!
//! Owns: the order of what is done, and everything that is not sent yet or not answered. By role: `sending`, `judging` of
//! answers, `lookups` of metadata and producer ids.
//!
//! Invariants:
//! * Nothing but room in a connection's queue is waited for in the middle of a turn; attempts report as events.
//! * Events go before messages: they make room.

mod judging;
mod lookups;
mod sending;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use host::{Host, Instant};
use protocol::messages::produce_response::ProduceResponse;
use protocol::{NodeId, Str};
use tokio::sync::mpsc;

use self::lookups::Fetching;
use super::batch::Identity;
use super::requests::InFlight;
use super::topics::{Pending, TopicState};
use super::{FlushGuard, Message, ProducerOptions};
use crate::cluster::Topic;
use crate::connection::within;
use crate::{Cluster, Connection, Error};

/// What the attempts that the task has started report.
#[derive(Debug)]
enum Event {
    Connected { node: NodeId, result: Result<Connection, Error> },
    Answered { request: u64, version: i16, result: Result<ProduceResponse, Error> },
    Written { request: u64, result: Result<(), Error> },
    Refreshed { topics: BTreeSet<Str>, result: Result<(), Error> },
    Identified { result: Result<Identity, Error> },
}

#[derive(Debug, Default)]
struct Node {
    connection: Option<Connection>,
    connecting: bool,
    in_flight: usize,
}

pub(super) struct Service {
    host: Host,
    cluster: Cluster,
    options: Arc<ProducerOptions>,
    mailbox: mpsc::Receiver<Message>,
    /// Somebody waits for room in the buffer.
    pressing: Arc<AtomicUsize>,
    events: mpsc::UnboundedReceiver<Event>,
    report: mpsc::UnboundedSender<Event>,
    topics: BTreeMap<Str, TopicState>,
    nodes: BTreeMap<NodeId, Node>,
    requests: BTreeMap<u64, InFlight>,
    next_request: u64,
    identity: Option<Identity>,
    identifying: Fetching,
    refreshing: Fetching,
    stale: BTreeSet<Str>,
    /// All handles are gone: write what is here and end.
    closing: bool,
    /// Nothing can be written any more.
    fatal: Option<Error>,
}

enum Input {
    Message(Message),
    Event(Event),
    Closed,
}

/// Messages that are taken before batches are looked at again.
const MESSAGES_A_TURN: usize = 1024;

impl Service {
    pub(super) fn new(
        cluster: &Cluster,
        options: &Arc<ProducerOptions>,
        mailbox: mpsc::Receiver<Message>,
        pressing: Arc<AtomicUsize>,
    ) -> Self {
        let (report, events) = mpsc::unbounded_channel();
        Self {
            host: cluster.host().clone(),
            cluster: cluster.clone(),
            options: Arc::clone(options),
            mailbox,
            pressing,
            events,
            report,
            topics: BTreeMap::new(),
            nodes: BTreeMap::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            identity: None,
            identifying: Fetching::default(),
            refreshing: Fetching::default(),
            stale: BTreeSet::new(),
            closing: false,
            fatal: None,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let wake_at = self.turn().await;
            if self.closing && self.requests.is_empty() && self.topics.values().all(TopicState::is_idle) {
                return;
            }
            let limit = wake_at.map(|at| at.since(self.host.now()));
            let host = self.host.clone();
            let first = match limit {
                Some(limit) => within(&host, limit, self.next()).await,
                None => Some(self.next().await),
            };
            let mut taken = 0;
            let mut input = first;
            while let Some(what) = input {
                self.take_in(what);
                taken += 1;
                input = if taken < MESSAGES_A_TURN { self.try_next() } else { None };
            }
        }
    }

    /// The next thing that happens; events first.
    async fn next(&mut self) -> Input {
        std::future::poll_fn(|cx| {
            if let Poll::Ready(Some(event)) = self.events.poll_recv(cx) {
                return Poll::Ready(Input::Event(event));
            }
            if self.closing {
                return Poll::Pending;
            }
            self.mailbox.poll_recv(cx).map(|message| message.map_or(Input::Closed, Input::Message))
        })
        .await
    }

    fn try_next(&mut self) -> Option<Input> {
        if let Ok(event) = self.events.try_recv() {
            return Some(Input::Event(event));
        }
        self.mailbox.try_recv().ok().map(Input::Message)
    }

    fn take_in(&mut self, input: Input) {
        match input {
            Input::Message(Message::Send { record, reply, room }) => {
                if let Some(error) = &self.fatal {
                    // Whoever waits may have gone.
                    let _ = reply.send(Err(error.clone()));
                    return;
                }
                let now = self.host.now();
                let expires_at = now.after(self.options.delivery_timeout);
                let name = record.topic.clone();
                let pending = Pending { record, reply, room, flushes: Vec::new(), expires_at };
                let state = match self.topics.get_mut(&name) {
                    Some(state) => state,
                    None => self.topics.entry(name.detached()).or_default(),
                };
                if state.topic.is_none() {
                    let known = self.cluster.snapshot().topics.get(&name).cloned();
                    let age_max = self.cluster.options().metadata_age_max;
                    let fresh =
                        |topic: &Arc<Topic>| topic.error.is_none() && now.since(topic.fetched_at) < age_max;
                    match known.filter(fresh) {
                        Some(topic) => state.learn(&topic, &self.options, &*self.host.rng, now),
                        None => drop(self.stale.insert(name.clone())),
                    }
                }
                if !state.knows_partition(&pending.record) {
                    // It may have been added since. What is known by then decides.
                    state.pending.push(pending);
                    self.stale.insert(name);
                    return;
                }
                state.push(pending, &self.options, &*self.host.rng, now);
            }
            Input::Message(Message::Flush(guard)) => self.flush(guard),
            Input::Message(Message::Pressed) => {}
            Input::Closed => self.closing = true,
            Input::Event(Event::Connected { node, result }) => self.connected(node, result),
            Input::Event(Event::Answered { request, version, result }) => {
                self.answered(request, version, result);
            }
            Input::Event(Event::Written { request, result }) => self.written(request, result),
            Input::Event(Event::Refreshed { topics, result }) => self.refreshed(topics, result),
            Input::Event(Event::Identified { result }) => self.identified(result),
        }
    }

    fn flush(&mut self, guard: FlushGuard) {
        let guard = Arc::new(guard);
        for state in self.topics.values_mut() {
            state.queues.iter_mut().for_each(|queue| queue.flush(&guard));
            state.pending.iter_mut().for_each(|pending| pending.flushes.push(Arc::clone(&guard)));
        }
        for addressed in self.requests.values_mut().flat_map(|request| &mut request.batches) {
            addressed.batch.flushes.push(Arc::clone(&guard));
        }
    }

    /// Does what can be done now; returns when something is to be done next.
    async fn turn(&mut self) -> Option<Instant> {
        let now = self.host.now();
        self.expire(now);
        let mut wake_at = self.want_identity(now);
        let hurry = self.closing || self.pressing.load(Ordering::Relaxed) > 0;
        loop {
            let (batches, later) = self.collect(hurry, now);
            if batches.is_empty() {
                wake_at = earlier(wake_at, later);
                break;
            }
            for (node, batches) in batches {
                self.send(node, batches).await;
            }
        }
        earlier(wake_at, self.want_metadata(now))
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
