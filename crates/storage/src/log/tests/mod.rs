//! Tables on a log alone, with a journal that does at once what it is asked.

mod damage;
mod ends;
mod files;
mod producers;
mod reads;
mod scrub;
mod transactions;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use host::Files;
use host::sim::SimDisk;
use protocol::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TopicId};
use protocol::records::{BatchBuilder, BatchHeader, BatchOptions, NewRecord, ValidBatch};

use super::*;
use crate::segment::OpenFiles;
use crate::segment::names::FileKind;
use crate::{CleanupPolicy, Durability};

const DIR: &str = "/data";

/// A log with its files and its journal.
struct Bench {
    files: Arc<dyn Files>,
    open: OpenFiles,
    config: Arc<LogConfig>,
    log: Log,
    journal: Vec<(Position, Body)>,
    now_ms: i64,
}

fn up_to(end: Offset, bytes_max: usize, at_least_one: bool) -> ReadLimits {
    ReadLimits { end, bytes_max, at_least_one, from_file: false }
}

fn key() -> PartitionKey {
    PartitionKey { topic_id: TopicId(protocol::Uuid::ONE), partition: 3 }
}

/// Records with the given timestamps.
fn batch(timestamps: &[i64]) -> ValidBatch {
    batch_of(BatchOptions::default(), timestamps, &[7; 40])
}

fn batch_of(options: BatchOptions, timestamps: &[i64], value: &[u8]) -> ValidBatch {
    let mut builder = BatchBuilder::new(options);
    for timestamp in timestamps {
        let record = NewRecord { timestamp: *timestamp, value: Some(value), ..NewRecord::default() };
        builder.append(&record).expect("it fits");
    }
    builder.build_valid().expect("it is not empty")
}

impl Bench {
    fn new(config: LogConfig) -> Self {
        let files = SimDisk::new(1).files();
        files.create_dir_all(Path::new(DIR)).expect("a directory");
        let config = Arc::new(config);
        let topic = Arc::from("flights");
        let (mut log, _) = Log::create(key(), topic, Path::new(DIR), config.clone(), 0, 0);
        log.lead(LeaderEpoch(0));
        Self { files, open: OpenFiles::new(8), config, log, journal: Vec::new(), now_ms: 0 }
    }

    /// Appends and syncs; returns the base offset.
    fn append(&mut self, batch: ValidBatch) -> i64 {
        match self.log.append(batch, 0, self.now_ms).expect("it is accepted") {
            Outcome::Appended { base_offset, end, entry, .. } => {
                let position = self.submit(entry);
                self.log.journal_wrote(end, position);
                self.log.journal_synced(end);
                base_offset.0
            }
            Outcome::Duplicate { base_offset, .. } => base_offset.0,
        }
    }

    fn submit(&mut self, entry: Entry) -> Position {
        let position = Position(self.journal.len() as u64 * 1000);
        self.journal.push((position, entry.body));
        position
    }

    /// Writes out and syncs everything.
    fn flush(&mut self) {
        while let Some(write) = self.log.next_write(Reach::Everything) {
            write.run(&*self.files, &self.open).expect("the disk works");
            self.log.wrote(&write);
        }
        if let Some(sync) = self.log.next_sync() {
            sync.run(&*self.files, &self.open).expect("the disk works");
            self.log.synced(&sync);
        }
    }

    fn evict(&mut self) {
        while self.log.evict_one() > 0 {}
    }

    fn reopen(&mut self) {
        self.reopen_from(self.log.state());
    }

    /// As after a crash whose last checkpoint held `state`.
    fn reopen_from(&mut self, state: PartitionState) {
        let entries = self.journal.clone();
        let open = OpenFiles::new(8);
        let found = recover(&*self.files, &open, Path::new(DIR), state, entries).expect("nothing is missing");
        self.log = Log::open(found, self.config.clone(), 0, self.now_ms);
        let epoch = self.log.epochs().latest().map_or(0, |epoch| epoch.0 + 1);
        if let Some(entry) = self.log.lead(LeaderEpoch(epoch)) {
            self.submit(entry);
        }
        self.open = open;
    }

