//! Random entries, rounds, syncs, checkpoints, growth and crashes on a disk that loses and tears what was not
//! synced, against a model that is a list of entries.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use host::sim::SimDisk;
use host::{Files, Instant};
use proptest::prelude::*;
use protocol::Uuid;
use protocol::ids::{LeaderEpoch, Offset, TopicId};
use protocol::records::crc32c;
use storage::checkpoint::{Record, Section};
use storage::directory::{self, Opened, RecoveredPartition};
use storage::journal::{Body, Entry, Options};
use storage::segment::SegmentState;
use storage::{PartitionKey, PartitionState, Position};

const DIRECTORY: &str = "/data/logs";

/// A partition's batches: base offset, last offset, epoch, what the payload says, its length.
type Log = Vec<(i64, i64, i32, u32, usize)>;

fn log_end(log: &Log) -> i64 {
    log.last().map_or(0, |(_, last, ..)| last + 1)
}

fn apply(logs: &mut BTreeMap<PartitionKey, Log>, key: PartitionKey, body: &Body) {
    match body {
        Body::Create { .. } => drop(logs.insert(key, Log::new())),
        Body::Delete | Body::MovedAway { .. } => drop(logs.remove(&key)),
        Body::Truncate { end, .. } => {
            let log = logs.get_mut(&key).expect("a truncated partition is there");
            log.retain(|(_, last, ..)| *last < end.0);
        }
        Body::Append { leader_epoch, base_offset, batch } => {
            let log = logs.get_mut(&key).expect("a written partition is there");
            if base_offset.0 == log_end(log) {
                let delta = i64::from(i32::from_be_bytes(batch[7..11].try_into().unwrap()));
                let stamp = u32::from_be_bytes(batch[12..16].try_into().unwrap());
                let filler = u8::try_from(stamp % 251).unwrap();
                assert!(batch[16..].iter().all(|byte| *byte == filler), "payload of {stamp}");
                log.push((base_offset.0, base_offset.0 + delta, leader_epoch.0, stamp, batch.len()));
            }
        }
        Body::LogStart { .. } | Body::EpochStart { .. } => {}
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append {
        partition: u8,
        bytes: u16,
        delta: u8,
    },
    Truncate {
        partition: u8,
        by: u8,
    },
    Delete {
        partition: u8,
    },
    Other {
        partition: u8,
    },
    Write,
    Sync,
    Grow,
    /// Checkpoints this share of the synced entries, in 255ths, as being in segments.
    Checkpoint {
        share: u8,
    },
    PowerLoss,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let partition = || 0..4_u8;
    prop_oneof![
        12 => (partition(), prop_oneof![20 => 0..2_000_u16, 2 => 0..40_000_u16], 0..4_u8)
            .prop_map(|(partition, bytes, delta)| Step::Append { partition, bytes, delta }),
        2 => (partition(), any::<u8>()).prop_map(|(partition, by)| Step::Truncate { partition, by }),
        1 => partition().prop_map(|partition| Step::Delete { partition }),
        1 => partition().prop_map(|partition| Step::Other { partition }),
        8 => Just(Step::Write),
        5 => Just(Step::Sync),
        2 => Just(Step::Grow),
        3 => any::<u8>().prop_map(|share| Step::Checkpoint { share }),
        1 => Just(Step::PowerLoss),
        1 => Just(Step::Kill),
    ]
}

struct World {
    disk: SimDisk,
    files: Arc<dyn Files>,
    opened: Option<Opened>,
    options: Options,
    now: Instant,
    /// Everything that was ever submitted and may still count, in order.
    entries: Vec<(PartitionKey, Body)>,
    /// Entries of `entries` that were submitted to this incarnation begin here.
    first: usize,
    handed_out: usize,
    written: usize,
    synced: usize,
    /// What all entries together give.
    logs: BTreeMap<PartitionKey, Log>,
    /// What the checkpoint holds: everything up to this entry is in segments.
    segments: BTreeMap<PartitionKey, Log>,
    stamp: u32,
    crashes: u32,
}

fn options() -> Options {
    Options {
        bytes_max: 512 << 10,
        file_bytes_min: 64 << 10,
        file_bytes_max: 128 << 10,
        round_bytes: 16 << 10,
        unsynced_bytes_max: 64 << 10,
        spacing: Duration::ZERO,
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let files = disk.files();
        let mut world = Self {
            disk,
            files,
            opened: None,
            options: options(),
            now: Instant(1),
            entries: Vec::new(),
            first: 0,
            handed_out: 0,
            written: 0,
            synced: 0,
            logs: BTreeMap::new(),
            segments: BTreeMap::new(),
            stamp: 0,
            crashes: 0,
        };
        let recovered = world.open();
        assert!(recovered.is_empty());
        world
    }

    fn open(&mut self) -> Vec<RecoveredPartition> {
        let id = Uuid::from_bytes([9; 16]);
        let mut opened =
            directory::open(self.files.as_ref(), Path::new(DIRECTORY), self.options.clone(), id).unwrap();
        let partitions = std::mem::take(&mut opened.partitions);
        let damages = partitions.iter().filter_map(|partition| partition.damage.as_ref()).collect::<Vec<_>>();
        assert!(damages.is_empty(), "{damages:?} {:?}", opened.found);
        self.opened = Some(opened);
        partitions
    }

    fn opened(&mut self) -> &mut Opened {
        self.opened.as_mut().unwrap()
    }

    fn model(&self, count: usize) -> BTreeMap<PartitionKey, Log> {
        let mut logs = BTreeMap::new();
        for (key, body) in &self.entries[..count] {
            apply(&mut logs, *key, body);
        }
        logs
    }

    fn submit(&mut self, key: PartitionKey, body: Body) {
        let seq = (self.entries.len() - self.first + 1) as u64;
        apply(&mut self.logs, key, &body);
        self.entries.push((key, body.clone()));
        self.opened().journal.submit(0, seq, Entry { key, body });
    }

    /// The key under which partition number `partition` lives now, created if it is not there.
    fn key(&mut self, partition: u8) -> PartitionKey {
        let topic_id = TopicId(Uuid::from_bytes([3; 16]));
        let key = PartitionKey { topic_id, partition: i32::from(partition) };
        if !self.logs.contains_key(&key) {
            self.submit(key, Body::Create { topic: Arc::from("t"), start_offset: Offset::ZERO });
        }
        key
    }

    fn run(&mut self, step: &Step) {
        self.now.0 += 1_000_000;
        match *step {
            Step::Append { partition, bytes, delta } => self.append(partition, bytes, delta),
            Step::Truncate { partition, by } => {
                let key = self.key(partition);
                let end = log_end(&self.logs[&key]);
                let end = Offset((end - i64::from(by % 8)).max(0));
                self.submit(key, Body::Truncate { end, leader_epoch: LeaderEpoch(1) });
            }
            Step::Delete { partition } => {
                let key = self.key(partition);
                self.submit(key, Body::Delete);
            }
            Step::Other { partition } => {
                let key = self.key(partition);
                self.submit(key, Body::LogStart { offset: Offset::ZERO });
                self.submit(key, Body::EpochStart { leader_epoch: LeaderEpoch(1), start_offset: Offset(5) });
            }
            Step::Write => drop(self.write()),
            Step::Sync => drop(self.sync()),
            Step::Grow => self.grow(),
            Step::Checkpoint { share } => self.checkpoint(share),
            Step::PowerLoss => {
                self.disk.crash();
                self.recover(self.synced);
            }
            Step::Kill => {
                self.disk.kill();
                self.recover(self.written);
            }
        }
    }

    fn append(&mut self, partition: u8, bytes: u16, delta: u8) {
        let key = self.key(partition);
        let base = log_end(&self.logs[&key]);
        self.stamp += 1;
        let mut batch = vec![u8::try_from(self.stamp % 251).unwrap(); 45 + usize::from(bytes)];
        batch[12..16].copy_from_slice(&self.stamp.to_be_bytes());
        batch[7..11].copy_from_slice(&i32::from(delta).to_be_bytes());
        let crc = crc32c(&batch[5..]);
        batch[1..5].copy_from_slice(&crc.to_be_bytes());
        let leader_epoch = LeaderEpoch(i32::try_from(self.crashes).unwrap());
        self.submit(key, Body::Append { leader_epoch, base_offset: Offset(base), batch: batch.into() });
    }

    /// One round, written but not synced. False if there is none to write.
    fn write(&mut self) -> bool {
        let now = self.now;
        let last = self.handed_out as u64;
        let Some(write) = self.opened().journal.next_write(now) else { return false };
        write.file.write_at(&[write.bytes], write.offset).unwrap();
        let progress = self.opened().journal.written::<String>(Ok(())).unwrap();
        let (_, seq) = progress.shards[0];
        self.handed_out = self.first + usize::try_from(seq).unwrap();
        assert!(self.handed_out as u64 > last, "a round holds at least one entry");
        self.written = self.handed_out;
        true
    }

    fn sync(&mut self) -> bool {
        let now = self.now;
        let Some(file) = self.opened().journal.next_sync() else { return false };
        file.sync().unwrap();
        let progress = self.opened().journal.synced::<String>(now, Ok(())).unwrap();
        self.synced = self.first + usize::try_from(progress.shards[0].1).unwrap();
        true
    }

    fn grow(&mut self) {
        let Some((id, bytes)) = self.opened().journal.next_growth() else { return };
        let journal = Path::new(DIRECTORY).join(directory::JOURNAL);
        let file = directory::add_ring_file(self.files.as_ref(), &journal, id, bytes).unwrap();
        self.opened().journal.grown(file);
    }

    /// Everything submitted has to be synced first, as the committer waits for it; a part of it is in segments.
    fn checkpoint(&mut self, share: u8) {
        let total = self.entries.len();
        self.opened().journal.watch(0);
        for _ in 0..1_000 {
            if self.synced == total {
                break;
            }
            let moved = self.write() | self.sync();
            if !moved {
                self.grow();
            }
            if !moved && self.opened().journal.is_full() {
                unreachable!("a checkpoint can always be made");
            }
        }
        assert_eq!(self.synced, total, "everything submitted can be synced");
        let as_of = self.opened().journal.watched(0).unwrap();

        let all = self.logs.clone();
        let in_segments = |key: &PartitionKey, log: &Log| {
            let before = self.segments.get(key).map_or(0, |old| common(old, log));
            before + (log.len() - before) * usize::from(share).min(128) / 128
        };
        let segments: BTreeMap<_, Log> =
            all.iter().map(|(key, log)| (*key, log[..in_segments(key, log)].to_vec())).collect();
        let full = share >= 128;
        let changed = segments.iter().map(|(key, log)| record(*key, log, as_of)).collect();
        let removed = self.segments.keys().filter(|key| !segments.contains_key(key)).copied().collect();
        let opened = self.opened();
        let journal = &mut opened.journal;
        let mark = if full { journal.mark_watched(0).unwrap() } else { journal.mark_for(Position(1)) };
        journal.unwatch();
        let known = journal.known(mark, None);
        let section = Section { known, clean: false, changed, removed };
        let files = Arc::clone(&self.files);
        let opened = self.opened();
        let written = opened.checkpoint.write(files.as_ref(), section).unwrap();
        opened.checkpoint.done(written);
        opened.journal.release(&mark);
        self.segments = segments;
    }

    /// After a crash at least the first `kept` entries count; the model forgets those that did not make it.
    fn recover(&mut self, kept: usize) {
        self.crashes += 1;
        self.opened = None;
        self.files = self.disk.files();
        let first = self.open();
        let first_logs = self.logs_of(&first);
        // A second crash before anything was written changes nothing.
        self.opened = None;
        self.disk.crash();
        self.files = self.disk.files();
        let again = self.open();
        assert_eq!(first_logs, self.logs_of(&again), "replayed twice");
        let total = self.entries.len();
        let mut logs = self.model(kept);
        let count = (kept..=total).find(|count| {
            let found = logs == first_logs;
            if let Some((key, body)) = self.entries.get(*count) {
                apply(&mut logs, *key, body);
            }
            found
        });
        let Some(count) = count else {
            let expected = self.model(kept);
            panic!("neither {kept} nor more of {total} entries give {first_logs:?}, rather {expected:?}");
        };
        self.entries.truncate(count);
        self.first = count;
        self.logs = first_logs;
        (self.handed_out, self.written, self.synced) = (count, count, count);
    }

    fn logs_of(&self, partitions: &[RecoveredPartition]) -> BTreeMap<PartitionKey, Log> {
        let mut logs = BTreeMap::new();
        for partition in partitions {
            let key = partition.state.key;
            let mut log = self.segments.get(&key).cloned().unwrap_or_default();
            log.retain(|(_, last, ..)| *last < partition.state.synced.end.0);
            logs.insert(key, log);
            for (_, body) in &partition.entries {
                apply(&mut logs, key, body);
            }
        }
        logs
    }
}

/// How many batches at the front are the same.
fn common(one: &Log, other: &Log) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

fn record(key: PartitionKey, log: &Log, as_of: Position) -> Record {
    let synced = SegmentState { end: Offset(log_end(log)), ..SegmentState::new(Offset::ZERO, 0) };
    let state = PartitionState { synced, ..PartitionState::empty(key, Arc::from("t")) };
    let mut bytes = Vec::new();
    state.encode(&mut bytes);
    Record { key, as_of, state: bytes.into() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_synced_comes_back_in_order(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..150)) {
        let mut world = World::new(seed);
        for step in &steps {
            world.run(step);
        }
        world.disk.crash();
        world.recover(world.synced);
    }
}
