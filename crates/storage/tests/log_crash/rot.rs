//! One flipped bit in a log directory between two lives of the process, in whatever file: what the next one finds is right,
//! or it says that something is wrong.

use std::io;

use protocol::records::Batches;
use storage::epochs::EpochEntry;
use storage::log::{AbortedIn, Scrubbed, Search};

use super::model::Plain;
use super::transactions::committed;
use super::*;

/// Of each file, about so many bits. With 331, it took 50 s on a busy machine, and found nothing.
const BITS: usize = 14;

/// A partition as a reader sees it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    start: i64,
    end: i64,
    epochs: Vec<EpochEntry>,
    fetched: Vec<Result<Bytes, String>>,
    found: Vec<Result<Option<i64>, String>>,
    /// Up to where readers of committed records may read, and what they deliver.
    last_stable: i64,
    committed: Result<BTreeMap<i64, Plain>, String>,
    /// By the background check.
    damaged: usize,
}

/// What a life finds; why not, if it refuses the directory or a partition.
type Life = Result<BTreeMap<PartitionKey, Result<Seen, String>>, String>;

/// Segments, closed and open, compacted and not, several epochs, a truncation, and a journal that has more.
fn build() -> (BTreeMap<PathBuf, Vec<u8>>, BTreeMap<PartitionKey, i64>) {
    let append = |partition, n: u8| {
        let (slot, records, bytes) = (n % PRODUCERS, n % 3 + 1, u16::from(n % 7) * 20);
        match n % 5 {
            0 | 1 => Step::Append { partition, records, bytes },
            2 | 3 => Step::Transact { partition, slot, records, bytes },
            _ => Step::End { partition, slot: (n - 2) % PRODUCERS, commit: n.is_multiple_of(3) },
        }
    };
    let out = |partition| [Step::Write { partition }, Step::Sync { partition }];
    let mut world = World::new(7);
    let sync = |world: &mut World| {
        for _ in 0..20 {
            for step in [Step::Journal { sync: false }, Step::Journal { sync: true }, Step::Grow] {
                world.run(&step);
            }
        }
    };
    for n in 0..25 {
        world.run(&append(n % 2, n));
    }
    world.run(&Step::Compact { partition: 0, die_after: None });
    world.run(&Step::PowerLoss);
    for n in 25..45 {
        world.run(&append(n % 2, n));
    }
    sync(&mut world);
    world.run(&Step::Truncate { partition: 1, batches: 2 });
    sync(&mut world);
    out(0).iter().chain(&out(1)).for_each(|step| world.run(step));
    world.run(&Step::Checkpoint);
    for n in 45..50 {
        world.run(&append(n % 2, n));
        sync(&mut world);
    }
    out(0).iter().for_each(|step| world.run(step));
    world.run(&Step::Checkpoint);
    let ends = world.logs.iter().map(|(key, log)| (*key, log.log_end().0)).collect();
    world.run(&append(0, 50));
    world.run(&append(1, 51));
    sync(&mut world);
    world.opened = None;
    world.disk.crash();
    let files = world.disk.files();
    let listed = world.disk.list().into_iter();
    (listed.map(|(path, len)| (path.clone(), files.read(&path, len + 1).unwrap())).collect(), ends)
}

/// What a life finds on a disk with these files.
fn live(files: &BTreeMap<PathBuf, Vec<u8>>, config: &Arc<LogConfig>) -> Life {
    let disk = SimDisk::new(1);
    let there = disk.files();
    for (path, bytes) in files {
        there.create_dir_all(path.parent().unwrap()).unwrap();
        there.replace(path, bytes).unwrap();
    }
    let dir = Path::new(DIRECTORY);
    let id = Uuid::from_bytes([9; 16]);
    let mut opened =
        directory::open(&*there, dir, crash::options(), id).map_err(|error| error.to_string())?;
    let open = OpenFiles::new(4);
    let seen = std::mem::take(&mut opened.partitions).into_iter().map(|partition| {
        let key = partition.state.key;
        if let Some(damage) = partition.damage {
            return (key, Err(format!("{damage:?}")));
        }
        let found = recover(&*there, &open, dir, partition.state, partition.entries);
        (
            key,
            found
                .map(|found| see(Log::open(found, config.clone(), 0, 0), &*there, &open))
                .map_err(|error| error.to_string()),
        )
    });
    Ok(seen.collect())
}

/// After the background check of everything.
fn see(mut log: Log, files: &dyn Files, open: &OpenFiles) -> Seen {
    let (start, end) = (log.log_start().0, log.log_end().0);
    let (mut behind, mut damaged) = (None, 0);
    while let Some(scrub) = log.next_scrub(behind) {
        let base = scrub.base();
        behind = Some(base);
        if let Scrubbed::Damaged(damage) = scrub.run(files, u64::MAX).unwrap().1 {
            log.suspect(base, damage.unplaced);
            damaged += 1;
        }
    }
    Seen {
        start,
        end,
        epochs: log.epochs().entries().to_vec(),
        fetched: (start..end).map(|offset| fetch(&log, offset, files, open)).collect(),
        found: (0..520).step_by(13).map(|time| find(&log, time, files, open)).collect(),
        damaged,
        last_stable: log.last_stable_offset().0,
        committed: delivered(&log, files, open),
    }
}

/// What readers of committed records deliver.
fn delivered(log: &Log, files: &dyn Files, open: &OpenFiles) -> Result<BTreeMap<i64, Plain>, String> {
    let (start, end) = (log.log_start(), log.last_stable_offset());
    let aborted = match log.aborted_in(start, end) {
        AbortedIn::Known(known) => known,
        AbortedIn::Cold(search) => search.run(files).map_err(|error| error.to_string())?,
    };
    let (mut batches, mut offset) = (Vec::new(), start);
    while offset < end {
        let bytes = fetch_up_to(log, offset.0, end, files, open)?;
        let got: Vec<_> = Batches::new(bytes).map(Result::unwrap).collect();
        let Some(last) = got.last() else { break };
        offset = last.header().next_offset();
        batches.extend(got);
    }
    Ok(committed(&batches, &aborted, start.0))
}

