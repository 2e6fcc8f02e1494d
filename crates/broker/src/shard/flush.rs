//! From memory to segments: which partition is written next, when files are synced, and how the journal is freed.
//!
//! One write of a few hundred KiB at a time for each directory and shard leaves the journal its latency. What is
//! written is synced when there is enough of it that it pays, or when the journal wants its space back.

use std::io;
use std::ops::Bound;
use std::sync::Arc;

use host::Instant;
use protocol::ids::Offset;
use storage::log::{PIECE_BYTES, Reach, SegmentSync, SegmentWrite};
use storage::{PartitionKey, Position};

use super::directory::{Directory, Lane, Meaning};
use super::message::{Done, Message};
use super::shard::{PARKED_TICK, Shard};

/// Written and not synced bytes of a partition that are worth a sync of their own. Of what goes through the page cache it
/// bounds how much has to be written back at once, of all of it how much the journal keeps.
const SYNC_BYTES: u64 = 8 << 20;
const SYNC_CACHED_BYTES: u64 = 4 << 20;

/// A partition with no more than this to be synced is submitted to the journal again when the journal wants space:
/// that shares a sync with everybody, where a file needs one of its own.
const STRAGGLER_BYTES: u64 = 32 << 10;

/// Partitions that a tick looks at for batches that stay in memory, and those that it has written out.
const SWEEP_LOOKS: usize = 1000;
const SWEEP_WRITES: usize = 64;

