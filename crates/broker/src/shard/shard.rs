//! [`Shard`]: the task that owns some partitions. One mailbox, drained completely in each turn; what a turn has
//! brought goes to the committers, the lanes and the askers before the next one is waited for.
//!
//! Invariants:
//! * Nothing blocks: files are touched by lanes, the journal by committers; both answer into the mailbox.
//! * Appends to a partition are carried out in the order in which they came, also while they wait for memory.
//! * A reply to an append is sent when its acks are true, or a refusal when they will never be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Poll;
use std::time::Duration;

use host::{Host, Instant, LaneRef, Sleep};
use protocol::{ErrorCode, Uuid};
use storage::PartitionKey;
use storage::log::Recovered;
use storage::segment::OpenFiles;
use tokio::sync::{mpsc, oneshot, watch};

use super::api::Refusal;
use super::broken::Broken;
use super::compaction::CleaningEnd;
use super::directory::Directory;
use super::groups::Groups;
use super::housekeeping::Removals;
use super::memory::Budget;
use super::message::{AppendRequest, Done, Message};
use super::partition::Partition;
use super::read::Reads;
use super::scrub::{Scrub, ScrubOptions};

/// How often a shard looks at what time alone changes.
const TICK: Duration = Duration::from_secs(1);
/// How often it looks whether appends that wait for memory may go on.
pub(super) const PARKED_TICK: Duration = Duration::from_millis(2);

/// What all shards of a node share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) budget: Budget,
    /// The log directories.
    pub(super) paths: Vec<PathBuf>,
    /// Their ids.
    pub(super) ids: Vec<Uuid>,
    /// Partitions in each directory.
    pub(super) partitions: Vec<AtomicUsize>,
    /// Which of them get no new partitions.
    pub(super) cordoned: Vec<AtomicBool>,
    /// Why each directory is offline.
    pub(super) offline: watch::Sender<Vec<Option<Arc<str>>>>,
    pub(super) producer_id_expiration_ms: AtomicU64,
    pub(super) retention_check_interval: Duration,
    pub(super) disk_reserve_bytes: u64,
    /// Which log directories are missing or were offline at the start, if any.
    pub(super) lost: OnceLock<String>,
    /// Everything that metadata knew before this start has been asked for.
    pub(super) settled: AtomicBool,
    pub(super) scrub: ScrubOptions,
    /// Directories of strays that are still written to. No new partition may have them.
    pub(super) strays: Mutex<BTreeSet<PathBuf>>,
}

