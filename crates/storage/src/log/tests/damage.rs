//! One flipped bit, wherever it is in the files of a log: every answer is right or an error.

use std::collections::BTreeSet;

use super::*;
use crate::clean::{self, Cleaning};
use crate::segment::names::segment_file;

/// What a reader may ask, and what it is answered.
#[derive(Debug, PartialEq, Eq)]
struct Answers {
    /// From each offset on, for a few hundred bytes and for many.
    fetched: Vec<Result<Bytes, String>>,
    /// The first record at or after each time.
    found: Vec<Result<Option<(i64, i64)>, String>>,
}

const TIMES: std::ops::Range<i64> = 995..1050;

fn keyed(key: i64, timestamps: &[i64]) -> ValidBatch {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for timestamp in timestamps {
        let key = key.to_be_bytes();
        let record = NewRecord {
            timestamp: *timestamp,
            key: Some(&key),
            value: Some(&[7; 20]),
            ..NewRecord::default()
        };
        builder.append(&record).expect("it fits");
    }
    builder.build_valid().expect("it is not empty")
}

impl Bench {
    /// In several epochs, with times that go up and down.
    fn fill(&mut self, batches: std::ops::Range<usize>) {
        for n in batches {
            let (number, at) = (n as i64, 1000 + (n + n * 5 % 11) as i64);
            if n % 7 == 3 {
                let epoch = self.log.leader_epoch();
                let entry = self.log.lead(LeaderEpoch(epoch.0 + 1)).expect("a later epoch");
                self.submit(entry);
            }
            self.append(keyed([number, 0, 0, 0, number][n % 5], &[at, at + 1, at][..1 + n % 3]));
        }
    }

    fn compact(&mut self) {
        let dirtiness = self.log.dirtiness(i64::MAX).expect("there is something to compact");
        let options = clean::Options { map_bytes_max: 100_000, secret: [1, 2], disk_reserve_bytes: 0 };
        let mut cleaning = Cleaning::new(self.log.plan_cleaning(dirtiness, 0), options);
        loop {
            match cleaning.step(&*self.files).expect("nothing is damaged") {
                clean::Step::Partly { .. } => {}
                clean::Step::Replace(replacement) => {
                    self.log.replace(&replacement).expect("nothing has changed");
                    self.log.take_state().expect("a replacement");
                    self.log.checkpointed();
                    let swap = self.log.next_swap().expect("a replacement");
                    swap.run(&*self.files, &self.open).expect("the disk works");
                    self.log.swapped();
                }
                clean::Step::Done { cleaned } => return self.log.set_cleaned(cleaned),
            }
        }
    }

    fn fetch(&self, offset: i64, bytes_max: usize) -> Result<Bytes, String> {
        let limits =
            ReadLimits { end: self.log.high_watermark(), bytes_max, at_least_one: true, from_file: true };
        match self.log.read(Offset(offset), limits).expect("it is in range") {
            ReadPlan::Now { records, .. } => Ok(records.to_bytes().expect("it is in memory")),
            ReadPlan::Damaged(facts) => panic!("damaged in memory: {facts:?}"),
            ReadPlan::Cold(cold) => {
                let region = cold.run(&*self.files, &self.open).map_err(|error| {
                    assert!(DamagedSegment::of(&error).is_some(), "{error}");
                    error.to_string()
                })?;
                if let Some(next) = region.goes_on_at {
                    return self.fetch(next.0, bytes_max);
                }
                let mut bytes = vec![0; region.len];
                assert_eq!(
                    region.file.read_at(&mut bytes, region.position).expect("the disk works"),
                    region.len
                );
                Ok(Bytes::from(bytes))
            }
        }
    }

    /// About the offsets of a segment and those beside it.
    fn answers(&self, segment: &SealedSegment) -> Answers {
        let offsets = (segment.base.0 - 1).max(0)..(segment.end.0 + 1).min(self.log.high_watermark().0);
        let fetched =
            offsets.flat_map(|offset| [self.fetch(offset, 200), self.fetch(offset, 10_000)]).collect();
        let find = |timestamp_ms| match self.log.find(timestamp_ms) {
            Search::InMemory => Ok(None),
            Search::Cold(search) => match search.run(&*self.files, &self.open) {
                Ok(found) => Ok(found.map(|found| (found.offset.0, found.timestamp_ms))),
                Err(error) => {
                    assert!(DamagedSegment::of(&error).is_some(), "{error}");
                    Err(error.to_string())
                }
            },
        };
        Answers { fetched, found: TIMES.step_by(4).map(find).collect() }
    }

