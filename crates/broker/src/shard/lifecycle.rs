//! Partitions are opened or made, and get leaders and configurations; those that nobody knows are set aside.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use protocol::ids::LeaderEpoch;
use storage::log::Recovered;
use storage::segment::names::{METADATA_FILE, partition_metadata, stray_dir};
use storage::{Log, LogConfig, PartitionKey};
use tokio::sync::oneshot;

use super::api::{PartitionSpec, Refusal};
use super::append::disk_full;
use super::directory::{Lane, Meaning};
use super::message::{Done, Reply};
use super::partition::Partition;
use super::shard::Shard;

impl Shard {
    pub(super) fn open(&mut self, spec: PartitionSpec, reply: Reply<()>) {
        match self.open_log(&spec) {
            Ok(()) => self.lead(spec.key, spec.leader_epoch, reply),
            // The asker may be gone.
            Err(refusal) => drop(reply.send(Err(refusal))),
        }
    }

    fn open_log(&mut self, spec: &PartitionSpec) -> Result<(), Refusal> {
        if self.stopping.is_some() {
            return Err(super::stopped());
        }
        self.check_is_whole(&spec.key)?;
        let random = self.host.rng.next_u64();
        if let Some(partition) = self.partitions.get_mut(&spec.key) {
            partition.log.configure(spec.config.clone(), random);
            self.end_unwanted_cleaning(spec.key);
            return Ok(());
        }
        if let Some((dir, recovered)) = self.found.remove(&spec.key) {
            self.adopt(dir, recovered, spec.config.clone());
            return Ok(());
        }
        let dir = self.directory_for(spec)?;
        let Some(directory) = self.directories.get_mut(dir) else { return Err(super::stopped()) };
        let now_ms = self.host.clock.wall_ms();
        let path = directory.parts.path.clone();
        let (log, entry) =
            Log::create(spec.key, spec.topic.clone(), &path, spec.config.clone(), random, now_ms);
        directory.submit(entry, Meaning::Create);
        let key = spec.key;
        let (dir_path, log_dir, topic) = (log.dir().to_path_buf(), path, spec.topic.clone());
        let make = move |files: &dyn host::Files, open: &storage::segment::OpenFiles| {
            make_directory(files, open, &dir_path, &stray_dir(&log_dir, &topic, &key), key)
        };
        self.partitions.insert(key, Partition::new(log, dir));
        let completion = self.completion(move |result| Done::Made { key, result });
        if let Some(directory) = self.directories.get(dir) {
            directory.call(Lane::Writes, make, completion);
        }
        Ok(())
    }

    /// Makes a log of what was found on disk.
    pub(super) fn adopt(&mut self, dir: usize, recovered: Recovered, config: Arc<LogConfig>) {
        let log = Log::open(recovered, config, self.host.rng.next_u64(), self.host.clock.wall_ms());
        let key = log.key();
        let mut partition = Partition::new(log, dir);
        Self::count_memory(&self.common.budget, &mut partition);
        self.partitions.insert(key, partition);
        self.queue_write(key);
    }

    /// Makes logs of all that was found on disk, whether metadata knows them or not, which may not be known yet: a stray
    /// partition is kept, but it must not hold the journal back.
    pub(super) fn adopt_found(&mut self) {
        while let Some((_, (dir, recovered))) = self.found.pop_first() {
            self.adopt(dir, recovered, config_of_stray());
        }
    }

    /// Partitions on disk that are not `known`. Some may have been adopted already, for the sake of the journal.
    pub(super) fn strays(&self, known: &BTreeSet<PartitionKey>) -> Vec<PartitionKey> {
        let all = self.found.keys().chain(self.partitions.keys());
        all.filter(|key| !known.contains(key)).copied().collect()
    }

    /// Writes a partition that the metadata does not know out to its files, which get another name then. One that is broken
    /// stays as it is.
    pub(super) fn drop_stray(&mut self, key: PartitionKey, reply: Reply<()>) {
        if let Some((dir, recovered)) = self.found.remove(&key) {
            self.adopt(dir, recovered, config_of_stray());
        }
        match self.partitions.get_mut(&key).filter(|partition| partition.deleting.is_none()) {
            Some(partition) => {
                partition.stray = true;
                partition.setting_aside.push(reply);
                let (dir, path) = (partition.dir, partition.log.dir().to_path_buf());
                self.common.strays.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
                self.write_and_sync(key);
                self.go_on_setting_aside(key);
                if self.directories.get(dir).is_some_and(|directory| directory.full) {
                    self.refuse_setting_aside(dir);
                }
            }
            None if self.broken.contains_key(&key) => drop(reply.send(Ok(()))),
            None => self.delete(key, reply),
        }
    }

