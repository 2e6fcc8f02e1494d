//! What time brings: retention, expired producers, deletions whose delay is over, disks that are full, and the stop.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use host::Instant;
use storage::PartitionKey;
use storage::journal::{Body, ToCommitter};
use storage::log::{DeletedFiles, PIECE_BYTES};

use super::directory::{Lane, Meaning};
use super::message::Done;
use super::reminders::REMINDER;
use super::shard::Shard;

/// Files that have their last name and are to go.
#[derive(Debug)]
pub(super) enum Removal {
    Files(DeletedFiles),
    Directory(PathBuf),
}

/// Removals by the time when they are due.
#[derive(Debug, Default)]
pub(super) struct Removals {
    next: u64,
    due: BTreeMap<(Instant, u64), (usize, Removal)>,
}

impl Removals {
    pub(super) fn push(&mut self, at: Instant, dir: usize, removal: Removal) {
        self.next += 1;
        self.due.insert((at, self.next), (dir, removal));
    }

    fn pop(&mut self, now: Instant) -> Option<(usize, Removal)> {
        let first = self.due.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }
}

/// How often a stop has everything written and synced that is not yet.
const STOP_PASS: Duration = Duration::from_secs(1);

impl Shard {
    pub(super) fn tick(&mut self, now: Instant) {
        while let Some((dir, removal)) = self.removals.pop(now) {
            self.remove(dir, removal);
        }
        if now >= self.next_retention {
            self.next_retention = now.after(self.common.retention_check_interval);
            self.retain();
        }
        if now >= self.next_reminder {
            self.next_reminder = now.after(REMINDER);
            self.remind();
        }
        self.sweep();
        self.scrub_tick(now);
        for dir in 0..self.directories.len() {
            self.release(dir);
            self.measure_space(dir);
        }
    }

    fn retain(&mut self) {
        let now_ms = self.host.clock.wall_ms();
        let expiration_ms = self.common.producer_id_expiration_ms.load(Ordering::Relaxed);
        let expiration_ms = i64::try_from(expiration_ms).unwrap_or(i64::MAX);
        let keys: Vec<PartitionKey> = self.partitions.keys().copied().collect();
        for key in keys {
            let Some(partition) = self.partitions.get_mut(&key) else { continue };
            if partition.deleting.is_some() {
                continue;
            }
            partition.log.expire_producers(now_ms.saturating_sub(expiration_ms));
            let dir = partition.dir;
            let Some(entry) = partition.log.retain(now_ms) else {
                self.delete_segments(key);
                continue;
            };
            let Body::LogStart { offset } = entry.body else { continue };
            let topic = partition.log.topic();
            tracing::info!(%topic, partition = key.partition, "retention: the log starts at {offset} now");
            if let Some(directory) = self.directories.get_mut(dir) {
                directory.submit(entry, Meaning::LogStart { offset });
            }
            // A segment goes only when it is whole on disk: no truth is spread over two places then.
            self.write_and_sync(key);
        }
    }

