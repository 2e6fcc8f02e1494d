//! Compaction on the side of the shard: which of its logs is the dirtiest, what a pass over one is made for, and new segments
//! in the place of others.
//!
//! Invariant: a partition's directory gets its last name only when no pass works in it any more.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use host::Instant;
use protocol::ids::Offset;
use storage::PartitionKey;
use storage::clean::{Cleaning, Options, Replacement};
use storage::journal::ToCommitter;
use storage::log::DeletedFiles;
use tokio::sync::{oneshot, watch};

use super::directory::Lane;
use super::housekeeping::Removal;
use super::message::Done;
use super::partition::Partition;
use super::read::Late;
use super::shard::Shard;

/// After a pass that has failed, on a full disk for example.
const RETRY: Duration = Duration::from_secs(60);

/// A log that is worth compacting, by how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    is_urgent: bool,
    ratio_ppm: u64,
    pub(super) key: PartitionKey,
}

/// A pass, and who tells it to end.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) topic: Arc<str>,
    pub(super) cleaning: Cleaning,
    pub(super) cancelled: watch::Receiver<bool>,
}

/// How a pass ended.
#[derive(Debug)]
pub(super) enum CleaningEnd {
    Cleaned {
        up_to: Offset,
    },
    /// By an error. It is the log's fault, unless that has changed under the pass.
    Failed {
        error: io::Error,
        cleaning: Box<Cleaning>,
    },
    Abandoned,
}

/// A partition's part in compaction.
#[derive(Debug, Default)]
pub(super) struct Compaction {
    /// A pass is under way, which this tells to end.
    pass: Option<watch::Sender<bool>>,
    /// Who waits for a new segment to be in its place.
    replacing: Option<oneshot::Sender<bool>>,
    /// A pass has met damage: there is no further one.
    is_uncleanable: bool,
    /// A pass has failed: others come first.
    not_before: Option<Instant>,
    /// Reads that came too late for the files that they were planned for.
    pub(super) late: Vec<Late>,
}

impl Compaction {
    pub(super) fn is_under_way(&self) -> bool {
        self.pass.is_some()
    }

    pub(super) fn is_uncleanable(&self) -> bool {
        self.is_uncleanable
    }

    pub(super) fn cancel(&self) {
        if let Some(pass) = &self.pass {
            pass.send_replace(true);
        }
    }
}

impl Shard {
    /// The log that should be compacted first. Closed segments that only a sync keeps from it are synced for the next time.
    pub(super) fn dirtiest(&mut self) -> Option<Candidate> {
        let unsynced = self.partitions.iter().filter(|(_, partition)| partition.log.wants_sync_to_clean());
        let unsynced: Vec<PartitionKey> = unsynced.map(|(key, _)| *key).collect();
        for key in unsynced {
            self.write_and_sync(key);
        }
        let (now, now_ms) = (self.host.now(), self.host.clock.wall_ms());
        let works = |partition: &Partition| {
            let directory = self.directories.get(partition.dir);
            directory.is_some_and(|directory| directory.failed.is_none() && !directory.full)
        };
        let free = self.partitions.iter_mut().filter(|(_, partition)| {
            let compaction = &partition.compaction;
            let waits = compaction.not_before.is_some_and(|not_before| now < not_before);
            let taken = compaction.is_under_way() || compaction.is_uncleanable || waits;
            !taken && partition.deleting.is_none() && !partition.stray && works(partition)
        });
        let dirty = free.filter_map(|(key, partition)| {
            let found = partition.log.dirtiness(now_ms)?;
            Some(Candidate { is_urgent: found.is_urgent, ratio_ppm: found.ratio_ppm, key: *key })
        });
        dirty.max()
    }

    /// Ends a pass over a log that is no longer to be compacted.
    pub(super) fn end_unwanted_cleaning(&mut self, key: PartitionKey) {
        let partition = self.partitions.get(&key);
        if let Some(partition) = partition.filter(|this| !this.log.config().cleanup_policy.compact) {
            partition.compaction.cancel();
        }
    }

