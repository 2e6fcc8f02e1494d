//! Random appends, rolls, retention, compaction, truncations, failed syncs and crashes on a disk that loses and tears what was
//! not synced, against a model of each log that is a list of batches.
//!
//! What the model knows: the entries of the journal in their order. After a crash the logs must be what some number
//! of them gives, at least those that were synced (written, if only the process died): so every acknowledged record
//! survives, and nothing that was truncated or deleted comes back. Where a log was compacted, superseded records may be
//! missing, others not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod cleaning;
mod crash;
mod every;
mod model;
mod rot;
mod steps;
mod transactions;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use host::sim::{OpKind, Rule, SimDisk};
use host::{Files, Instant};
use proptest::prelude::*;
use protocol::Uuid;
use protocol::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TopicId};
use protocol::records::{BatchBuilder, BatchHeader, BatchOptions, NewRecord, ValidBatch, head};
use storage::checkpoint::{Record, Section};
use storage::clean::{self, Cleaning};
use storage::directory::{self, Opened};
use storage::journal::{Body, Entry, Options};
use storage::log::{Origin, Outcome, Reach, ReadLimits, ReadPlan, recover};
use storage::segment::OpenFiles;
use storage::{CleanupPolicy, Log, LogConfig, PartitionKey, Position};

use model::Model;
use transactions::PRODUCERS;

const DIRECTORY: &str = "/data/logs";
const PARTITIONS: u8 = 3;
const KEYS: u8 = 12;
/// Of what is written to a segment at once. Where batches are large, some of it is whole blocks that end within a batch.
const PIECE_BYTES: usize = 5_000;

#[derive(Clone, Debug)]
enum Step {
    Append { partition: u8, records: u8, bytes: u16 },
    Transact { partition: u8, slot: u8, records: u8, bytes: u16 },
    End { partition: u8, slot: u8, commit: bool },
    Transactions { partition: u8 },
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
    Clean { partition: u8, steps: u8 },
    Swap { partition: u8 },
    Compact { partition: u8, die_after: Option<u8> },
    SwapAndDie { partition: u8, after: u8 },
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
        14 => (partition(), 0..PRODUCERS, 1..4_u8, prop_oneof![8 => 0..120_u16, 1 => 0..700_u16]).prop_map(
            |(partition, slot, records, bytes)| Step::Transact { partition, slot, records, bytes }
        ),
        10 => (partition(), 0..PRODUCERS, any::<bool>())
            .prop_map(|(partition, slot, commit)| Step::End { partition, slot, commit }),
        4 => partition().prop_map(|partition| Step::Transactions { partition }),
        12 => any::<bool>().prop_map(|sync| Step::Journal { sync }),
        2 => Just(Step::Grow),
        8 => partition().prop_map(|partition| Step::Write { partition }),
        4 => partition().prop_map(|partition| Step::Sync { partition }),
        3 => partition().prop_map(|partition| Step::Evict { partition }),
        2 => (partition(), any::<u8>()).prop_map(|(partition, batches)| Step::Truncate { partition, batches }),
        1 => partition().prop_map(|partition| Step::Retain { partition }),
        1 => (partition(), any::<u8>()).prop_map(|(partition, by)| Step::StartAt { partition, by }),
        3 => partition().prop_map(|partition| Step::Tidy { partition }),
        1 => partition().prop_map(|partition| Step::Again { partition }),
        8 => (partition(), 1..40_u8).prop_map(|(partition, steps)| Step::Clean { partition, steps }),
        6 => (partition(), prop::option::weighted(0.3, 1..60_u8))
            .prop_map(|(partition, die_after)| Step::Compact { partition, die_after }),
        4 => partition().prop_map(|partition| Step::Swap { partition }),
        2 => (partition(), 1..12_u8).prop_map(|(partition, after)| Step::SwapAndDie { partition, after }),
        4 => Just(Step::Checkpoint),
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
    /// Everything is so many times as large.
    scale: u16,
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
    /// Passes that are not at their end.
    cleanings: BTreeMap<PartitionKey, Cleaning>,
    /// Of these, records that are superseded may be gone.
    cleaned: BTreeSet<PartitionKey>,
}