    fn scrub_all(&mut self) -> BTreeSet<Offset> {
        let (mut behind, mut found) = (None, BTreeSet::new());
        while let Some(scrub) = self.log.next_scrub(behind) {
            let base = scrub.base();
            behind = Some(base);
            if let Scrubbed::Damaged(damage) = scrub.run(&*self.files, u64::MAX).expect("the disk works").1 {
                self.log.suspect(base, damage.unplaced);
                found.insert(base);
            }
        }
        found
    }

    fn bytes_of(&self, path: &Path) -> Vec<u8> {
        self.files.read(path, 1 << 20).expect("it is there")
    }

    fn put(&self, path: &Path, bytes: &[u8]) {
        self.open.forget(path);
        self.files.replace(path, bytes).expect("the disk works");
    }
}

/// A log with compacted segments, in which there are gaps, other closed ones, and an open one.
fn example() -> Bench {
    let config = LogConfig {
        segment_bytes: 600,
        index_interval_bytes: 100,
        cleanup_policy: CleanupPolicy { delete: false, compact: true },
        min_cleanable_dirty_ppm: 0,
        ..LogConfig::default()
    };
    let mut bench = Bench::new(config);
    bench.fill(0..20);
    bench.flush();
    bench.compact();
    bench.fill(20..31);
    bench.flush();
    bench.evict();
    bench
}

/// Which bits of a file are flipped: all of what says where a batch belongs, and one of every third other byte.
fn bits(kind: FileKind, bytes: &[u8]) -> Vec<(usize, u8)> {
    let mut heads = vec![false; bytes.len()];
    let mut at = 0;
    while let Ok(header) = BatchHeader::parse(&bytes[at..]) {
        [0..16, 25..27, 40..43].into_iter().flatten().for_each(|byte| heads[at + byte] = true);
        at += header.size();
    }
    let all = |at: usize| kind != FileKind::Log || heads[at];
    (0..bytes.len())
        .flat_map(|at| {
            (0..8_u8)
                .filter(move |bit| all(at) || at % 3 == 0 && usize::from(*bit) == at / 3 % 8)
                .map(move |bit| (at, bit))
        })
        .collect()
}

fn assert_right(answers: &Answers, truth: &Answers, name: &str) {
    for (got, right) in answers.fetched.iter().zip(&truth.fetched) {
        let right = right.as_ref().expect("it was whole");
        // A read ends in front of damage.
        let is_right = |got: &Bytes| right.starts_with(got) && (got.is_empty() == right.is_empty());
        assert!(got.as_ref().map_or(true, is_right), "{name}: {got:?} is not {right:?}");
    }
    for ((got, right), timestamp) in answers.found.iter().zip(&truth.found).zip(TIMES.step_by(4)) {
        let right = right.as_ref().expect("it was whole");
        assert!(
            got.as_ref().map_or(true, |got| got == right),
            "{name}: {got:?} is not {right:?} for {timestamp}"
        );
    }
}

/// Whether a batch that says another offset of itself could be there, as far as its neighbours tell: in a gap.
fn hides(whole: &[u8], damaged: &[u8], segment: &SealedSegment) -> bool {
    let headers = |mut bytes: &[u8]| {
        let mut headers = Vec::new();
        while let Ok(header) = BatchHeader::parse(bytes) {
            headers.push(header);
            bytes = bytes.get(header.size()..).unwrap_or_default();
        }
        headers
    };
    let (whole, damaged) = (headers(whole), headers(damaged));
    let is_same = |(whole, damaged): (&BatchHeader, &BatchHeader)| {
        BatchHeader { base_offset: whole.base_offset, ..*damaged } == *whole
    };
    let ends = [segment.base].into_iter().chain(damaged.iter().map(BatchHeader::next_offset));
    let begins = damaged.iter().map(|header| header.base_offset).chain([segment.end]);
    let is_moved =
        whole != damaged && whole.len() == damaged.len() && whole.iter().zip(&damaged).all(is_same);
    is_moved && ends.zip(begins).all(|(end, begin)| end <= begin)
}