impl Shard {
    /// Has the partition written out when its turn comes.
    pub(super) fn queue_write(&mut self, key: PartitionKey) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        if !partition.queued
            && let Some(directory) = self.directories.get_mut(partition.dir)
        {
            partition.queued = true;
            directory.to_write.push_back(key);
        }
    }

    /// Begins the next write of a directory if none is under way.
    pub(super) fn write_next(&mut self, dir: usize) {
        let urgent = self.common.budget.is_full() || self.stopping.is_some();
        while let Some(directory) = self.directories.get_mut(dir) {
            if directory.writing || directory.failed.is_some() || directory.full {
                return;
            }
            let Some(key) = directory.to_write.pop_front() else { return };
            let Some(partition) = self.partitions.get_mut(&key) else { continue };
            partition.queued = false;
            if partition.deleting.is_some() {
                continue;
            }
            let reach = if urgent || partition.sync_wanted { Reach::Everything } else { Reach::Blocks };
            let Some(write) = partition.log.next_write(reach) else {
                self.sync_if_wanted(key);
                continue;
            };
            directory.writing = true;
            let write = Arc::new(write);
            let work = write.clone();
            let completion = self.completion(move |result| Done::Wrote { key, write, result });
            if let Some(directory) = self.directories.get(dir) {
                directory.call(Lane::Writes, move |files, open| work.run(files, open), completion);
            }
        }
    }

    pub(super) fn wrote(&mut self, key: PartitionKey, write: &SegmentWrite, result: io::Result<()>) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        let dir = partition.dir;
        if let Some(directory) = self.directories.get_mut(dir) {
            directory.writing = false;
        }
        if let Err(error) = result {
            partition.log.write_failed();
            return self.write_failed(key, dir, &error);
        }
        partition.log.wrote(write);
        self.evictable.push_back(key);
        self.evict();
        let Some(partition) = self.partitions.get(&key) else { return };
        let log = &partition.log;
        let urgent = partition.sync_wanted || self.common.budget.is_full() || self.stopping.is_some();
        let more = log.unwritten_bytes() >= if urgent { 1 } else { PIECE_BYTES };
        if more || log.has_unwritten_segment() {
            self.queue_write(key);
        }
        self.sync_if_wanted(key);
        self.rename_deleted(key);
    }

    fn write_failed(&mut self, key: PartitionKey, dir: usize, error: &io::Error) {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        if !full {
            return self.fail(dir, Arc::from(error.to_string()));
        }
        // What is in memory and in the journal is safe; the next tick looks whether there is space again.
        self.queue_write(key);
        self.refuse_setting_aside(dir);
        if let Some(directory) = self.directories.get_mut(dir)
            && !std::mem::replace(&mut directory.full, true)
        {
            tracing::error!(dir = %directory.parts.path.display(), "the disk is full, appends are refused: {error}");
        }
    }

    /// Begins a sync of what is written, if it is time.
    pub(super) fn sync_if_wanted(&mut self, key: PartitionKey) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        if partition.deleting.is_some() {
            return;
        }
        let log = &partition.log;
        let enough = log.unsynced_bytes() >= SYNC_BYTES || log.unsynced_cached_bytes() >= SYNC_CACHED_BYTES;
        let all_written = partition.sync_wanted && !partition.queued;
        if !enough && !all_written {
            return;
        }
        let dir = partition.dir;
        let Some(sync) = partition.log.next_sync() else {
            // What the journal has written and not synced yet is held there, too, and cannot be written out before.
            let nothing_left = !partition.log.needs_sync() && partition.log.unwritten_bytes() == 0;
            if all_written && nothing_left && !partition.log.is_busy() {
                partition.sync_wanted = false;
                self.freed(dir, key);
                self.go_on_setting_aside(key);
            }
            return;
        };
        let sync = Arc::new(sync);
        let work = sync.clone();
        let completion = self.completion(move |result| Done::Synced { key, sync, result });
        if let Some(directory) = self.directories.get_mut(dir) {
            let lane = directory.sync_lane();
            directory.call(lane, move |files, open| work.run(files, open), completion);
        }
    }

    pub(super) fn synced(&mut self, key: PartitionKey, sync: &SegmentSync, result: io::Result<()>) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        let dir = partition.dir;
        if let Err(error) = result {
            return self.fail(dir, Arc::from(error.to_string()));
        }
        partition.log.synced(sync);
        let pressure = self.directories.get(dir).and_then(|directory| directory.pressure);
        let needed = partition.log.oldest_needed();
        let still_pressed = pressure.is_some_and(|pressure| needed.is_some_and(|oldest| oldest <= pressure));
        if !still_pressed && self.stopping.is_none() {
            partition.sync_wanted = false;
        }
        if partition.sync_wanted {
            self.queue_write(key);
        }
        self.sync_if_wanted(key);
        self.delete_segments(key);
        self.rename_deleted(key);
        self.freed(dir, key);
        self.go_on_setting_aside(key);
    }

    /// The journal wants its space up to `free_up_to` back, and takes nothing before if it is `full`.
    pub(super) fn press(&mut self, dir: usize, free_up_to: Position, full: Option<Position>) {
        self.adopt_found();
        let Some(directory) = self.directories.get_mut(dir) else { return };
        directory.press(free_up_to);
        self.submit_broken_again(dir, free_up_to);
        if let Some(blocked_up_to) = full {
            self.fail_if_held(dir, blocked_up_to);
        }
        // One that is being deleted writes nothing out; what it holds goes with its deletion.
        let mut pressed: Vec<_> = self
            .partitions
            .iter()
            .filter(|(_, partition)| partition.dir == dir && !partition.deleted)
            .filter_map(|(key, partition)| Some((partition.log.oldest_needed()?, *key)))
            .filter(|(oldest, _)| *oldest <= free_up_to)
            .collect();
        pressed.sort_unstable();
        if let Some(directory) = self.directories.get_mut(dir) {
            directory.pressed = pressed.iter().map(|(_, key)| *key).collect();
        }
        for (_, key) in pressed {
            // What is submitted to a full journal waits for the room that it was to make.
            if full.is_some() || !self.submit_again(dir, key) {
                self.write_and_sync(key);
            }
        }
        self.release(dir);
    }

    /// A partition may need less of the journal than before.
    pub(super) fn freed(&mut self, dir: usize, key: PartitionKey) {
        let partition = self.partitions.get(&key).filter(|partition| !partition.deleted);
        let needed = partition.and_then(|partition| partition.log.oldest_needed());
        let Some(directory) = self.directories.get_mut(dir) else { return };
        let is_pressed = |pressure| needed.is_some_and(|oldest| oldest <= pressure);
        if directory.pressure.is_none_or(is_pressed) {
            return;
        }
        if directory.pressed.remove(&key) && directory.pressed.is_empty() {
            self.release(dir);
        }
    }

    /// Puts the tail of a quiet partition at the head of the journal. False if it is not worth it or not possible.
    fn submit_again(&mut self, dir: usize, key: PartitionKey) -> bool {
        let Some(partition) = self.partitions.get_mut(&key) else { return true };
        if partition.again || partition.deleting.is_some() {
            return true;
        }
        let bytes = partition.log.unsynced_bytes() + partition.log.unwritten_bytes() as u64;
        if bytes > STRAGGLER_BYTES {
            return false;
        }
        let Some((entries, end)) = partition.log.again().filter(|(entries, _)| !entries.is_empty()) else {
            return false;
        };
        partition.again = true;
        partition.again_at = None;
        let Some(directory) = self.directories.get_mut(dir) else { return true };
        let last = entries.len() - 1;
        for (index, entry) in entries.into_iter().enumerate() {
            let end: Option<Offset> = (index == last).then_some(end);
            directory.submit(entry, Meaning::Again { end });
        }
        true
    }

    pub(super) fn write_and_sync(&mut self, key: PartitionKey) {
        if let Some(partition) = self.partitions.get_mut(&key) {
            partition.sync_wanted = true;
            self.queue_write(key);
        }
    }

    /// Has the next partitions written out whose batches have been in memory and in the journal only since the last look
    /// at them, so that segment files do not lag far behind and quiet partitions hold no memory. Unsynced: that can
    /// wait until the journal wants its space back. Hot partitions are written in larger pieces anyway.
    pub(super) fn sweep(&mut self) {
        let behind = self.swept.map_or(Bound::Unbounded, Bound::Excluded);
        let mut writes = Vec::new();
        let mut last = None;
        for (key, partition) in self.partitions.range_mut((behind, Bound::Unbounded)).take(SWEEP_LOOKS) {
            if writes.len() == SWEEP_WRITES {
                break;
            }
            last = Some(*key);
            let busy = |directory: &Directory| !directory.to_write.is_empty();
            if self.directories.get(partition.dir).is_some_and(busy) {
                continue;
            }
            let log = &partition.log;
            if log.segments_end() < partition.swept_end && !partition.queued && partition.deleting.is_none() {
                writes.push(*key);
            }
            partition.swept_end = log.log_end();
        }
        // From the beginning again behind the last one.
        self.swept = last;
        for key in writes {
            self.queue_write(key);
        }
    }

    /// Memory is short. What is in segments is dropped; if there is not enough of that, the other shards are asked for theirs,
    /// and what is in memory and in the journal only is written out. Memory is always nearly full, so no more is done for it
    /// than is needed.
    pub(super) fn make_room(&mut self, now: Instant) {
        self.evict();
        if !self.common.budget.is_full() || now < self.squeeze_at {
            return;
        }
        self.squeeze_at = now.after(PARKED_TICK);
        for (index, peer) in self.peers.iter().enumerate() {
            if index != self.index {
                // It may have ended.
                let _ = peer.send(Message::Evict);
            }
        }
        self.write_out_all();
    }

    fn write_out_all(&mut self) {
        if self.directories.iter().any(|directory| !directory.to_write.is_empty()) {
            return;
        }
        let waiting = self.partitions.iter().filter(|(_, partition)| !partition.queued);
        let mut unwritten: Vec<_> = waiting
            .filter(|(_, partition)| partition.log.unwritten_bytes() > 0)
            .map(|(key, partition)| (partition.log.oldest_needed(), *key))
            .collect();
        unwritten.sort_unstable();
        for (_, key) in unwritten {
            self.queue_write(key);
        }
    }

    /// Drops batches that are in segments until memory is no longer full.
    pub(super) fn evict(&mut self) {
        while self.common.budget.is_full() {
            let Some(key) = self.evictable.pop_front() else { break };
            let Some(partition) = self.partitions.get_mut(&key) else { continue };
            let mut freed = 0;
            while freed < PIECE_BYTES {
                match partition.log.evict_one() {
                    0 => break,
                    bytes => freed += bytes,
                }
            }
            Self::count_memory(&self.common.budget, partition);
            if freed >= PIECE_BYTES {
                self.evictable.push_back(key);
            }
        }
    }
}
