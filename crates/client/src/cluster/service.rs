//! The task behind [`Cluster`]: keeps connections and metadata, starts attempts, wakes who waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use host::{Host, Instant};
use protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use protocol::messages::metadata_response::MetadataResponse;
use protocol::{ErrorCode, Str};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Cluster, ClusterOptions, Snapshot, refused};
use crate::{Connection, Error};

/// Somebody to connect to. Sorts brokers in front of bootstrap servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    Node(i32),
    Bootstrap(usize),
}

type Reply<T> = oneshot::Sender<Result<T, Error>>;

#[derive(Debug)]
pub(super) enum Message {
    Connect {
        peer: Peer,
        reply: Reply<Connection>,
    },
    /// Whom to try, in order.
    Candidates {
        reply: oneshot::Sender<Vec<Peer>>,
    },
    Refresh {
        topics: Vec<Str>,
        create: bool,
        reply: Reply<()>,
    },
}

/// What the attempts that the task has started report.
#[derive(Debug)]
enum Event {
    Connected { peer: Peer, address: (String, u16), result: Result<Connection, Error> },
    Refreshed { result: Result<MetadataResponse, Error> },
}

#[derive(Debug, Default)]
struct PeerState {
    connection: Option<Connection>,
    /// Those who wait for the attempt that is under way; `None` when none is.
    attempt: Option<Vec<Reply<Connection>>>,
    failures: u32,
    not_before: Instant,
}

#[derive(Debug, Default)]
struct Refresh {
    under_way: bool,
    failures: u32,
    not_before: Instant,
    /// Served by the request that is under way.
    served: Vec<Reply<()>>,
    waiting: Vec<Reply<()>>,
    topics: BTreeSet<Str>,
    create: bool,
    wanted: bool,
}

pub(super) struct Service {
    host: Host,
    options: Arc<ClusterOptions>,
    bootstrap: Vec<(String, u16)>,
    /// Weak, so that the task ends with its last handle.
    handle: mpsc::WeakSender<Message>,
    snapshot_of_handles: watch::Receiver<Arc<Snapshot>>,
    mailbox: mpsc::Receiver<Message>,
    events: mpsc::UnboundedReceiver<Event>,
    report: mpsc::UnboundedSender<Event>,
    publish: watch::Sender<Arc<Snapshot>>,
    peers: BTreeMap<Peer, PeerState>,
    refresh: Refresh,
    turn: usize,
}

enum Input {
    Message(Message),
    Event(Event),
}

impl Service {
    pub(super) fn new(
        cluster: &Cluster,
        bootstrap: Vec<(String, u16)>,
        mailbox: mpsc::Receiver<Message>,
        publish: watch::Sender<Arc<Snapshot>>,
    ) -> Self {
        let (report, events) = mpsc::unbounded_channel();
        Self {
            host: cluster.host.clone(),
            options: cluster.options.clone(),
            bootstrap,
            handle: cluster.mailbox.downgrade(),
            snapshot_of_handles: cluster.snapshot.clone(),
            mailbox,
            events,
            report,
            publish,
            peers: BTreeMap::new(),
            refresh: Refresh::default(),
            turn: 0,
        }
    }

    pub(super) async fn run(mut self) {
        while let Some(input) = self.next().await {
            match input {
                Input::Message(Message::Connect { peer, reply }) => self.connect(peer, reply),
                Input::Message(Message::Candidates { reply }) => {
                    // Whoever asked may have given up.
                    let _ = reply.send(self.candidates());
                }
                Input::Message(Message::Refresh { topics, create, reply }) => {
                    self.refresh.topics.extend(topics);
                    self.refresh.create |= create;
                    self.refresh.waiting.push(reply);
                    self.refresh.wanted = true;
                    self.start_refresh();
                }
                Input::Event(Event::Connected { peer, address, result }) => {
                    self.connected(peer, &address, result);
                }
                Input::Event(Event::Refreshed { result }) => self.refreshed(result),
            }
        }
    }

    /// Events first: they make what the messages ask for.
    async fn next(&mut self) -> Option<Input> {
        std::future::poll_fn(|cx| {
            if let Poll::Ready(Some(event)) = self.events.poll_recv(cx) {
                return Poll::Ready(Some(Input::Event(event)));
            }
            self.mailbox.poll_recv(cx).map(|message| message.map(Input::Message))
        })
        .await
    }

    fn candidates(&mut self) -> Vec<Peer> {
        let is_open = |peer: &Peer| {
            let connection = self.peers.get(peer).and_then(|state| state.connection.as_ref());
            connection.is_some_and(|connection| !connection.is_closed())
        };
        let mut nodes: Vec<Peer> = self.publish.borrow().brokers.keys().copied().map(Peer::Node).collect();
        let mut bootstrap: Vec<Peer> = (0..self.bootstrap.len()).map(Peer::Bootstrap).collect();
        // Not always the same one first: it may hang.
        self.turn = self.turn.wrapping_add(1);
        for group in [&mut nodes, &mut bootstrap] {
            let by = self.turn.checked_rem(group.len()).unwrap_or(0);
            group.rotate_left(by);
        }
        let mut all = nodes;
        all.extend(bootstrap);
        all.sort_by_key(|peer| !is_open(peer));
        all
    }

