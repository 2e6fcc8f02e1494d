//! [`Log`]: one partition, from the newest batch in memory to the oldest segment on disk.
//!
//! A synchronous state machine. It is told what to append and how far journal, writes and syncs have come; it says
//! what to submit to the journal ([`Entry`]) and which operations on files to carry out. Each operation is a value
//! with a blocking `run`, for a lane; its completion is told back. At most one write and one sync are under way.
//!
//! Invariants:
//! * `synced.end <= written.end <= log end`, and `log start <= high watermark <= log end`.
//! * A batch leaves memory only once it is written to its segment, and is written there only once the journal has
//!   synced it. What the journal must keep ([`Log::oldest_needed`]) ends where the segments are synced.
//! * The high watermark never goes back, except behind a truncation that cuts below it.
//! * `log start <= last stable offset <= high watermark`: no transaction that is open, or whose end may be taken back, begins
//!   below it, except below the log start.
//! * A segment is deleted only after the new log start is on disk in the journal.
//!
//! Does not know: tasks and lanes, which replica leads, other partitions.

mod aborted;
mod append;
mod cold;
mod ends;
mod held;
mod lookup;
mod offsets;
mod read;
mod recover;
mod replace;
mod retention;
mod roll;
mod scrub;
mod tail;
mod truncate;
mod write;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::ids::{LeaderEpoch, Offset};

pub use aborted::{AbortedIn, AbortedSearch};
pub use append::{AppendRefusal, Origin, Outcome, Verified};
pub use cold::{ColdRead, ColdRegion, DamagedSegment, TimeSearch};
pub use ends::Gained;
pub use offsets::{Found, Search};
pub use read::{OutOfRange, ReadLimits, ReadPlan};
pub use recover::{Recovered, recover};
pub use replace::{Overtaken, SegmentSwap};
pub use retention::{DeletedFiles, SegmentDelete, expired_segments};
pub use roll::{Limits, RollReason, roll_reason};
pub use scrub::{Scrubbed, SegmentScrub};
pub use truncate::{Cut, SegmentCut};
pub use write::{PIECE_BYTES, Reach, Seal, SegmentSync, SegmentWrite, WRITE_BYTES_MAX};

use crate::epochs::{EpochEntry, Epochs};
use crate::journal::{Body, Entry};
use crate::producers::{Guard, Producers, Question, Verifications};
use crate::segment::names::partition_dir;
use crate::segment::{SealedSegment, SegmentState};
use crate::{LogConfig, PartitionKey, PartitionState, Position};
use aborted::Aborted;
use held::Held;
use replace::Replacing;
use tail::Tail;

#[derive(Debug)]
pub struct Log {
    key: PartitionKey,
    topic: Arc<str>,
    dir: PathBuf,
    config: Arc<LogConfig>,
    limits: Limits,
    leader_epoch: LeaderEpoch,
    /// Closed segments, oldest first, written or not.
    sealed: VecDeque<SealedSegment>,
    /// The open segment, with everything appended.
    active: SegmentState,
    /// How far the files are written, and how far they are synced. Either may be in a closed segment still.
    written: SegmentState,
    synced: SegmentState,
    /// What to do when the writer gets to the end of each closed segment that it has not passed yet.
    seals: VecDeque<Seal>,
    /// How far the file is written that `written` is in.
    file_bytes: u64,
    /// It reaches further than that.
    overhangs: bool,
    /// Bytes written through the page cache and not synced.
    cached_bytes: u64,
    writing: bool,
    syncing: bool,
    /// The space that the open segment's file was given when it was begun.
    reserved_bytes: u64,
    /// What is below was in the files before this life began; nobody knows what has become of it since.
    found: Offset,
    /// Nothing is appended any more.
    closing: bool,
    /// A file has been made since the directory was synced.
    new_names: bool,
    /// A truncation below `written.end` that has not been carried out on the files.
    cut: Option<Offset>,
    /// Truncations that the journal has not written, and not synced: until then, what it says about offsets behind
    /// them is about batches that are gone.
    unwritten_cuts: VecDeque<Offset>,
    unsynced_cuts: VecDeque<Offset>,
    /// Segments that were found damaged, and whether it is not known which of their batches are.
    suspects: BTreeMap<Offset, bool>,
    tail: Tail,
    held: Held,
    epochs: Epochs,
    producers: Producers,
    verifications: Verifications,
    aborted: Aborted,
    /// The cut that is to come has to read the producers out of what is left.
    reads_producers: bool,
    /// Where it is to start once the journal has synced that.
    next_start: Offset,
    log_start: Offset,
    high_watermark: Offset,
    journal_written: Offset,
    journal_synced: Offset,
    /// What is below is compacted.
    cleaned: Offset,
    /// The number of the last replacement of segments, the one under way, and how many there were since the start.
    replacements: u64,
    replacing: Option<Replacing>,
    swaps: u64,
    /// How often its files have been cut since the start.
    cuts: u64,
    /// Something has changed that a checkpoint would show.
    changed: bool,
}

