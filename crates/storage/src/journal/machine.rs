//! [`Journal`]: which entry goes into which round, what to write and sync next, and who hears of it.

mod space;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use host::disk::AlignedPool;
use host::{FileRef, Instant};
use protocol::Uuid;

use super::format::{HEADER_BYTES, RoundHeader, encode_round};
use super::options::Options;
use super::progress::{Failed, Progress, set_last};
use super::replay::Known;
use super::report::Submit;
use super::ring::{Mark, Ring, RingFile};
use super::spacing::Spacing;
use super::{ENTRY_HEAD_BYTES, Entry};
use crate::Position;

/// Bytes to write. The next one is handed out when this one is reported [`Journal::written`].
#[derive(Clone, Debug)]
pub struct Write {
    pub file: FileRef,
    pub offset: u64,
    pub bytes: Bytes,
    pub round: u64,
}

#[derive(Debug)]
struct Round {
    number: u64,
    bytes: u64,
    file: RingFile,
    progress: Progress,
}

#[derive(Debug)]
pub struct Journal {
    options: Options,
    id: Uuid,
    incarnation: u64,
    ring: Ring,
    pool: AlignedPool,
    spacing: Spacing,
    pending: VecDeque<Submit>,
    pending_bytes: u64,
    /// How many of `pending` something waits for that frees space.
    pending_awaited: usize,
    next_round: u64,
    writing: Option<Round>,
    /// Written and not yet synced, oldest first.
    written: VecDeque<Round>,
    /// How many of `written` the sync under way covers.
    syncing: Option<usize>,
    unsynced_bytes: u64,
    /// Shards have been told of every round that ends here or before.
    written_position: Position,
    synced_round: u64,
    synced_position: Position,
    growing: bool,
    /// The position that shards were last asked to free.
    pressed: Position,
    /// How many entries have been submitted, how many of them went into rounds, and where the last of those ends.
    submitted: u64,
    placed: u64,
    placed_position: Position,
    /// What a shard watches: the number of an entry, and its position once it is in a round.
    watched: BTreeMap<usize, (u64, Option<Position>)>,
    failed: Option<Failed>,
}

/// How a journal begins: what recovery has found.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) id: Uuid,
    pub(crate) incarnation: u64,
    pub(crate) ring: Ring,
    /// All rounds before it are synced.
    pub(crate) next_round: u64,
}

impl Journal {
    pub(crate) fn new(options: Options, start: Start) -> Self {
        let start_position = start.ring.head();
        Self {
            spacing: Spacing::new(options.spacing),
            // One buffer being written, one being filled, one for the allocator's luck.
            pool: AlignedPool::new(3, usize::try_from(options.round_bytes * 2).unwrap_or(usize::MAX)),
            id: start.id,
            incarnation: start.incarnation,
            ring: start.ring,
            pending: VecDeque::new(),
            pending_bytes: 0,
            pending_awaited: 0,
            next_round: start.next_round,
            writing: None,
            written: VecDeque::new(),
            syncing: None,
            unsynced_bytes: 0,
            written_position: start_position,
            synced_round: start.next_round.saturating_sub(1),
            synced_position: start_position,
            growing: false,
            pressed: Position::default(),
            submitted: 0,
            placed: 0,
            placed_position: start_position,
            watched: BTreeMap::new(),
            failed: None,
            options,
        }
    }

    /// Takes an entry for one of the next rounds. Entries of a shard come in the order of their numbers.
    pub fn submit(&mut self, shard: usize, seq: u64, entry: Entry) {
        self.take(Submit { shard, seq, entry, awaited: false });
    }

    /// As [`Self::submit`].
    pub fn take(&mut self, submit: Submit) {
        self.spacing.arrived();
        self.submitted += 1;
        self.pending_bytes += submit.entry.journal_bytes() as u64;
        self.pending_awaited += usize::from(submit.awaited);
        self.pending.push_back(submit);
    }

    /// Bytes submitted and not yet handed out to be written.
    pub fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    pub fn failed(&self) -> Option<&Failed> {
        self.failed.as_ref()
    }