    /// Deletes a stray in the journal once its files hold everything.
    pub(super) fn go_on_setting_aside(&mut self, key: PartitionKey) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        if !partition.stray || partition.deleting.is_some() || !partition.is_written_out() {
            return;
        }
        let mut replies = std::mem::take(&mut partition.setting_aside);
        if replies.is_empty() {
            // Who asked was refused when the disk was full.
            replies.push(oneshot::channel().0);
        }
        for reply in replies {
            self.delete(key, reply);
        }
    }

    /// The disk is full: nobody waits for what happens once there is room.
    pub(super) fn refuse_setting_aside(&mut self, dir: usize) {
        for partition in self.partitions.values_mut().filter(|partition| partition.dir == dir) {
            for reply in partition.setting_aside.drain(..) {
                // The asker may be gone.
                let _ = reply.send(Err(disk_full()));
            }
        }
    }

    pub(super) fn made(&mut self, key: PartitionKey, result: io::Result<()>) {
        if let (Err(error), Some(partition)) = (result, self.partitions.get(&key)) {
            // The first write to a segment tries again, and has the consequences.
            tracing::warn!(dir = %partition.log.dir().display(), "could not make a partition's directory: {error}");
        }
    }

    pub(super) fn lead(&mut self, key: PartitionKey, leader_epoch: LeaderEpoch, reply: Reply<()>) {
        let partition = match self.partition(&key) {
            Ok(partition) => partition,
            Err(refusal) => return drop(reply.send(Err(refusal))),
        };
        let dir = partition.dir;
        match partition.log.lead(leader_epoch) {
            Some(entry) => {
                partition.opening.push((leader_epoch, reply));
                partition.wake();
                if let Some(directory) = self.directories.get_mut(dir) {
                    directory.submit(entry, Meaning::Opened { epoch: leader_epoch });
                }
            }
            None if partition.opening.iter().any(|(epoch, _)| *epoch >= leader_epoch) => {
                partition.opening.push((leader_epoch, reply));
            }
            None => drop(reply.send(Ok(()))),
        }
    }

    pub(super) fn configure(&mut self, key: PartitionKey, config: Arc<LogConfig>, reply: Reply<()>) {
        let random = self.host.rng.next_u64();
        let result = self.partition(&key).map(|partition| {
            let before = partition.log.readable_ends();
            partition.log.configure(config, random);
            let gained = partition.log.gained_since(before);
            partition.gained(gained);
        });
        if let Some(partition) = self.partitions.get_mut(&key) {
            partition.answer(&mut self.groups);
        }
        self.end_unwanted_cleaning(key);
        drop(reply.send(result));
    }
}

/// What the topic wants is not known, so nothing is deleted.
fn config_of_stray() -> Arc<LogConfig> {
    Arc::new(LogConfig { retention_ms: None, retention_bytes: None, ..LogConfig::default() })
}

/// Makes the directory of a new partition. One that is there already is what a crash has left of a deleted partition, or
/// of one that could not be read: the journal knows nothing of it, or not enough. It gets the name `aside` and is kept.
fn make_directory(
    files: &dyn host::Files,
    open: &storage::segment::OpenFiles,
    path: &Path,
    aside: &Path,
    key: PartitionKey,
) -> io::Result<()> {
    let text = partition_metadata(key.topic_id);
    let metadata = path.join(METADATA_FILE);
    if files.exists(path)? && !files.read(&metadata, 4096).is_ok_and(|found| found == text.as_bytes()) {
        tracing::warn!("{}: in the way of a new partition, renamed to {}", path.display(), aside.display());
        open.forget_dir(path);
        files.rename(path, aside)?;
    }
    // The first write to a segment puts its metadata there, durably: that takes some syncs, and a topic may have
    // thousands of partitions.
    files.create_dir_all(path)
}