fn fetch(log: &Log, offset: i64, files: &dyn Files, open: &OpenFiles) -> Result<Bytes, String> {
    fetch_up_to(log, offset, log.log_end(), files, open)
}

fn fetch_up_to(
    log: &Log,
    offset: i64,
    end: Offset,
    files: &dyn Files,
    open: &OpenFiles,
) -> Result<Bytes, String> {
    let limits = ReadLimits { end, bytes_max: 600, at_least_one: true, from_file: true };
    match log.read(Offset(offset), limits).unwrap() {
        ReadPlan::Now { records, .. } => Ok(records.to_bytes().unwrap()),
        ReadPlan::Damaged(facts) => panic!("damaged in memory: {facts:?}"),
        ReadPlan::Cold(cold) => {
            let region = cold.run(files, open).map_err(|error| error.to_string())?;
            if let Some(next) = region.goes_on_at {
                return fetch_up_to(log, next.0, end, files, open);
            }
            let mut bytes = vec![0; region.len];
            assert_eq!(region.file.read_at(&mut bytes, region.position).unwrap(), region.len);
            Ok(Bytes::from(bytes))
        }
    }
}

fn find(log: &Log, timestamp_ms: i64, files: &dyn Files, open: &OpenFiles) -> Result<Option<i64>, String> {
    let cold = match log.find(timestamp_ms) {
        Search::InMemory => Ok(None),
        Search::Cold(search) => search.run(files, open),
    };
    let found = cold
        .and_then(|found| found.map_or_else(|| log.find_in_memory(timestamp_ms), |found| Ok(Some(found))));
    found.map(|found| found.map(|found| found.offset.0)).map_err(|error: io::Error| error.to_string())
}

/// Whether a partition is what it was, as far as it answers at all.
fn assert_right(seen: &Seen, truth: &Seen, name: &str) {
    assert_eq!((seen.start, seen.end), (truth.start, truth.end), "{name}");
    assert_eq!(seen.epochs, truth.epochs, "{name}");
    let mut batches = BTreeMap::new();
    for bytes in &truth.fetched {
        for batch in Batches::new(bytes.clone().unwrap()).map(Result::unwrap) {
            batches.insert(batch.header().last_offset().0, batch);
        }
    }
    for (got, offset) in seen.fetched.iter().zip(seen.start..) {
        let Ok(got) = got else { continue };
        let mut got = Batches::new(got.clone()).map(Result::unwrap).peekable();
        assert_eq!(got.peek().is_some(), batches.range(offset..).next().is_some(), "{name}: at {offset}");
        let right = batches.range(offset..).map(|(_, batch)| batch);
        for (got, right) in got.zip(right) {
            let is_same = got.head() == right.head() && got.rest() == right.rest();
            assert!(is_same, "{name}: {got:?} is not {right:?} at {offset}");
        }
    }
    assert_eq!(seen.last_stable, truth.last_stable, "{name}");
    assert!(seen.committed.is_err() || seen.committed == truth.committed, "{name}");
    for (got, right) in seen.found.iter().zip(&truth.found) {
        assert!(got.is_err() || got == right, "{name}: {got:?} is not {right:?}");
    }
}

/// What the journal cannot tell from a torn end is damage to its very last round, nor the checkpoint to its last section: what
/// the two files say together must be right still, but for that round.
#[test]
fn a_flipped_bit_is_never_believed_by_a_start() {
    let (files, ends) = build();
    let config = World::new(7).config;
    let truth = live(&files, &config).unwrap();
    let truth: BTreeMap<_, _> = truth.into_iter().map(|(key, seen)| (key, seen.unwrap())).collect();
    assert!(truth.values().all(|seen| seen.damaged == 0 && seen.fetched.iter().all(Result::is_ok)));
    let (mut refused, mut damaged, mut torn, mut same, mut aborted) = (0, 0, 0, 0, 0);
    for (path, bytes) in &files {
        let live_bytes: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != 0 || at % 512 == 0).collect();
        let is_small = path.extension().is_some_and(|kind| kind == "txnindex");
        aborted += usize::from(is_small && !live_bytes.is_empty());
        let step = if is_small { 3 } else { (live_bytes.len() / BITS).max(1) };
        for at in live_bytes.into_iter().step_by(step) {
            let mut changed = files.clone();
            changed.get_mut(path).unwrap()[at] ^= 1 << (at % 8);
            let name = format!("{} at {at}", path.display());
            let life = match live(&changed, &config) {
                Ok(life) => life,
                Err(_) => {
                    refused += 1;
                    continue;
                }
            };
            assert!(life.keys().eq(truth.keys()), "{name}");
            for (key, seen) in &life {
                let Ok(seen) = seen else {
                    refused += 1;
                    continue;
                };
                let is_torn = path.starts_with("/data/logs/journal") && seen.end < truth[key].end;
                if is_torn {
                    assert!(seen.end >= ends[key], "{name}: {} of {}", seen.end, truth[key].end);
                    torn += 1;
                    continue;
                }
                assert_right(seen, &truth[key], &name);
                damaged += seen.damaged;
                same += usize::from(seen == &truth[key]);
            }
        }
    }
    assert!(aborted > 1, "indexes of aborted transactions");
    assert!(
        refused > 0 && damaged > 0 && same > 0,
        "{refused} refused, {damaged} damaged, {torn} torn, {same} the same"
    );
}
