//! [`Serving`]: a coordinator that has loaded its partition. It decides, appends what was decided, and answers when that
//! is committed.
//!
//! Invariants:
//! * What has piled up is decided together and appended together; appends overlap, answers keep their order.
//! * A reply that saw a record waits until that record is committed, and so does what is to happen because of it.
//! * Records of a transaction, and its end, may be refused by the log; then whoever asked for them is, and nobody else.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;

use coordinator::{Coordinator, Now, Outcome, Ticket};
use host::Instant;
use protocol::{ErrorCode, Uuid};
use tokio::sync::oneshot;

use super::batches::{Done, Pending, Run, Written, batches};
use super::kind::{Effect, Kind, Reply};
use super::partition::{Ask, Message, PartitionTask};
use crate::random;
use crate::shard::{Acks, AppendResult, Refusal, Verified};
use crate::wait::until;

/// What is decided together at most: whoever waits does not wait for all others.
const TOGETHER_MAX: usize = 512;

/// Why a coordinator no longer serves.
pub(super) enum End {
    /// Nobody can ask any more.
    Left,
    /// An append failed.
    Failed(ErrorCode),
}

type Appending = Pin<Box<dyn Future<Output = Vec<AppendResult>> + Send>>;

/// What waits for records.
struct Then<K: Kind> {
    replies: Vec<(Ticket, Reply<K>)>,
    effects: Vec<Effect<K>>,
}

impl<K: Kind> Default for Then<K> {
    fn default() -> Self {
        Self { replies: Vec::new(), effects: Vec::new() }
    }
}

/// An append that is under way, and what happens when it and all before it are done.
struct InFlight<K: Kind> {
    appending: Appending,
    done: Done,
    then: Then<K>,
}

/// What was decided, of several requests; each run with the coordinator's order before it.
struct Decided<K: Kind> {
    runs: Vec<(Run, u64)>,
    then: Then<K>,
}

impl<K: Kind> Default for Decided<K> {
    fn default() -> Self {
        Self { runs: Vec::new(), then: Then::default() }
    }
}

impl<K: Kind> Decided<K> {
    /// What a tick or a load has decided.
    fn of(outcome: Outcome<Reply<K>, Effect<K>>) -> Self {
        let mut this = Self::default();
        this.add(outcome, Verified::Trusted, Ticket(u64::MAX));
        this
    }

    /// What was decided for the request of a ticket.
    fn add(&mut self, outcome: Outcome<Reply<K>, Effect<K>>, verified: Verified, ticket: Ticket) {
        let Outcome { records, producer, replies, effects } = outcome;
        self.then.replies.extend(replies);
        self.then.effects.extend(effects);
        if records.is_empty() {
            return;
        }
        match (producer, self.runs.last_mut()) {
            (Some(producer), _) => {
                self.runs.push((Run::Pending(Pending { producer, verified, records, ticket }), 0));
            }
            (None, Some((Run::Records(last), _))) => last.extend(records),
            (None, _) => self.runs.push((Run::Records(records), 0)),
        }
    }
}

pub(super) struct Serving<'a, K: Kind> {
    task: &'a mut PartitionTask<K>,
    coordinator: K::Coordinator,
    /// The view of the metadata that the coordinator goes by.
    told: u64,
    next_ticket: u64,
    waiting: HashMap<Ticket, oneshot::Sender<Result<Reply<K>, ErrorCode>>>,
    in_flight: VecDeque<InFlight<K>>,
}

enum Event<K: Kind> {
    Asked(Box<Message<K>>),
    Due,
    Appended(Vec<AppendResult>),
    Left,
}

impl<'a, K: Kind> Serving<'a, K> {
    pub(super) fn new(task: &'a mut PartitionTask<K>, coordinator: K::Coordinator) -> Self {
        let (waiting, in_flight) = (HashMap::new(), VecDeque::new());
        Self { task, coordinator, told: 0, next_ticket: 0, waiting, in_flight }
    }

    pub(super) async fn run(&mut self) -> End {
        self.tell();
        let now = self.now(Uuid::ZERO);
        let mut decided = Decided::of(self.coordinator.loaded(now));
        loop {
            if let Err(code) = self.carry_out(decided) {
                return End::Failed(code);
            }
            decided = match self.next().await {
                Event::Asked(message) => self.decide(*message),
                Event::Due => {
                    self.tell();
                    let now = self.now(Uuid::ZERO);
                    Decided::of(self.coordinator.tick(now))
                }
                Event::Appended(results) => match self.appended(results) {
                    Ok(()) => Decided::default(),
                    Err(code) => return End::Failed(code),
                },
                Event::Left => return End::Left,
            };
        }
    }

    /// For whoever waits still.
    pub(super) fn refuse_all(&mut self, code: ErrorCode) {
        for reply in std::mem::take(&mut self.waiting).into_values() {
            // The asker may be gone.
            let _ = reply.send(Err(code));
        }
    }

    async fn next(&mut self) -> Event<K> {
        let due = self.coordinator.next_tick_ms().map(|ms| Instant(ms.saturating_mul(1_000_000)));
        let clock = &self.task.host.clock;
        let due = async {
            match due {
                Some(due) => clock.sleep_until(due).await,
                None => std::future::pending().await,
            }
            Event::Due
        };
        let inbox = &mut self.task.inbox;
        let asked =
            async { inbox.recv().await.map_or(Event::Left, |message| Event::Asked(Box::new(message))) };
        let front = self.in_flight.front_mut();
        let appended = async {
            match front {
                Some(front) => Event::Appended(front.appending.as_mut().await),
                None => std::future::pending().await,
            }
        };
        until(appended, until(asked, due)).await
    }

