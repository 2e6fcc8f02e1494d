//! A journal whose ring has no room for the next entry says so, however little of it is in use.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use host::Instant;
use host::sim::SimDisk;
use protocol::Uuid;
use protocol::ids::{LeaderEpoch, Offset, TopicId};
use storage::directory::{self, Opened};
use storage::journal::{Body, Entry, Options};
use storage::{PartitionKey, Position};

const FILE_BYTES: u64 = 1 << 20;

/// A journal that may have two files, and has them.
fn open(disk: &SimDisk) -> Opened {
    let (path, options) = (
        Path::new("/data"),
        Options {
            bytes_max: 2 * FILE_BYTES,
            file_bytes_min: FILE_BYTES,
            spacing: Duration::ZERO,
            ..Options::default()
        },
    );
    let mut opened =
        directory::open(disk.files().as_ref(), path, options, Uuid::from_bytes([5; 16])).unwrap();
    while let Some((id, bytes)) = opened.journal.next_growth() {
        let journal = path.join(directory::JOURNAL);
        opened.journal.grown(directory::add_ring_file(disk.files().as_ref(), &journal, id, bytes).unwrap());
    }
    opened
}

fn submit(opened: &mut Opened, seq: u64, bytes: usize) {
    let key = PartitionKey { topic_id: TopicId(Uuid::from_bytes([1; 16])), partition: 0 };
    let base_offset = Offset(i64::try_from(seq).unwrap());
    let body = Body::Append { leader_epoch: LeaderEpoch(0), base_offset, batch: vec![0; bytes].into() };
    opened.journal.submit(0, seq, Entry { key, body });
}

/// One entry, synced in a round of its own; where that ends.
fn commit(opened: &mut Opened, seq: u64, bytes: usize) -> Position {
    submit(opened, seq, bytes);
    let journal = &mut opened.journal;
    let write = journal.next_write(Instant(seq)).expect("there is room");
    write.file.write_at(&[write.bytes], write.offset).unwrap();
    let position = journal.written::<String>(Ok(())).unwrap().position;
    journal.next_sync().expect("a sync").sync().unwrap();
    journal.synced::<String>(Instant(seq), Ok(())).unwrap();
    position
}

/// A start after power loss never ended (simulator, seed 2 with other pauses): files are freed as wholes, so the ring was
/// full with less than half of it in use, and nobody was asked for space.
#[test]
fn a_full_ring_asks_for_everything_with_less_than_half_in_use() {
    let disk = SimDisk::new(1);
    let mut opened = open(&disk);
    let ends: Vec<Position> = (1..=4).map(|seq| commit(&mut opened, seq, 300_000)).collect();
    while opened.journal.pressure().is_some() {}
    // The third round is the last of the first file: with it that file is still needed.
    let mark = opened.journal.mark_for(*ends.get(2).unwrap());
    opened.journal.release(&mark);
    assert!(opened.journal.used_bytes() * 2 < opened.journal.ring_bytes());
    submit(&mut opened, 5, 800_000);
    assert!(opened.journal.is_full() && opened.journal.next_write(Instant(9)).is_none());
    assert_eq!(opened.journal.pressure(), ends.last().copied());
    let mark = opened.journal.mark_head();
    opened.journal.release(&mark);
    assert!(!opened.journal.is_full() && opened.journal.next_write(Instant(9)).is_some());
}

/// A batch of 50 MB had the log say that the journal was full, with one block of it in use.
#[test]
fn an_entry_larger_than_every_file_makes_the_ring_grow_beyond_its_maximum() {
    let disk = SimDisk::new(1);
    let mut opened = open(&disk);
    commit(&mut opened, 1, 100);
    assert_eq!((opened.journal.ring_bytes(), opened.journal.next_growth()), (2 * FILE_BYTES, None));
    submit(&mut opened, 2, 3_000_000);
    assert!(opened.journal.is_full() && opened.journal.needs_larger_file());
    let (id, bytes) = opened.journal.next_growth().expect("nothing else brings it on");
    assert!((3_000_000..3_100_000).contains(&bytes));
    let journal = Path::new("/data").join(directory::JOURNAL);
    opened.journal.grown(directory::add_ring_file(disk.files().as_ref(), &journal, id, bytes).unwrap());
    assert!(!opened.journal.is_full() && !opened.journal.needs_larger_file());
    assert!(opened.journal.next_write(Instant(9)).is_some());
    assert_eq!(opened.journal.ring_bytes(), 2 * FILE_BYTES + bytes);
}

#[test]
fn a_full_ring_needs_no_larger_file() {
    let disk = SimDisk::new(1);
    let mut opened = open(&disk);
    for seq in 1..=4 {
        commit(&mut opened, seq, 400_000);
    }
    submit(&mut opened, 5, 800_000);
    assert!(opened.journal.is_full() && !opened.journal.needs_larger_file());
}

/// Batches of 33 MB, one after the other, made the journal of 256 MiB grow until the disk was full: the file that had been made
/// for the first of them was the one being written, which is never freed, and each new one was as small as usual.
#[test]
fn entries_larger_than_usual_files_come_round_in_a_few_of_their_own() {
    const LARGE: usize = 3_000_000;
    for awaited in [false, true] {
        let disk = SimDisk::new(1);
        let mut opened = open(&disk);
        let journal = Path::new("/data").join(directory::JOURNAL);
        for seq in 1..=30 {
            submit(&mut opened, seq, LARGE);
            if awaited {
                opened.journal.watch(0);
            }
            let mut grown = 0;
            while opened.journal.is_full() {
                let (id, bytes) = opened.journal.next_growth().expect("nothing else brings it on");
                let file = directory::add_ring_file(disk.files().as_ref(), &journal, id, bytes).unwrap();
                opened.journal.grown(file);
                grown += 1;
            }
            assert!(grown <= 1 && (grown == 0 || seq <= 2), "{grown} files for entry {seq}");
            let write = opened.journal.next_write(Instant(seq)).expect("there is room");
            write.file.write_at(&[write.bytes], write.offset).unwrap();
            opened.journal.written::<String>(Ok(())).unwrap();
            opened.journal.next_sync().expect("a sync").sync().unwrap();
            opened.journal.synced::<String>(Instant(seq), Ok(())).unwrap();
            opened.journal.unwatch();
            let mark = opened.journal.mark_head();
            opened.journal.release(&mark);
        }
        assert!(opened.journal.ring_bytes() < 2 * FILE_BYTES + 2 * LARGE as u64 + 200_000);
    }
}