    /// Everything submitted is synced.
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.writing.is_none() && self.written.is_empty()
    }

    /// The next round, if one may start now.
    pub fn next_write(&mut self, now: Instant) -> Option<Write> {
        if self.failed.is_some() || self.writing.is_some() || self.pending.is_empty() {
            return None;
        }
        if self.unsynced_bytes >= self.options.unsynced_bytes_max || self.held_until(now).is_some() {
            return None;
        }
        let room = self.room()?;
        let (count, payload_bytes) = self.count_for(room);
        let header = RoundHeader {
            incarnation: self.incarnation,
            number: self.next_round,
            synced: self.synced_round,
            start: Position::default(),
            entries: u32::try_from(count).expect("fewer entries than bytes in a file"),
            payload_bytes: u32::try_from(payload_bytes).expect("a file is smaller than 4 GiB"),
        };
        let slot = self.ring.take(header.round_bytes(), self.next_round, self.incarnation)?;
        let header = RoundHeader { start: slot.start, ..header };
        let taken = self.pending.drain(..count).collect::<Vec<_>>();
        let bytes = encode_round(&self.pool, self.id, &header, taken.iter().map(|pending| &pending.entry));
        self.pending_bytes -= payload_bytes + (count * ENTRY_HEAD_BYTES) as u64;
        self.pending_awaited -= taken.iter().filter(|pending| pending.awaited).count();
        self.note_positions(slot.start, &taken);
        let position = Position(slot.start.0 + bytes.len() as u64);
        let round = Round {
            number: self.next_round,
            bytes: bytes.len() as u64,
            file: slot.file.clone(),
            progress: Progress { position, shards: last_numbers(&taken) },
        };
        self.next_round += 1;
        self.unsynced_bytes += round.bytes;
        self.spacing.started(now);
        let write = Write { file: slot.file.file, offset: slot.offset, bytes, round: round.number };
        self.writing = Some(round);
        Some(write)
    }

    fn note_positions(&mut self, start: Position, taken: &[Submit]) {
        let mut position = first_entry(start);
        for pending in taken {
            position.0 += pending.entry.journal_bytes() as u64;
            self.placed += 1;
            for (number, found) in self.watched.values_mut() {
                if *number == self.placed {
                    *found = Some(position);
                }
            }
        }
        self.placed_position = position;
    }

    /// Asks where the last entry submitted so far, by whichever shard, will end; the answer is [`Self::watched`].
    /// What `shard` has submitted ends there or before, what it will submit behind. Until [`Self::unwatch`] the
    /// last reserve of the ring may be used, since a checkpoint that frees it waits for this.
    pub fn watch(&mut self, shard: usize) {
        let position = (self.placed == self.submitted).then_some(self.placed_position);
        self.watched.insert(shard, (self.submitted, position));
    }

    /// The position that [`Self::watch`] has asked for, once it is synced.
    pub fn watched(&self, shard: usize) -> Option<Position> {
        self.watched.get(&shard)?.1.filter(|position| *position <= self.synced_position)
    }

    /// Where replay has to begin if `shard` needs nothing of what it had submitted when it began to watch.
    pub fn mark_watched(&self, shard: usize) -> Option<Mark> {
        let (number, _) = self.watched.get(&shard)?;
        let position = self.watched(shard)?;
        let position = if *number == self.submitted { self.ring.head() } else { position };
        Some(self.ring.mark_for(position, self.next_round, self.incarnation))
    }

    pub fn unwatch(&mut self) {
        self.watched.clear();
    }

    /// Everything that ends at or below this position is synced.
    pub fn synced_position(&self) -> Position {
        self.synced_position
    }

    /// Until when a round that could start is held back so that more entries share it: under load for the sync under
    /// way, within the goal.
    pub fn held_until(&self, now: Instant) -> Option<Instant> {
        if self.failed.is_some() || self.writing.is_some() || self.pending.is_empty() {
            return None;
        }
        let nothing_under_way = self.written.is_empty();
        if nothing_under_way || self.pending_bytes * 2 >= self.options.round_bytes {
            return None;
        }
        self.spacing.earliest().filter(|at| *at > now)
    }

    /// The end of what [`Self::next_write`] has handed out.
    pub fn written<E: ToString>(&mut self, result: Result<(), E>) -> Result<Progress, Failed> {
        self.check(result)?;
        let round = self.writing.take().expect("a completed write was handed out before");
        let progress = round.progress.clone();
        self.written_position = progress.position;
        self.written.push_back(round);
        Ok(progress)
    }

    /// The file to sync next, if there is something to sync and nothing under way.
    pub fn next_sync(&mut self) -> Option<FileRef> {
        if self.failed.is_some() || self.syncing.is_some() {
            return None;
        }
        let first = self.written.front()?;
        let count = self.written.iter().take_while(|round| round.file.id == first.file.id).count();
        self.syncing = Some(count);
        Some(Arc::clone(&first.file.file))
    }

    /// The end of what [`Self::next_sync`] has asked for.
    pub fn synced<E: ToString>(&mut self, now: Instant, result: Result<(), E>) -> Result<Progress, Failed> {
        self.check(result)?;
        let count = self.syncing.take().expect("a completed sync was asked for before");
        let mut progress = Progress::default();
        for round in self.written.drain(..count) {
            self.synced_round = round.number;
            self.unsynced_bytes -= round.bytes;
            progress.position = round.progress.position;
            self.synced_position = round.progress.position;
            for (shard, seq) in round.progress.shards {
                set_last(&mut progress.shards, shard, seq);
            }
        }
        self.spacing.answered(now);
        Ok(progress)
    }

    fn check<E: ToString>(&mut self, result: Result<(), E>) -> Result<(), Failed> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        if let Err(error) = result {
            let failed = Failed(error.to_string().into());
            self.failed = Some(failed.clone());
            return Err(failed);
        }
        Ok(())
    }

    /// Where replay has to begin if the entry that ends at `oldest_needed`, and all behind it, are still needed.
    pub fn mark_for(&self, oldest_needed: Position) -> Mark {
        self.ring.mark_for(Position(oldest_needed.0.saturating_sub(1)), self.next_round, self.incarnation)
    }

    /// Where replay has to begin if nothing of the journal is needed.
    pub fn mark_head(&self) -> Mark {
        self.ring.mark_for(self.ring.head(), self.next_round, self.incarnation)
    }

    /// What a checkpoint with this mark knows, and with the file that the ring is to get next.
    pub fn known(&self, mark: Mark, next: Option<&RingFile>) -> Known {
        let (incarnation, synced_round) = (self.incarnation, self.synced_round);
        Known { mark, incarnation, synced_round, ring: self.ring.size_with(next) }
    }

    /// The mark of the checkpoint on disk.
    pub fn durable_mark(&self) -> Mark {
        self.ring.durable_mark()
    }

    /// What a checkpoint would free now if the entry that ends at `oldest_needed` is the oldest one still needed.
    pub fn releasable_bytes(&self, oldest_needed: Option<Position>) -> u64 {
        let end = oldest_needed.map_or(self.synced_position, |oldest| self.mark_for(oldest).position);
        (end.0 + self.ring.used_bytes()).saturating_sub(self.ring.head().0)
    }

    /// The checkpoint on disk says that replay begins at `mark`: what lies before it may be written over.
    pub fn release(&mut self, mark: &Mark) {
        self.ring.release(mark);
    }

    /// The end of the journal.
    pub fn head(&self) -> Position {
        self.ring.head()
    }

    /// Every round up to this one is on disk.
    pub fn synced_round(&self) -> u64 {
        self.synced_round
    }

    pub fn ring_bytes(&self) -> u64 {
        self.ring.total_bytes()
    }

    /// Bytes that may still be needed.
    pub fn used_bytes(&self) -> u64 {
        self.ring.used_bytes()
    }

    /// How many pending entries fit into a round of at most `room` bytes, and their payload bytes.
    fn count_for(&self, room: u64) -> (usize, u64) {
        let limit = room.min(self.options.round_bytes);
        let (mut count, mut bytes, mut payload) = (0, HEADER_BYTES as u64, 0);
        for pending in &self.pending {
            let more = pending.entry.journal_bytes() as u64;
            if count > 0 && bytes + more > limit {
                break;
            }
            count += 1;
            bytes += more;
            payload += pending.entry.body.payload_bytes() as u64;
        }
        (count, payload)
    }
}

/// Where the first entry of a round that begins at `start` begins: an entry's position is that of its end if
/// each entry's head stood directly before its payload.
pub(super) fn first_entry(start: Position) -> Position {
    Position(start.0 + HEADER_BYTES as u64)
}

fn last_numbers(taken: &[Submit]) -> Vec<(usize, u64)> {
    let mut shards = Vec::new();
    for pending in taken {
        set_last(&mut shards, pending.shard, pending.seq);
    }
    shards
}
