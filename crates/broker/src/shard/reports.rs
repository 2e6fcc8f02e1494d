//! What the journal has done, and what follows from it.

use std::sync::Arc;

use storage::Position;
use storage::journal::{CheckpointPart, Released, Report, ToCommitter};
use storage::log::PIECE_BYTES;

use super::directory::{Directory, Meaning, Submitted};
use super::shard::{Shard, storage_error};

impl Shard {
    pub(super) fn report(&mut self, report: Report) {
        match report {
            Report::Written { dir, up_to_seq, position } => self.journal_wrote(dir, up_to_seq, position),
            Report::Synced { dir, up_to_seq } => self.journal_synced(dir, up_to_seq),
            Report::RingPressure { dir, free_up_to, full } => self.press(dir, free_up_to, full),
            Report::Checkpointed { dir } => self.checkpointed(dir),
            Report::CheckpointWanted { dir } => self.send_checkpoint(dir),
            Report::Failed { dir, error } => self.fail(dir, error),
        }
    }

    fn journal_wrote(&mut self, dir: usize, up_to_seq: u64, position: Position) {
        let Some(directory) = self.directories.get_mut(dir) else { return };
        while let Some(entry) = directory.next_written(up_to_seq, position) {
            if let (Meaning::BrokenAgain { .. }, Some((_, broken))) =
                (entry.meaning, self.broken.get_mut(&entry.key))
            {
                broken.wrote_again(position);
            }
            let Some(partition) = self.partitions.get_mut(&entry.key) else { continue };
            match entry.meaning {
                Meaning::Append { end } => {
                    let gained = partition.log.journal_wrote(end, position);
                    partition.gained(gained);
                    partition.answer(&mut self.groups);
                }
                Meaning::Again { .. } => {
                    partition.again_at.get_or_insert(position);
                }
                _ => {}
            }
        }
    }

    fn journal_synced(&mut self, dir: usize, up_to_seq: u64) {
        while let Some(entry) = self.directories.get_mut(dir).and_then(|dir| dir.next_synced(up_to_seq)) {
            self.entry_synced(dir, entry);
        }
    }

    fn entry_synced(&mut self, dir: usize, entry: Submitted) {
        let key = entry.key;
        if entry.meaning == Meaning::Delete && self.broken.contains_key(&key) {
            return self.rename_broken(key);
        }
        if let (Meaning::BrokenAgain { is_last }, Some((_, broken))) =
            (entry.meaning, self.broken.get_mut(&key))
        {
            if is_last {
                broken.synced_again();
                self.release(dir);
            }
            return;
        }
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        match entry.meaning {
            Meaning::Append { end } => {
                let gained = partition.log.journal_synced(end);
                partition.gained(gained);
                partition.answer(&mut self.groups);
                let log = &partition.log;
                let worth_it = log.unwritten_bytes() >= PIECE_BYTES || log.has_unwritten_segment();
                if worth_it || partition.sync_wanted {
                    self.queue_write(key);
                }
            }
            Meaning::Again { end: None } | Meaning::BrokenAgain { .. } => {}
            Meaning::Again { end: Some(end) } => {
                partition.again = false;
                if let Some(position) = partition.again_at.take() {
                    partition.log.journal_moved(end, position);
                }
                self.freed(dir, key);
            }
            Meaning::LogStart { offset } => {
                partition.log.log_start_synced(offset);
                self.answer_starts(key);
                self.delete_segments(key);
            }
            Meaning::Opened { epoch } => {
                let (done, rest) = partition.opening.drain(..).partition(|(asked, _)| *asked <= epoch);
                partition.opening = rest;
                let done: Vec<_> = done;
                for (_, reply) in done {
                    // The asker may be gone.
                    let _ = reply.send(Ok(()));
                }
            }
            Meaning::Create | Meaning::Forget => {}
            Meaning::Delete => {
                partition.deleted = true;
                self.rename_deleted(key);
                self.freed(dir, key);
            }
        }
    }

