//! When a checkpoint is made, and of what: a part from every shard, written when the entries they speak of are
//! synced.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use host::{Files, Instant, Op};
use storage::checkpoint::{Record, Section, Written};
use storage::journal::{CheckpointPart, Known, Mark, Report, RingFile};
use storage::{PartitionKey, Position};

use super::{Committer, FULL_DISK_PAUSE, Message, completion, is_full_disk, is_over};

/// At least this share of the ring has to become free before a checkpoint is worth its sync.
const WORTH: u64 = 8;

/// Between two checkpoints, however much there is to free.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Checkpoints {
    interval: Duration,
    /// What each shard said last that it needs; nothing at all before it has said so once.
    needed: Vec<Option<Option<Position>>>,
    parts: Vec<Option<CheckpointPart>>,
    stopped: Vec<bool>,
    /// The parts have been asked for.
    asked: bool,
    writing: Option<Arc<Draft>>,
    /// A file for the ring that no section has counted yet.
    pub(super) grown: Option<RingFile>,
    /// What a full disk has kept from being written.
    retry: Option<Arc<Draft>>,
    /// The last section of a clean stop is written.
    clean: bool,
    pause: Option<Instant>,
    periodic: Instant,
    /// A shard waits for one.
    pub(super) soon: bool,
    /// The last time for one has passed without any.
    overdue: bool,
    /// The journal's end at the last checkpoint.
    head: Position,
}

/// A section whose states are not encoded yet.
#[derive(Debug)]
struct Draft {
    known: Known,
    clean: bool,
    /// Each with the position up to which its states reflect the journal.
    parts: Vec<(Position, CheckpointPart)>,
    /// The journal gets it when this section has counted it.
    grown: Option<RingFile>,
}

impl Checkpoints {
    pub(super) fn new(shards: usize, now: Instant, interval: Duration) -> Self {
        Self {
            interval,
            needed: vec![None; shards],
            parts: (0..shards).map(|_| None).collect(),
            stopped: vec![false; shards],
            asked: false,
            writing: None,
            grown: None,
            retry: None,
            clean: false,
            pause: None,
            periodic: now.after(interval),
            soon: false,
            overdue: false,
            head: Position::default(),
        }
    }

    pub(super) fn next_time(&self) -> Option<Instant> {
        let idle = !self.asked && self.writing.is_none();
        idle.then(|| self.pause.map_or(self.periodic, |pause| pause.min(self.periodic)))
    }

    pub(super) fn released(&mut self, shard: usize, oldest_needed: Option<Position>) {
        if let Some(needed) = self.needed.get_mut(shard) {
            *needed = Some(oldest_needed);
        }
    }

    /// A part that was asked for, or a shard's last one.
    pub(super) fn take(&mut self, part: CheckpointPart) {
        self.released(part.shard, part.oldest_needed);
        let Some(place) = self.parts.get_mut(part.shard) else { return };
        match place {
            None => *place = Some(part),
            Some(earlier) => merge(earlier, part),
        }
    }

    pub(super) fn stopped(&mut self, shard: usize) {
        if let Some(stopped) = self.stopped.get_mut(shard) {
            *stopped = true;
        }
    }

    pub(super) fn all_stopped(&self) -> bool {
        self.stopped.iter().all(|stopped| *stopped)
    }

    fn is_complete(&self) -> bool {
        self.parts.iter().any(Option::is_some)
            && self.parts.iter().zip(&self.stopped).all(|(part, stopped)| part.is_some() || *stopped)
    }

    /// The oldest entry that some shard needs; `None` if a shard has not said yet.
    fn oldest_needed(&self) -> Option<Option<Position>> {
        let all = self.needed.iter().copied().collect::<Option<Vec<_>>>()?;
        Some(all.into_iter().flatten().min())
    }
}

/// The later part of a shard counts where both speak of a partition.
fn merge(earlier: &mut CheckpointPart, later: CheckpointPart) {
    let newer = later.changed.iter().map(|state| state.key);
    let replaced: HashSet<PartitionKey> = newer.chain(later.removed.iter().copied()).collect();
    earlier.changed.retain(|state| !replaced.contains(&state.key));
    earlier.changed.extend(later.changed);
    earlier.removed.extend(later.removed);
    earlier.up_to_seq = later.up_to_seq;
    earlier.oldest_needed = later.oldest_needed;
}

impl Committer {
    pub(super) fn checkpoint(&mut self, now: Instant) {
        // Whatever else is waited for: a timer that has gone off must not be set again for the same time.
        if now >= self.checkpoints.periodic {
            self.checkpoints.periodic = now.after(self.checkpoints.interval);
            self.checkpoints.overdue = true;
        }
        if self.checkpoints.writing.is_some() {
            return;
        }
        if let Some(file) = self.checkpoints.grown.take() {
            let known = self.journal.known(self.journal.durable_mark(), Some(&file));
            let draft = Draft { known, clean: false, parts: Vec::new(), grown: Some(file) };
            return self.write_section(Arc::new(draft));
        }
        if !is_over(self.checkpoints.pause, now) {
            return;
        }
        self.checkpoints.pause = None;
        if let Some(draft) = self.checkpoints.retry.take() {
            return self.write_section(draft);
        }
        if self.checkpoints.is_complete() {
            return self.write_parts();
        }
        if self.checkpoints.all_stopped() {
            return self.end();
        }
        if !self.checkpoints.asked && self.is_checkpoint_due() {
            self.checkpoints.asked = true;
            for shard in 0..self.shards {
                (self.report)(shard, Report::CheckpointWanted { dir: self.dir });
            }
        }
    }

