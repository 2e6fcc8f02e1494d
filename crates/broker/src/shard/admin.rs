//! What operators ask of partitions and directories: to delete records, who has written, where things are and how much
//! room is left.
//!
//! Invariant: a deletion of records is answered when the journal has synced the new start of the log, so that nothing
//! deleted comes back.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use host::Space;
use protocol::ErrorCode;
use protocol::ids::Offset;
use storage::PartitionKey;
use storage::journal::Body;
use tokio::sync::{oneshot, watch};

use super::Shards;
use super::api::{DirectoryReport, ProducerReport, Refusal, ReplicaReport};
use super::directory::{Lane, Meaning};
use super::message::{Message, Reply};
use super::shard::Shard;

/// DeleteRecords' way to say "everything".
const HIGH_WATERMARK: Offset = Offset(-1);

impl Shards {
    /// Deletes what is below `offset`, or below the high watermark if it is -1. Answers where the log starts now.
    pub fn delete_records(
        &self,
        key: PartitionKey,
        offset: Offset,
    ) -> impl Future<Output = Result<Offset, Refusal>> + Send + use<> {
        self.ask(key, move |reply| Message::DeleteRecords { key, offset, reply })
    }

    /// The producers that a partition remembers.
    pub fn producers(
        &self,
        key: PartitionKey,
    ) -> impl Future<Output = Result<Vec<ProducerReport>, Refusal>> + Send + use<> {
        self.ask(key, move |reply| Message::Producers { key, reply })
    }

    /// The partitions that are served, with the index of their directory among those that worked at the start.
    pub(crate) fn replicas(&self) -> impl Future<Output = Vec<(usize, ReplicaReport)>> + Send + use<> {
        let asked: Vec<_> = (0..self.mailboxes.len())
            .map(|shard| {
                let (reply, receive) = oneshot::channel();
                self.send(shard, Message::Replicas { reply });
                receive
            })
            .collect();
        async move {
            let mut all = Vec::new();
            for replicas in asked {
                all.extend(replicas.await.unwrap_or_default());
            }
            all
        }
    }

    /// Why each of the log directories that worked at the start is offline.
    pub(crate) fn offline(&self) -> watch::Receiver<Vec<Option<Arc<str>>>> {
        self.common.offline.subscribe()
    }

    /// Every log directory in the order of `log.dirs`, those that work before those that were offline at the start.
    pub async fn directories(&self) -> Vec<DirectoryReport> {
        let replicas = self.replicas();
        let offline = self.common.offline.borrow().clone();
        let spaces: Vec<_> = (0..self.common.paths.len())
            .map(|dir| {
                let (reply, receive) = oneshot::channel();
                if offline.get(dir).is_some_and(Option::is_none) {
                    self.send(0, Message::Space { dir, reply });
                }
                receive
            })
            .collect();
        let mut reports = Vec::new();
        for (dir, (path, space)) in self.common.paths.iter().zip(spaces).enumerate() {
            let error = offline.get(dir).cloned().flatten().map(|error| error.to_string());
            let (space, error) = match (space.await, error) {
                (_, Some(error)) => (None, Some(error)),
                (Ok(Ok(space)), None) => (Some(space), None),
                (Ok(Err(error)), None) => (None, Some(error.to_string())),
                (Err(_), None) => (None, Some("the broker is shutting down".to_owned())),
            };
            let cordoned =
                self.common.cordoned.get(dir).is_some_and(|cordoned| cordoned.load(Ordering::Relaxed));
            reports.push(DirectoryReport {
                path: path.clone(),
                error,
                space,
                cordoned,
                replicas: Vec::new(),
            });
        }
        for (dir, replica) in replicas.await {
            if let Some(report) = reports.get_mut(dir) {
                report.replicas.push(replica);
            }
        }
        let lost = self.recovery.offline.iter().map(|(path, error): &(PathBuf, String)| DirectoryReport {
            path: path.clone(),
            error: Some(error.clone()),
            space: None,
            cordoned: false,
            replicas: Vec::new(),
        });
        reports.extend(lost);
        reports
    }
}

