//! Segment files, whole and damaged.

use host::sim::{OpKind, Rule};

use super::*;
use crate::segment::names::{METADATA_FILE, partition_metadata};

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

/// What is appended decides when an index is full, what is written has the entries: both count alike, whatever changes
/// in between.
#[test]
fn entries_are_counted_alike_when_appended_and_when_written() {
    let config = |index_interval_bytes| LogConfig { index_interval_bytes, ..small_segments() };
    let mut bench = Bench::new(config(0));
    for round in 0..20 {
        bench.append(batch(&[round, round]));
        bench.log.configure(Arc::new(config(if round % 2 == 0 { 1_000_000 } else { 0 })), 0);
    }
    bench.flush();
    assert_eq!(bench.log.active, bench.log.written);
    assert!(bench.log.state().sealed.len() > 1);
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

/// Writes go one after the other, syncs side by side: two of them in the first write of each partition kept a clean stop
/// with 5,000 topics from its end for half a minute.
#[test]
fn the_first_write_syncs_nothing_and_the_first_sync_everything() {
    let disk = SimDisk::new(1);
    let mut bench = Bench { files: disk.files(), ..Bench::new(LogConfig::default()) };
    bench.files.create_dir_all(Path::new(DIR)).expect("a directory");
    bench.append(batch(&[1]));
    let path = bench.log.dir().join(METADATA_FILE);
    for rule in [OpKind::Sync, OpKind::SyncDir].map(|op| Rule::next(op, "", 1)) {
        disk.inject(rule);
    }
    // Once more over what power loss has left of it.
    let write = bench.log.next_write(Reach::Everything).expect("there is a batch");
    for left in [None, Some(&b""[..])] {
        if let Some(left) = left {
            bench
                .files
                .open(&path, host::OpenMode::WRITE)
                .expect("it is there")
                .set_len(left.len() as u64)
                .expect("the disk works");
        }
        write.run(&*bench.files, &bench.open).expect("nothing is synced");
        let text = bench.files.read(&path, 1000).expect("it is there");
        assert_eq!(text, partition_metadata(key().topic_id).as_bytes());
    }
    bench.log.wrote(&write);
    let sync = bench.log.next_sync().expect("something is written");
    let mut failed = 0;
    while sync.run(&*bench.files, &bench.open).is_err() {
        failed += 1;
    }
    assert_eq!(failed, 2);
    disk.inject(Rule::next(OpKind::Sync, METADATA_FILE, 1));
    assert!(sync.run(&*bench.files, &bench.open).is_err(), "the metadata is synced, too");
}

/// A batch that is partly in its segment, as far as whole blocks go, is in memory and in the journal until all of it is.
#[test]
fn whole_blocks_may_end_within_a_batch() {
    const PIECE: usize = 5_000;
    let large = |timestamp| batch_of(BatchOptions::default(), &[timestamp], &[9; 20_000]);
    let mut bench = Bench::new(LogConfig { segment_bytes: 50_000, ..LogConfig::default() });
    bench.append(batch(&[1]));
    bench.append(large(2));
    let path = crate::segment::names::segment_file(bench.log.dir(), Offset(0), FileKind::Log);
    let len = |bench: &Bench| bench.files.read(&path, 1 << 20).expect("a segment").len() as u64;
    let write = bench.log.next_piece(Reach::Blocks, PIECE).expect("there is much to write");
    write.run(&*bench.files, &bench.open).expect("the disk works");
    bench.log.wrote(&write);
    assert_eq!((len(&bench), bench.log.segments_end()), (16_384, Offset(1)));
    assert!(bench.log.unwritten_bytes() < PIECE);
    bench.evict();
    assert_eq!(bench.read_all(), [(0, 0), (1, 1)]);
    // Another leader does not have it. What comes in its place stands where it stood, and nothing behind it.
    bench.log.truncate_to(Offset(1), LeaderEpoch(1)).expect("it has it");
    bench.log.truncation_wrote();
    bench.log.truncation_synced();
    bench.append(batch(&[3]));
    bench.append(large(4));
    bench.append(large(5));
    bench.append(large(6));
    bench.flush();
    let state = bench.log.state();
    assert_eq!(u64::from(state.sealed[0].bytes), len(&bench));
    bench.evict();
    let all: Vec<_> = (0..5).map(|offset| (offset, offset)).collect();
    assert_eq!(bench.read_all(), all);
    bench.reopen();
    assert_eq!(bench.read_all(), all);
}

/// The journal was full and waited for a segment, the segment for more to come out of the journal: bulk stood still until the
/// next checkpoint, half a minute later.
#[test]
fn everything_that_the_journal_has_can_be_written() {
    const PIECE: usize = 5_000;
    let large = |timestamp| batch_of(BatchOptions::default(), &[timestamp], &[9; 20_000]);
    let mut bench = Bench::new(LogConfig::default());
    bench.append(large(1));
    bench.log.append(large(2), 0, 0).expect("it is accepted");
    for (reach, end) in [(Reach::Blocks, Offset(0)), (Reach::Everything, Offset(1))] {
        let write = bench.log.next_piece(reach, PIECE).expect("there is something to write");
        write.run(&*bench.files, &bench.open).expect("the disk works");
        bench.log.wrote(&write);
        assert!(bench.log.next_piece(reach, PIECE).is_none());
        assert_eq!(bench.log.segments_end(), end, "{reach:?}");
    }
    assert!(bench.log.unwritten_bytes() > PIECE);
}

/// Writes go on beside a sync: what it set free behind its own end was cut off what they had just written.
#[test]
fn what_was_reserved_is_set_free_when_everything_is_written() {
    let large = |timestamp| batch_of(BatchOptions::default(), &[timestamp], &[9; 20_000]);
    let config = LogConfig { segment_bytes: 1 << 20, preallocate: true, ..LogConfig::default() };
    let mut bench = Bench::new(config);
    bench.append(batch(&[1]));
    bench.append(large(2));
    let first = bench.log.next_piece(Reach::Blocks, 5_000).expect("there is much to write");
    first.run(&*bench.files, &bench.open).expect("the disk works");
    bench.log.wrote(&first);
    bench.log.close();
    let sync = bench.log.next_sync().expect("a batch is written");
    while let Some(write) = bench.log.next_write(Reach::Everything) {
        write.run(&*bench.files, &bench.open).expect("the disk works");
        bench.log.wrote(&write);
    }
    sync.run(&*bench.files, &bench.open).expect("the disk works");
    bench.log.synced(&sync);
    bench.flush();
    assert!(!bench.log.needs_sync());
    bench.evict();
    assert_eq!(bench.read_all(), [(0, 0), (1, 1)]);
}