impl Log {
    /// A new partition in `log_dir`, empty, and the entry that says so.
    #[must_use]
    pub fn create(
        key: PartitionKey,
        topic: Arc<str>,
        log_dir: &Path,
        config: Arc<LogConfig>,
        random: u64,
        now_ms: i64,
    ) -> (Self, Entry) {
        let entry = Entry { key, body: Body::Create { topic: topic.clone(), start_offset: Offset::ZERO } };
        let mut state = PartitionState::empty(key, topic);
        state.synced = SegmentState::new(Offset::ZERO, now_ms);
        let dir = partition_dir(log_dir, &state.topic, key.partition);
        (Self::from_state(state, dir, config, random), entry)
    }

    /// A log that consists of what `state` says and of nothing behind it.
    fn from_state(state: PartitionState, dir: PathBuf, config: Arc<LogConfig>, random: u64) -> Self {
        let end = state.synced.end;
        let open = state.synced.indexed_by(&config);
        // It may have been given more or nothing by a former life, which makes no difference to setting it free.
        let reserved_bytes = if config.preallocate { u64::from(config.segment_bytes) } else { 0 };
        Self {
            key: state.key,
            topic: state.topic,
            dir,
            limits: Limits::new(&config, random),
            config,
            leader_epoch: LeaderEpoch::NONE,
            sealed: state.sealed.into(),
            active: open,
            written: open,
            synced: open,
            seals: VecDeque::new(),
            file_bytes: u64::from(open.bytes),
            overhangs: false,
            cached_bytes: 0,
            writing: false,
            syncing: false,
            reserved_bytes,
            found: end,
            closing: false,
            new_names: false,
            cut: None,
            unwritten_cuts: VecDeque::new(),
            unsynced_cuts: VecDeque::new(),
            suspects: BTreeMap::new(),
            tail: Tail::default(),
            held: Held::default(),
            epochs: Epochs::new(state.epochs),
            producers: state.producers,
            verifications: Verifications::default(),
            aborted: Aborted::behind(end),
            reads_producers: false,
            next_start: state.log_start,
            log_start: state.log_start,
            high_watermark: state.high_watermark.min(end).max(state.log_start),
            journal_written: end,
            journal_synced: end,
            cleaned: state.cleaned,
            replacements: state.replacements,
            replacing: None,
            swaps: 0,
            cuts: 0,
            changed: true,
        }
    }

    #[must_use]
    pub fn key(&self) -> PartitionKey {
        self.key
    }

    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The partition's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    #[must_use]
    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    pub fn configure(&mut self, config: Arc<LogConfig>, random: u64) {
        self.limits = Limits::new(&config, random);
        self.config = config;
        self.advance_high_watermark();
    }

    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// A leadership begins: what is appended from here on carries `epoch`. `None` if it had begun before.
    pub fn lead(&mut self, epoch: LeaderEpoch) -> Option<Entry> {
        if epoch <= self.leader_epoch {
            return None;
        }
        self.leader_epoch = epoch;
        let start_offset = self.log_end();
        self.epochs.assign(epoch, start_offset);
        self.changed = true;
        Some(Entry { key: self.key, body: Body::EpochStart { leader_epoch: epoch, start_offset } })
    }

    #[must_use]
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// See [`Epochs::end_of`].
    #[must_use]
    pub fn epoch_end(&self, epoch: LeaderEpoch) -> Option<EpochEntry> {
        self.epochs.end_of(epoch, self.log_end())
    }

    /// Forgets producers that have been silent since `before_ms`.
    pub fn expire_producers(&mut self, before_ms: i64) {
        self.producers.expire(before_ms);
        self.verifications.expire(before_ms);
    }

    /// Before the coordinator of a transaction is asked whether this partition belongs to it: what the batch is to be appended
    /// with once it has said so. `None` if the transaction is open here, which it has said before.
    pub fn ask(&mut self, question: &Question, now_ms: i64) -> Option<Guard> {
        let is_open = self.producers.is_in_transaction(question.producer_id, question.epoch);
        (!is_open).then(|| self.verifications.ask(question, now_ms))
    }

    #[must_use]
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// What a checkpoint holds of this log.
    #[must_use]
    pub fn state(&self) -> PartitionState {
        let base = self.synced.base;
        PartitionState {
            key: self.key,
            topic: self.topic.clone(),
            sealed: self.sealed.iter().take_while(|segment| segment.base < base).copied().collect(),
            synced: self.synced,
            cut: self.cut,
            log_start: self.next_start,
            high_watermark: self.high_watermark,
            cleaned: self.cleaned,
            replacements: self.replacements,
            replacing: self.replacing.map(|replacing| replacing.segment),
            epochs: self.epochs.entries().to_vec(),
            producers: self.producers.clone(),
        }
    }

    /// Bytes of all segments and of what is not in them yet.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        let sealed: u64 = self.sealed.iter().map(|segment| u64::from(segment.bytes)).sum();
        sealed + u64::from(self.active.bytes)
    }

    /// Memory that batches keep alive, and what they have replaced, until their segments are synced.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.tail.cost() + self.producers.replaced_bytes()
    }

    /// Drops the oldest batch in memory if it is in its segment; returns the memory set free, 0 if there is none.
    pub fn evict_one(&mut self) -> usize {
        self.tail.evict_one()
    }

    /// The oldest position of the journal that this log needs.
    #[must_use]
    pub fn oldest_needed(&self) -> Option<Position> {
        self.held.oldest()
    }

    /// The entry that ends the partition in this directory.
    #[must_use]
    pub fn delete(&self) -> Entry {
        Entry { key: self.key, body: Body::Delete }
    }
}