pub(super) struct Shard {
    pub(super) host: Host,
    pub(super) common: Arc<Common>,
    pub(super) mailbox: mpsc::UnboundedReceiver<Message>,
    /// All shards' mailboxes, this one's included.
    pub(super) peers: Arc<[mpsc::UnboundedSender<Message>]>,
    pub(super) index: usize,
    pub(super) partitions: BTreeMap<PartitionKey, Partition>,
    /// Recovered and not asked for yet, with the directory.
    pub(super) found: BTreeMap<PartitionKey, (usize, Recovered)>,
    /// On disk, with the directory, and cannot be served.
    pub(super) broken: BTreeMap<PartitionKey, (usize, Broken)>,
    /// On no directory that works, and why.
    pub(super) lost: BTreeMap<PartitionKey, String>,
    pub(super) directories: Vec<Directory>,
    pub(super) reads_lane: LaneRef,
    pub(super) open: Arc<OpenFiles>,
    pub(super) groups: Groups,
    pub(super) reads: Reads,
    /// Appends that wait for memory.
    pub(super) parked: VecDeque<AppendRequest>,
    /// Partitions with batches that could be dropped from memory, roughly from the oldest on.
    pub(super) evictable: VecDeque<PartitionKey>,
    pub(super) removals: Removals,
    pub(super) scrub: Scrub,
    pub(super) next_tick: Instant,
    pub(super) next_retention: Instant,
    pub(super) next_reminder: Instant,
    /// The partition up to which tails have been written out in this round of [`Shard::sweep`].
    pub(super) swept: Option<PartitionKey>,
    pub(super) stopping: Option<Vec<oneshot::Sender<()>>>,
    /// When a stop looks at all partitions again, and up to which one everything is written and synced.
    pub(super) stop_pass: Option<Instant>,
    pub(super) written_out: Option<PartitionKey>,
    pub(super) ended: bool,
    /// Not before then more is done for memory than to drop what can be dropped.
    pub(super) squeeze_at: Instant,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Shard {
    pub(super) async fn run(mut self) {
        while !self.ended {
            if let Some(message) = self.next_message().await {
                self.handle(message);
                while let Ok(message) = self.mailbox.try_recv() {
                    self.handle(message);
                }
            }
            self.end_turn();
        }
        for reply in self.stopping.take().into_iter().flatten() {
            // The asker may be gone.
            let _ = reply.send(());
        }
    }

    /// The next message, or `None` when it is time for a tick.
    async fn next_message(&mut self) -> Option<Message> {
        let at = if self.parked.is_empty() {
            self.next_tick
        } else {
            self.next_tick.min(self.host.now().after(PARKED_TICK))
        };
        let mut sleep: Sleep = self.host.clock.sleep_until(at);
        let mailbox = &mut self.mailbox;
        std::future::poll_fn(|cx| match mailbox.poll_recv(cx) {
            Poll::Ready(message) => Poll::Ready(message),
            Poll::Pending => Pin::new(&mut sleep).poll(cx).map(|()| None),
        })
        .await
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Append(request) => self.append(request),
            Message::Ask { questions, reply } => {
                // The asker may be gone.
                let _ = reply.send(self.ask(questions));
            }
            Message::Report(report) => self.report(report),
            Message::Read { batch, reply } => self.read(batch, reply),
            Message::Done(done) => self.done(done),
            Message::Open { spec, reply } => self.open(spec, reply),
            Message::Delete { key, reply } => self.delete(key, reply),
            Message::Strays { known, reply } => {
                // The asker may be gone.
                let _ = reply.send(self.strays(&known));
            }
            Message::DropStray { key, reply } => self.drop_stray(key, reply),
            Message::Configure { key, config, reply } => self.configure(key, config, reply),
            Message::Lead { key, leader_epoch, reply } => self.lead(key, leader_epoch, reply),
            Message::Offset { key, query, current_leader_epoch, reply } => {
                self.offset(key, query, current_leader_epoch, reply);
            }
            Message::EpochEnd { key, leader_epoch, current_leader_epoch, reply } => {
                // The asker may be gone.
                let _ = reply.send(self.epoch_end(key, leader_epoch, current_leader_epoch));
            }
            Message::Status { key, reply } => {
                let _ = reply.send(self.status(key));
            }
            Message::DeleteRecords { key, offset, reply } => self.delete_records(key, offset, reply),
            Message::Producers { key, reply } => {
                let _ = reply.send(self.producers(key));
            }
            Message::Replicas { reply } => {
                let _ = reply.send(self.replicas());
            }
            Message::Space { dir, reply } => self.space_of(dir, reply),
            Message::Dirtiest { reply } => {
                // The asker may be gone.
                let _ = reply.send(self.dirtiest());
            }
            Message::BeginCleaning { key, options, reply } => {
                if let Err(Some(_)) = reply.send(self.begin_cleaning(key, options)) {
                    self.end_cleaning(key, CleaningEnd::Abandoned);
                }
            }
            Message::Replace { key, replacement, reply } => self.replace(key, &replacement, reply),
            Message::EndCleaning { key, end } => self.end_cleaning(key, end),
            Message::Evict => self.evict(),
            Message::Stop { reply } => self.stopping.get_or_insert_default().push(reply),
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Made { key, result } => self.made(key, result),
            Done::Wrote { key, write, result } => self.wrote(key, &write, result),
            Done::Synced { key, sync, result } => self.synced(key, &sync, result),
            Done::SegmentsDeleted { dir, delay_ms, result } => self.segments_deleted(dir, delay_ms, result),
            Done::PartitionDeleted { key, delay_ms, result } => self.partition_deleted(key, delay_ms, result),
            Done::BrokenDeleted { dir, result } => self.broken_deleted(dir, result),
            Done::Space { dir, result } => self.space(dir, result),
            Done::Scrubbed { segment, result } => self.scrubbed(segment, result),
            Done::Read { read, result } => self.read_done(read, result),
            Done::Aborted { read, result } => self.aborted_done(read, result),
            Done::Found { key, query, swaps, reply, result } => {
                self.search_done(key, query, swaps, reply, result);
            }
            Done::Swapped { key, result } => self.swapped(key, result),
        }
    }

    fn end_turn(&mut self) {
        let now = self.host.now();
        if now >= self.next_tick {
            self.next_tick = now.after(TICK);
            self.tick(now);
        }
        if self.common.budget.is_full() {
            self.make_room(now);
        }
        while !self.common.budget.is_exhausted() {
            let Some(request) = self.parked.pop_front() else { break };
            self.append_now(request);
        }
        if self.stopping.is_some() {
            self.go_on_stopping();
        }
        for dir in 0..self.directories.len() {
            self.write_next(dir);
        }
    }

    /// The partition, if it is here and its directory works.
    pub(super) fn partition(&mut self, key: &PartitionKey) -> Result<&mut Partition, Refusal> {
        self.check_is_whole(key)?;
        let partition = self.partitions.get_mut(key).filter(|partition| partition.deleting.is_none());
        let partition = partition.ok_or(Refusal::from(ErrorCode::NotLeaderOrFollower))?;
        match self.directories.get(partition.dir).and_then(|dir| dir.failed.as_ref()) {
            None => Ok(partition),
            Some(error) => Err(storage_error(error)),
        }
    }

    /// Tells the budget what a partition takes now.
    pub(super) fn count_memory(budget: &Budget, partition: &mut Partition) {
        let bytes = partition.log.memory_bytes();
        budget.change(partition.counted, bytes);
        partition.counted = bytes;
    }

    pub(super) fn mailbox_of_self(&self) -> mpsc::UnboundedSender<Message> {
        self.peers.get(self.index).cloned().unwrap_or_else(|| mpsc::unbounded_channel().0)
    }

    /// For completions of lanes: puts the result into the mailbox.
    pub(super) fn completion<T>(
        &self,
        done: impl FnOnce(std::io::Result<T>) -> Done + Send + 'static,
    ) -> impl FnOnce(std::io::Result<T>) + Send + 'static {
        let mailbox = self.mailbox_of_self();
        // The shard has ended if nobody receives.
        move |result| drop(mailbox.send(Message::Done(done(result))))
    }
}

pub(super) fn storage_error(error: &str) -> Refusal {
    Refusal {
        code: ErrorCode::KafkaStorageError,
        message: Some(format!("the log directory is offline: {error}")),
    }
}
