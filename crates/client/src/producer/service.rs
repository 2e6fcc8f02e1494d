//! The task behind [`Producer`](super::Producer): fills queues, sends what is ready, works answers in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use host::{Host, Instant};
use protocol::messages::init_producer_id_request::InitProducerIdRequest;
use protocol::messages::produce_request::ProduceRequest;
use protocol::messages::produce_response::{PartitionProduceResponse, ProduceResponse};
use protocol::{ErrorCode, NodeId, Offset, ProducerEpoch, ProducerId, Str};
use tokio::sync::mpsc;

use super::answer::{Verdict, verdict};
use super::batch::Identity;
use super::queue::Next;
use super::requests::{self, Addressed, Answers, InFlight};
use super::topics::{Pending, TopicState};
use super::{FlushGuard, Message, ProducerOptions};
use crate::cluster::refused;
use crate::connection::{Answer, within};
use crate::{Backoff, Cluster, Connection, Error};

/// What the attempts that the task has started report.
#[derive(Debug)]
enum Event {
    Connected { node: NodeId, result: Result<Connection, Error> },
    Answered { request: u64, version: i16, result: Result<ProduceResponse, Error> },
    Refreshed { topics: BTreeSet<Str>, result: Result<(), Error> },
    Identified { result: Result<Identity, Error> },
}

#[derive(Debug, Default)]
struct Node {
    connection: Option<Connection>,
    connecting: bool,
    in_flight: usize,
}

/// Something that is fetched once at a time, with pauses after failures.
#[derive(Debug, Default)]
struct Fetching {
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
                    self.stale.insert(name);
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

    /// Batches that are ready by the node they go to, at most one a partition and one request a node.
    fn collect(&mut self, hurry: bool, now: Instant) -> (BTreeMap<NodeId, Vec<Addressed>>, Option<Instant>) {
        let mut ready: BTreeMap<NodeId, (usize, Vec<Addressed>)> = BTreeMap::new();
        let mut wake_at = None;
        let identity = self.identity;
        let blocked = self.options.idempotence && identity.is_none();
        for (name, state) in &mut self.topics {
            let Some(topic) = &state.topic else { continue };
            for (partition, queue) in (0_i32..).zip(&mut state.queues) {
                if !queue.has_waiting() {
                    continue;
                }
                wake_at = earlier(wake_at, queue.expires_at(self.options.delivery_timeout));
                let at = match queue.next(&self.options, hurry, now) {
                    Next::Nothing => continue,
                    Next::At(at) => {
                        wake_at = earlier(wake_at, Some(at));
                        continue;
                    }
                    Next::Now => topic.leader(partition),
                };
                let Some(leader) = at else {
                    self.stale.insert(name.clone());
                    continue;
                };
                if blocked || queue.needs_new_id() {
                    continue;
                }
                let node = self.nodes.entry(leader).or_default();
                let is_open = node.connection.as_ref().is_some_and(|connection| !connection.is_closed());
                if !is_open {
                    node.connection = None;
                    start_connecting(node, leader, &self.cluster, &self.report);
                    continue;
                }
                if node.in_flight >= self.options.in_flight_max {
                    continue;
                }
                let (bytes, batches) = ready.entry(leader).or_default();
                if *bytes >= self.options.request_bytes_max {
                    continue;
                }
                if let Some(batch) = queue.take(identity) {
                    *bytes += batch.bytes().len();
                    batches.push(Addressed { topic: Arc::clone(topic), partition, batch });
                }
            }
        }
        ready.retain(|_, (_, batches)| !batches.is_empty());
        (ready.into_iter().map(|(node, (_, batches))| (node, batches)).collect(), wake_at)
    }

