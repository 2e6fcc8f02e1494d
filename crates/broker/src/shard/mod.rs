//! The shards: tasks that own partitions, and [`Shards`], the handle through which the rest of the broker asks them.
//!
//! Invariants:
//! * A partition belongs to one shard, by its key; that shard is the single writer of its state.
//! * Every method of [`Shards`] has sent its messages when it returns its future, so that calls made one after the
//!   other are carried out in that order for each partition, whatever order their futures are awaited in.
//! * Mailboxes hold no more than what the server has admitted: its bound on request memory bounds them too.
//!
//! Does not know: connections, topics by name, authorisation, who should lead.

mod admin;
pub mod api;
mod append;
mod broken;
mod cleaner;
mod committer;
mod compaction;
mod deletion;
mod directory;
mod flush;
mod gather;
mod groups;
mod housekeeping;
mod lifecycle;
mod memory;
mod message;
mod open;
mod partition;
mod placing;
mod queries;
mod read;
mod reminders;
mod reports;
mod scrub;
#[allow(clippy::module_inception)]
mod shard;
mod start;
#[cfg(test)]
mod tests;
mod transactions;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use host::Task;
use protocol::ErrorCode;
use protocol::ids::LeaderEpoch;
use storage::{LogConfig, PartitionKey};
use tokio::sync::{mpsc, oneshot};

pub use api::{
    Acks, Append, Appended, DirectoryReport, EpochEnd, OffsetFound, OffsetQuery, PartitionSpec,
    PartitionStatus, ProducerReport, Read, ReadBatch, ReadReply, ReadWaiter, Refusal, ReplicaReport,
};
pub use cleaner::CleanerOptions;
pub use scrub::ScrubOptions;
pub use start::{RecoveryReport, StartError};
pub use storage::log::{Origin, Verified};
pub use storage::producers::{Guard, Question};
pub use transactions::Asked;

use cleaner::Cleaners;
use message::{AppendRequest, Message};
use shard::Common;

/// How the shards are set up. The defaults suit a small machine.
#[derive(Clone, Debug)]
pub struct ShardsOptions {
    /// `log.dirs`; made if they are not there.
    pub log_dirs: Vec<PathBuf>,
    /// Those of them that get no new partitions (`cordoned.log.dirs`).
    pub cordoned: Vec<PathBuf>,
    /// How far the journal of each directory may grow.
    pub journal_bytes_max: u64,
    /// Bytes of record batches that all shards together keep in memory.
    pub memory_bytes_max: usize,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration_ms: u64,
    /// `log.retention.check.interval.ms`
    pub retention_check_interval: Duration,
    /// With less free space than this in a directory, appends to it are refused.
    pub disk_reserve_bytes: u64,
    /// Segment files that are kept open.
    pub open_files_max: usize,
    /// The background check of segments.
    pub scrub: ScrubOptions,
    pub cleaner: CleanerOptions,
}

impl Default for ShardsOptions {
    fn default() -> Self {
        Self {
            log_dirs: vec![PathBuf::from("./bourn-data")],
            cordoned: Vec::new(),
            journal_bytes_max: 256 << 20,
            memory_bytes_max: 256 << 20,
            producer_id_expiration_ms: 24 * 60 * 60 * 1000,
            retention_check_interval: Duration::from_secs(300),
            disk_reserve_bytes: 64 << 20,
            open_files_max: 512,
            scrub: ScrubOptions::default(),
            cleaner: CleanerOptions::default(),
        }
    }
}

/// The handle. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shards {
    mailboxes: Arc<[mpsc::UnboundedSender<Message>]>,
    common: Arc<Common>,
    recovery: Arc<RecoveryReport>,
    committers: Arc<[Task]>,
    cleaners: Cleaners,
}

/// One partition's outcome of an append.
pub type AppendResult = (PartitionKey, Result<Appended, Refusal>);

impl Shards {
    /// What the start has found.
    #[must_use]
    pub fn recovery(&self) -> &RecoveryReport {
        &self.recovery
    }