impl Shard {
    pub(super) fn delete_records(&mut self, key: PartitionKey, asked: Offset, reply: Reply<Offset>) {
        let partition = match self.partition(&key) {
            Ok(partition) => partition,
            Err(refusal) => return drop(reply.send(Err(refusal))),
        };
        let log = &mut partition.log;
        let policy = log.config().cleanup_policy;
        if policy.compact && !policy.delete {
            let message =
                Some("records of a compacted topic go by their keys; its cleanup.policy has no delete");
            let code = ErrorCode::PolicyViolation;
            return drop(reply.send(Err(Refusal { code, message: message.map(str::to_owned) })));
        }
        let high_watermark = log.high_watermark();
        let offset = if asked == HIGH_WATERMARK { high_watermark } else { asked };
        if offset < Offset::ZERO || offset > high_watermark {
            let message =
                Some(format!("offset {offset} is not between 0 and the high watermark {high_watermark}"));
            return drop(reply.send(Err(Refusal { code: ErrorCode::OffsetOutOfRange, message })));
        }
        let entry = log.start_at(offset);
        if entry.is_none() && offset <= log.log_start() {
            return drop(reply.send(Ok(log.log_start())));
        }
        partition.starting.push((offset, reply));
        let dir = partition.dir;
        let Some(entry) = entry else { return };
        let Body::LogStart { offset } = entry.body else { return };
        tracing::info!(topic = %partition.log.topic(), partition = key.partition, "records below {offset} are deleted");
        if let Some(directory) = self.directories.get_mut(dir) {
            directory.submit(entry, Meaning::LogStart { offset });
        }
        // A segment goes only when it is whole on disk.
        self.write_and_sync(key);
    }

    /// The log of a partition starts elsewhere, durably: tells who has waited for that.
    pub(super) fn answer_starts(&mut self, key: PartitionKey) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        let start = partition.log.log_start();
        for (_, reply) in partition.starting.extract_if(.., |(offset, _)| *offset <= start) {
            // The asker may be gone.
            let _ = reply.send(Ok(start));
        }
        // Whoever waits to read below it is told that nothing will come.
        partition.wake();
    }

    pub(super) fn producers(&mut self, key: PartitionKey) -> Result<Vec<ProducerReport>, Refusal> {
        let producers = self.partition(&key)?.log.producers();
        let report =
            |(producer_id, state): (protocol::ids::ProducerId, &storage::producers::ProducerState)| {
                let last = state.batches.back();
                ProducerReport {
                    producer_id,
                    epoch: state.epoch,
                    last_sequence: last.map_or(-1, |mark| mark.last_sequence),
                    last_timestamp_ms: state.last_timestamp_ms,
                    coordinator_epoch: state.coordinator_epoch,
                    transaction_start: state.transaction.unwrap_or(Offset::NONE),
                }
            };
        Ok(producers.iter().map(report).collect())
    }

    /// The partitions of this shard that can be served, with the index of their directory.
    pub(super) fn replicas(&self) -> Vec<(usize, ReplicaReport)> {
        let served = self.partitions.iter().filter(|(_, partition)| partition.deleting.is_none());
        served
            .map(|(key, partition)| {
                let size_bytes = partition.log.size_bytes();
                (partition.dir, ReplicaReport { key: *key, topic: partition.log.topic().clone(), size_bytes })
            })
            .collect()
    }

    pub(super) fn space_of(&self, dir: usize, reply: oneshot::Sender<io::Result<Space>>) {
        let Some(directory) = self.directories.get(dir) else { return };
        let path = directory.parts.path.clone();
        // The asker may be gone.
        let done = |result| drop(reply.send(result));
        directory.call(Lane::Writes, move |files, _| files.space(&path), done);
    }
}