    async fn send(&mut self, node: NodeId, mut batches: Vec<Addressed>) {
        let Some(state) = self.nodes.get_mut(&node) else { return };
        let Some(connection) = state.connection.clone() else { return };
        let request = self.next_request;
        self.next_request += 1;
        state.in_flight += 1;
        let newest = match connection.newest::<ProduceRequest>() {
            Ok(newest) => newest,
            Err(error) => {
                self.requests.insert(request, InFlight { node, batches });
                self.answered(request, 0, Err(error));
                return;
            }
        };
        let version = requests::version(newest, &batches);
        let timeout_ms = i32::try_from(self.cluster.options().connection.request_timeout.as_millis());
        let body =
            requests::request(&batches, version, self.options.acks.code(), timeout_ms.unwrap_or(i32::MAX));
        if self.options.acks.code() == 0 {
            let sent = connection.send_and_forget(version, &body).await;
            state.in_flight -= 1;
            for addressed in batches.drain(..) {
                let queue = queue_of(&mut self.topics, &addressed);
                if let Some(queue) = queue {
                    queue.done(addressed.batch.number);
                }
                match &sent {
                    Ok(()) => addressed.batch.deliver(addressed.partition, Offset::NONE, None),
                    Err(error) => addressed.batch.fail(error),
                }
            }
            return;
        }
        // The order of the requests on the connection is that of these calls.
        let answer: Result<Answer<ProduceRequest>, Error> = connection.send(version, &body).await;
        self.requests.insert(request, InFlight { node, batches });
        match answer {
            Err(error) => self.answered(request, version, Err(error)),
            Ok(answer) => {
                let report = self.report.clone();
                self.host.spawn(self.cluster.place(), "client produce", async move {
                    let result = answer.response(Duration::ZERO).await;
                    // Nobody listens any more when the producer is gone.
                    let _ = report.send(Event::Answered { request, version, result });
                });
            }
        }
    }

    fn connected(&mut self, node: NodeId, result: Result<Connection, Error>) {
        let state = self.nodes.entry(node).or_default();
        state.connecting = false;
        match result {
            Ok(connection) => state.connection = Some(connection),
            // Perhaps it has moved, or something else leads now.
            Err(error) => {
                for (name, topic) in &mut self.topics {
                    if !topic.is_idle() {
                        topic.last_error = Some(error.clone());
                        self.stale.insert(name.clone());
                    }
                }
            }
        }
    }

    fn answered(&mut self, request: u64, version: i16, result: Result<ProduceResponse, Error>) {
        let Some(InFlight { node, batches }) = self.requests.remove(&request) else { return };
        if let Some(node) = self.nodes.get_mut(&node) {
            node.in_flight = node.in_flight.saturating_sub(1);
        }
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

    fn expire(&mut self, now: Instant) {
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

    /// Asks for a producer id if one is needed and there is something to write.
    fn want_identity(&mut self, now: Instant) -> Option<Instant> {
        let exhausted =
            || self.topics.values().flat_map(|state| &state.queues).any(super::queue::Queue::needs_new_id);
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

    fn identified(&mut self, result: Result<Identity, Error>) {
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
                    for batch in state.queues.iter_mut().flat_map(super::queue::Queue::take_all) {
                        batch.fail(&error);
                    }
                }
                self.fatal = Some(error);
            }
        }
    }

    /// Fetches metadata for topics that are not known, have moved or are old.
    fn want_metadata(&mut self, now: Instant) -> Option<Instant> {
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

    fn refreshed(&mut self, topics: BTreeSet<Str>, result: Result<(), Error>) {
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

fn start_connecting(
    node: &mut Node,
    leader: NodeId,
    cluster: &Cluster,
    report: &mpsc::UnboundedSender<Event>,
) {
    if node.connecting {
        return;
    }
    node.connecting = true;
    let (cluster, report) = (cluster.clone(), report.clone());
    let host = cluster.host().clone();
    host.spawn(cluster.place(), "client leader", async move {
        let result = cluster.connection(leader).await;
        let _ = report.send(Event::Connected { node: leader, result });
    });
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

fn queue_of<'a>(
    topics: &'a mut BTreeMap<Str, TopicState>,
    addressed: &Addressed,
) -> Option<&'a mut super::queue::Queue> {
    let state = topics.get_mut(&addressed.topic.name)?;
    state.queues.get_mut(usize::try_from(addressed.partition).ok()?)
}

fn expired(limit: Duration, topic: &Str, cause: Option<&Error>) -> Error {
    let because = cause.map_or(String::new(), |cause| format!(" ({cause})"));
    let what = format!("records for {topic} could not be delivered{because}");
    Error::Expired { what, ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