    /// All shards have stopped and all that they have sent is written: what remains is to say that nothing remains.
    fn end(&mut self) {
        let nothing_needed = self.checkpoints.oldest_needed() == Some(None);
        if self.checkpoints.clean || !nothing_needed || !self.journal.is_idle() {
            self.ended = self.checkpoints.clean || self.journal.is_idle();
            return;
        }
        let known = self.journal.known(self.journal.mark_head(), None);
        let draft = Draft { known, clean: true, parts: Vec::new(), grown: None };
        self.write_section(Arc::new(draft));
    }

    fn is_checkpoint_due(&mut self) -> bool {
        // A shard that has not spoken yet may need anything; one that has stopped has sent its last part.
        let Some(oldest_needed) = self.checkpoints.oldest_needed() else { return false };
        if self.checkpoints.stopped.iter().any(|stopped| *stopped) {
            return false;
        }
        let free = self.journal.releasable_bytes(oldest_needed);
        let is_worth = free > 0 && free >= self.journal.ring_bytes() / WORTH;
        let is_needed = free > 0 && self.journal.is_full();
        let is_time = self.checkpoints.overdue && self.journal.head() != self.checkpoints.head;
        self.checkpoints.overdue = false;
        is_worth || is_needed || is_time || std::mem::take(&mut self.checkpoints.soon)
    }

    /// Writes what the shards have sent, if everything they speak of is synced.
    fn write_parts(&mut self) {
        let present = |shard: &usize| matches!(self.checkpoints.parts.get(*shard), Some(Some(_)));
        let shards = (0..self.shards).filter(present);
        let reached = |shard| Some((shard, self.journal.watched(shard)?, self.journal.mark_watched(shard)?));
        let Some(reached) = shards.map(reached).collect::<Option<Vec<_>>>() else { return };
        let mut mark = None::<Mark>;
        let mut parts = Vec::new();
        for (shard, as_of, mark_watched) in reached {
            let Some(part) = self.checkpoints.parts.get_mut(shard).and_then(Option::take) else { continue };
            let begins = part.oldest_needed.map_or(mark_watched, |oldest| self.journal.mark_for(oldest));
            mark = mark.filter(|mark| mark.position <= begins.position).or(Some(begins));
            parts.push((as_of, part));
        }
        let Some(mark) = mark else { return };
        self.journal.unwatch();
        self.checkpoints.asked = false;
        self.checkpoints.head = self.journal.head();
        let known = self.journal.known(mark, None);
        self.write_section(Arc::new(Draft { known, clean: false, parts, grown: None }));
    }

    fn write_section(&mut self, draft: Arc<Draft>) {
        let (send, receive) = std::sync::mpsc::channel();
        let (writer, section) = (self.writer.clone(), draft.clone());
        let op = Op::Call(Box::new(move |files: &dyn Files| {
            // The other end lives until the completion has run.
            let _ = send.send(writer.write(files, encode(&section))?);
            Ok(Bytes::new())
        }));
        let lost = || io::Error::other("the lane has lost a result");
        let wrap = move |result: io::Result<Bytes>| {
            Message::Checkpointed(result.and_then(|_| receive.try_recv().map_err(|_| lost())))
        };
        self.background.lane.submit(op, completion(&self.to_self, wrap));
        self.checkpoints.writing = Some(draft);
    }

    pub(super) fn checkpointed(&mut self, result: io::Result<Written>) {
        let now = self.host.now();
        let Some(draft) = self.checkpoints.writing.take() else { return };
        match result {
            Ok(written) => {
                self.writer.done(written);
                self.journal.release(&draft.known.mark);
                self.checkpoints.clean = draft.clean;
                if let Some(file) = &draft.grown {
                    self.journal.grown(file.clone());
                    return;
                }
                self.checkpoints.periodic = now.after(self.checkpoints.interval);
                if !draft.parts.is_empty() {
                    self.report_all(&Report::Checkpointed { dir: self.dir });
                }
                if !self.checkpoints.all_stopped() {
                    self.checkpoints.pause = Some(now.after(PAUSE));
                }
            }
            Err(error) if is_full_disk(&error) && self.checkpoints.all_stopped() => {
                // The journal is whole: the next start replays it.
                tracing::warn!(dir = %self.path.display(), "no space for the last checkpoint: {error}");
                self.ended = true;
            }
            Err(error) if is_full_disk(&error) => {
                tracing::warn!(dir = %self.path.display(), "no space for the checkpoint: {error}");
                self.checkpoints.retry = Some(draft);
                self.checkpoints.pause = Some(now.after(FULL_DISK_PAUSE));
            }
            Err(error) => self.fail(&error.to_string().into()),
        }
    }
}

fn encode(draft: &Draft) -> Section {
    let mut section = Section { known: draft.known, clean: draft.clean, ..Section::default() };
    for (as_of, part) in &draft.parts {
        section.removed.extend(&part.removed);
        section.changed.extend(part.changed.iter().map(|state| {
            let mut bytes = Vec::new();
            state.encode(&mut bytes);
            Record { key: state.key, as_of: *as_of, state: bytes.into() }
        }));
    }
    section
}