    /// A pass over a log, if it is still worth one.
    pub(super) fn begin_cleaning(&mut self, key: PartitionKey, options: Options) -> Option<Begun> {
        let now_ms = self.host.clock.wall_ms();
        let partition = self.partition(&key).ok()?;
        if partition.compaction.is_under_way() {
            return None;
        }
        let dirtiness = partition.log.dirtiness(now_ms)?;
        let cleaning = Cleaning::new(partition.log.plan_cleaning(dirtiness, now_ms), options);
        let (cancel, cancelled) = watch::channel(false);
        partition.compaction.pass = Some(cancel);
        Some(Begun { topic: partition.log.topic().clone(), cleaning, cancelled })
    }

    /// A pass offers a segment. The answer comes when it is in its place; it is false when it does not fit any more.
    pub(super) fn replace(
        &mut self,
        key: PartitionKey,
        replacement: &Replacement,
        reply: oneshot::Sender<bool>,
    ) {
        let Ok(partition) = self.partition(&key) else { return };
        if let Err(overtaken) = partition.log.replace(replacement) {
            tracing::debug!(%key, "{overtaken}");
            // The asker may be gone.
            let _ = reply.send(false);
            return;
        }
        partition.compaction.replacing = Some(reply);
        let dir = partition.dir;
        self.hasten_checkpoint(dir);
    }

    fn hasten_checkpoint(&self, dir: usize) {
        if let Some(directory) = self.directories.get(dir) {
            (directory.parts.committer)(ToCommitter::CheckpointSoon);
        }
    }

    /// What was told for the last checkpoint of a directory is on disk: files may get their names.
    pub(super) fn checkpointed(&mut self, dir: usize) {
        let here = self.partitions.iter_mut().filter(|(_, partition)| partition.dir == dir);
        let mut swaps = Vec::new();
        for (key, partition) in here {
            partition.log.checkpointed();
            swaps.extend(partition.log.next_swap().map(|swap| (*key, swap)));
        }
        for (key, swap) in swaps {
            let completion = self.completion(move |result| Done::Swapped { key, result });
            if let Some(directory) = self.directories.get(dir) {
                directory.call(Lane::Writes, move |files, open| swap.run(files, open), completion);
            }
        }
    }

    pub(super) fn swapped(&mut self, key: PartitionKey, result: io::Result<DeletedFiles>) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        let dir = partition.dir;
        let deleted = match result {
            Ok(deleted) => deleted,
            Err(error) => return self.fail(dir, Arc::from(error.to_string())),
        };
        partition.log.swapped();
        Self::count_memory(&self.common.budget, partition);
        let compaction = &mut partition.compaction;
        if let Some(reply) = compaction.replacing.take() {
            // The asker may be gone.
            let _ = reply.send(true);
        }
        let late = std::mem::take(&mut compaction.late);
        let delay_ms = partition.log.config().file_delete_delay_ms;
        if !deleted.is_empty() {
            let at = self.host.now().after(Duration::from_millis(delay_ms));
            self.removals.push(at, dir, Removal::Files(deleted));
        }
        for late in late {
            self.read_late(key, late);
        }
        self.delete_segments(key);
        self.rename_deleted(key);
    }

    pub(super) fn end_cleaning(&mut self, key: PartitionKey, end: CleaningEnd) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        partition.compaction.pass = None;
        let dir = partition.dir;
        match end {
            CleaningEnd::Cleaned { up_to } => {
                partition.log.set_cleaned(up_to);
                self.hasten_checkpoint(dir);
            }
            CleaningEnd::Failed { error, cleaning } => {
                let is_damaged = error.kind() == io::ErrorKind::InvalidData;
                if is_damaged && partition.log.is_as_planned(cleaning.plan()) {
                    partition.compaction.is_uncleanable = true;
                    let topic = partition.log.topic();
                    tracing::error!(%topic, partition = key.partition, "this partition is no longer compacted: {error}");
                } else {
                    let topic = partition.log.topic();
                    let seconds = RETRY.as_secs();
                    partition.compaction.not_before = Some(self.host.now().after(RETRY));
                    tracing::warn!(%topic, partition = key.partition, "a compaction is given up, and tried again in {seconds} s: {error}");
                }
            }
            CleaningEnd::Abandoned => {}
        }
        self.rename_deleted(key);
    }
}
