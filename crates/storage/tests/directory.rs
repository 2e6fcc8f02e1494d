//! Log directories that somebody has damaged, locked or filled: the answer names the file and touches nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use host::sim::{CrashPolicy, OpKind, Rule, SimDisk};
use host::{Instant, OpenMode};
use protocol::Uuid;
use protocol::ids::{LeaderEpoch, Offset, TopicId};
use protocol::records::crc32c;
use storage::checkpoint::{Record, Section};
use storage::directory::{self, Opened};
use storage::journal::{Body, Entry, Options};
use storage::{Error, PartitionKey, PartitionState};

const DIRECTORY: &str = "/data";
const CHECKPOINT: &str = "/data/checkpoint";
const RING: &str = "/data/journal/00000000.ring";

fn options() -> Options {
    Options { file_bytes_min: 256 << 10, spacing: Duration::ZERO, ..Options::default() }
}

fn open(disk: &SimDisk) -> Result<Opened, Error> {
    directory::open(disk.files().as_ref(), Path::new(DIRECTORY), options(), Uuid::from_bytes([5; 16]))
}

fn key(partition: i32) -> PartitionKey {
    PartitionKey { topic_id: TopicId(Uuid::from_bytes([1; 16])), partition }
}

/// One entry, synced in a round of its own.
fn commit(opened: &mut Opened, seq: u64, key: PartitionKey, body: Body) {
    let journal = &mut opened.journal;
    journal.submit(0, seq, Entry { key, body });
    let write = journal.next_write(Instant(1)).expect("a round");
    write.file.write_at(&[write.bytes], write.offset).unwrap();
    journal.written::<String>(Ok(())).unwrap();
    journal.next_sync().expect("a sync").sync().unwrap();
    journal.synced::<String>(Instant(2), Ok(())).unwrap();
}

fn grow(disk: &SimDisk, opened: &mut Opened) {
    let (id, bytes) = opened.journal.next_growth().expect("a first file is wanted");
    let journal = Path::new(DIRECTORY).join(directory::JOURNAL);
    let file = directory::add_ring_file(disk.files().as_ref(), &journal, id, bytes).unwrap();
    opened.journal.grown(file);
}

fn create() -> Body {
    Body::Create { topic: Arc::from("t"), start_offset: Offset::ZERO }
}

fn append(offset: i64) -> Body {
    let mut batch = vec![7; 45 + usize::try_from(offset).unwrap() * 300];
    batch[7..11].fill(0);
    Body::Append { leader_epoch: LeaderEpoch(0), base_offset: Offset(offset), batch: batch.into() }
}

const ROUNDS: u64 = 20;

/// A directory with two partitions and twenty rounds, all synced.
fn filled(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    drop(fill(&disk));
    disk.crash();
    disk
}

fn fill(disk: &SimDisk) -> Opened {
    let mut opened = open(disk).unwrap();
    grow(disk, &mut opened);
    commit(&mut opened, 1, key(0), create());
    commit(&mut opened, 2, key(1), create());
    for seq in 3..=ROUNDS {
        let n = i64::try_from(seq).unwrap() - 3;
        commit(&mut opened, seq, key((n % 2) as i32), append(n / 2));
    }
    opened
}

/// A process that has failed to sync the names of its files ends. The next one finds them by those names, and counted on them: after
/// a power loss they were not there, and the rest was of no use.
#[test]
fn names_that_no_sync_has_made_durable_are_synced_by_the_next_start() {
    let failing = |path: &str| Rule::next(OpKind::SyncDir, path, 1);
    let disk = SimDisk::new(8);
    disk.faults(|faults| faults.crash = CrashPolicy::LoseAll);
    // Twice: of the directory itself, and of a file of its journal.
    disk.inject(failing("/data"));
    open(&disk).unwrap_err();
    let mut opened = open(&disk).unwrap();
    disk.inject(failing("/data/journal"));
    let (id, bytes) = opened.journal.next_growth().expect("a first file is wanted");
    let journal = Path::new(DIRECTORY).join(directory::JOURNAL);
    directory::add_ring_file(disk.files().as_ref(), &journal, id, bytes).unwrap_err();
    drop(opened);
    let mut opened = open(&disk).unwrap();
    commit(&mut opened, 1, key(0), create());
    commit(&mut opened, 2, key(0), append(0));
    drop(opened);
    disk.crash();
    assert_eq!(found(&open(&disk).unwrap()), [(1, false)]);
}