    /// What record batches take in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.common.budget.used()
    }

    /// Everything that there was before this start has been opened: what is opened from here on is new. Until then, a
    /// partition that is not found may be on a directory that is offline, and is not created anew.
    pub fn settle(&self) {
        self.common.settled.store(true, Ordering::Relaxed);
    }

    /// Log directories with replicas on them are not here: what is not found may be there, until [`Self::settle`].
    pub fn miss(&self, directories: &str) {
        // What was offline at the start says so already.
        let _ = self.common.lost.set(format!("{directories} is missing"));
    }

    /// From here on new partitions go to other log directories than these.
    pub fn set_cordoned(&self, directories: &[PathBuf]) {
        for (path, cordoned) in self.common.paths.iter().zip(&self.common.cordoned) {
            cordoned.store(directories.contains(path), Ordering::Relaxed);
        }
    }

    /// From the next look at retention on.
    pub fn set_producer_id_expiration(&self, expiration_ms: u64) {
        self.common.producer_id_expiration_ms.store(expiration_ms, Ordering::Relaxed);
    }

    /// Resolves, with the reason, when the last log directory has gone offline.
    pub fn failed(&self) -> impl Future<Output = String> + Send + use<> {
        let mut offline = self.common.offline.subscribe();
        async move {
            let all = |offline: &Vec<Option<Arc<str>>>| offline.iter().all(Option::is_some);
            let reasons = offline.wait_for(all).await.ok().map(|offline| offline.clone());
            let Some(reasons) = reasons else {
                // The shards have stopped; nothing fails any more.
                return std::future::pending().await;
            };
            let reasons: Vec<_> = reasons.iter().flatten().map(|reason| &**reason).collect();
            format!("no log directory is left: {}", reasons.join("; "))
        }
    }

    /// Opens or creates a partition, and leads it from here on.
    pub fn open(&self, spec: PartitionSpec) -> impl Future<Output = Result<(), Refusal>> + Send + use<> {
        self.ask(spec.key, move |reply| Message::Open { spec, reply })
    }

    /// Deletes a partition: its directory gets another name at once and goes away after `file.delete.delay.ms`.
    pub fn delete(&self, key: PartitionKey) -> impl Future<Output = Result<(), Refusal>> + Send + use<> {
        self.ask(key, move |reply| Message::Delete { key, reply })
    }

    /// Sets partitions aside that were found on disk and are none of these, which metadata knows: a crash came between the
    /// deletion of a topic there and here. A new topic of the same name would want their directories.
    pub async fn remove_strays(&self, known: Arc<BTreeSet<PartitionKey>>) {
        let asked: Vec<_> = (0..self.mailboxes.len())
            .map(|shard| {
                let (reply, receive) = oneshot::channel();
                self.send(shard, Message::Strays { known: known.clone(), reply });
                receive
            })
            .collect();
        let mut dropped = Vec::new();
        for strays in asked {
            for key in strays.await.unwrap_or_default() {
                dropped.push((key, self.ask(key, move |reply| Message::DropStray { key, reply })));
            }
        }
        if let Some((first, _)) = dropped.first() {
            let partitions = dropped.len();
            tracing::info!(partitions, %first, "there are partitions on disk that metadata does not know: they are set aside");
        }
        for (key, dropped) in dropped {
            if let Err(refusal) = dropped.await {
                tracing::error!(%key, ?refusal, "could not set aside a partition that metadata does not know");
            }
        }
    }

    /// Another configuration from here on.
    pub fn configure(
        &self,
        key: PartitionKey,
        config: Arc<LogConfig>,
    ) -> impl Future<Output = Result<(), Refusal>> + Send + use<> {
        self.ask(key, move |reply| Message::Configure { key, config, reply })
    }

    /// A new leadership: what is appended from here on carries this epoch.
    pub fn lead(
        &self,
        key: PartitionKey,
        leader_epoch: LeaderEpoch,
    ) -> impl Future<Output = Result<(), Refusal>> + Send + use<> {
        self.ask(key, move |reply| Message::Lead { key, leader_epoch, reply })
    }

    /// Appends one batch to each of some partitions. The batches come from one frame of a connection. Outcomes are
    /// in the order of `appends`; each is decided when `acks` says so.
    pub fn append(
        &self,
        acks: Acks,
        appends: Vec<Append>,
    ) -> impl Future<Output = Vec<AppendResult>> + Send + use<> {
        let keys: Vec<_> = appends.iter().map(|append| append.key).collect();
        let frame_bytes = appends.iter().map(|append| append.batch.size()).sum();
        let parts = self.split(appends, |append| append.key);
        let replies: Vec<_> = parts
            .into_iter()
            .map(|(shard, appends)| {
                let (reply, receive) = oneshot::channel();
                self.send(shard, Message::Append(AppendRequest { acks, appends, frame_bytes, reply }));
                (shard, receive)
            })
            .collect();
        let shards = self.mailboxes.len();
        async move {
            let mut done: Vec<std::vec::IntoIter<AppendResult>> =
                (0..shards).map(|_| Vec::new().into_iter()).collect();
            for (shard, receive) in replies {
                if let (Some(place), Ok(results)) = (done.get_mut(shard), receive.await) {
                    *place = results.into_iter();
                }
            }
            let next = |key: PartitionKey| {
                done.get_mut(shard_of(&key, shards))
                    .and_then(Iterator::next)
                    .unwrap_or_else(|| (key, Err(stopped())))
            };
            keys.into_iter().map(next).collect()
        }
    }

    /// Answers one of ListOffsets' questions.
    pub fn offset(
        &self,
        key: PartitionKey,
        query: OffsetQuery,
        current_leader_epoch: Option<LeaderEpoch>,
    ) -> impl Future<Output = Result<OffsetFound, Refusal>> + Send + use<> {
        self.ask(key, move |reply| Message::Offset { key, query, current_leader_epoch, reply })
    }

    /// Where an epoch ended, or the largest smaller one that is known (OffsetForLeaderEpoch); epoch and offset are
    /// -1 if there is none.
    pub fn epoch_end(
        &self,
        key: PartitionKey,
        leader_epoch: LeaderEpoch,
        current_leader_epoch: Option<LeaderEpoch>,
    ) -> impl Future<Output = Result<EpochEnd, Refusal>> + Send + use<> {
        self.ask(key, move |reply| Message::EpochEnd { key, leader_epoch, current_leader_epoch, reply })
    }

    pub fn status(
        &self,
        key: PartitionKey,
    ) -> impl Future<Output = Result<PartitionStatus, Refusal>> + Send + use<> {
        self.ask(key, move |reply| Message::Status { key, reply })
    }

    /// Compaction goes by these from now on. The number of threads stays what it was at the start.
    pub fn set_cleaner(&self, options: CleanerOptions) {
        self.cleaners.set(options);
    }

    /// Writes out every tail, empties the journals and ends the tasks. Whatever is asked afterwards is refused.
    pub async fn stop(&self) {
        self.cleaners.stop().await;
        let stops: Vec<_> = (0..self.mailboxes.len())
            .map(|shard| {
                let (reply, receive) = oneshot::channel();
                self.send(shard, Message::Stop { reply });
                receive
            })
            .collect();
        for stop in stops {
            // An error means that the shard has ended already.
            let _ = stop.await;
        }
        for committer in self.committers.iter() {
            committer.ended().await;
        }
    }

    fn ask<T: Send + 'static, F: FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Message>(
        &self,
        key: PartitionKey,
        message: F,
    ) -> impl Future<Output = Result<T, Refusal>> + Send + use<T, F> {
        let (reply, receive) = oneshot::channel();
        self.send(shard_of(&key, self.mailboxes.len()), message(reply));
        async move { receive.await.unwrap_or_else(|_| Err(stopped())) }
    }

    fn send(&self, shard: usize, message: Message) {
        if let Some(mailbox) = self.mailboxes.get(shard) {
            // A shard that has ended drops the reply's sender, which the asker hears.
            let _ = mailbox.send(message);
        }
    }

    /// The shards concerned in order of first mention, each with its items in their order.
    fn split<T>(&self, items: Vec<T>, key: impl Fn(&T) -> PartitionKey) -> Vec<(usize, Vec<T>)> {
        let mut parts: Vec<(usize, Vec<T>)> = Vec::new();
        for item in items {
            let shard = shard_of(&key(&item), self.mailboxes.len());
            match parts.iter_mut().find(|(of, _)| *of == shard) {
                Some((_, items)) => items.push(item),
                None => parts.push((shard, vec![item])),
            }
        }
        parts
    }
}

/// The shard that owns a partition. Consecutive partitions of a topic go to different shards.
fn shard_of(key: &PartitionKey, shards: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    key.topic_id.hash(&mut hasher);
    let partition = u64::from(key.partition.unsigned_abs());
    let shard = hasher.finish().wrapping_add(partition).checked_rem(shards as u64).unwrap_or(0);
    usize::try_from(shard).unwrap_or(0)
}

fn stopped() -> Refusal {
    Refusal { code: ErrorCode::NotLeaderOrFollower, message: Some("the broker is shutting down".to_owned()) }
}
