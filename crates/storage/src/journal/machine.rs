//! [`Journal`]: which entry goes into which round, what to write and sync next, and who hears of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use host::disk::AlignedPool;
use host::{FileRef, Instant};
use protocol::Uuid;

use super::format::{HEADER_BYTES, RoundHeader, encode_round, whole_blocks};
use super::ring::{Mark, Ring, RingFile};
use super::spacing::Spacing;
use super::{ENTRY_HEAD_BYTES, Entry};
use crate::Position;

#[derive(Clone, Debug)]
pub struct Options {
    /// `bourn.journal.max.bytes`: what all files of the ring may take together.
    pub bytes_max: u64,
    /// The first file, and the smallest.
    pub file_bytes_min: u64,
    pub file_bytes_max: u64,
    /// A round takes no more entries once it is this large.
    pub round_bytes: u64,
    /// What may be written and not yet synced. Recovery looks this far behind damage for proof that it is not
    /// just a torn tail.
    pub unsynced_bytes_max: u64,
    /// How long rounds may be held back under load.
    pub spacing: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bytes_max: 1 << 30,
            file_bytes_min: 4 << 20,
            file_bytes_max: 32 << 20,
            round_bytes: 1 << 20,
            unsynced_bytes_max: 8 << 20,
            spacing: Duration::from_micros(500),
        }
    }
}

/// Bytes to write. The next one is handed out when this one is reported [`Journal::written`].
#[derive(Clone, Debug)]
pub struct Write {
    pub file: FileRef,
    pub offset: u64,
    pub bytes: Bytes,
    pub round: u64,
}

/// What a completed write or sync means for the shards that submitted entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Where the last of these entries ends.
    pub position: Position,
    /// The last entry's number for each shard that has entries here.
    pub shards: Vec<(usize, u64)>,
}

/// A write or sync has failed: what was not synced may be lost, and nothing is written or synced again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal has failed: {0}")]
pub struct Failed(pub Arc<str>);