/// The first round of a file does not know of the last one before it if both were under way, and the file is neither
/// unused nor the one used longest ago then: the damaged round was taken for a torn tail and cut, with all behind it.
#[test]
fn a_damaged_round_is_missed_when_the_next_file_has_been_begun() {
    let disk = SimDisk::new(4);
    let mut opened = open(&disk).unwrap();
    let path = Path::new(DIRECTORY).join(directory::JOURNAL);
    for id in 0..5 {
        let file = directory::add_ring_file(disk.files().as_ref(), &path, id, 256 << 10).unwrap();
        opened.journal.grown(file);
    }
    // Four of these fill a file.
    let large = |seq: u64| {
        let mut batch = vec![7; 50_000];
        batch[7..11].fill(0);
        let crc = crc32c(&batch[5..]);
        batch[1..5].copy_from_slice(&crc.to_be_bytes());
        let base_offset = Offset(i64::try_from(seq).unwrap() - 2);
        Body::Append { leader_epoch: LeaderEpoch(0), base_offset, batch: batch.into() }
    };
    commit(&mut opened, 1, key(0), create());
    (2..=17).for_each(|seq| commit(&mut opened, seq, key(0), large(seq)));
    let mark = opened.journal.mark_head();
    let section = Section { known: opened.journal.known(mark, None), ..Section::default() };
    let written = opened.checkpoint.write(disk.files().as_ref(), section).unwrap();
    opened.checkpoint.done(written);
    opened.journal.release(&mark);

    (18..=20).for_each(|seq| commit(&mut opened, seq, key(0), large(seq)));
    let mut places = Vec::new();
    for seq in 21..=22 {
        opened.journal.submit(0, seq, Entry { key: key(0), body: large(seq) });
        let write = opened.journal.next_write(Instant(1)).expect("a round");
        write.file.write_at(&[write.bytes], write.offset).unwrap();
        opened.journal.written::<String>(Ok(())).unwrap();
        places.push(write.offset);
    }
    assert_eq!(places, [3 * 53_248, 0], "the last of a file, the first of the next");
    while let Some(file) = opened.journal.next_sync() {
        file.sync().unwrap();
        opened.journal.synced::<String>(Instant(2), Ok(())).unwrap();
    }
    commit(&mut opened, 23, key(0), large(23));
    drop(opened);
    disk.flip_bit(Path::new("/data/journal/00000004.ring"), places[0] + 70, 3).unwrap();
    let error = open(&disk).map(|opened| opened.found.cut).unwrap_err().to_string();
    assert!(error.contains("round 21 was synced and is not there"), "{error}");
}

/// How many entries each partition has, and whether it is damaged.
fn found(opened: &Opened) -> Vec<(usize, bool)> {
    opened.partitions.iter().map(|partition| (partition.entries.len(), partition.damage.is_some())).collect()
}

#[test]
fn everything_comes_back() {
    let opened = open(&filled(1)).unwrap();
    assert_eq!(found(&opened), [(9, false), (9, false)]);
    assert_eq!((opened.found.rounds, &opened.found.cut, opened.found.clean), (20, &None, false));
}

