//! A sync fails, the process ends, and the next one finds in the page cache what was written. The kernel may have forgotten
//! that it never reached the disk: another sync succeeds without it. Then the power fails.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use host::Instant;
use host::sim::{OpKind, Rule, SimDisk};
use protocol::Uuid;
use protocol::ids::{Offset, TopicId};
use storage::checkpoint::{Record, Section};
use storage::directory::{self, Opened};
use storage::journal::{Body, Entry, Options};
use storage::{PartitionKey, PartitionState};

const DIRECTORY: &str = "/data";

fn open(disk: &SimDisk) -> Opened {
    let options = Options { file_bytes_min: 256 << 10, spacing: Duration::ZERO, ..Options::default() };
    directory::open(disk.files().as_ref(), Path::new(DIRECTORY), options, Uuid::from_bytes([5; 16])).unwrap()
}

/// A directory whose journal has its first file.
fn fresh(seed: u64) -> (SimDisk, Opened) {
    let disk = SimDisk::new(seed);
    let mut opened = open(&disk);
    let (id, bytes) = opened.journal.next_growth().expect("a first file is wanted");
    let journal = Path::new(DIRECTORY).join(directory::JOURNAL);
    opened.journal.grown(directory::add_ring_file(disk.files().as_ref(), &journal, id, bytes).unwrap());
    (disk, opened)
}

fn key(partition: i32) -> PartitionKey {
    PartitionKey { topic_id: TopicId(Uuid::from_bytes([1; 16])), partition }
}

/// A round of its own that creates a partition; whether its sync succeeds.
fn commit(disk: &SimDisk, opened: &mut Opened, seq: u64, succeeds: bool) {
    let partition = i32::try_from(seq).unwrap();
    let body = Body::Create { topic: Arc::from("t"), start_offset: Offset::ZERO };
    let journal = &mut opened.journal;
    journal.submit(0, seq, Entry { key: key(partition), body });
    let write = journal.next_write(Instant(seq)).expect("a round");
    write.file.write_at(&[write.bytes], write.offset).unwrap();
    journal.written::<String>(Ok(())).unwrap();
    if !succeeds {
        disk.inject(Rule::next(OpKind::Sync, "/journal/", 1));
    }
    let result = journal.next_sync().expect("a sync").sync();
    assert_eq!(result.is_ok(), succeeds);
    assert_eq!(journal.synced(Instant(seq), result).is_ok(), succeeds);
}

/// Simulator, seed 25: the journal was reported damaged, a round was synced and is not there.
#[test]
fn a_round_is_written_again() {
    (0..16).for_each(a_round_is_written_again_on);
}

fn a_round_is_written_again_on(seed: u64) {
    let (disk, mut opened) = fresh(seed);
    commit(&disk, &mut opened, 1, true);
    commit(&disk, &mut opened, 2, false);
    drop(opened);
    for (life, seq) in [(0, 3), (1, 4)] {
        let mut opened = open(&disk);
        assert_eq!(opened.partitions.len(), 2 + life, "seed {seed}");
        assert!(
            opened.partitions.iter().all(|partition| partition.damage.is_none()),
            "seed {seed}, life {life}"
        );
        commit(&disk, &mut opened, seq, true);
        drop(opened);
        disk.crash();
    }
    assert_eq!(open(&disk).partitions.len(), 4);
}

#[test]
fn a_section_of_the_checkpoint_is_written_again() {
    (0..16).for_each(a_section_is_written_again_on);
}

fn a_section_is_written_again_on(seed: u64) {
    let (disk, mut opened) = fresh(seed);
    commit(&disk, &mut opened, 1, true);
    // Large enough for several sectors.
    let section = |opened: &Opened, partitions: std::ops::Range<i32>| {
        let record = |partition| {
            let mut state = Vec::new();
            PartitionState::empty(key(partition), Arc::from("t")).encode(&mut state);
            Record { key: key(partition), as_of: opened.journal.head(), state: state.into() }
        };
        let known = opened.journal.known(opened.journal.mark_head(), None);
        Section { known, changed: partitions.map(record).collect(), ..Section::default() }
    };
    let files = disk.files();
    let first = section(&opened, 1..30);
    let written = opened.checkpoint.write(files.as_ref(), first).unwrap();
    opened.checkpoint.done(written);
    let second = section(&opened, 30..90);
    disk.inject(Rule::next(OpKind::Sync, "/checkpoint", 1));
    opened.checkpoint.write(files.as_ref(), second).unwrap_err();
    drop(opened);
    // It holds the section now, and the next one behind it.
    assert_eq!(open(&disk).partitions.len(), 89);
    disk.crash();
    assert_eq!(open(&disk).partitions.len(), 89, "seed {seed}");
}