    fn address(&self, peer: Peer) -> Result<(String, u16), Error> {
        let address = match peer {
            Peer::Bootstrap(index) => self.bootstrap.get(index).cloned(),
            Peer::Node(id) => {
                let snapshot = self.publish.borrow();
                snapshot.brokers.get(&id).map(|broker| (broker.host.to_string(), broker.port))
            }
        };
        address.ok_or_else(|| refused(format!("{peer:?}"), ErrorCode::BrokerNotAvailable, None))
    }

    fn connect(&mut self, peer: Peer, reply: Reply<Connection>) {
        let now = self.host.now();
        let address = self.address(peer);
        let state = self.peers.entry(peer).or_default();
        if let Some(connection) = state.connection.as_ref().filter(|connection| !connection.is_closed()) {
            let _ = reply.send(Ok(connection.clone()));
            return;
        }
        state.connection = None;
        if let Some(waiting) = &mut state.attempt {
            waiting.push(reply);
            return;
        }
        let address = match address {
            Ok(address) => address,
            Err(error) => {
                let _ = reply.send(Err(error));
                return;
            }
        };
        state.attempt = Some(vec![reply]);
        let pause = state.not_before.since(now);
        let (host, report) = (self.host.clone(), self.report.clone());
        let options = Arc::new(self.options.connection.clone());
        self.host.spawn(self.options.connection.place, "client connect", async move {
            if !pause.is_zero() {
                host.clock.sleep(pause).await;
            }
            let result = Connection::open(&host, (&address.0, address.1), options).await;
            // Nobody listens any more once all handles are gone.
            let _ = report.send(Event::Connected { peer, address, result });
        });
    }

    fn connected(&mut self, peer: Peer, address: &(String, u16), result: Result<Connection, Error>) {
        let has_moved = self.address(peer).is_ok_and(|now| now != *address);
        let state = self.peers.entry(peer).or_default();
        if has_moved {
            // Whoever is there now, it is not this broker.
            state.not_before = self.host.now();
            for reply in state.attempt.take().unwrap_or_default() {
                self.connect(peer, reply);
            }
            return;
        }
        state.failures = if result.is_ok() { 0 } else { state.failures.saturating_add(1) };
        let pause = self.options.reconnect_backoff.delay(state.failures, &*self.host.rng);
        state.not_before = self.host.now().after(pause);
        for waiting in state.attempt.take().unwrap_or_default() {
            let _ = waiting.send(result.clone());
        }
        state.connection = result.ok();
    }

    fn start_refresh(&mut self) {
        if self.refresh.under_way || !self.refresh.wanted {
            return;
        }
        let Some(mailbox) = self.handle.upgrade() else { return };
        let refresh = &mut self.refresh;
        refresh.under_way = true;
        refresh.wanted = false;
        refresh.served = std::mem::take(&mut refresh.waiting);
        let named = |name| MetadataRequestTopic { name: Some(name), ..MetadataRequestTopic::default() };
        let request = MetadataRequest {
            topics: Some(std::mem::take(&mut refresh.topics).into_iter().map(named).collect()),
            allow_auto_topic_creation: std::mem::take(&mut refresh.create),
            ..MetadataRequest::default()
        };
        // A topic that nobody has asked about before waits for nothing, unless brokers fail.
        let known = self.publish.borrow().clone();
        let asked = request.topics.as_deref().unwrap_or_default().iter();
        let is_new = asked.flat_map(|topic| &topic.name).any(|name| !known.topics.contains_key(name));
        let pause = match refresh.failures {
            0 if is_new => Duration::ZERO,
            _ => refresh.not_before.since(self.host.now()),
        };
        let report = self.report.clone();
        let cluster = Cluster {
            host: self.host.clone(),
            options: self.options.clone(),
            mailbox,
            snapshot: self.snapshot_of_handles.clone(),
        };
        self.host.spawn(self.options.connection.place, "client metadata", async move {
            if !pause.is_zero() {
                cluster.host.clock.sleep(pause).await;
            }
            let result = match cluster.any().await {
                Ok(connection) => connection.call(&request).await,
                Err(error) => Err(error),
            };
            let _ = report.send(Event::Refreshed { result });
        });
    }

    fn refreshed(&mut self, result: Result<MetadataResponse, Error>) {
        let result = result.and_then(|response| match ErrorCode::from(response.error_code) {
            ErrorCode::None => Ok(response),
            code => Err(refused("Metadata", code, None)),
        });
        self.refresh.under_way = false;
        self.refresh.failures = if result.is_ok() { 0 } else { self.refresh.failures.saturating_add(1) };
        let pause = self.options.retry_backoff.delay(self.refresh.failures, &*self.host.rng);
        self.refresh.not_before = self.host.now().after(pause);
        if let Ok(response) = &result {
            let before = self.publish.borrow().clone();
            let after = before.updated(response, self.host.now());
            for (id, broker) in &before.brokers {
                // A broker that has moved is reached at its new address.
                if after
                    .brokers
                    .get(id)
                    .is_none_or(|now| (&now.host, now.port) != (&broker.host, broker.port))
                    && let Some(state) = self.peers.get_mut(&Peer::Node(*id))
                {
                    state.connection = None;
                }
            }
            self.publish.send_replace(Arc::new(after));
        }
        let outcome = result.map(|_| ());
        for reply in self.refresh.served.drain(..) {
            let _ = reply.send(outcome.clone());
        }
        self.start_refresh();
    }
}