/// Fuzzing: the damaged entry was the one that creates a partition. The partition was not there, and nobody missed it: the
/// broker would have made it anew, empty.
#[test]
fn a_partition_whose_creation_is_damaged_is_offline() {
    let disk = SimDisk::new(1);
    let mut opened = fill(&disk);
    commit(&mut opened, ROUNDS + 1, key(2), create());
    commit(&mut opened, ROUNDS + 2, key(2), append(0));
    drop(opened);
    let places = |disk: &SimDisk| {
        let bytes = disk.files().read(Path::new(RING), 1 << 20).unwrap();
        let name_behind_the_head = |at: usize| bytes[at..at + 8] == *b"BournJ01" && bytes[at + 64 + 23] == 5;
        let places = (0..bytes.len()).step_by(4096).filter(|at| name_behind_the_head(*at));
        places.map(|at| at as u64 + 64 + 44).collect::<Vec<_>>()
    };
    disk.flip_bit(Path::new(RING), places(&disk)[2], 0).unwrap();
    let opened = open(&disk).unwrap();
    assert_eq!(found(&opened), [(9, false), (9, false), (0, true)]);
    assert_eq!(opened.partitions[2].state.key, key(2));

    // Deleted later, it is not missed.
    drop(opened);
    disk.flip_bit(Path::new(RING), places(&disk)[2], 0).unwrap();
    let mut opened = open(&disk).unwrap();
    commit(&mut opened, 1, key(2), Body::Delete);
    commit(&mut opened, 2, key(0), append(9));
    drop(opened);
    disk.flip_bit(Path::new(RING), places(&disk)[2], 0).unwrap();
    assert_eq!(found(&open(&disk).unwrap()), [(10, false), (9, false)]);
}

#[test]
fn a_flipped_bit_in_a_synced_round_is_never_overlooked() {
    let rounds = {
        let mut starts = vec![0_u64];
        for n in 0..ROUNDS {
            let payload = if n < 2 { 1 } else { 45 + (n - 2) / 2 * 300 };
            starts.push(starts[usize::try_from(n).unwrap()] + (64 + 44 + payload).next_multiple_of(4096));
        }
        starts
    };
    let (mut damaged, mut broken, mut cut) = (0, 0, 0);
    for seed in 0..400 {
        let disk = filled(9);
        let round = usize::try_from(seed * 7 % ROUNDS).unwrap();
        let offset = rounds[round] + seed * 13 % 160;
        disk.flip_bit(Path::new(RING), offset, (seed % 8) as u8).unwrap();
        match open(&disk) {
            Err(error @ Error::Damaged { .. }) => {
                assert!(error.to_string().contains(RING), "{error}");
                broken += 1;
            }
            Err(error) => panic!("{error}"),
            Ok(opened) => {
                let is_damaged = opened.partitions.iter().any(|partition| partition.damage.is_some());
                if let Some(cut_at) = &opened.found.cut {
                    assert_eq!((cut_at.round, round), (ROUNDS, 19), "only the last one may be a torn tail");
                    cut += 1;
                } else if is_damaged {
                    damaged += 1;
                } else if opened.found.rounds == ROUNDS {
                    assert_eq!(found(&opened), [(9, false), (9, false)], "padding");
                } else {
                    // Nothing is left of the last round's header.
                    assert_eq!((opened.found.rounds, round), (19, 19));
                }
            }
        }
    }
    assert!(damaged > 30 && broken > 100 && cut > 5, "{damaged} {broken} {cut}");
}