    fn now(&self, fresh_id: Uuid) -> Now {
        let host = &self.task.host;
        Now { monotonic_ms: host.now().0 / 1_000_000, wall_ms: host.clock.wall_ms(), fresh_id }
    }

    /// Whoever has seen a change of the metadata asks a coordinator that has seen it, too.
    fn tell(&mut self) {
        let view = self.task.view.view();
        if self.told != view.index {
            K::tell(&mut self.coordinator, &view);
            self.told = view.index;
        }
    }

    /// Decides a request and those that have come meanwhile.
    fn decide(&mut self, first: Message<K>) -> Decided<K> {
        self.tell();
        let mut all = Decided::default();
        let mut next = Some(first);
        let mut decided = 0;
        while let Some(message) = next {
            match message {
                Message::Ask(ask) => self.decide_one(ask, &mut all),
                Message::Mark(mark) => all.runs.push((Run::Mark(mark), self.coordinator.order())),
            }
            decided += 1;
            next = if decided < TOGETHER_MAX { self.task.inbox.try_recv().ok() } else { None };
        }
        all
    }

    fn decide_one(&mut self, ask: Ask<K>, all: &mut Decided<K>) {
        let Ask { caller, request, verified, reply } = ask;
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.waiting.insert(ticket, reply);
        let wants_id = K::Coordinator::wants_fresh_id(&request);
        let now = self.now(if wants_id { random::uuid(&self.task.host) } else { Uuid::ZERO });
        all.add(self.coordinator.handle(ticket, &caller, request, now), verified, ticket);
    }

    fn carry_out(&mut self, decided: Decided<K>) -> Result<(), ErrorCode> {
        let Decided { runs, then } = decided;
        if runs.is_empty() {
            match self.in_flight.back_mut() {
                Some(last) => {
                    last.then.replies.extend(then.replies);
                    last.then.effects.extend(then.effects);
                }
                None => self.go_on(then),
            }
            return Ok(());
        }
        let batches = batches(self.task, runs).map_err(|error| {
            let partition = self.task.key.partition;
            tracing::error!(partition, "could not write records of {}: {error}", K::CONTENT);
            ErrorCode::UnknownServerError
        })?;
        let mut then = Some(then);
        let last = batches.len().saturating_sub(1);
        for (place, Written { append, done }) in batches.into_iter().enumerate() {
            let appending = Box::pin(self.task.shards.append(Acks::All, vec![append]));
            let then = if place == last { then.take() } else { None };
            self.in_flight.push_back(InFlight { appending, done, then: then.unwrap_or_default() });
        }
        Ok(())
    }

    /// The oldest append is done.
    fn appended(&mut self, results: Vec<AppendResult>) -> Result<(), ErrorCode> {
        let Some(InFlight { done, then, .. }) = self.in_flight.pop_front() else { return Ok(()) };
        let refusal = results.into_iter().find_map(|(_, result)| result.err());
        match refusal {
            None => self.written(done),
            Some(refusal) => self.refused(done, refusal)?,
        }
        self.go_on(then);
        Ok(())
    }

    fn written(&mut self, done: Done) {
        if let Done::Marker { producer, commit, order, reply } = done {
            self.coordinator.ended(producer.id, commit, order);
            // Whoever sent it may be gone.
            let _ = reply.send(ErrorCode::None);
        }
    }

    /// An error is the end of what the coordinator knows.
    fn refused(&mut self, done: Done, refusal: Refusal) -> Result<(), ErrorCode> {
        let Refusal { code, message } = refusal;
        let (partition, message) = (self.task.key.partition, message.unwrap_or_default());
        match done {
            Done::Pending { producer, records, ticket } if is_of_producer(code) => {
                tracing::info!(
                    partition,
                    code = code.name(),
                    "records of a transaction were refused: {message}"
                );
                self.coordinator.refused(producer, &records);
                if let Some(waiting) = self.waiting.remove(&ticket) {
                    // The asker may be gone.
                    let _ = waiting.send(Err(code));
                }
                Ok(())
            }
            Done::Marker { reply, .. } if is_of_producer(code) => {
                tracing::info!(
                    partition,
                    code = code.name(),
                    "the end of a transaction was refused: {message}"
                );
                // Whoever sent it may be gone.
                let _ = reply.send(code);
                Ok(())
            }
            _ => {
                let code_name = code.name();
                tracing::warn!(
                    partition,
                    code = code_name,
                    "records of {} were not written: {message}",
                    K::CONTENT
                );
                Err(said(code))
            }
        }
    }

    fn go_on(&mut self, then: Then<K>) {
        for (ticket, reply) in then.replies {
            if let Some(waiting) = self.waiting.remove(&ticket) {
                // The asker may be gone.
                let _ = waiting.send(Ok(reply));
            }
        }
        if !then.effects.is_empty() {
            self.task.kind.carry_out(&self.task.led, then.effects);
        }
    }
}

/// Whether the log has refused because of what it knows of the producer and its transaction.
fn is_of_producer(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::InvalidProducerEpoch
            | ErrorCode::InvalidTxnState
            | ErrorCode::TransactionCoordinatorFenced
            | ErrorCode::ConcurrentTransactions
            | ErrorCode::OutOfOrderSequenceNumber
            | ErrorCode::UnknownProducerId
    )
}

/// What a member is told when a write failed so.
fn said(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut
        | ErrorCode::UnknownTopicOrPartition => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        _ => ErrorCode::UnknownServerError,
    }
}