#[derive(Debug)]
struct Pending {
    shard: usize,
    seq: u64,
    entry: Entry,
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
    pending: VecDeque<Pending>,
    pending_bytes: u64,
    next_round: u64,
    writing: Option<Round>,
    /// Written and not yet synced, oldest first.
    written: VecDeque<Round>,
    /// How many of `written` the sync under way covers.
    syncing: Option<usize>,
    unsynced_bytes: u64,
    synced_round: u64,
    synced_position: Position,
    growing: bool,
    /// The position that shards were last asked to free.
    pressed: Position,
    /// The last entry of each shard that went into a round.
    last: BTreeMap<usize, (u64, Position)>,
    /// An entry of each shard whose position is asked for.
    watched: BTreeMap<usize, (u64, Option<Position>)>,
    /// The head when this journal began.
    first: Position,
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
            next_round: start.next_round,
            writing: None,
            written: VecDeque::new(),
            syncing: None,
            unsynced_bytes: 0,
            synced_round: start.next_round.saturating_sub(1),
            synced_position: start_position,
            growing: false,
            pressed: Position::default(),
            last: BTreeMap::new(),
            watched: BTreeMap::new(),
            first: start_position,
            failed: None,
            options,
        }
    }

    /// Takes an entry for one of the next rounds. Entries of a shard come in the order of their numbers.
    pub fn submit(&mut self, shard: usize, seq: u64, entry: Entry) {
        self.spacing.arrived();
        self.pending_bytes += entry.journal_bytes() as u64;
        self.pending.push_back(Pending { shard, seq, entry });
    }

    /// Bytes submitted and not yet handed out to be written.
    pub fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    /// The largest entry that this journal can ever take.
    pub fn entry_bytes_max(&self) -> u64 {
        self.options.bytes_max / 4
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
        let room = self.ring.room(self.bytes_of_first())?;
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

    fn note_positions(&mut self, start: Position, taken: &[Pending]) {
        let mut position = first_entry(start);
        for pending in taken {
            position.0 += pending.entry.journal_bytes() as u64;
            self.last.insert(pending.shard, (pending.seq, position));
            if let Some((seq, found)) = self.watched.get_mut(&pending.shard)
                && *seq == pending.seq
            {
                *found = Some(position);
            }
        }
    }

    /// Asks where the last entry submitted by `shard`, `seq`, will end (0: none since the start); the answer is
    /// [`Self::watched`]. One entry a shard can be asked for at a time.
    pub fn watch(&mut self, shard: usize, seq: u64) {
        let (last, position) = self.last.get(&shard).copied().unwrap_or((0, self.first));
        self.watched.insert(shard, (seq, (last == seq).then_some(position)));
    }

    /// The end of the watched entry, once it is in a round.
    pub fn watched(&self, shard: usize) -> Option<Position> {
        self.watched.get(&shard)?.1
    }

    /// Everything that ends at or below this position is synced.
    pub fn synced_position(&self) -> Position {
        self.synced_position
    }

    /// Until when a round that could start is held back so that more entries share it.
    pub fn held_until(&self, now: Instant) -> Option<Instant> {
        if self.failed.is_some() || self.writing.is_some() || self.pending.is_empty() {
            return None;
        }
        if self.pending_bytes * 2 >= self.options.round_bytes {
            return None;
        }
        self.spacing.earliest().filter(|at| *at > now)
    }

    /// The end of what [`Self::next_write`] has handed out.
    pub fn written<E: ToString>(&mut self, result: Result<(), E>) -> Result<Progress, Failed> {
        self.check(result)?;
        let round = self.writing.take().expect("a completed write was handed out before");
        let progress = round.progress.clone();
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

    /// Where replay has to begin if no entry that ends at or before `position` is needed.
    pub fn mark_behind(&self, position: Position) -> Mark {
        self.ring.mark_for(position, self.next_round, self.incarnation)
    }

    /// The checkpoint on disk says that replay begins at `mark`: what lies before it may be written over.
    pub fn release(&mut self, mark: &Mark) {
        self.ring.release(mark);
    }

    /// The end of the journal.
    pub fn head(&self) -> Position {
        self.ring.head()
    }

    pub fn incarnation(&self) -> u64 {
        self.incarnation
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

    /// No round can be written until something is released or the ring has grown.
    pub fn is_full(&self) -> bool {
        !self.pending.is_empty() && self.ring.room(self.bytes_of_first()).is_none()
    }

    /// What shards should free now: told when more than half of the ring is in use, and again as it fills up.
    pub fn pressure(&mut self) -> Option<Position> {
        let total = self.ring.total_bytes();
        let used = self.ring.used_bytes();
        if used * 2 <= total {
            return None;
        }
        let free_up_to = Position(self.ring.head().0 - total / 4);
        if free_up_to.0 < self.pressed.0 + total / 8 {
            return None;
        }
        self.pressed = free_up_to;
        Some(free_up_to)
    }

    /// A file that the ring should get, as id and length; then comes [`Self::grown`] or [`Self::not_grown`].
    pub fn next_growth(&mut self) -> Option<(u32, u64)> {
        let total = self.ring.total_bytes();
        let needed = whole_blocks(self.bytes_of_first());
        let too_small = !self.pending.is_empty() && self.ring.largest_file_bytes() < needed;
        let crowded = self.ring.free_bytes() * 4 < total || total < 2 * self.options.file_bytes_min;
        if self.growing || self.failed.is_some() || !(too_small || crowded) {
            return None;
        }
        let usual = whole_blocks(total / 4).clamp(self.options.file_bytes_min, self.options.file_bytes_max);
        let bytes = if too_small { usual.max(needed) } else { usual };
        if total + bytes > self.options.bytes_max.max(2 * self.options.file_bytes_min) && !too_small {
            return None;
        }
        self.growing = true;
        Some((self.ring.next_file_id(), bytes))
    }

    /// A new file is there, zero-filled and synced, its name too.
    pub fn grown(&mut self, file: RingFile) {
        self.growing = false;
        self.ring.add(file);
    }

    pub fn not_grown(&mut self) {
        self.growing = false;
    }

    fn bytes_of_first(&self) -> u64 {
        let entry = self.pending.front().map_or(0, |pending| pending.entry.journal_bytes());
        whole_blocks((HEADER_BYTES + entry) as u64)
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

fn last_numbers(taken: &[Pending]) -> Vec<(usize, u64)> {
    let mut shards = Vec::new();
    for pending in taken {
        set_last(&mut shards, pending.shard, pending.seq);
    }
    shards
}

fn set_last(shards: &mut Vec<(usize, u64)>, shard: usize, seq: u64) {
    match shards.iter_mut().find(|(known, _)| *known == shard) {
        Some((_, last)) => *last = seq,
        None => shards.push((shard, seq)),
    }
}
