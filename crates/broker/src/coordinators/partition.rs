//! [`PartitionTask`]: one coordinator. It loads a partition of `__consumer_offsets`, decides, appends what was decided, and
//! answers when that is committed.
//!
//! Invariants:
//! * What has piled up is decided together and appended as one batch; appends overlap, answers keep their order.
//! * A reply that saw a record waits until that record is committed.
//! * When an append fails, the state is no longer what the log says: whoever waits is refused, and it is loaded again.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use coordinator::{Caller, Groups, Now, Outcome, Record, Reply, Request, Ticket};
use host::{Host, Instant, LaneRef};
use metadata::config::GroupsConfig;
use protocol::records::{BatchBuilder, BatchOptions, BuildError, Compression, NewRecord, ValidBatch};
use protocol::{ErrorCode, Uuid};
use storage::PartitionKey;
use tokio::sync::{mpsc, oneshot};

use super::load::load;
use super::supervisor::options;
use super::topic::codec;
use crate::metadata_view::MetadataView;
use crate::random;
use crate::shard::{Acks, Append, AppendResult, Shards};
use crate::wait::{until, within};

/// What is decided together at most: whoever waits does not wait for all others.
const TOGETHER_MAX: usize = 512;

/// Between two attempts to load what could not be loaded.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);

/// Bytes of a batch unless the topic allows less; one record may be larger.
const BATCH_BYTES: usize = 512 << 10;

/// What a coordinator is asked.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) caller: Caller,
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Result<Reply, ErrorCode>>,
}

/// The task.
pub(super) struct PartitionTask {
    pub(super) host: Host,
    pub(super) shards: Shards,
    pub(super) view: Arc<MetadataView>,
    /// Reads what is in files when the partition is loaded.
    pub(super) lane: LaneRef,
    pub(super) key: PartitionKey,
    pub(super) config: GroupsConfig,
    /// Ends when this broker no longer leads the partition.
    pub(super) inbox: mpsc::UnboundedReceiver<Message>,
}

/// Why a coordinator no longer serves.
enum End {
    /// Nobody can ask any more.
    Left,
    /// An append failed.
    Failed(ErrorCode),
}

impl PartitionTask {
    pub(super) async fn run(mut self) {
        while let Some(groups) = self.loaded().await {
            let mut serving = Serving::new(&mut self, groups);
            let end = serving.run().await;
            let waiting = std::mem::take(&mut serving.waiting);
            let code = match end {
                End::Left => ErrorCode::NotCoordinator,
                End::Failed(code) => code,
            };
            for reply in waiting.into_values() {
                // The asker may be gone.
                let _ = reply.send(Err(code));
            }
            if matches!(end, End::Left) {
                return;
            }
        }
    }

    /// The state as the log has it; `None` when nobody asks any more.
    async fn loaded(&mut self) -> Option<Groups> {
        loop {
            let began = self.host.now();
            let mut groups = Groups::new(options(&self.config));
            let buffer = self.config.load_buffer_bytes;
            match load(&self.shards, &self.lane, self.key, buffer, &mut groups).await {
                Ok(loaded) => {
                    if loaded.records > 0 {
                        let elapsed_ms = self.host.now().since(began).as_millis();
                        tracing::info!(
                            partition = self.key.partition,
                            records = loaded.records,
                            bytes = loaded.bytes,
                            elapsed_ms = u64::try_from(elapsed_ms).unwrap_or(u64::MAX),
                            "loaded groups and offsets"
                        );
                    }
                    return Some(groups);
                }
                Err(refusal) => {
                    let partition = self.key.partition;
                    tracing::warn!(
                        partition,
                        code = refusal.code.name(),
                        "could not load groups and offsets"
                    );
                    if !self.refuse_for_a_while().await {
                        return None;
                    }
                }
            }
        }
    }

    /// Clients look for the coordinator again. False when nobody can ask any more.
    async fn refuse_for_a_while(&mut self) -> bool {
        let end = self.host.now().after(RELOAD_PAUSE);
        loop {
            match within(self.inbox.recv(), self.host.clock.sleep_until(end)).await {
                Some(Some(message)) => drop(message.reply.send(Err(ErrorCode::NotCoordinator))),
                Some(None) => return false,
                None => return true,
            }
        }
    }
}

type Appending = Pin<Box<dyn Future<Output = Vec<AppendResult>> + Send>>;

/// An append that is under way, and what is answered when it and all before it are done.
struct InFlight {
    appending: Appending,
    replies: Vec<(Ticket, Reply)>,
}

/// A coordinator that has loaded its partition.
struct Serving<'a> {
    task: &'a mut PartitionTask,
    groups: Groups,
    next_ticket: u64,
    waiting: HashMap<Ticket, oneshot::Sender<Result<Reply, ErrorCode>>>,
    in_flight: VecDeque<InFlight>,
}

enum Event {
    Asked(Box<Message>),
    Due,
    Appended(Vec<AppendResult>),
    Left,
}