    /// Deletes the segments of a partition that are below its log start.
    pub(super) fn delete_segments(&mut self, key: PartitionKey) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        let Some(delete) = partition.log.next_delete() else { return };
        let (dir, delay_ms) = (partition.dir, partition.log.config().file_delete_delay_ms);
        let completion = self.completion(move |result| Done::SegmentsDeleted { dir, delay_ms, result });
        if let Some(directory) = self.directories.get(dir) {
            directory.call(Lane::Writes, move |files, open| delete.run(files, open), completion);
        }
    }

    pub(super) fn segments_deleted(&mut self, dir: usize, delay_ms: u64, result: io::Result<DeletedFiles>) {
        match result {
            Ok(files) if files.is_empty() => {}
            Ok(files) => {
                let at = self.host.now().after(Duration::from_millis(delay_ms));
                self.removals.push(at, dir, Removal::Files(files));
            }
            // They are no longer part of the log; the next start removes them.
            Err(error) => tracing::warn!("could not rename the files of a deleted segment: {error}"),
        }
    }

    fn remove(&mut self, dir: usize, removal: Removal) {
        let Some(directory) = self.directories.get(dir) else { return };
        directory.call(
            Lane::Removals,
            move |files, _| match removal {
                Removal::Files(deleted) => deleted.remove(files),
                Removal::Directory(path) => files.remove_dir_all(&path),
            },
            |result| {
                if let Err(error) = result {
                    // The next start removes what has such a name.
                    tracing::warn!("could not remove deleted files: {error}");
                }
            },
        );
    }

    /// One measurement at a time: a slow disk must not gather a queue of them.
    fn measure_space(&mut self, dir: usize) {
        let works = |directory: &&mut super::directory::Directory| directory.failed.is_none();
        let Some(directory) = self.directories.get_mut(dir).filter(works) else { return };
        if std::mem::replace(&mut directory.measuring, true) {
            return;
        }
        let path = directory.parts.path.clone();
        let completion = self.completion(move |result| Done::Space { dir, result });
        let Some(directory) = self.directories.get(dir) else { return };
        directory.call(Lane::Writes, move |files, _| Ok(files.space(&path)?.available_bytes), completion);
    }

    pub(super) fn space(&mut self, dir: usize, result: io::Result<u64>) {
        let reserve = self.common.disk_reserve_bytes;
        let Some(directory) = self.directories.get_mut(dir) else { return };
        directory.measuring = false;
        let Ok(available) = result else { return };
        directory.available_bytes = Some(available);
        // A write of a piece was refused, so less than one is as good as nothing.
        let floor = reserve.max(PIECE_BYTES as u64);
        let full = available < floor;
        if full == directory.full {
            return;
        }
        directory.full = full;
        let path = directory.parts.path.display();
        if full {
            let path = path.to_string();
            self.refuse_setting_aside(dir);
            tracing::error!(dir = %path, "{available} bytes are free and {floor} are to stay free (bourn.disk.reserve.bytes): appends are refused");
        } else {
            tracing::info!(dir = %path, "{available} bytes are free: appends are taken again");
        }
    }

    /// Writes out and syncs everything; when that is done, tells the committers and ends the shard.
    pub(super) fn go_on_stopping(&mut self) {
        self.adopt_found();
        while let Some(request) = self.parked.pop_front() {
            let refusals = request.appends.iter().map(|append| (append.key, Err(super::stopped())));
            // The asker may be gone.
            let _ = request.reply.send(refusals.collect());
        }
        let now = self.host.now();
        if self.stop_pass.is_none_or(|next| next <= now) {
            self.stop_pass = Some(now.after(STOP_PASS));
            let keys: Vec<PartitionKey> = self.partitions.keys().copied().collect();
            for key in keys {
                if let Some(partition) = self.partitions.get_mut(&key) {
                    partition.log.close();
                }
                self.write_and_sync(key);
            }
        }
        let clean = |dir: &super::directory::Directory| dir.is_quiet() && !dir.writing;
        let failed: Vec<bool> = self.directories.iter().map(|dir| dir.failed.is_some()).collect();
        let works = |dir: usize| !failed.get(dir).copied().unwrap_or(true);
        let quiet = self.directories.iter().all(|dir| dir.failed.is_some() || clean(dir));
        let written = quiet && self.is_written_out();
        let full = self.directories.iter().any(|dir| dir.full);
        if !quiet || (!written && !full) {
            return;
        }
        for dir in 0..self.directories.len() {
            if works(dir) {
                self.send_checkpoint(dir);
                if let Some(directory) = self.directories.get(dir) {
                    (directory.parts.committer)(ToCommitter::Stopped { shard: self.index });
                }
            }
        }
        self.ended = true;
    }

    /// Whether nothing of a partition is in memory or unsynced. What has been found so is not looked at again: nothing is
    /// appended any more.
    fn is_written_out(&mut self) -> bool {
        let behind = self.written_out.map_or(Bound::Unbounded, Bound::Excluded);
        for (key, partition) in self.partitions.range((behind, Bound::Unbounded)) {
            if partition.deleting.is_some() || !partition.is_written_out() {
                return false;
            }
            self.written_out = Some(*key);
        }
        true
    }
}
