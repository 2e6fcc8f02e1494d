//! Random appends, rolls, retention, truncations, failed syncs and crashes on a disk that loses and tears what was
//! not synced, against a model of each log that is a list of batches.
//!
//! What the model knows: the entries of the journal in their order. After a crash the logs must be what some number
//! of them gives, at least those that were synced (written, if only the process died): so every acknowledged record
//! survives, and nothing that was truncated or deleted comes back.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use host::sim::{OpKind, Rule, SimDisk};
use host::{Files, Instant};
use proptest::prelude::*;
use protocol::Uuid;
use protocol::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TopicId};
use protocol::records::{BatchBuilder, BatchOptions, NewRecord, ValidBatch, head};
use storage::checkpoint::{Record, Section};
use storage::directory::{self, Opened};
use storage::journal::{Body, Entry, Options};
use storage::log::{Outcome, ReadPlan, recover};
use storage::segment::OpenFiles;
use storage::{Log, LogConfig, PartitionKey, Position};

const DIRECTORY: &str = "/data/logs";
const PARTITIONS: u8 = 3;

/// What the entries of a partition give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    /// Base offset and bytes of each batch that is readable.
    batches: Vec<(i64, Bytes)>,
    start: i64,
    end: i64,
}

impl Model {
    fn apply(&mut self, body: &Body) {
        match body {
            Body::Append { leader_epoch, base_offset, batch } => {
                if base_offset.0 < self.end {
                    return; // Submitted again.
                }
                assert_eq!(base_offset.0, self.end, "offsets are dense");
                let length = i32::try_from(batch.len() + 4).unwrap();
                let bytes = [&head(*base_offset, length, *leader_epoch)[..], &batch[..]].concat();
                self.end += i64::from(i32::from_be_bytes(batch[7..11].try_into().unwrap())) + 1;
                self.batches.push((base_offset.0, Bytes::from(bytes)));
            }
            Body::Truncate { end, .. } => {
                self.batches.retain(|(base, _)| *base < end.0);
                self.end = end.0;
                self.start = self.start.min(self.end);
            }
            Body::LogStart { offset } => self.start = self.start.max(offset.0),
            _ => {}
        }
        let start = self.start;
        while self.batches.len() > 1 && self.batches[1].0 <= start {
            self.batches.remove(0);
        }
        if self.start == self.end {
            self.batches.clear();
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append { partition: u8, records: u8, bytes: u16 },
    Journal { sync: bool },
    Grow,
    Write { partition: u8 },
    Sync { partition: u8 },
    Evict { partition: u8 },
    Truncate { partition: u8, batches: u8 },
    Retain { partition: u8 },
    StartAt { partition: u8, by: u8 },
    Tidy { partition: u8 },
    Again { partition: u8 },
    Checkpoint,
    Read { partition: u8, at: u8, bytes: u16 },
    FailSync,
    PowerLoss,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let partition = || 0..PARTITIONS;
    prop_oneof![
        24 => (partition(), 1..4_u8, prop_oneof![8 => 0..120_u16, 1 => 0..700_u16])
            .prop_map(|(partition, records, bytes)| Step::Append { partition, records, bytes }),
        10 => any::<bool>().prop_map(|sync| Step::Journal { sync }),
        2 => Just(Step::Grow),
        8 => partition().prop_map(|partition| Step::Write { partition }),
        4 => partition().prop_map(|partition| Step::Sync { partition }),
        3 => partition().prop_map(|partition| Step::Evict { partition }),
        2 => (partition(), any::<u8>()).prop_map(|(partition, batches)| Step::Truncate { partition, batches }),
        1 => partition().prop_map(|partition| Step::Retain { partition }),
        1 => (partition(), any::<u8>()).prop_map(|(partition, by)| Step::StartAt { partition, by }),
        3 => partition().prop_map(|partition| Step::Tidy { partition }),
        1 => partition().prop_map(|partition| Step::Again { partition }),
        3 => Just(Step::Checkpoint),
        6 => (partition(), any::<u8>(), 0..3_000_u16)
            .prop_map(|(partition, at, bytes)| Step::Read { partition, at, bytes }),
        1 => Just(Step::FailSync),
        1 => Just(Step::PowerLoss),
        1 => Just(Step::Kill),
    ]
}

/// What an entry means to its log once the journal has it.
#[derive(Clone, Copy, Debug)]
enum Meaning {
    Append(Offset),
    Again(Option<Offset>),
    LogStart(Offset),
    Truncate,
    Other,
}

struct Submitted {
    key: PartitionKey,
    meaning: Meaning,
    position: Position,
}

struct World {
    disk: SimDisk,
    files: Arc<dyn Files>,
    open: OpenFiles,
    opened: Option<Opened>,
    now: Instant,
    config: Arc<LogConfig>,
    logs: BTreeMap<PartitionKey, Log>,
    /// Every entry that may still count, in order.
    entries: Vec<(PartitionKey, Body)>,
    /// Entries of this incarnation begin here.
    first: usize,
    written: usize,
    synced: usize,
    in_flight: VecDeque<Submitted>,
    again_at: BTreeMap<PartitionKey, Position>,
    /// Where the last round ends.
    written_at: Position,
    /// The last idempotent batch of each partition and where it went.
    last: BTreeMap<PartitionKey, (ValidBatch, i64)>,
    sequences: BTreeMap<PartitionKey, i32>,
    epoch: i32,
    stamp: u32,
}

fn key(partition: u8) -> PartitionKey {
    PartitionKey { topic_id: TopicId(Uuid::from_bytes([3; 16])), partition: i32::from(partition) }
}

impl World {
    fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let files = disk.files();
        let config = LogConfig {
            segment_bytes: 2_500,
            index_interval_bytes: 300,
            retention_bytes: Some(4_000),
            retention_ms: None,
            ..LogConfig::default()
        };
        let mut world = Self {
            disk,
            files,
            open: OpenFiles::new(4),
            opened: None,
            now: Instant(1),
            config: Arc::new(config),
            logs: BTreeMap::new(),
            entries: Vec::new(),
            first: 0,
            written: 0,
            synced: 0,
            in_flight: VecDeque::new(),
            again_at: BTreeMap::new(),
            written_at: Position(0),
            last: BTreeMap::new(),
            sequences: BTreeMap::new(),
            epoch: 0,
            stamp: 0,
        };
        world.recover(0);
        world
    }

    fn opened(&mut self) -> &mut Opened {
        self.opened.as_mut().unwrap()
    }

    fn log(&mut self, partition: u8) -> &mut Log {
        self.logs.get_mut(&key(partition)).unwrap()
    }

    /// What the first `count` entries give.
    fn model(&self, count: usize) -> BTreeMap<PartitionKey, Model> {
        let mut models: BTreeMap<_, Model> = BTreeMap::new();
        for (key, body) in &self.entries[..count] {
            models.entry(*key).or_default().apply(body);
        }
        models
    }

    fn submit(&mut self, entry: Entry, meaning: Meaning) {
        let seq = (self.entries.len() - self.first + 1) as u64;
        self.entries.push((entry.key, entry.body.clone()));
        self.in_flight.push_back(Submitted { key: entry.key, meaning, position: Position(0) });
        self.opened().journal.submit(0, seq, entry);
    }

    fn run(&mut self, step: &Step) {
        self.now.0 += 1_000_000;
        match *step {
            Step::Append { partition, records, bytes } => self.append(partition, records, bytes),
            Step::Journal { sync: false } => drop(self.journal_write()),
            Step::Journal { sync: true } => drop(self.journal_sync()),
            Step::Grow => self.grow(),
            Step::Write { partition } => self.segment_write(partition),
            Step::Sync { partition } => self.segment_sync(partition),
            Step::Evict { partition } => while self.log(partition).evict_one() > 0 {},
            Step::Truncate { partition, batches } => self.truncate(partition, batches),
            Step::Retain { partition } => {
                if let Some(entry) = self.log(partition).retain(0) {
                    self.submit_start(entry);
                }
            }
            Step::StartAt { partition, by } => {
                let log = self.log(partition);
                let offset = log.log_start() + i64::from(by % 5);
                if !log.is_cutting()
                    && let Some(entry) = log.start_at(offset)
                {
                    self.submit_start(entry);
                }
            }
            Step::Tidy { partition } => self.tidy(partition),
            Step::Again { partition } => self.again(partition),
            Step::Checkpoint => self.checkpoint(),
            Step::Read { partition, at, bytes } => self.check_read(partition, at, bytes),
            Step::FailSync => self.fail_sync(),
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

    fn submit_start(&mut self, entry: Entry) {
        let Body::LogStart { offset } = entry.body else { panic!("{entry:?}") };
        self.submit(entry, Meaning::LogStart(offset));
    }

    fn append(&mut self, partition: u8, records: u8, bytes: u16) {
        let key = key(partition);
        if self.log(partition).is_cutting() {
            return;
        }
        self.stamp += 1;
        let sequence = self.sequences.get(&key).copied().unwrap_or(0);
        let mut builder = BatchBuilder::new(BatchOptions {
            producer_id: ProducerId(i64::from(partition)),
            producer_epoch: ProducerEpoch(self.epoch as i16),
            base_sequence: sequence,
            ..BatchOptions::default()
        });
        let value = vec![self.stamp as u8; usize::from(bytes)];
        for n in 0..records {
            let timestamp = i64::from(self.stamp) * 10 + i64::from(n);
            builder.append(&NewRecord { timestamp, value: Some(&value), ..NewRecord::default() }).unwrap();
        }
        let batch = builder.build_valid().unwrap();
        let now_ms = i64::from(self.stamp);
        let outcome = self.log(partition).append(batch.clone(), 0, now_ms).unwrap();
        let Outcome::Appended { base_offset, end, entry, .. } = outcome else { panic!("{outcome:?}") };
        self.sequences.insert(key, sequence + i32::from(records));
        self.last.insert(key, (batch, base_offset.0));
        self.submit(entry, Meaning::Append(end));
    }

    /// One round, written but not synced. False if there is none to write.
    fn journal_write(&mut self) -> bool {
        let now = self.now;
        let Some(write) = self.opened().journal.next_write(now) else { return false };
        write.file.write_at(&[write.bytes], write.offset).unwrap();
        let progress = self.opened().journal.written::<String>(Ok(())).unwrap();
        let up_to = self.first + progress.shards[0].1 as usize;
        for index in self.written - self.synced..up_to - self.synced {
            let submitted = &mut self.in_flight[index];
            submitted.position = progress.position;
            let log = self.logs.get_mut(&submitted.key).unwrap();
            match submitted.meaning {
                Meaning::Append(end) => {
                    log.journal_wrote(end, progress.position);
                }
                Meaning::Truncate => log.truncation_wrote(),
                Meaning::Again(_) => drop(self.again_at.entry(submitted.key).or_insert(progress.position)),
                _ => {}
            }
        }
        self.written = up_to;
        self.written_at = progress.position;
        true
    }

    fn journal_sync(&mut self) -> bool {
        let now = self.now;
        let Some(file) = self.opened().journal.next_sync() else { return false };
        file.sync().unwrap();
        let progress = self.opened().journal.synced::<String>(now, Ok(())).unwrap();
        let up_to = self.first + progress.shards[0].1 as usize;
        while self.synced < up_to {
            let Submitted { key, meaning, .. } = self.in_flight.pop_front().unwrap();
            self.synced += 1;
            let log = self.logs.get_mut(&key).unwrap();
            match meaning {
                Meaning::Append(end) => drop(log.journal_synced(end)),
                Meaning::Again(Some(end)) => {
                    if let Some(position) = self.again_at.remove(&key) {
                        log.journal_moved(end, position);
                    }
                }
                Meaning::LogStart(offset) => log.log_start_synced(offset),
                Meaning::Truncate => {
                    log.truncation_synced();
                    if let Some(cut) = log.next_cut() {
                        let state = cut.run(&*self.files, &self.open).unwrap();
                        log.cut_done(state);
                    }
                }
                Meaning::Again(None) | Meaning::Other => {}
            }
        }
        true
    }

    fn grow(&mut self) {
        let Some((id, bytes)) = self.opened().journal.next_growth() else { return };
        let journal = Path::new(DIRECTORY).join(directory::JOURNAL);
        let file = directory::add_ring_file(self.files.as_ref(), &journal, id, bytes).unwrap();
        self.opened().journal.grown(file);
    }

    fn segment_write(&mut self, partition: u8) {
        if let Some(write) = self.log(partition).next_write() {
            write.run(&*self.files, &self.open).unwrap();
            self.log(partition).wrote(&write);
        }
    }

    fn segment_sync(&mut self, partition: u8) {
        if let Some(sync) = self.log(partition).next_sync() {
            sync.run(&*self.files, &self.open).unwrap();
            self.log(partition).synced(&sync);
        }
    }

    fn truncate(&mut self, partition: u8, batches: u8) {
        let key = key(partition);
        let model = self.model(self.entries.len()).remove(&key).unwrap_or_default();
        let skip = usize::from(batches % 6);
        let Some((end, _)) = model.batches.iter().rev().nth(skip).cloned() else { return };
        if self.log(partition).is_cutting() {
            return;
        }
        let epoch = self.log(partition).leader_epoch();
        let Some(entry) = self.log(partition).truncate_to(Offset(end), epoch) else { return };
        self.submit(entry, Meaning::Truncate);
        // What was cut is not sent again by this producer; another leader's producer goes on.
        self.last.remove(&key);
        self.bump_epoch();
    }

    /// A new leadership everywhere: producers begin anew as well.
    fn bump_epoch(&mut self) {
        self.epoch += 1;
        self.sequences.clear();
        for partition in 0..PARTITIONS {
            let epoch = LeaderEpoch(self.epoch);
            if let Some(entry) = self.log(partition).lead(epoch) {
                self.submit(entry, Meaning::Other);
            }
        }
    }

    fn tidy(&mut self, partition: u8) {
        if let Some(delete) = self.log(partition).next_delete() {
            let deleted = delete.run(&*self.files, &self.open).unwrap();
            if self.stamp.is_multiple_of(2) {
                deleted.remove(&*self.files).unwrap();
            }
        }
    }

    fn again(&mut self, partition: u8) {
        let key = key(partition);
        let is_again =
            |submitted: &Submitted| submitted.key == key && matches!(submitted.meaning, Meaning::Again(_));
        if self.in_flight.iter().any(is_again) {
            return;
        }
        let Some((entries, end)) = self.log(partition).again() else { return };
        let count = entries.len();
        for (index, entry) in entries.into_iter().enumerate() {
            self.submit(entry, Meaning::Again((index + 1 == count).then_some(end)));
        }
    }

    /// As the committer does it: the states are taken, then everything submitted so far is synced, then they count.
    fn checkpoint(&mut self) {
        self.opened().journal.watch(0);
        let changed: Vec<_> =
            self.logs.values_mut().filter_map(|log| log.take_changed().then(|| log.state())).collect();
        let waiting = self.in_flight.iter().skip(self.written - self.synced);
        let waits =
            |submitted: &Submitted| matches!(submitted.meaning, Meaning::Append(_) | Meaning::Again(_));
        // What is on its way to the journal lies behind everything that is there.
        let behind = waiting.filter(|submitted| waits(submitted)).map(|_| Position(self.written_at.0 + 1));
        let oldest = self.logs.values().filter_map(Log::oldest_needed).chain(behind).min();
        let total = self.entries.len();
        for _ in 0..1_000 {
            if self.synced == total {
                break;
            }
            if !(self.journal_write() | self.journal_sync()) {
                self.grow();
            }
        }
        assert_eq!(self.synced, total, "everything submitted can be synced");
        let as_of = self.opened().journal.watched(0).unwrap();
        let record = |state: &storage::PartitionState| {
            let mut bytes = Vec::new();
            state.encode(&mut bytes);
            Record { key: state.key, as_of, state: bytes.into() }
        };
        let changed = changed.iter().map(record).collect();
        let journal = &mut self.opened().journal;
        let behind = journal.mark_watched(0).unwrap();
        let mark = oldest.map_or(behind, |oldest| journal.mark_for(oldest));
        journal.unwatch();
        let known = journal.known(mark, None);
        let section = Section { known, clean: false, changed, removed: Vec::new() };
        let files = Arc::clone(&self.files);
        let opened = self.opened();
        let written = opened.checkpoint.write(files.as_ref(), section).unwrap();
        opened.checkpoint.done(written);
        opened.journal.release(&mark);
    }

    /// A sync fails: the directory is offline until the process starts again.
    fn fail_sync(&mut self) {
        self.disk.inject(Rule::next(OpKind::Sync, "/journal/", 1));
        let failed = match self.opened().journal.next_sync() {
            Some(file) => file.sync().is_err(),
            None => false,
        };
        self.disk.clear_rules();
        if failed {
            self.disk.crash();
            self.recover(self.synced);
        }
    }

    fn read(&self, log: &Log, offset: i64, limit: Offset, bytes: usize) -> Bytes {
        match log.read(Offset(offset), limit, bytes, true).unwrap() {
            ReadPlan::Now(records) => records.to_bytes().unwrap(),
            ReadPlan::Cold(cold) => {
                let region = cold.run(&*self.files, &self.open).unwrap();
                let mut bytes = vec![0; region.len];
                assert_eq!(region.file.read_at(&mut bytes, region.position).unwrap(), region.len);
                Bytes::from(bytes)
            }
        }
    }

    fn check_read(&mut self, partition: u8, at: u8, bytes: u16) {
        let model = self.model(self.entries.len()).remove(&key(partition)).unwrap_or_default();
        let log = &self.logs[&key(partition)];
        // A new start counts once it is synced.
        let synced = self.model(self.synced).remove(&key(partition)).unwrap_or_default();
        let start = model.start.min(synced.start);
        assert_eq!((log.log_start().0, log.log_end().0), (start, model.end));
        let offset = model.start + i64::from(at) % (model.end - model.start + 1);
        let limit = log.high_watermark();
        let got = self.read(log, offset, limit, usize::from(bytes));
        let from = model.batches.iter().rposition(|(base, _)| *base <= offset).unwrap_or(0);
        let mut all = Vec::new();
        for (_, batch) in &model.batches[from.min(model.batches.len())..] {
            if all.len() >= got.len() {
                break;
            }
            all.extend_from_slice(batch);
        }
        assert_eq!(got, all, "from {offset} on");
        assert_eq!(got.is_empty(), offset >= limit.0, "from {offset} on, up to {limit}");
    }

    /// After a crash at least the first `kept` entries count; the model forgets those that did not make it.
    fn recover(&mut self, kept: usize) {
        self.start();
        let found = self.found();
        // A second crash before anything was written changes nothing.
        self.disk.crash();
        self.start();
        assert_eq!(self.found(), found, "recovered twice");
        let total = self.entries.len();
        let Some(count) = (kept..=total).rev().find(|count| self.model(*count) == found) else {
            panic!(
                "of {total} entries no number from {kept} on gives\n{found:?}\nbut {kept} give\n{:?}",
                self.model(kept)
            );
        };
        self.entries.truncate(count);
        (self.first, self.written, self.synced) = (count, count, count);
        self.in_flight.clear();
        self.again_at.clear();
        self.written_at = Position(0);
        self.check_producers(&found);
        for partition in 0..PARTITIONS {
            if !self.logs.contains_key(&key(partition)) {
                let dir = Path::new(DIRECTORY);
                let (log, entry) =
                    Log::create(key(partition), Arc::from("t"), dir, self.config.clone(), 0, 0);
                self.logs.insert(key(partition), log);
                self.submit(entry, Meaning::Other);
            }
        }
        self.bump_epoch();
    }

    fn start(&mut self) {
        self.opened = None;
        self.files = self.disk.files();
        self.open = OpenFiles::new(4);
        self.logs.clear();
        let options = Options {
            bytes_max: 512 << 10,
            file_bytes_min: 64 << 10,
            file_bytes_max: 128 << 10,
            round_bytes: 16 << 10,
            unsynced_bytes_max: 64 << 10,
            spacing: Duration::ZERO,
        };
        let path = PathBuf::from(DIRECTORY);
        let mut opened = directory::open(&*self.files, &path, options, Uuid::from_bytes([9; 16])).unwrap();
        for partition in std::mem::take(&mut opened.partitions) {
            assert!(partition.damage.is_none(), "{:?}", partition.damage);
            let key = partition.state.key;
            let found = recover(&*self.files, &self.open, &path, partition.state, partition.entries).unwrap();
            self.logs.insert(key, Log::open(found, self.config.clone(), 0, 0));
        }
        self.opened = Some(opened);
    }

    /// The logs as they can be read.
    fn found(&self) -> BTreeMap<PartitionKey, Model> {
        let read_all = |log: &Log| {
            let (start, end) = (log.log_start().0, log.log_end().0);
            let (mut batches, mut offset) = (Vec::new(), start);
            while offset < end {
                let mut bytes = self.read(log, offset, log.log_end(), 1_000);
                assert!(!bytes.is_empty(), "nothing at {offset} of {start}..{end}");
                while !bytes.is_empty() {
                    let size = bytes.len();
                    let whole = bytes.clone();
                    let batch = ValidBatch::split_from(&mut bytes).unwrap();
                    batches.push((batch.header().base_offset.0, whole.slice(..size - bytes.len())));
                    offset = batch.header().next_offset().0;
                }
            }
            Model { batches, start, end }
        };
        self.logs.iter().map(|(key, log)| (*key, read_all(log))).collect()
    }

    /// What a producer sent last is recognised, if it survived, and is not if it did not.
    fn check_producers(&mut self, found: &BTreeMap<PartitionKey, Model>) {
        for (key, (batch, base)) in std::mem::take(&mut self.last) {
            let is_it = |(_, bytes): &(i64, Bytes)| bytes[16..] == batch.rest()[..];
            let survived = found.get(&key).is_some_and(|model| model.batches.iter().any(is_it));
            let Some(log) = self.logs.get_mut(&key) else { continue };
            log.lead(LeaderEpoch(self.epoch));
            if survived {
                let outcome = log.append(batch, 0, 0).unwrap();
                let Outcome::Duplicate { base_offset, .. } = outcome else { panic!("{outcome:?}") };
                assert_eq!(base_offset.0, base, "the original's offset");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn acknowledged_records_survive(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..250)) {
        let mut world = World::new(seed);
        for step in &steps {
            world.run(step);
        }
        world.disk.crash();
        world.recover(world.synced);
    }
}
