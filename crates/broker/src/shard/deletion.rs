//! The end of a partition: its deletion in the journal, another name for its directory, and its removal after a while.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use protocol::ErrorCode;
use storage::PartitionKey;
use storage::segment::names::{METADATA_FILE, deleted_dir, partition_metadata, stray_dir};

use super::directory::{Lane, Meaning};
use super::housekeeping::Removal;
use super::message::{Done, Reply};
use super::shard::Shard;

impl Shard {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

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
