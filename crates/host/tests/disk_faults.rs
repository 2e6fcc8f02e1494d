//! What a simulated disk keeps, loses and tears.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use bytes::Bytes;
use host::disk::FileRef;
use host::sim::{CrashPolicy, Failing, Faults, OpKind, Rule, SimDisk, Strike};
use host::{Op, OpenMode};

const SEEDS: u64 = 200;

fn path(name: &str) -> &Path {
    Path::new(name)
}

/// A disk with one durable file of `len` bytes of `fill`.
fn disk_with(seed: u64, len: usize, fill: u8) -> (SimDisk, FileRef) {
    let disk = SimDisk::new(seed);
    let files = disk.files();
    let file = files.open(path("file"), OpenMode::CREATE).unwrap();
    file.write_at(&[Bytes::from(vec![fill; len])], 0).unwrap();
    file.sync().unwrap();
    files.sync_dir(path("/")).unwrap();
    (disk, file)
}

fn write(file: &FileRef, offset: u64, len: usize, fill: u8) {
    file.write_at(&[Bytes::from(vec![fill; len])], offset).unwrap();
}

fn content(disk: &SimDisk, name: &str) -> Vec<u8> {
    disk.files().read(path(name), 1 << 30).unwrap()
}

#[test]
fn synced_bytes_survive_and_others_take_every_fate() {
    let (mut kept, mut lost, mut torn, mut mixed) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let (disk, file) = disk_with(seed, 8192, 1);
        write(&file, 0, 2048, 2);
        write(&file, 4096, 2048, 3);
        disk.crash();
        let content = content(&disk, "file");
        assert_eq!(content.len(), 8192);
        assert!(content[2048..4096].iter().chain(&content[6144..]).all(|byte| *byte == 1));
        let sectors = |range: std::ops::Range<usize>, new: u8| {
            let chunks = content[range].chunks(512);
            chunks
                .map(|sector| {
                    assert!(sector == [1; 512] || sector == [new; 512], "a sector is torn, seed {seed}");
                    usize::from(sector[0] == new)
                })
                .sum::<usize>()
        };
        match (sectors(0..2048, 2), sectors(4096..6144, 3)) {
            (4, 4) => kept += 1,
            (0, 0) => lost += 1,
            (0, 4) => mixed += 1,
            (1..4, _) | (_, 1..4) => torn += 1,
            _ => {}
        }
    }
    for (what, count) in [("kept", kept), ("lost", lost), ("torn", torn), ("later one only", mixed)] {
        assert!(count > SEEDS / 50, "{what}: {count} of {SEEDS}");
    }
}

#[test]
fn the_same_seed_crashes_in_the_same_way() {
    let run = |seed| {
        let (disk, file) = disk_with(seed, 100_000, 1);
        for n in 0..50 {
            write(&file, n * 1500, 1000, n as u8);
        }
        disk.crash();
        (content(&disk, "file"), disk.trace().hash())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5).0, run(6).0);
}

#[test]
fn policies_force_the_fate() {
    for (policy, expected) in [(CrashPolicy::KeepAll, 2), (CrashPolicy::LoseAll, 1)] {
        let (disk, file) = disk_with(1, 4096, 1);
        disk.faults(|faults| faults.crash = policy);
        write(&file, 0, 4096, 2);
        disk.crash();
        assert_eq!(content(&disk, "file"), vec![expected; 4096]);
    }
}

#[test]
fn appended_bytes_may_leave_zeros_but_never_old_bytes() {
    let mut lengths = BTreeSet::new();
    for seed in 0..SEEDS {
        let (disk, file) = disk_with(seed, 1000, 1);
        write(&file, 1000, 3000, 2);
        disk.crash();
        let content = content(&disk, "file");
        lengths.insert(content.len());
        assert_eq!(content[..1000], [1; 1000]);
        assert!(content[1000..].iter().all(|byte| *byte == 2 || *byte == 0));
    }
    assert!(lengths.contains(&1000) && lengths.contains(&4000) && lengths.len() > 3, "{lengths:?}");
}

#[test]
fn lengths_are_durable_with_a_sync() {
    let mut lengths = BTreeSet::new();
    for seed in 0..SEEDS {
        let (disk, file) = disk_with(seed, 5000, 1);
        file.set_len(100).unwrap();
        disk.crash();
        lengths.insert(content(&disk, "file").len());
        let file = disk.files().open(path("file"), OpenMode::WRITE).unwrap();
        file.set_len(70).unwrap();
        file.sync().unwrap();
        disk.crash();
        assert_eq!(content(&disk, "file"), [1; 70]);
    }
    assert_eq!(lengths, BTreeSet::from([100, 5000]));
}

