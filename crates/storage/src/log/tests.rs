//! Tables on a log alone, with a journal that does at once what it is asked.

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
        while let Some(write) = self.log.next_write() {
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
        match self.log.read(Offset(offset), limit, bytes_max, at_least_one).expect("it is in range") {
            ReadPlan::Now(records) => records.to_bytes().expect("it is in memory"),
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
        let found = match self.log.find(timestamp_ms) {
            Search::Done(found) => found,
            Search::Cold(search) => search
                .run(&*self.files, &self.open)
                .expect("the disk works")
                .or_else(|| self.log.find_in_memory(timestamp_ms)),
        };
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

#[test]
fn reads_give_whole_batches_in_any_condition() {
    for config in [small_segments(), LogConfig::default()] {
        in_all_conditions(config, |name, bench| {
            let size = batch(&[0, 0]).size();
            assert_eq!(bench.read_all(), all_pairs(20), "{name}");
            assert_eq!(bench.read(7, size, false), [(6, 7)], "{name}");
            assert_eq!(bench.read(0, 2 * size + 1, false), [(0, 1), (2, 3)], "{name}");
            assert_eq!(bench.read(9, size - 1, false), [], "{name}");
            assert_eq!(bench.read(9, 0, true), [(8, 9)], "{name}");
            assert_eq!(bench.read(40, 1000, true), [], "{name}");
            let error = bench.log.read(Offset(41), Offset(41), 1, true).expect_err("behind the end");
            assert_eq!((error.start, error.end), (Offset(0), Offset(40)), "{name}");
        });
    }
}

#[test]
fn times_are_found_in_any_condition() {
    for config in [small_segments(), LogConfig::default()] {
        in_all_conditions(config, |name, bench| {
            for (timestamp_ms, found) in [
                (0, Some((0, 1000))),
                (1000, Some((0, 1000))),
                (1001, Some((1, 1010))),
                (1155, Some((16, 1160))),
                (1390, Some((39, 1390))),
                (1391, None),
            ] {
                assert_eq!(bench.find(timestamp_ms), found, "{name}: {timestamp_ms}");
            }
            assert_eq!(bench.log.max_timestamp_ms(), 1390, "{name}");
        });
    }
}

#[test]
fn unsynced_batches_are_not_read_on_synced_topics() {
    for (durability, high_watermark) in [(Durability::Synced, 0), (Durability::Buffered, 2)] {
        let mut bench = Bench::new(LogConfig { durability, ..LogConfig::default() });
        let outcome = bench.log.append(batch(&[5, 5]), 0, 0).expect("it is accepted");
        assert!(matches!(outcome, Outcome::Appended { base_offset: Offset(0), end: Offset(2), .. }));
        assert_eq!(bench.log.high_watermark(), Offset(0), "{durability:?}: it is only in memory");
        assert!(bench.log.next_write().is_none(), "{durability:?}: not before the journal has synced it");
        bench.log.journal_wrote(Offset(2), Position(9));
        assert_eq!(bench.log.high_watermark(), Offset(high_watermark), "{durability:?}");
        assert_eq!(bench.log.oldest_needed(), Some(Position(9)));
        let gained = bench.log.journal_synced(Offset(2));
        assert_eq!(gained > 0, durability == Durability::Synced);
        assert_eq!(bench.log.high_watermark(), Offset(2));
        bench.flush();
        assert_eq!(bench.log.oldest_needed(), None);
    }
}

fn idempotent(epoch: i16, sequence: i32) -> ValidBatch {
    let options = BatchOptions {
        producer_id: ProducerId(5),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: sequence,
        ..BatchOptions::default()
    };
    batch_of(options, &[1, 2], b"x")
}

#[test]
fn idempotence_survives_every_way_of_reopening() {
    let check = |bench: &mut Bench, name: &str| {
        assert_eq!(bench.append(idempotent(0, 8)), 8, "{name}: a duplicate has the original's offset");
        assert_eq!(bench.append(idempotent(0, 0)), 0, "{name}: five batches back");
        assert_eq!(bench.log.log_end(), Offset(10), "{name}");
        let gap = bench.log.append(idempotent(0, 14), 0, 0).expect_err("a gap");
        assert!(matches!(gap, AppendRefusal::OutOfOrderSequence { expected: 10, .. }), "{name}: {gap}");
    };
    for flush_after in [0, 3, 5] {
        let mut bench = Bench::new(small_segments());
        for n in 0..5 {
            if n == flush_after {
                bench.flush();
            }
            assert_eq!(bench.append(idempotent(0, n * 2)), i64::from(n) * 2);
        }
        check(&mut bench, "before");
        bench.reopen();
        check(&mut bench, &format!("reopened, flushed after {flush_after}"));
        bench.append(idempotent(1, 0));
        let old = bench.log.append(idempotent(0, 10), 0, 0).expect_err("an old epoch");
        assert!(matches!(old, AppendRefusal::OldProducerEpoch { current: 1, .. }), "{old}");
    }
}

#[test]
fn closed_segments_have_all_their_files() {
    let mut bench = filled(small_segments());
    bench.flush();
    let names = bench.names();
    let bases: Vec<_> = bench.log.state().sealed.iter().map(|segment| segment.base.0).collect();
    assert!(bases.len() > 2, "{names:?}");
    for base in bases {
        for suffix in ["log", "index", "timeindex"] {
            assert!(names.contains(&format!("{base:020}.{suffix}")), "{base} {suffix} in {names:?}");
        }
        assert!(base == 0 || names.contains(&format!("{base:020}.snapshot")), "{base} in {names:?}");
    }
    assert!(names.contains(&"leader-epoch-checkpoint".to_owned()));
    assert!(names.contains(&"partition.metadata".to_owned()));
}

#[test]
fn damaged_indexes_are_rebuilt() {
    for kind in [FileKind::Index, FileKind::TimeIndex] {
        let mut bench = filled(small_segments());
        bench.flush();
        bench.evict();
        let path = crate::segment::names::segment_file(bench.log.dir(), Offset(0), kind);
        let before = bench.files.read(&path, 1 << 20).expect("the index");
        assert!(!before.is_empty());
        bench.open.forget(&path);
        if kind == FileKind::Index {
            bench.files.replace(&path, &vec![9; before.len()]).expect("the disk works");
            assert_eq!(bench.read(13, 1, true), [(12, 13)]);
            // No entry pretends to be as low as the offset; one that is, is checked.
            let mut low = before.clone();
            low[7] = 1;
            bench.open.forget(&path);
            bench.files.replace(&path, &low).expect("the disk works");
        } else {
            bench.files.remove_file(&path).expect("the disk works");
        }
        assert_eq!(bench.read_all(), all_pairs(20));
        assert_eq!(bench.find(1155), Some((16, 1160)));
        if kind == FileKind::Index {
            assert_eq!(bench.files.read(&path, 1 << 20).expect("the index"), before);
        }
    }
}

#[test]
fn truncation_takes_a_suffix_for_good() {
    for flushed in [0, 5, 12, 20] {
        for end in [0, 2, 10, 24, 30, 38] {
            let name = format!("{flushed} flushed, cut at {end}");
            let mut bench = Bench::new(small_segments());
            for n in 0..20 {
                bench.append(batch(&[1000 + n, 1000 + n]));
                if n + 1 == flushed {
                    bench.flush();
                    bench.evict();
                }
            }
            let entry = bench.log.truncate_to(Offset(end), LeaderEpoch(1)).expect("there is something");
            bench.submit(entry);
            assert_eq!(bench.log.log_end(), Offset(end), "{name}");
            let mut crashed = bench.log.state();
            crashed.topic = Arc::from("flights");
            assert_eq!(bench.read_all(), all_pairs(end / 2), "{name}, files not cut");
            assert!(bench.log.next_cut().is_none(), "{name}: not before the journal has it");
            bench.log.truncation_wrote();
            bench.log.truncation_synced();
            if let Some(cut) = bench.log.next_cut() {
                let state = cut.run(&*bench.files, &bench.open).expect("the disk works");
                bench.log.cut_done(state);
            }
            assert_eq!(bench.log.log_end(), Offset(end), "{name}");
            assert_eq!(bench.read_all(), all_pairs(end / 2), "{name}");
            bench.append(batch(&[7, 7]));
            assert_eq!(bench.read_all(), all_pairs(end / 2 + 1), "{name}, and one more");
            bench.reopen();
            assert_eq!(bench.read_all(), all_pairs(end / 2 + 1), "{name}, reopened");
            bench.flush();
            bench.evict();
            bench.reopen();
            assert_eq!(bench.read_all(), all_pairs(end / 2 + 1), "{name}, flushed");
            assert_eq!(bench.find(7).map(|found| found.0), Some(0), "{name}");
        }
    }
}

#[test]
fn a_crash_between_truncation_and_cut_ends_in_the_same_log() {
    for end in [0, 10, 24, 38] {
        let mut bench = filled(small_segments());
        bench.flush();
        let entry = bench.log.truncate_to(Offset(end), LeaderEpoch(1)).expect("there is something");
        // The checkpoint is made before the files are cut; the entry may be gone from the ring by then.
        let state = bench.log.state();
        for entries in [vec![], vec![(Position(1), entry.body)]] {
            let open = OpenFiles::new(8);
            let found = recover(&*bench.files, &open, Path::new(DIR), state.clone(), entries).expect("whole");
            assert_eq!(found.log_end(), Offset(end));
            bench.log = Log::open(found, bench.config.clone(), 0, 0);
            bench.open = open;
            assert_eq!(bench.read_all(), all_pairs(end / 2), "cut at {end}");
        }
    }
}

/// The indexes of an open segment are not synced, so power loss may take entries in the middle. A search went by what was
/// left of one and overlooked records (simulator, family directories, seed 102).
#[test]
fn holes_in_an_index_are_found_at_the_start() {
    const FIRST_MS: i64 = 1_800_000_000_000;
    for (kind, entry_bytes) in [(FileKind::Index, 8), (FileKind::TimeIndex, 12)] {
        let mut bench = Bench::new(LogConfig { index_interval_bytes: 0, ..LogConfig::default() });
        for n in 0..100 {
            bench.append(batch(&[FIRST_MS + n]));
        }
        bench.flush();
        let path = crate::segment::names::segment_file(bench.log.dir(), Offset(0), kind);
        let file = bench.files.open(&path, host::OpenMode::WRITE).expect("an index");
        // A sector, which ends in the middle of an entry.
        file.write_at(&[vec![0; 40 * entry_bytes + 4].into()], 0).expect("the disk works");
        bench.reopen();
        bench.evict();
        for n in [0, 1, 30, 40, 41, 42, 70, 99] {
            assert_eq!(bench.find(FIRST_MS + n), Some((n, FIRST_MS + n)), "{kind:?}");
            assert_eq!(bench.read(n, 1, true), [(n, n)], "{kind:?}");
        }
    }
}

/// The segment that was the open one in the last checkpoint is closed, synced and deleted before the next: the partition
/// went offline at the next start, since a file was missing (simulator, family retention, seed 101).
#[test]
fn retention_may_overtake_the_checkpoint() {
    for (retention_bytes, start) in [(1500, 12), (0, 40)] {
        let none = LogConfig { retention_ms: None, ..small_segments() };
        let mut bench = Bench::new(LogConfig { retention_bytes: Some(retention_bytes), ..none });
        bench.append(batch(&[0, 1]));
        bench.flush();
        let checkpoint = bench.log.state();
        for n in 1..20 {
            bench.append(batch(&[n * 100, n * 100 + 1]));
            bench.flush();
        }
        let Some(Entry { body: Body::LogStart { offset }, .. }) = bench.log.retain(0) else {
            panic!("nothing")
        };
        bench.submit(Entry { key: key(), body: Body::LogStart { offset } });
        bench.log.log_start_synced(offset);
        bench.flush();
        let delete = bench.log.next_delete().expect("segments to delete");
        delete
            .run(&*bench.files, &bench.open)
            .and_then(|gone| gone.remove(&*bench.files))
            .expect("the disk works");
        bench.reopen_from(checkpoint);
        assert_eq!((bench.log.log_start(), bench.log.log_end()), (offset, Offset(40)));
        assert_eq!(offset, Offset(start));
        let pairs: Vec<_> = all_pairs(20).into_iter().filter(|(base, _)| *base >= offset.0).collect();
        assert_eq!(bench.read_all(), pairs);
        bench.flush();
        bench.evict();
        assert_eq!(bench.read_all(), pairs, "out of files");
    }
}

#[test]
fn retention_deletes_old_segments() {
    let none = LogConfig { retention_ms: None, ..small_segments() };
    for (name, config, now_ms, start) in [
        ("nothing", none.clone(), i64::MAX, 0),
        ("young", LogConfig { retention_ms: Some(500), ..none.clone() }, 1400, 0),
        ("all", LogConfig { retention_ms: Some(500), ..none.clone() }, 1_000_000, 40),
        ("size", LogConfig { retention_bytes: Some(1500), ..none.clone() }, 0, 12),
        (
            "compacted only",
            LogConfig {
                retention_ms: Some(1),
                cleanup_policy: CleanupPolicy { delete: false, compact: true },
                ..none
            },
            1_000_000,
            0,
        ),
    ] {
        let mut bench = filled(config);
        bench.flush();
        bench.evict();
        let entry = bench.log.retain(now_ms);
        assert!(bench.log.next_delete().is_none(), "{name}: not before the journal has it");
        if let Some(entry) = entry {
            let Body::LogStart { offset } = entry.body else { panic!("{entry:?}") };
            bench.submit(entry);
            bench.log.log_start_synced(offset);
        }
        let started = bench.log.log_start();
        assert_eq!(started, Offset(start), "{name}");
        bench.flush();
        if let Some(delete) = bench.log.next_delete() {
            let deleted = delete.run(&*bench.files, &bench.open).expect("the disk works");
            assert!(!deleted.is_empty(), "{name}");
            deleted.remove(&*bench.files).expect("the disk works");
        }
        let pairs: Vec<_> = all_pairs(20).into_iter().filter(|(base, _)| *base >= started.0).collect();
        assert_eq!(bench.read_all(), pairs, "{name}");
        bench.reopen();
        assert_eq!(bench.log.log_start(), started, "{name}");
        assert_eq!(bench.read_all(), pairs, "{name}, reopened");
        assert!(bench.log.read(started - 1, started, 1, true).is_err(), "{name}");
        assert_eq!(bench.append(batch(&[1])), 40, "{name}");
    }
}

#[test]
fn stragglers_are_written_again_at_the_head() {
    let mut bench = filled(LogConfig::default());
    let (entries, end) = bench.log.again().expect("all in memory");
    assert_eq!((entries.len(), end), (20, Offset(40)));
    bench.journal.clear();
    bench.append(batch(&[9, 9]));
    for entry in entries {
        bench.submit(entry);
    }
    bench.log.journal_moved(end, Position(5_000_000));
    assert_eq!(bench.log.oldest_needed(), Some(Position(0)), "the one that was not written again");
    bench.reopen();
    assert_eq!(bench.read_all(), all_pairs(21));
}

#[test]
fn missing_bytes_are_told_by_name() {
    let mut bench = filled(small_segments());
    bench.flush();
    let state = bench.log.state();
    let path = crate::segment::names::segment_file(bench.log.dir(), state.synced.base, FileKind::Log);
    let run = |bench: &Bench| recover(&*bench.files, &OpenFiles::new(8), Path::new(DIR), state.clone(), []);
    assert!(run(&bench).is_ok());
    bench.open.get(&*bench.files, &path).expect("open").set_len(10).expect("the disk works");
    let error = run(&bench).expect_err("bytes are missing").to_string();
    assert!(error.contains(path.to_str().expect("text")) && error.contains("10"), "{error}");
    bench.files.remove_file(&path).expect("the disk works");
    let error = run(&bench).expect_err("a file is missing").to_string();
    assert!(error.contains(path.to_str().expect("text")), "{error}");
}

#[test]
fn a_batch_carries_its_place() {
    let mut bench = Bench::new(LogConfig::default());
    bench.append(batch(&[5, 6, 7]));
    bench.log.lead(LeaderEpoch(4));
    bench.append(batch(&[8]));
    for condition in 0..2 {
        let bytes = bench.read_bytes(3, 1000, false);
        let header = BatchHeader::parse(&bytes).expect("a batch");
        assert_eq!(
            (header.base_offset, header.partition_leader_epoch),
            (Offset(3), LeaderEpoch(4)),
            "{condition}"
        );
        bench.flush();
        bench.evict();
    }
    let ends: Vec<_> =
        (0..5).map(|epoch| bench.log.epoch_end(LeaderEpoch(epoch)).map(|end| end.start.0)).collect();
    assert_eq!(ends, [Some(3), Some(3), Some(3), Some(3), Some(4)]);
}