    fn read_bytes(&self, offset: i64, bytes_max: usize, at_least_one: bool) -> Bytes {
        let limit = self.log.high_watermark();
        match self.log.read(Offset(offset), up_to(limit, bytes_max, at_least_one)).expect("it is in range") {
            ReadPlan::Now { records, .. } => records.to_bytes().expect("it is in memory"),
            ReadPlan::Damaged(facts) => panic!("damaged in memory: {facts:?}"),
            ReadPlan::Cold(cold) => {
                let region = cold.run(&*self.files, &self.open).expect("the disk works");
                let mut bytes = vec![0; region.len];
                assert_eq!(
                    region.file.read_at(&mut bytes, region.position).expect("the disk works"),
                    region.len
                );
                Bytes::from(bytes)
            }
        }
    }

    /// First and last offsets of the batches that a read answers.
    fn read(&self, offset: i64, bytes_max: usize, at_least_one: bool) -> Vec<(i64, i64)> {
        let mut bytes = self.read_bytes(offset, bytes_max, at_least_one);
        let mut batches = Vec::new();
        while !bytes.is_empty() {
            let batch = ValidBatch::split_from(&mut bytes).expect("whole batches");
            batches.push((batch.header().base_offset.0, batch.header().last_offset().0));
        }
        batches
    }

    /// All batches, read as a consumer does.
    fn read_all(&self) -> Vec<(i64, i64)> {
        let mut all = Vec::new();
        let mut offset = self.log.log_start().0;
        while offset < self.log.high_watermark().0 {
            let some = self.read(offset, 300, true);
            offset = some.last().expect("there is more").1 + 1;
            all.extend(some);
        }
        all
    }

    fn find(&self, timestamp_ms: i64) -> Option<(i64, i64)> {
        let cold = match self.log.find(timestamp_ms) {
            Search::InMemory => None,
            Search::Cold(search) => search.run(&*self.files, &self.open).expect("the disk works"),
        };
        let found = cold.or_else(|| self.log.find_in_memory(timestamp_ms).expect("memory is whole"));
        found.map(|found| (found.offset.0, found.timestamp_ms))
    }

    fn names(&self) -> Vec<String> {
        let entries = self.files.read_dir(self.log.dir()).expect("a directory");
        entries.into_iter().map(|entry| entry.name).collect()
    }
}

fn small_segments() -> LogConfig {
    LogConfig { segment_bytes: 1000, index_interval_bytes: 150, ..LogConfig::default() }
}

/// Twenty batches of two records, timestamps 1000, 1010, ...
fn filled(config: LogConfig) -> Bench {
    let mut bench = Bench::new(config);
    for n in 0..20 {
        bench.append(batch(&[1000 + n * 20, 1010 + n * 20]));
    }
    bench
}

fn all_pairs(count: i64) -> Vec<(i64, i64)> {
    (0..count).map(|n| (n * 2, n * 2 + 1)).collect()
}

/// Does `check` in every condition in which the same log can be.
fn in_all_conditions(config: LogConfig, check: impl Fn(&str, &mut Bench)) {
    let mut bench = filled(config);
    check("in memory", &mut bench);
    bench.flush();
    check("written and in memory", &mut bench);
    bench.evict();
    check("in files", &mut bench);
    bench.reopen();
    check("reopened out of segments", &mut bench);
    let mut bench = filled(config_of(&bench));
    bench.reopen();
    check("reopened out of the journal", &mut bench);
    let mut bench = Bench::new(config_of(&bench));
    for n in 0..20 {
        bench.append(batch(&[1000 + n * 20, 1010 + n * 20]));
        if n == 9 {
            bench.flush();
            bench.evict();
        }
    }
    check("half in files", &mut bench);
    bench.reopen();
    check("half out of the journal", &mut bench);
    bench.flush();
    bench.evict();
    bench.reopen();
    check("in files again", &mut bench);
}

fn config_of(bench: &Bench) -> LogConfig {
    (*bench.config).clone()
}