#[test]
fn missing_and_damaged_files_are_named() {
    let remove =
        |path: &'static str| move |disk: &SimDisk| disk.files().remove_file(Path::new(path)).unwrap();
    let truncate = |path: &'static str| {
        move |disk: &SimDisk| {
            let file = disk.files().open(Path::new(path), OpenMode::WRITE).unwrap();
            file.set_len(0).unwrap();
        }
    };
    // Bytes that somebody put in: all behind them is not where it was.
    let insert = |disk: &SimDisk| {
        let file = disk.files().open(Path::new(RING), OpenMode::WRITE).unwrap();
        let mut rest = vec![0; (256 << 10) - 40_000];
        file.read_at(&mut rest, 40_000).unwrap();
        file.write_at(&[vec![7; 36].into(), rest.into()], 40_000).unwrap();
    };
    let flip = |path: &'static str, offset: u64| {
        move |disk: &SimDisk| disk.flip_bit(Path::new(path), offset, 3).unwrap()
    };
    let other = |disk: &SimDisk| {
        let text = b"version=1\nnode.id=1\ncluster.id=x\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\n";
        disk.files().replace(Path::new("/data/meta.properties"), text).unwrap();
    };
    type Harm = Box<dyn Fn(&SimDisk)>;
    let cases: Vec<(&str, Harm)> = vec![
        ("/data/checkpoint: missing", Box::new(remove(CHECKPOINT))),
        ("/data/meta.properties: missing", Box::new(remove("/data/meta.properties"))),
        (
            "/data/journal: missing, although the log directory has been in use; restore it from a copy",
            Box::new(|disk| disk.files().remove_dir_all(Path::new("/data/journal")).unwrap()),
        ),
        ("00000000.ring: missing", Box::new(remove(RING))),
        ("00000000.ring: damaged", Box::new(truncate(RING))),
        ("00000000.ring: damaged at byte 262180: its length", Box::new(insert)),
        ("/data/checkpoint: damaged", Box::new(truncate(CHECKPOINT))),
        ("/data/checkpoint: damaged at byte 0", Box::new(flip(CHECKPOINT, 20))),
        ("/data/checkpoint: damaged at byte 512", Box::new(flip(CHECKPOINT, 530))),
        ("/data/meta.properties: layout version of another program", Box::new(other)),
    ];
    for (expected, harm) in cases {
        let disk = SimDisk::new(2);
        let mut opened = fill(&disk);
        // The section behind tells that the second one was there.
        let known = opened.journal.known(opened.journal.mark_for(storage::Position(200)), None);
        let section = Section { known, ..Section::default() };
        let written = opened.checkpoint.write(disk.files().as_ref(), section).unwrap();
        opened.checkpoint.done(written);
        drop(opened);
        harm(&disk);
        let error = open(&disk).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} should say {expected:?}");
    }
}

#[test]
fn a_torn_last_section_of_the_checkpoint_is_ignored() {
    let disk = filled(3);
    let path = Path::new(CHECKPOINT);
    let file = disk.files().open(path, OpenMode::WRITE).unwrap();
    let len = file.len().unwrap();
    let mut section = vec![0; 300];
    file.read_at(&mut section, 0).unwrap();
    file.write_at(&[section.into()], len).unwrap();
    drop(file);
    assert_eq!(found(&open(&disk).unwrap()), [(9, false), (9, false)]);
    assert_eq!(found(&open(&disk).unwrap()), [(9, false), (9, false)]);
}

#[test]
fn the_checkpoint_is_written_anew_when_changes_outweigh_it() {
    let disk = SimDisk::new(4);
    let mut opened = open(&disk).unwrap();
    let files = disk.files();
    let len = || files.open(Path::new(CHECKPOINT), OpenMode::READ).unwrap().len().unwrap();
    let mut largest = 0;
    for round in 0..400_u64 {
        let changed = (0..50).map(|partition| {
            let mut bytes = Vec::new();
            let topic = Arc::from(format!("topic-{round}"));
            PartitionState::empty(key(partition), topic).encode(&mut bytes);
            Record { key: key(partition), as_of: storage::Position(round), state: bytes.into() }
        });
        let removed = vec![key(i32::try_from(round % 50).unwrap())];
        let changed = changed.filter(|record| !removed.contains(&record.key)).collect();
        let section = Section {
            known: opened.journal.known(opened.journal.mark_head(), None),
            clean: false,
            changed,
            removed: removed.clone(),
        };
        let written = opened.checkpoint.write(files.as_ref(), section).unwrap();
        opened.checkpoint.done(written);
        largest = largest.max(len());
    }
    drop(opened);
    assert!(largest < (1 << 20) + (64 << 10), "the file grew to {largest} bytes");
    assert!(len() < largest, "it was written anew");
    let opened = open(&disk).unwrap();
    assert_eq!(opened.partitions.len(), 49);
    assert!(opened.partitions.iter().all(|partition| &*partition.state.topic == "topic-399"));
}