#[test]
fn names_last_once_their_directory_is_synced() {
    let (mut created, mut removed) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..SEEDS {
        let (disk, _) = disk_with(seed, 10, 1);
        let files = disk.files();
        files.open(path("new"), OpenMode::CREATE).unwrap().sync().unwrap();
        files.remove_file(path("file")).unwrap();
        disk.crash();
        created.insert(disk.files().exists(path("new")).unwrap());
        removed.insert(!disk.files().exists(path("file")).unwrap());
        let files = disk.files();
        files.create_dir_all(path("a/b")).unwrap();
        files.open(path("a/b/c"), OpenMode::CREATE).unwrap();
        for dir in ["/", "a", "a/b"] {
            files.sync_dir(path(dir)).unwrap();
        }
        disk.crash();
        assert!(disk.files().exists(path("a/b/c")).unwrap());
    }
    assert_eq!(created, BTreeSet::from([false, true]));
    assert_eq!(removed, BTreeSet::from([false, true]));
}

#[test]
fn replace_is_atomic_wherever_it_dies() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        for step in 1..20 {
            let disk = SimDisk::new(seed);
            let files = disk.files();
            files.replace(path("state"), b"the old content").unwrap();
            disk.die_after(step);
            let replaced = files.replace(path("state"), b"new");
            assert_eq!(replaced.is_err(), disk.is_dead());
            disk.crash();
            let content = content(&disk, "state");
            assert!(content == b"the old content" || content == b"new", "{content:?}");
            assert!(replaced.is_err() || content == b"new");
            seen.insert((replaced.is_ok(), content == b"new"));
        }
    }
    assert_eq!(seen, BTreeSet::from([(false, false), (false, true), (true, true)]));
}

#[test]
fn a_dead_disk_answers_nothing_until_it_is_restarted() {
    let (disk, file) = disk_with(3, 10, 1);
    let files = disk.files();
    disk.die_after(2);
    assert!(file.len().is_ok());
    write(&file, 0, 1, 9);
    assert!(!disk.is_dead());
    file.sync().unwrap_err();
    assert!(disk.is_dead());
    file.sync().unwrap_err();
    file.len().unwrap_err();
    files.read(path("file"), 100).unwrap_err();
    disk.files().open(path("file"), OpenMode::READ).unwrap_err();
    disk.crash();
    file.sync().unwrap_err();
    files.exists(path("file")).unwrap_err();
    assert_eq!(content(&disk, "file").len(), 10);
}

#[test]
fn a_failed_sync_may_lose_bytes_that_reads_still_show() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..SEEDS {
        let (disk, file) = disk_with(seed, 4096, 1);
        write(&file, 0, 4096, 2);
        disk.inject(Rule::next(OpKind::Sync, "file", 1));
        file.sync().unwrap_err();
        assert_eq!(content(&disk, "file"), vec![2; 4096], "the page cache has it");
        file.sync().unwrap();
        disk.faults(|faults| faults.crash = CrashPolicy::KeepAll);
        disk.crash();
        match content(&disk, "file") {
            content if content == vec![1; 4096] => lost += 1,
            content if content == vec![2; 4096] => kept += 1,
            _torn => {}
        }
    }
    assert!(lost > 0 && kept > 0, "lost {lost}, kept {kept}");
}

#[test]
fn rules_choose_operations() {
    let (disk, file) = disk_with(1, 10, 1);
    disk.inject(Rule { skip: 1, error: ErrorKind::PermissionDenied, ..Rule::next(OpKind::Write, "fil", 2) });
    let attempt = || file.write_at(&[Bytes::from_static(b"x")], 0).map_err(|error| error.kind());
    assert_eq!(attempt(), Ok(()));
    assert_eq!(attempt(), Err(ErrorKind::PermissionDenied));
    let other = disk.files().open(path("other"), OpenMode::CREATE).unwrap();
    other.write_at(&[Bytes::from_static(b"x")], 0).unwrap();
    assert_eq!(attempt(), Err(ErrorKind::PermissionDenied));
    assert_eq!(attempt(), Ok(()));
    disk.inject(Rule::next(OpKind::Write, "", u64::MAX));
    attempt().unwrap_err();
    disk.clear_rules();
    attempt().unwrap();
}

#[test]
fn rates_fail_some_operations_of_the_chosen_files() {
    let (disk, file) = disk_with(1, 10, 1);
    let other = disk.files().open(path("other"), OpenMode::CREATE).unwrap();
    disk.faults(|faults| (faults.only, faults.write_error_ppm) = ("file".to_owned(), 500_000));
    let failures = (0..100).filter(|_| file.write_at(&[Bytes::from_static(b"x")], 0).is_err()).count();
    assert!((20..80).contains(&failures), "{failures} of 100");
    for _ in 0..100 {
        other.write_at(&[Bytes::from_static(b"x")], 0).unwrap();
    }
    disk.set_faults(Faults::default());
    write(&file, 0, 1, 1);
}