fn key(partition: u8) -> PartitionKey {
    PartitionKey { topic_id: TopicId(Uuid::from_bytes([3; 16])), partition: i32::from(partition) }
}

impl World {
    fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let files = disk.files();
        let scale = if seed.is_multiple_of(3) { 12 } else { 1 };
        let config = LogConfig {
            segment_bytes: 2_500 * u32::from(scale),
            index_interval_bytes: 300,
            retention_bytes: Some(4_000 * u64::from(scale)),
            retention_ms: None,
            cleanup_policy: CleanupPolicy { delete: true, compact: true },
            min_cleanable_dirty_ppm: 0,
            delete_retention_ms: 20,
            ..LogConfig::default()
        };
        let mut world = Self {
            disk,
            files,
            open: OpenFiles::new(4),
            opened: None,
            now: Instant(1),
            config: Arc::new(config),
            scale,
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
            cleanings: BTreeMap::new(),
            cleaned: BTreeSet::new(),
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
            Step::Transact { partition, slot, records, bytes } => {
                self.transact(partition, slot, records, bytes);
            }
            Step::End { partition, slot, commit } => self.end(partition, slot, commit),
            Step::Transactions { partition } => {
                let model = self.model(self.entries.len()).remove(&key(partition)).unwrap_or_default();
                self.check_transactions(&BTreeMap::from([(key(partition), model)]));
            }
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
            Step::Clean { partition, steps } => self.clean(partition, steps),
            Step::Compact { partition, die_after } => self.compact(partition, die_after),
            Step::Swap { partition } => self.swap(partition),
            Step::SwapAndDie { partition, after } => self.swap_and_die(partition, after),
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

/// A truncation to 7 left a segment with records up to 2, the rest of which had been compacted away, and readers at 3 got
/// nothing for ever, whatever was appended behind it.
#[test]
fn a_gap_at_the_end_of_the_open_segment_is_passed_over() {
    let steps = [
        Step::Append { partition: 0, records: 1, bytes: 0 },
        Step::Append { partition: 0, records: 1, bytes: 0 },
        Step::Append { partition: 0, records: 1, bytes: 0 },
        Step::Append { partition: 1, records: 1, bytes: 0 },
        Step::Append { partition: 0, records: 1, bytes: 0 },
        Step::Append { partition: 1, records: 1, bytes: 0 },
        Step::Append { partition: 1, records: 1, bytes: 0 },
        Step::Append { partition: 0, records: 1, bytes: 0 },
        Step::Journal { sync: false },
        Step::Append { partition: 0, records: 1, bytes: 0 },
        Step::Append { partition: 0, records: 1, bytes: 0 },
        Step::Append { partition: 1, records: 1, bytes: 0 },
        Step::StartAt { partition: 0, by: 13 },
        Step::Append { partition: 1, records: 1, bytes: 34 },
        Step::Truncate { partition: 2, batches: 198 },
        Step::Append { partition: 2, records: 3, bytes: 39 },
        Step::Append { partition: 1, records: 2, bytes: 47 },
        Step::Append { partition: 1, records: 1, bytes: 90 },
        Step::Append { partition: 2, records: 1, bytes: 56 },
        Step::Append { partition: 0, records: 2, bytes: 429 },
        Step::Append { partition: 0, records: 1, bytes: 109 },
        Step::Append { partition: 1, records: 2, bytes: 34 },
        Step::Append { partition: 0, records: 2, bytes: 99 },
        Step::Append { partition: 0, records: 3, bytes: 11 },
        Step::Compact { partition: 2, die_after: None },
        Step::PowerLoss,
        Step::PowerLoss,
        Step::Append { partition: 2, records: 3, bytes: 63 },
        Step::Append { partition: 0, records: 3, bytes: 327 },
        Step::Compact { partition: 0, die_after: None },
        Step::Truncate { partition: 0, batches: 154 },
        Step::Compact { partition: 0, die_after: None },
        Step::Append { partition: 0, records: 2, bytes: 45 },
        Step::Append { partition: 0, records: 2, bytes: 59 },
        Step::Compact { partition: 2, die_after: None },
    ];
    let mut world = World::new(2045160052831584629);
    for step in &steps {
        world.run(step);
    }
    world.disk.crash();
    world.recover(world.synced);
}
