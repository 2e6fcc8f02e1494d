//! [`Broken`]: partitions on disk that cannot be served, because a file of theirs is missing or an entry of theirs is damaged.
//!
//! Invariants:
//! * What the journal holds of such a partition stays there, through checkpoints and clean stops, until a start finds
//!   the partition whole or its topic is deleted: acknowledged records may be nowhere else. It is submitted again when the
//!   journal wants its space back.
//! * Where an entry itself is damaged nothing is submitted again, or the gap would be forgotten. A journal that cannot
//!   go on because of that takes its directory offline; nobody waits for room that will not come.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::ErrorCode;
use storage::journal::{Body, Entry};
use storage::segment::names::{deleted_dir, partition_dir};
use storage::{LogConfig, PartitionKey, Position};

use super::api::Refusal;
use super::deletion::rename_away;
use super::directory::{Lane, Meaning};
use super::housekeeping::Removal;
use super::message::{Done, Reply};
use super::shard::Shard;

#[derive(Debug)]
pub(super) struct Broken {
    pub(super) topic: Arc<str>,
    pub(super) why: String,
    /// Where the journal begins to hold entries of it.
    pub(super) oldest_needed: Option<Position>,
    /// These, in order; `None` if one of them is damaged.
    entries: Option<Vec<Body>>,
    /// They have been submitted again and are not synced yet; where the first of them was written.
    again: bool,
    again_at: Option<Position>,
    /// Asked for until the journal has synced the deletion.
    pub(super) deleting: Option<Vec<Reply<()>>>,
}

impl Broken {
    pub(super) fn new(
        topic: Arc<str>,
        why: String,
        oldest_needed: Option<Position>,
        entries: Option<Vec<Body>>,
    ) -> Self {
        Self { topic, why, oldest_needed, entries, again: false, again_at: None, deleting: None }
    }

    /// The journal has written one of the entries again.
    pub(super) fn wrote_again(&mut self, position: Position) {
        self.again_at.get_or_insert(position);
    }

    /// It has synced the last of them.
    pub(super) fn synced_again(&mut self) {
        self.again = false;
        self.oldest_needed = self.again_at.take().or(self.oldest_needed);
    }
}

impl Shard {
    /// Submits what the journal holds of broken partitions up to `free_up_to` once more.
    pub(super) fn submit_broken_again(&mut self, dir: usize, free_up_to: Position) {
        let Some(directory) = self.directories.get_mut(dir) else { return };
        for (key, (_, broken)) in self.broken.iter_mut().filter(|(_, (its, _))| *its == dir) {
            let held = broken.oldest_needed.is_some_and(|oldest| oldest <= free_up_to);
            let Some(entries) = broken.entries.as_ref().filter(|_| held && !broken.again) else { continue };
            if broken.deleting.is_some() {
                continue;
            }
            broken.again = true;
            broken.again_at = None;
            let last = entries.len().saturating_sub(1);
            for (index, body) in entries.iter().enumerate() {
                let entry = Entry { key: *key, body: body.clone() };
                directory.submit(entry, Meaning::BrokenAgain { is_last: index == last });
            }
        }
    }

    pub(super) fn check_is_whole(&self, key: &PartitionKey) -> Result<(), Refusal> {
        let broken = self.broken.get(key).map(|(_, broken)| &broken.why);
        match broken.or_else(|| self.lost.get(key)) {
            Some(why) => Err(Refusal { code: ErrorCode::KafkaStorageError, message: Some(why.clone()) }),
            None => Ok(()),
        }
    }

    /// The oldest position of a directory's journal that a broken partition needs.
    pub(super) fn oldest_broken(&self, dir: usize) -> Option<Position> {
        let here = self.broken.values().filter(|(its, _)| *its == dir);
        here.filter_map(|(_, broken)| broken.oldest_needed).min()
    }

    /// The journal is full and cannot go on before everything up to `blocked_up_to` is released.
    pub(super) fn fail_if_held(&mut self, dir: usize, blocked_up_to: Position) {
        // What is submitted again, and a deletion, get through a full journal.
        let stays = |broken: &&Broken| {
            let held = broken.oldest_needed.is_some_and(|oldest| oldest <= blocked_up_to);
            held && broken.entries.is_none() && broken.deleting.is_none()
        };
        let mut here = self.broken.values().filter(|(its, _)| *its == dir).map(|(_, broken)| broken);
        let Some(Broken { topic, why, .. }) = here.find(stays) else { return };
        let error = format!(
            "the journal is full and may not drop the records of topic {topic}, a partition of which is offline: {why}; \
             delete the topic right after the next start, or bring a copy of the directory back"
        );
        self.fail(dir, Arc::from(error));
    }

    pub(super) fn delete_broken(&mut self, key: PartitionKey, reply: Reply<()>) {
        let Some((dir, broken)) = self.broken.get_mut(&key) else { return };
        if let Some(replies) = &mut broken.deleting {
            return replies.push(reply);
        }
        broken.deleting = Some(vec![reply]);
        if let Some(directory) = self.directories.get_mut(*dir) {
            directory.submit(Entry { key, body: Body::Delete }, Meaning::Delete);
        }
    }

    /// The journal has synced the deletion.
    pub(super) fn rename_broken(&mut self, key: PartitionKey) {
        let Some((dir, broken)) = self.broken.remove(&key) else { return };
        let Some(directory) = self.directories.get_mut(dir) else { return };
        directory.removed.push(key);
        let root = &directory.parts.path;
        let from = partition_dir(root, &broken.topic, key.partition);
        let to = deleted_dir(root, &broken.topic, &key);
        let completion = self.completion(move |result| Done::BrokenDeleted { dir, result });
        if let Some(directory) = self.directories.get(dir) {
            directory.call(Lane::Writes, rename_away(key, from, to), completion);
        }
        for reply in broken.deleting.into_iter().flatten() {
            // The asker may be gone.
            let _ = reply.send(Ok(()));
        }
        self.release(dir);
    }

    pub(super) fn broken_deleted(&mut self, dir: usize, result: io::Result<PathBuf>) {
        match result {
            Ok(path) => {
                let delay = Duration::from_millis(LogConfig::default().file_delete_delay_ms);
                self.removals.push(self.host.now().after(delay), dir, Removal::Directory(path));
            }
            Err(error) => tracing::error!("could not rename the directory of a deleted partition: {error}"),
        }
    }
}
