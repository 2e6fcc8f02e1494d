//! [`Machine`]: drives the real journal as a committer does, and [`Truth`]: what it has written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use host::Instant;
use host::sim::SimDisk;
use protocol::Uuid;
use protocol::ids::{LeaderEpoch, Offset, TopicId};
use storage::checkpoint::{Record, Section};
use storage::directory::{self, JOURNAL, Opened, RecoveredPartition};
use storage::journal::{Body, Entry, Options};
use storage::segment::SegmentState;
use storage::{Error, PartitionKey, PartitionState, Position};

use super::model::{Log, Logs, apply, apply_to, end};
use crate::Input;

const DIRECTORY: &str = "/data";
pub(super) const ID: Uuid = Uuid::from_bytes([9; 16]);

pub(super) fn open(disk: &SimDisk) -> Result<Opened, Error> {
    let options = Options {
        bytes_max: 96 << 10,
        file_bytes_min: 16 << 10,
        file_bytes_max: 32 << 10,
        round_bytes: 8 << 10,
        unsynced_bytes_max: 16 << 10,
        spacing: Duration::ZERO,
    };
    directory::open(&*disk.files(), Path::new(DIRECTORY), options, ID)
}

fn key(partition: u8) -> PartitionKey {
    PartitionKey { topic_id: TopicId(Uuid::from_bytes([3; 16])), partition: i32::from(partition) }
}

/// What has been written, round by round.
pub(super) struct Truth {
    pub(super) disk: SimDisk,
    /// With the number of the round that has each.
    entries: Vec<(u64, PartitionKey, Body)>,
    /// What the checkpoint says is in segments.
    segments: Logs,
    /// Rounds up to this one need not be in the journal any more, those up to the last one are written.
    pub(super) first: u64,
    pub(super) last: u64,
    /// For each round, which one it says was synced.
    claims: BTreeMap<u64, u64>,
    /// What the checkpoint says was synced.
    checkpointed: u64,
}

impl Truth {
    /// The files of the ring with their content, by name.
    pub(super) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = self.disk.files();
        let in_ring =
            self.disk.list().into_iter().filter(|(path, _)| path.extension().is_some_and(|it| it == "ring"));
        in_ring.map(|(path, len)| (path.clone(), files.read(&path, len).unwrap())).collect()
    }

    pub(super) fn replace(&self, files: &[(PathBuf, Vec<u8>)]) {
        for (path, bytes) in files {
            self.disk.files().replace(path, bytes).unwrap();
        }
    }

    /// What the entries up to a round give.
    pub(super) fn logs_after(&self, round: u64) -> Logs {
        let mut logs = Logs::new();
        for (_, key, body) in self.entries.iter().take_while(|(number, ..)| *number <= round) {
            apply(&mut logs, *key, body);
        }
        logs
    }

    /// A partition as a start hands it over: what is in segments, and what is to be done again.
    pub(super) fn log_of(&self, partition: &RecoveredPartition) -> Log {
        let mut log = self.segments.get(&partition.state.key).cloned().unwrap_or_default();
        log.retain(|batch| batch.last < partition.state.synced.end.0);
        partition.entries.iter().for_each(|(_, body)| apply_to(&mut log, body));
        log
    }

    /// The last round that is known to have been synced if these are damaged.
    pub(super) fn proven_without(&self, damaged: &std::collections::BTreeSet<u64>) -> u64 {
        let whole = self.claims.iter().filter(|(number, _)| !damaged.contains(number));
        whole.map(|(_, claim)| *claim).max().unwrap_or(0).max(self.checkpointed)
    }
}

pub(super) struct Machine {
    truth: Truth,
    opened: Option<Opened>,
    now: Instant,
    /// Submitted since the start, and how many of them have a round.
    submitted: u64,
    waiting: Vec<(PartitionKey, Body)>,
    logs: Logs,
    synced: u64,
    stamp: u8,
}