/// Also of the open segment, of which a start has found everything. What only the background check can find is an offset that
/// has moved within a gap that compaction has left.
#[test]
fn a_flipped_bit_is_never_served() {
    let mut bench = example();
    bench.reopen();
    let open = SealedSegment::from(&bench.log.written);
    let closed: Vec<_> = bench.log.sealed.iter().copied().collect();
    assert!(
        bench.scrub_all().is_empty()
            && bench.log.cleaned() > closed[1].base
            && bench.log.cleaned() < open.base
    );
    let kinds = [FileKind::Log, FileKind::Index, FileKind::TimeIndex];
    let (mut flips, mut hidden) = (0, 0);
    for segment in [closed[1], closed[closed.len() - 1], open] {
        let truth = bench.answers(&segment);
        assert!(truth.fetched.iter().all(|bytes| bytes.as_ref().is_ok_and(|bytes| !bytes.is_empty())));
        assert!(truth.found.iter().all(Result::is_ok));
        let paths = kinds.map(|kind| segment_file(bench.log.dir(), segment.base, kind));
        let whole = paths.clone().map(|path| bench.bytes_of(&path));
        for (kind, (path, bytes)) in kinds.into_iter().zip(paths.iter().zip(&whole)) {
            for (at, bit) in bits(kind, bytes) {
                let name = format!("{} at {at} bit {bit}", path.display());
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                bench.put(path, &damaged);
                let answers = bench.answers(&segment);
                let is_log = kind == FileKind::Log;
                let is_hidden = is_log && hides(bytes, &damaged, &segment);
                if !is_hidden {
                    assert_right(&answers, &truth, &name);
                }
                let found = bench.scrub_all();
                assert_eq!(found.contains(&segment.base), is_log, "{name}: the check finds {found:?}");
                if is_log {
                    assert_right(&bench.answers(&segment), &truth, &name);
                }
                bench.log.suspects.clear();
                paths.iter().zip(&whole).for_each(|(path, whole)| bench.put(path, whole));
                flips += 1;
                hidden += usize::from(is_hidden);
            }
        }
        assert_eq!(bench.answers(&segment), truth);
    }
    assert!(flips > 1_000 && hidden > 0 && hidden < flips / 50, "{flips} flips, {hidden} hidden");
}

/// Fuzzing: entries of nobody's at the end of a time index, which grow as entries should. Two of them were believed, and what lies
/// in front of the batch that they name was not found.
#[test]
fn entries_that_name_no_batch_are_not_believed() {
    let bench = example();
    let segment = *bench.log.sealed.back().expect("a closed segment");
    let truth = bench.answers(&segment);
    let path = segment_file(bench.log.dir(), segment.base, FileKind::TimeIndex);
    let mut bytes = bench.bytes_of(&path);
    let delta = i32::try_from(segment.end - segment.base).unwrap();
    for (timestamp_ms, delta) in [(i64::MIN + 1, delta - 2), (i64::MIN + 2, delta - 1)] {
        bytes.extend_from_slice(&timestamp_ms.to_be_bytes());
        bytes.extend_from_slice(&delta.to_be_bytes());
    }
    bench.put(&path, &bytes);
    assert_eq!(bench.answers(&segment), truth);
}

/// Compaction reads every batch before it offers anything in the place of what it has read.
#[test]
fn a_flipped_bit_ends_a_compaction() {
    let bench = &mut example();
    let dirtiness = bench.log.dirtiness(i64::MAX).expect("there is something to compact");
    let plan = bench.log.plan_cleaning(dirtiness, 0);
    let options = clean::Options { map_bytes_max: 100_000, secret: [1, 2], disk_reserve_bytes: 0 };
    let pass = |offered: &mut Vec<Offset>| {
        let mut cleaning = Cleaning::new(plan.clone(), options);
        let error = loop {
            match cleaning.step(&*bench.files) {
                Ok(clean::Step::Partly { .. }) => {}
                Ok(clean::Step::Replace(replacement)) => {
                    offered.extend(replacement.sources.iter().map(|segment| segment.base));
                }
                Ok(clean::Step::Done { .. }) => break None,
                Err(error) => break Some(error.kind()),
            }
        };
        cleaning.abandon(&*bench.files).expect("the disk works");
        error
    };
    assert_eq!(pass(&mut Vec::new()), None);
    for segment in [&bench.log.sealed[1], &bench.log.sealed[bench.log.sealed.len() - 2]] {
        let path = segment_file(bench.log.dir(), segment.base, FileKind::Log);
        let whole = bench.bytes_of(&path);
        for (at, bit) in bits(FileKind::Log, &whole) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << bit;
            bench.put(&path, &damaged);
            let mut offered = Vec::new();
            let (name, ended) = (format!("{} at {at} bit {bit}", path.display()), pass(&mut offered));
            assert_eq!(ended, Some(std::io::ErrorKind::InvalidData), "{name}");
            assert!(!offered.contains(&segment.base), "{name}");
        }
        bench.put(&path, &whole);
    }
}