    /// What the served partitions of this shard need of a directory's journal.
    fn oldest_served(&self, dir: usize) -> Option<Position> {
        let here = self.partitions.values().filter(|partition| partition.dir == dir && !partition.deleted);
        let on_its_way = self.directories.get(dir).and_then(Directory::oldest_on_its_way);
        here.filter_map(|partition| partition.log.oldest_needed()).chain(on_its_way).min()
    }

    /// Tells the committer what is no longer needed, if that is more than before; while it presses, only when all
    /// that can be written out is. Looks at all partitions.
    pub(super) fn release(&mut self, dir: usize) {
        if !self.found.is_empty() {
            return;
        }
        let served = self.oldest_served(dir);
        let oldest_needed = served.into_iter().chain(self.oldest_broken(dir)).min();
        let (shard, Some(directory)) = (self.index, self.directories.get_mut(dir)) else { return };
        if let Some(pressure) = directory.pressure {
            if served.is_some_and(|oldest| oldest <= pressure) {
                return;
            }
            directory.pressure = None;
            directory.pressed.clear();
        } else if directory.released == Some(oldest_needed) {
            return;
        }
        directory.released = Some(oldest_needed);
        (directory.parts.committer)(ToCommitter::Released(Released { shard, oldest_needed }));
    }

    pub(super) fn send_checkpoint(&mut self, dir: usize) {
        // A state that is not told would be lost, and what it holds with it.
        self.adopt_found();
        let oldest_needed = self.oldest_served(dir).into_iter().chain(self.oldest_broken(dir)).min();
        let here = self
            .partitions
            .values_mut()
            .filter(|partition| partition.dir == dir && partition.deleting.is_none());
        let changed: Vec<_> = here.filter_map(|partition| partition.log.take_state()).collect();
        let Some(directory) = self.directories.get_mut(dir) else { return };
        let part = CheckpointPart {
            shard: self.index,
            up_to_seq: directory.seq(),
            changed,
            removed: std::mem::take(&mut directory.removed),
            oldest_needed,
        };
        (directory.parts.committer)(ToCommitter::CheckpointPart(part));
    }

    /// The directory is offline, for good: for all shards, and with it everything that was in it.
    pub(super) fn fail(&mut self, dir: usize, error: Arc<str>) {
        let Some(directory) = self.directories.get_mut(dir) else { return };
        if directory.failed.is_some() {
            return;
        }
        tracing::error!(dir = %directory.parts.path.display(), "the log directory is offline: {error}");
        directory.failed = Some(error.clone());
        directory.to_write.clear();
        (directory.parts.committer)(ToCommitter::Failed { error: error.clone() });
        let refusal = storage_error(&error);
        let why = refusal.message.clone().unwrap_or_default();
        for (key, mut partition) in self.partitions.extract_if(.., |_, partition| partition.dir == dir) {
            partition.compaction.cancel();
            partition.refuse_all(&mut self.groups, &refusal);
            for reply in
                partition.setting_aside.drain(..).chain(partition.deleting.take().into_iter().flatten())
            {
                // The asker may be gone.
                let _ = reply.send(Err(refusal.clone()));
            }
            // Memory that could never be written out would stand in the way of the other directories.
            self.common.budget.change(partition.counted, 0);
            self.lost.insert(key, why.clone());
        }
        for (_, broken) in self.broken.values_mut().filter(|(its, _)| *its == dir) {
            for reply in broken.deleting.take().into_iter().flatten() {
                // The asker may be gone.
                let _ = reply.send(Err(refusal.clone()));
            }
        }
        for (key, _) in self.found.extract_if(.., |_, (of, _)| *of == dir) {
            self.lost.insert(key, why.clone());
        }
        self.common.offline.send_modify(|offline| {
            if let Some(slot) = offline.get_mut(dir) {
                slot.get_or_insert(error);
            }
        });
    }
}