impl Machine {
    pub(super) fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let opened = open(&disk).unwrap();
        Self::of(&disk, opened)
    }

    pub(super) fn of(disk: &SimDisk, opened: Opened) -> Self {
        let truth = Truth {
            disk: disk.clone(),
            entries: Vec::new(),
            segments: Logs::new(),
            first: 0,
            last: 0,
            claims: BTreeMap::new(),
            checkpointed: 0,
        };
        Self {
            truth,
            opened: Some(opened),
            now: Instant(1),
            submitted: 0,
            waiting: Vec::new(),
            logs: Logs::new(),
            synced: 0,
            stamp: 0,
        }
    }

    fn opened(&mut self) -> &mut Opened {
        self.opened.as_mut().unwrap()
    }

    pub(super) fn step(&mut self, input: &mut Input<'_>) {
        self.now.0 += 1_000_000;
        match input.byte() % 24 {
            0..9 => self.append(input),
            9 => self.other(input),
            10..15 => drop(self.write()),
            15..19 => drop(self.sync()),
            19 | 20 => self.grow(),
            21 => self.checkpoint(input),
            22 => self.settle(),
            _ => self.restart(),
        }
    }

    fn submit(&mut self, key: PartitionKey, body: Body) {
        self.submitted += 1;
        apply(&mut self.logs, key, &body);
        self.waiting.push((key, body.clone()));
        let seq = self.submitted;
        self.opened().journal.submit(0, seq, Entry { key, body });
    }

    fn existing(&mut self, partition: u8) -> PartitionKey {
        let key = key(partition);
        if !self.logs.contains_key(&key) {
            self.submit(key, Body::Create { topic: Arc::from("t"), start_offset: Offset::ZERO });
        }
        key
    }

    fn append(&mut self, input: &mut Input<'_>) {
        let key = self.existing(input.byte() % 3);
        let (bytes, delta) = (usize::from(input.byte()) * usize::from(input.byte() % 32), input.byte() % 3);
        let base = end(&self.logs[&key]);
        self.stamp = self.stamp.wrapping_add(1);
        let mut batch = vec![self.stamp; 45 + bytes];
        batch[7..11].copy_from_slice(&i32::from(delta).to_be_bytes());
        let leader_epoch = LeaderEpoch(i32::from(self.stamp / 16));
        self.submit(key, Body::Append { leader_epoch, base_offset: Offset(base), batch: batch.into() });
    }

    fn other(&mut self, input: &mut Input<'_>) {
        let key = self.existing(input.byte() % 3);
        let (offset, leader_epoch) = (i64::from(input.byte() % 8), LeaderEpoch(1));
        let end = Offset((end(&self.logs[&key]) - offset).max(0));
        let body = match input.byte() % 6 {
            0 | 1 => Body::Truncate { end, leader_epoch },
            2 => Body::LogStart { offset: Offset(offset) },
            3 => Body::EpochStart { leader_epoch, start_offset: end },
            4 => Body::Delete,
            _ => Body::MovedAway { directory: ID },
        };
        self.submit(key, body);
    }

    /// One round, written but not synced. False if there is none to write.
    fn write(&mut self) -> bool {
        let now = self.now;
        let Some(write) = self.opened().journal.next_write(now) else { return false };
        let round = write.round;
        write.file.write_at(&[write.bytes], write.offset).unwrap();
        let progress = self.opened().journal.written::<String>(Ok(())).unwrap();
        let count = progress.shards[0].1 - (self.submitted - self.waiting.len() as u64);
        let taken = self.waiting.drain(..count as usize);
        self.truth.entries.extend(taken.map(|(key, body)| (round, key, body)));
        self.truth.last = round;
        self.truth.claims.insert(round, self.synced);
        true
    }

    fn sync(&mut self) -> bool {
        let now = self.now;
        let Some(file) = self.opened().journal.next_sync() else { return false };
        file.sync().unwrap();
        self.opened().journal.synced::<String>(now, Ok(())).unwrap();
        self.synced = self.opened().journal.synced_round();
        true
    }

    fn grow(&mut self) {
        let Some((id, bytes)) = self.opened().journal.next_growth() else { return };
        let journal = Path::new(DIRECTORY).join(JOURNAL);
        let file = directory::add_ring_file(&*self.truth.disk.files(), &journal, id, bytes).unwrap();
        self.opened().journal.grown(file);
    }

    /// Writes and syncs what there is, as far as there is room.
    fn settle(&mut self) {
        for _ in 0..200 {
            if !(self.write() | self.sync()) {
                if self.waiting.is_empty() || self.opened().journal.next_growth().is_none() {
                    return;
                }
                self.grow();
            }
        }
    }

    /// Everything that was submitted has to be synced first; then a part of it, or all, is in segments.
    fn checkpoint(&mut self, input: &mut Input<'_>) {
        self.opened().journal.watch(0);
        self.settle();
        let Some(as_of) = self.opened().journal.watched(0).filter(|_| self.waiting.is_empty()) else {
            return self.opened().journal.unwatch();
        };
        let share = usize::from(input.byte() % 5);
        let in_segments = |key: &PartitionKey, log: &Log| {
            let old = self.truth.segments.get(key).map_or(&[][..], |old| &old[..]);
            let before = old.iter().zip(log).take_while(|(old, new)| old == new).count();
            log[..before + (log.len() - before) * share / 4].to_vec()
        };
        let segments: Logs = self.logs.iter().map(|(key, log)| (*key, in_segments(key, log))).collect();
        let changed = segments.iter().map(|(key, log)| record(*key, log, as_of)).collect();
        let gone = self.truth.segments.keys().filter(|key| !segments.contains_key(key));
        let removed = gone.copied().collect();
        let files = self.truth.disk.files();
        let opened = self.opened.as_mut().unwrap();
        let journal = &mut opened.journal;
        let mark = if share == 4 { journal.mark_watched(0).unwrap() } else { journal.mark_for(Position(1)) };
        journal.unwatch();
        let section = Section { known: journal.known(mark, None), clean: false, changed, removed };
        let written = opened.checkpoint.write(&*files, section).unwrap();
        opened.checkpoint.done(written);
        opened.journal.release(&mark);
        self.truth.first = if share == 4 { self.truth.last } else { self.truth.first };
        self.truth.checkpointed = self.synced;
        self.truth.segments = segments;
    }

    /// The process ends, what was written is there; the next one goes on.
    fn restart(&mut self) {
        self.opened = None;
        self.truth.disk.kill();
        self.opened = Some(open(&self.truth.disk).unwrap());
        self.waiting.clear();
        self.submitted = 0;
        self.logs = self.truth.logs_after(self.truth.last);
        self.synced = self.truth.last;
        self.truth.checkpointed = self.truth.checkpointed.max(self.synced);
    }

    pub(super) fn end(mut self) -> Truth {
        self.opened = None;
        self.truth.disk.kill();
        self.truth
    }

    /// A partition that nobody else has, with one batch, synced. `None` if there is no room for it.
    pub(super) fn append_to_a_new_partition(&mut self, stamp: u8) -> Option<(PartitionKey, Log)> {
        let key = PartitionKey { partition: 99, ..key(0) };
        self.stamp = stamp;
        self.submit(key, Body::Create { topic: Arc::from("t"), start_offset: Offset::ZERO });
        let mut batch = vec![stamp; 45];
        batch[7..11].fill(0);
        let leader_epoch = LeaderEpoch(7);
        self.submit(key, Body::Append { leader_epoch, base_offset: Offset(0), batch: batch.into() });
        self.settle();
        assert!(
            self.waiting.is_empty() || self.opened().journal.is_full(),
            "{} entries wait",
            self.waiting.len()
        );
        let log = self.logs.remove(&key)?;
        self.waiting.is_empty().then_some((key, log))
    }
}

fn record(key: PartitionKey, log: &Log, as_of: Position) -> Record {
    let synced = SegmentState { end: Offset(end(log)), ..SegmentState::new(Offset::ZERO, 0) };
    let state = PartitionState { synced, ..PartitionState::empty(key, Arc::from("t")) };
    let mut bytes = Vec::new();
    state.encode(&mut bytes);
    Record { key, as_of, state: bytes.into() }
}
