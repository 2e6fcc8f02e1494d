//! Partitions come, get leaders and configurations, and go.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use protocol::ErrorCode;
use protocol::ids::LeaderEpoch;
use storage::log::Recovered;
use storage::segment::names::{METADATA_FILE, deleted_dir, partition_dir, partition_metadata, stray_dir};
use storage::{Log, LogConfig, PartitionKey};
use tokio::sync::oneshot;

use super::api::{PartitionSpec, Refusal};
use super::append::disk_full;
use super::directory::{Lane, Meaning};
use super::housekeeping::Removal;
use super::message::{Done, Reply};
use super::partition::Partition;
use super::shard::{Shard, storage_error};

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

    /// Where a partition is made that was not found. One that the metadata has in another directory than those here, or
    /// that is of before this start while a directory is missing, is not empty: its records are there, and come back with it.
    fn directory_for(&mut self, spec: &PartitionSpec) -> Result<usize, Refusal> {
        let assigned = self.common.ids.iter().position(|id| *id == spec.directory);
        if let Some(dir) = assigned {
            let failed = self.directories.get(dir).and_then(|directory| directory.failed.as_ref());
            return match failed {
                Some(error) => Err(storage_error(error)),
                None if self.is_taken(dir, spec) => Err(taken()),
                None => Ok(self.count_partition(dir)),
            };
        }
        let lost = self.common.lost.get();
        let why = match lost.filter(|_| !self.common.settled.load(Ordering::Relaxed)) {
            _ if !spec.directory.is_zero() => {
                format!("it is on log directory {}, which is missing", spec.directory)
            }
            Some(lost) => format!("it is not on a log directory that works; {lost}"),
            None => return self.choose_directory(spec),
        };
        self.lost.insert(spec.key, why.clone());
        Err(Refusal { code: ErrorCode::KafkaStorageError, message: Some(why) })
    }

    /// Whether what is left of a deleted topic of this name is still written out there.
    fn is_taken(&self, dir: usize, spec: &PartitionSpec) -> bool {
        let strays = self.common.strays.lock().unwrap_or_else(PoisonError::into_inner);
        let path = |root| partition_dir(root, &spec.topic, spec.key.partition);
        !strays.is_empty() && self.common.paths.get(dir).is_some_and(|root| strays.contains(&path(root)))
    }

    fn count_partition(&self, dir: usize) -> usize {
        if let Some(count) = self.common.partitions.get(dir) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        dir
    }

    /// Among the directories that work, cordoned ones last, the one that [`place`] picks.
    fn choose_directory(&self, spec: &PartitionSpec) -> Result<usize, Refusal> {
        let working = self.directories.iter().enumerate().filter(|(_, dir)| dir.failed.is_none());
        let candidates = working.map(|(index, dir)| Candidate {
            index,
            partitions: self.common.partitions.get(index).map_or(0, |count| count.load(Ordering::Relaxed)),
            available_bytes: dir.available_bytes,
        });
        let (taken_there, candidates): (Vec<_>, Vec<_>) =
            candidates.partition(|candidate| self.is_taken(candidate.index, spec));
        if candidates.is_empty() && !taken_there.is_empty() {
            return Err(taken());
        }
        let is_cordoned = |dir: usize| {
            self.common.cordoned.get(dir).is_some_and(|cordoned| cordoned.load(Ordering::Relaxed))
        };
        let (cordoned, open): (Vec<_>, Vec<_>) =
            candidates.into_iter().partition(|candidate| is_cordoned(candidate.index));
        // What was decided before the last one was cordoned, or failed, is there and has to be somewhere.
        let Some(index) = place(&open).or_else(|| place(&cordoned)) else {
            return Err(storage_error("no log directory is left"));
        };
        Ok(self.count_partition(index))
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

    /// Makes logs of all that was found on disk, whether metadata knows them or not: a stray partition is kept, but it
    /// must not hold the journal back.
    pub(super) fn adopt_strays(&mut self) {
        while let Some((key, (dir, recovered))) = self.found.pop_first() {
            let (topic, partition) = (recovered.state().topic.clone(), key.partition);
            tracing::info!(%topic, partition, id = %key.topic_id, "a partition on disk that metadata has not asked for");
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

    pub(super) fn delete(&mut self, key: PartitionKey, reply: Reply<()>) {
        if let Some((dir, recovered)) = self.found.remove(&key) {
            self.adopt(dir, recovered, Arc::default());
        }
        if self.broken.contains_key(&key) {
            return self.delete_broken(key, reply);
        }
        let Some(partition) = self.partitions.get_mut(&key) else {
            return drop(reply.send(Err(ErrorCode::UnknownTopicOrPartition.into())));
        };
        if let Some(replies) = &mut partition.deleting {
            return replies.push(reply);
        }
        partition.refuse_all(&mut self.groups, &ErrorCode::UnknownTopicOrPartition.into());
        partition.deleting = Some(vec![reply]);
        partition.compaction.cancel();
        let entry = partition.log.delete();
        let dir = partition.dir;
        if let Some(directory) = self.directories.get_mut(dir) {
            directory.submit(entry, Meaning::Delete);
        }
    }

    /// Renames the directory of a partition whose deletion the journal has synced, once no lane works in it.
    pub(super) fn rename_deleted(&mut self, key: PartitionKey) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        let in_use = partition.log.is_busy() || partition.compaction.is_under_way();
        if partition.deleting.is_none() || !partition.deleted || in_use || partition.renaming {
            return;
        }
        partition.renaming = true;
        let from = partition.log.dir().to_path_buf();
        let delay_ms = partition.log.config().file_delete_delay_ms;
        let topic = partition.log.topic().clone();
        let dir = partition.dir;
        let Some(directory) = self.directories.get(dir) else { return };
        let name = if partition.stray { stray_dir } else { deleted_dir };
        let to = name(&directory.parts.path, &topic, &key);
        let completion = self.completion(move |result| Done::PartitionDeleted { key, delay_ms, result });
        directory.call(Lane::Writes, rename_away(key, from, to), completion);
    }

    pub(super) fn partition_deleted(
        &mut self,
        key: PartitionKey,
        delay_ms: u64,
        result: io::Result<PathBuf>,
    ) {
        let Some(mut partition) = self.partitions.remove(&key) else { return };
        self.common.budget.change(partition.counted, 0);
        if partition.stray {
            let mut strays = self.common.strays.lock().unwrap_or_else(PoisonError::into_inner);
            strays.remove(partition.log.dir());
        }
        if let Some(count) = self.common.partitions.get(partition.dir) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(directory) = self.directories.get_mut(partition.dir) {
            directory.removed.push(key);
        }
        match result {
            Ok(path) if partition.stray => {
                let path = path.display();
                tracing::warn!(%key, %path, "the metadata does not know this partition: it was set aside");
            }
            Ok(path) => {
                let at = self.host.now().after(Duration::from_millis(delay_ms));
                self.removals.push(at, partition.dir, Removal::Directory(path));
            }
            // It is not part of the log any more; the next start finds it and tries again.
            Err(error) => {
                tracing::error!(%key, "could not rename the directory of a deleted partition: {error}")
            }
        }
        for reply in partition.deleting.take().into_iter().flatten() {
            drop(reply.send(Ok(())));
        }
    }
}

fn taken() -> Refusal {
    let why = "what is left of a deleted topic of this name could not be set aside yet, for the disk is full: free space, and \
               start again";
    Refusal { code: ErrorCode::KafkaStorageError, message: Some(why.to_owned()) }
}

/// A directory that a new partition could go to.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    index: usize,
    partitions: usize,
    /// `None` until it was measured.
    available_bytes: Option<u64>,
}