/// Its state was in the checkpoint, and its deletion in the journal only, when the process died. The next one did not say so in
/// its checkpoint, and with the journal the deletion was forgotten.
#[test]
fn a_partition_that_was_deleted_before_a_crash_does_not_come_back() {
    let disk = SimDisk::new(4);
    let mut opened = fill(&disk);
    let section = |opened: &mut Opened, changed: Vec<Record>| {
        let known = opened.journal.known(opened.journal.mark_head(), None);
        let section = Section { known, changed, ..Section::default() };
        let written = opened.checkpoint.write(&*disk.files(), section).unwrap();
        opened.checkpoint.done(written);
    };
    let state = |partition| {
        let mut bytes = Vec::new();
        PartitionState::empty(key(partition), Arc::from("t")).encode(&mut bytes);
        Record { key: key(partition), as_of: opened.journal.head(), state: bytes.into() }
    };
    let states = vec![state(0), state(1)];
    section(&mut opened, states);
    commit(&mut opened, ROUNDS + 1, key(0), Body::Delete);
    drop(opened);
    disk.crash();
    let keys = |opened: &Opened| -> Vec<PartitionKey> {
        opened.partitions.iter().map(|partition| partition.state.key).collect()
    };
    let mut opened = open(&disk).unwrap();
    assert_eq!(keys(&opened), [key(1)]);
    section(&mut opened, Vec::new());
    drop(opened);
    assert_eq!(keys(&open(&disk).unwrap()), [key(1)]);
}

#[test]
fn a_locked_directory_is_left_alone() {
    let disk = filled(5);
    let first = open(&disk).unwrap();
    let error = open(&disk).unwrap_err();
    assert!(matches!(&error, Error::Locked { path } if path == &PathBuf::from("/data/.lock")), "{error}");
    drop(first);
    open(&disk).unwrap();
}

#[test]
fn a_failure_at_any_step_names_a_file_and_costs_nothing() {
    let operations = |disk: &SimDisk| {
        let before = disk.operations();
        open(disk).unwrap();
        disk.operations() - before
    };
    for (fresh, kind) in [
        (true, io::ErrorKind::StorageFull),
        (true, io::ErrorKind::ReadOnlyFilesystem),
        (false, io::ErrorKind::ReadOnlyFilesystem),
        (false, io::ErrorKind::Other),
    ] {
        let make = |seed| if fresh { SimDisk::new(seed) } else { filled(seed) };
        let steps = operations(&make(6));
        let mut failures = 0;
        for op in [OpKind::Open, OpKind::CreateDir, OpKind::Write, OpKind::Sync, OpKind::Rename, OpKind::Read]
        {
            for skip in 0..steps {
                let disk = make(6);
                disk.inject(Rule { op, path: String::new(), skip, times: 1, error: kind });
                if let Err(error) = open(&disk) {
                    let text = error.to_string();
                    assert!(text.contains("/data"), "{text}");
                    assert_eq!(text.matches("injected by a rule").count(), 1, "{text}");
                    assert!(std::error::Error::source(&error).is_none(), "a chain would say it twice");
                    failures += 1;
                }
                disk.clear_rules();
                disk.crash();
                let expected: &[_] = if fresh { &[] } else { &[(9, false), (9, false)] };
                assert_eq!(found(&open(&disk).unwrap()), expected, "after {op:?} {skip} failed");
            }
        }
        assert!(failures > 5, "{failures}");
    }
}

/// Every start writes a section: with the block that the last one was in used up, it needed one of a full disk.
#[test]
fn a_directory_on_a_disk_that_is_full_is_opened_all_the_same() {
    let disk = filled(7);
    disk.faults(|faults| faults.quota_bytes = Some(1 << 30));
    drop(open(&disk).unwrap());
    let space = disk.files().space(Path::new(DIRECTORY)).unwrap();
    disk.faults(|faults| faults.quota_bytes = Some(space.total_bytes - space.available_bytes));
    for _ in 0..20 {
        assert_eq!(found(&open(&disk).unwrap()), [(9, false), (9, false)]);
    }
}
