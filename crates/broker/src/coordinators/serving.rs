//! [`Serving`]: a coordinator that has loaded its partition. It decides, appends what was decided, and answers when that
//! is committed.
//!
//! Invariants:
//! * What has piled up is decided together and appended together; appends overlap, answers keep their order.
//! * A reply that saw a record waits until that record is committed, and so does what is to happen because of it.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;

use coordinator::{Coordinator, Now, Outcome, Ticket};
use host::Instant;
use protocol::{ErrorCode, Uuid};
use tokio::sync::oneshot;

use super::batches::{Run, batches};
use super::kind::{Effect, Kind, Reply};
use super::partition::{Message, PartitionTask};
use crate::random;
use crate::shard::{Acks, Append, AppendResult};
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
    then: Then<K>,
}

/// What was decided, of several requests.
struct Decided<K: Kind> {
    runs: Vec<Run>,
    then: Then<K>,
}

impl<K: Kind> Default for Decided<K> {
    fn default() -> Self {
        Self { runs: Vec::new(), then: Then::default() }
    }
}

impl<K: Kind> Decided<K> {
    fn add(&mut self, outcome: Outcome<Reply<K>, Effect<K>>) {
        let Outcome { records, producer, replies, effects } = outcome;
        self.then.replies.extend(replies);
        self.then.effects.extend(effects);
        match self.runs.last_mut() {
            _ if records.is_empty() => {}
            Some(run) if run.producer == producer => run.records.extend(records),
            _ => self.runs.push(Run { producer, records }),
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
        let mut decided = Decided::default();
        let now = self.now(Uuid::ZERO);
        decided.add(self.coordinator.loaded(now));
        loop {
            if let Err(code) = self.carry_out(decided) {
                return End::Failed(code);
            }
            decided = match self.next().await {
                Event::Asked(message) => self.decide(*message),
                Event::Due => {
                    let now = self.now(Uuid::ZERO);
                    let mut decided = Decided::default();
                    decided.add(self.coordinator.tick(now));
                    decided
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
        while let Some(Message { caller, request, reply }) = next {
            let ticket = Ticket(self.next_ticket);
            self.next_ticket += 1;
            self.waiting.insert(ticket, reply);
            let wants_id = K::Coordinator::wants_fresh_id(&request);
            let now = self.now(if wants_id { random::uuid(&self.task.host) } else { Uuid::ZERO });
            all.add(self.coordinator.handle(ticket, &caller, request, now));
            decided += 1;
            next = if decided < TOGETHER_MAX { self.task.inbox.try_recv().ok() } else { None };
        }
        all
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
        let batches = batches(self.task, &runs).map_err(|error| {
            let partition = self.task.key.partition;
            tracing::error!(partition, "could not write records of {}: {error}", K::CONTENT);
            ErrorCode::UnknownServerError
        })?;
        let mut then = Some(then);
        let last = batches.len().saturating_sub(1);
        for (place, batch) in batches.into_iter().enumerate() {
            let append = Append::trusted(self.task.key, batch);
            let appending = Box::pin(self.task.shards.append(Acks::All, vec![append]));
            let then = if place == last { then.take() } else { None };
            self.in_flight.push_back(InFlight { appending, then: then.unwrap_or_default() });
        }
        Ok(())
    }

    fn appended(&mut self, results: Vec<AppendResult>) -> Result<(), ErrorCode> {
        let then = self.in_flight.pop_front().map(|done| done.then).unwrap_or_default();
        for (_, result) in results {
            if let Err(refusal) = result {
                let partition = self.task.key.partition;
                let (code, message) = (refusal.code.name(), refusal.message.unwrap_or_default());
                tracing::warn!(partition, code, "records of {} were not written: {message}", K::CONTENT);
                return Err(said(refusal.code));
            }
        }
        self.go_on(then);
        Ok(())
    }

    fn go_on(&mut self, then: Then<K>) {
        for (ticket, reply) in then.replies {
            if let Some(waiting) = self.waiting.remove(&ticket) {
                // The asker may be gone.
                let _ = waiting.send(Ok(reply));
            }
        }
        if !then.effects.is_empty() {
            self.task.kind.carry_out(then.effects);
        }
    }
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