impl<'a> Serving<'a> {
    fn new(task: &'a mut PartitionTask, groups: Groups) -> Self {
        Self { task, groups, next_ticket: 0, waiting: HashMap::new(), in_flight: VecDeque::new() }
    }

    async fn run(&mut self) -> End {
        let now = self.now(Uuid::ZERO);
        let outcome = self.groups.loaded(now);
        if let Err(code) = self.carry_out(outcome) {
            return End::Failed(code);
        }
        loop {
            let outcome = match self.next().await {
                Event::Asked(message) => self.decide(*message),
                Event::Due => {
                    let now = self.now(Uuid::ZERO);
                    self.groups.tick(now)
                }
                Event::Appended(results) => match self.appended(results) {
                    Ok(()) => continue,
                    Err(code) => return End::Failed(code),
                },
                Event::Left => return End::Left,
            };
            if let Err(code) = self.carry_out(outcome) {
                return End::Failed(code);
            }
        }
    }

    async fn next(&mut self) -> Event {
        let due = self.groups.next_tick_ms().map(|ms| Instant(ms.saturating_mul(1_000_000)));
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

    /// Decides a request and those that have come meanwhile.
    fn decide(&mut self, first: Message) -> Outcome {
        let mut all = Outcome::default();
        let mut next = Some(first);
        let mut decided = 0;
        while let Some(Message { caller, request, reply }) = next {
            let ticket = Ticket(self.next_ticket);
            self.next_ticket += 1;
            self.waiting.insert(ticket, reply);
            // Only a join needs an id, and each costs a system call.
            let joins = matches!(request, Request::JoinGroup(_));
            let now = self.now(if joins { random::uuid(&self.task.host) } else { Uuid::ZERO });
            let outcome = self.groups.handle(ticket, &caller, request, now);
            all.records.extend(outcome.records);
            all.replies.extend(outcome.replies);
            decided += 1;
            next = if decided < TOGETHER_MAX { self.task.inbox.try_recv().ok() } else { None };
        }
        all
    }

    fn carry_out(&mut self, outcome: Outcome) -> Result<(), ErrorCode> {
        let Outcome { records, replies } = outcome;
        if records.is_empty() {
            match self.in_flight.back_mut() {
                Some(last) => last.replies.extend(replies),
                None => self.answer(replies),
            }
            return Ok(());
        }
        let batches = self.batches(&records).map_err(|error| {
            tracing::error!(partition = self.task.key.partition, "could not write group records: {error}");
            ErrorCode::UnknownServerError
        })?;
        let mut replies = Some(replies);
        let last = batches.len().saturating_sub(1);
        for (place, batch) in batches.into_iter().enumerate() {
            let append = Append { key: self.task.key, batch };
            let appending = Box::pin(self.task.shards.append(Acks::All, vec![append]));
            let replies = if place == last { replies.take() } else { None };
            self.in_flight.push_back(InFlight { appending, replies: replies.unwrap_or_default() });
        }
        Ok(())
    }

    /// Records as batches that the topic takes.
    fn batches(&self, records: &[Record]) -> Result<Vec<ValidBatch>, BuildError> {
        let view = self.task.view.view();
        let allowed =
            view.settings_of(self.task.key.topic_id).map(|settings| settings.rules.message_bytes_max);
        let bytes_max = BATCH_BYTES.min(allowed.unwrap_or(BATCH_BYTES));
        let compression = Compression { codec: codec(self.task.config.topic_codec), level: None };
        let options = BatchOptions { compression, ..BatchOptions::default() };
        let timestamp = self.task.host.clock.wall_ms();
        let mut batches = Vec::new();
        let mut builder = BatchBuilder::new(options);
        for record in records {
            let key = Some(record.key.as_ref());
            let record = NewRecord { timestamp, key, value: record.value.as_deref(), headers: &[] };
            let full = builder.uncompressed_size() + BatchBuilder::size_of(&record) > bytes_max;
            if full && !builder.is_empty() {
                batches.push(builder.build_valid()?);
                builder = BatchBuilder::new(options);
            }
            builder.append(&record)?;
        }
        batches.push(builder.build_valid()?);
        Ok(batches)
    }

    fn appended(&mut self, results: Vec<AppendResult>) -> Result<(), ErrorCode> {
        let replies = self.in_flight.pop_front().map(|done| done.replies).unwrap_or_default();
        for (_, result) in results {
            if let Err(refusal) = result {
                let partition = self.task.key.partition;
                let (code, message) = (refusal.code.name(), refusal.message.unwrap_or_default());
                tracing::warn!(partition, code, "group records were not written: {message}");
                return Err(said(refusal.code));
            }
        }
        self.answer(replies);
        Ok(())
    }

    fn answer(&mut self, replies: Vec<(Ticket, Reply)>) {
        for (ticket, reply) in replies {
            if let Some(waiting) = self.waiting.remove(&ticket) {
                // The asker may be gone.
                let _ = waiting.send(Ok(reply));
            }
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