#[test]
fn a_full_disk_refuses_growth_and_takes_it_again_after_a_removal() {
    let (disk, file) = disk_with(1, 8192, 1);
    let files = disk.files();
    disk.faults(|faults| faults.quota_bytes = Some(16_384));
    assert_eq!(files.space(path("/")).unwrap().available_bytes, 8192);
    let second = files.open(path("second"), OpenMode::CREATE).unwrap();
    write(&second, 0, 8192, 2);
    let full = second.write_at(&[Bytes::from_static(b"x")], 8192).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
    assert_eq!(files.open(path("third"), OpenMode::CREATE).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.allocate(8192, 1).unwrap_err().kind(), ErrorKind::StorageFull);
    write(&second, 0, 8192, 3);
    files.remove_file(path("file")).unwrap();
    second.write_at(&[Bytes::from_static(b"x")], 8192).unwrap_err();
    drop(file);
    second.write_at(&[Bytes::from_static(b"x")], 8192).unwrap();
    second.allocate(0, 16_384).unwrap();
    assert_eq!(files.space(path("/")).unwrap().available_bytes, 0);
}

#[test]
fn a_flipped_bit_stays() {
    let (disk, file) = disk_with(1, 10, 0);
    disk.flip_bit(path("file"), 3, 2).unwrap();
    disk.flip_bit(path("file"), 100, 2).unwrap();
    disk.flip_bit(path("nothing"), 0, 0).unwrap_err();
    assert_eq!(disk.list(), [(std::path::PathBuf::from("/file"), 10)]);
    let mut byte = [0; 10];
    assert_eq!(file.read_at(&mut byte, 0).unwrap(), 10);
    disk.crash();
    assert_eq!(content(&disk, "file"), [0, 0, 0, 4, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_killed_process_loses_its_handles_and_locks_and_no_bytes() {
    let (disk, file) = disk_with(1, 10, 1);
    let files = disk.files();
    let lock = files.lock(path("lock")).unwrap();
    write(&file, 0, 10, 2);
    disk.kill();
    let relocked = disk.files().lock(path("lock")).unwrap();
    drop(lock);
    assert_eq!(disk.files().lock(path("lock")).unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(relocked);
    assert_eq!(content(&disk, "file"), [2; 10]);
    file.write_at(&[Bytes::from_static(b"late")], 0).unwrap_err();
}

#[test]
fn operations_can_be_carried_out_without_a_lane() {
    let (disk, file) = disk_with(1, 10, 1);
    let op = Op::Read { file, offset: 8, len: 10 };
    assert_eq!(op.execute(&*disk.files()).unwrap(), [1, 1].as_slice());
}

#[test]
fn a_strike_hits_operations_by_their_number() {
    let (disk, file) = disk_with(1, 100, 1);
    let before = disk.operations();
    disk.strike(Strike { operation: before + 2, times: 2, failing: Failing::Device });
    file.sync().unwrap();
    assert_eq!(disk.struck(), None);
    let error = file.sync().unwrap_err();
    assert_eq!(error.kind(), std::io::Error::from_raw_os_error(5).kind());
    disk.files().exists(path("file")).unwrap_err();
    file.sync().unwrap();
    assert_eq!(disk.clear_strike(), Some((before + 2, OpKind::Sync)));
}

#[test]
fn only_what_needs_room_finds_a_disk_full() {
    let (disk, file) = disk_with(1, 100, 1);
    let strike = Strike { operation: disk.operations(), times: u64::MAX, failing: Failing::Full };
    disk.strike(strike);
    file.sync().unwrap();
    assert_eq!(file.read_at(&mut [0; 10], 0).unwrap(), 10);
    let error = file.write_at(&[Bytes::from_static(b"more")], 100).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(disk.clear_strike(), Some((disk.operations(), OpKind::Write)));
    write(&file, 100, 4, 2);
}

#[test]
fn a_file_that_is_cut_at_rest_stays_cut() {
    let (disk, file) = disk_with(1, 5000, 7);
    disk.truncate(path("file"), 4500).unwrap();
    assert_eq!(file.len().unwrap(), 4500);
    disk.crash();
    assert_eq!(content(&disk, "file"), [7; 4500]);
    disk.truncate(path("none"), 1).unwrap_err();
}

#[test]
fn a_strike_of_the_power_waits_for_its_operation_through_restarts() {
    let (disk, file) = disk_with(1, 100, 1);
    let operation = disk.operations() + 2;
    disk.strike(Strike { operation, times: 1, failing: Failing::Power });
    file.sync().unwrap();
    disk.kill();
    assert!(disk.files().exists(path("file")).is_err() && disk.is_dead());
    disk.crash();
    assert!(disk.files().exists(path("file")).unwrap());
    assert_eq!(disk.struck(), Some((operation, OpKind::ReadDir)));
}