/// The directory with the most room for each partition, counting the new one: on disks of one size the one with the fewest
/// partitions, as in Kafka, and on a larger disk proportionally more of them. While the room is not known everywhere, the
/// one with the fewest.
fn place(candidates: &[Candidate]) -> Option<usize> {
    let measured = candidates.iter().all(|candidate| candidate.available_bytes.is_some());
    let crowded = |candidate: &&Candidate| {
        let room = if measured { candidate.available_bytes.unwrap_or(0) } else { u64::MAX };
        let partitions = u64::try_from(candidate.partitions).unwrap_or(u64::MAX).saturating_add(1);
        (std::cmp::Reverse(room / partitions), candidate.partitions, candidate.index)
    };
    candidates.iter().min_by_key(crowded).map(|candidate| candidate.index)
}

/// What the topic wants is not known, so nothing is deleted.
fn config_of_stray() -> Arc<LogConfig> {
    Arc::new(LogConfig { retention_ms: None, retention_bytes: None, ..LogConfig::default() })
}

/// Renames a partition's directory, if it is there, and answers its new name. One that says to be of another topic is left
/// alone: somebody else's records are in it.
pub(super) fn rename_away(
    key: PartitionKey,
    from: PathBuf,
    to: PathBuf,
) -> impl FnOnce(&dyn host::Files, &storage::segment::OpenFiles) -> io::Result<PathBuf> + Send + 'static {
    move |files, open| {
        let metadata = from.join(METADATA_FILE);
        let own = partition_metadata(key.topic_id);
        match files.read(&metadata, 4096) {
            Ok(found) if found != own.as_bytes() => {
                let found = String::from_utf8_lossy(&found).replace('\n', "; ");
                let why = format!("{} is not of topic {}, but: {found}", metadata.display(), key.topic_id);
                return Err(io::Error::other(why));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        open.forget_dir(&from);
        match files.rename(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(to),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_partitions_go_where_there_is_most_room_for_each() {
        let chosen = |candidates: &[(usize, Option<u64>)]| {
            let candidate = |(index, (partitions, available_bytes)): (usize, &(usize, Option<u64>))| {
                Candidate { index, partitions: *partitions, available_bytes: *available_bytes }
            };
            place(&candidates.iter().enumerate().map(candidate).collect::<Vec<_>>())
        };
        for (candidates, index) in [
            (&[][..], None),
            (&[(5, Some(0))], Some(0)),
            // Of one size: the fewest partitions, the first of equals.
            (&[(2, Some(1000)), (1, Some(1000)), (1, Some(1000))], Some(1)),
            // Twice the room takes twice the partitions.
            (&[(1, Some(1000)), (2, Some(2000))], Some(1)),
            (&[(1, Some(1000)), (3, Some(2000))], Some(0)),
            (&[(0, Some(10)), (9, Some(1000))], Some(1)),
            // Not measured yet, all of them.
            (&[(3, Some(1000)), (2, None)], Some(1)),
            (&[(2, None), (2, None)], Some(0)),
        ] {
            assert_eq!(chosen(candidates), index, "{candidates:?}");
        }
    }

    #[test]
    fn a_directory_that_belongs_to_another_topic_is_not_renamed() {
        use protocol::{TopicId, Uuid};
        let sim = host::sim::Sim::new(1);
        let files = sim.node("one", host::sim::NodeOptions::default()).disk.files();
        let open = storage::segment::OpenFiles::new(8);
        let key = |byte| PartitionKey { topic_id: TopicId(Uuid::from_bytes([byte; 16])), partition: 0 };
        let from = PathBuf::from("/data/t-0");
        let rename = |byte| {
            let to = stray_dir(Path::new("/data"), "t", &key(byte));
            rename_away(key(byte), from.clone(), to.clone())(&*files, &open)
                .map(|renamed| assert_eq!(renamed, to))
        };
        // Nothing was written yet, or it is gone.
        rename(1).unwrap();
        files.create_dir_all(&from).unwrap();
        files.replace(&from.join(METADATA_FILE), partition_metadata(key(1).topic_id).as_bytes()).unwrap();
        let why = rename(2).unwrap_err().to_string();
        for id in [key(1).topic_id, key(2).topic_id] {
            assert!(why.contains(&id.to_string()), "{why}");
        }
        assert!(files.exists(&from.join(METADATA_FILE)).unwrap());
        rename(1).unwrap();
        assert!(!files.exists(&from).unwrap());
    }
}
