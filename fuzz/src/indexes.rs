//! The small files beside the records: indexes, producer snapshots, the epochs, aborted transactions, a partition's state, `meta.properties`.
//!
//! Checked: what can be read and is written again is the same when it is read the next time; a search in an index finds what a
//! walk over it finds.

use std::path::Path;

use bytes::Buf;
use host::sim::SimDisk;
use host::{FileRef, OpenMode};
use protocol::ids::Offset;
use protocol::records::crc32c;
use storage::PartitionState;
use storage::directory::{META, Meta};
use storage::segment::index::{
    check_offset_entries, check_time_entries, last_offset_entry, last_time_entries,
};
use storage::segment::{OffsetEntry, TimeEntry, epoch_file, producer_snapshot, txn_index};

use crate::Input;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.byte() % 7 {
        0 => offsets(&mut input),
        1 => times(&mut input),
        2 => snapshot(&mut input),
        3 => epochs(input.rest()),
        4 => state(input.rest()),
        5 => aborted(input.rest()),
        _ => properties(input.rest()),
    }
}

fn file(bytes: &[u8]) -> FileRef {
    let files = SimDisk::new(1).files();
    let path = Path::new("/index");
    files.replace(path, bytes).unwrap();
    files.open(path, OpenMode::READ).unwrap()
}

fn offsets(input: &mut Input<'_>) {
    let base = input.i64();
    let (count, wanted) = (u32::from(input.byte()), Offset(input.i64()));
    let bytes = input.rest();
    let file = file(bytes);
    let absolute = |relative: i32| Offset(base.saturating_add(i64::from(relative)));
    let entries = bytes.chunks_exact(8).map(|mut entry| {
        let last_offset = absolute(entry.get_i32());
        OffsetEntry { last_offset, position: entry.get_u32() }
    });
    let entries: Vec<_> = entries.collect();
    let grows =
        |of: &[OffsetEntry]| of.is_sorted_by(|a, b| a.last_offset < b.last_offset && a.position < b.position);
    let front = entries.get(..count as usize).filter(|front| grows(front));
    let found = check_offset_entries(&*file, Offset(base), count);
    assert_eq!(found.ok(), front.map(|front| front.last().copied()), "{count} of {entries:?}");

    let found = last_offset_entry(&*file, Offset(base), |entry| entry.last_offset <= wanted).unwrap();
    assert!(found.is_none_or(|entry| entry.last_offset <= wanted && entries.contains(&entry)));
    if grows(&entries) {
        let walked = entries.iter().rfind(|entry| entry.last_offset <= wanted);
        assert_eq!(found.as_ref(), walked);
    }
}

fn times(input: &mut Input<'_>) {
    let base = input.i64();
    let (count, wanted) = (u32::from(input.byte()), input.i64());
    let bytes = input.rest();
    let file = file(bytes);
    let entries = bytes.chunks_exact(12).map(|mut entry| {
        let timestamp_ms = entry.get_i64();
        TimeEntry { timestamp_ms, offset: Offset(base.saturating_add(i64::from(entry.get_i32()))) }
    });
    let entries: Vec<_> = entries.collect();
    let grows =
        |of: &[TimeEntry]| of.is_sorted_by(|a, b| a.timestamp_ms < b.timestamp_ms && a.offset < b.offset);
    let front = entries.get(..count as usize).filter(|front| grows(front));
    let found = check_time_entries(&*file, Offset(base), count);
    assert_eq!(found.ok(), front.map(|front| front.last().copied()), "{count} of {entries:?}");

    let found = last_time_entries(&*file, Offset(base), |entry| entry.timestamp_ms < wanted).unwrap();
    assert!(found.is_none_or(|(_, last)| last.timestamp_ms < wanted && entries.contains(&last)));
    if grows(&entries) {
        let walked = entries.iter().rposition(|entry| entry.timestamp_ms < wanted);
        let walked = walked.map(|at| (at.checked_sub(1).map(|before| entries[before]), entries[at]));
        assert_eq!(found, walked);
    }
}

fn snapshot(input: &mut Input<'_>) {
    let (is_put_right, offset) = (input.flag(), Offset(input.i64()));
    let mut bytes = input.rest().to_vec();
    if is_put_right && bytes.len() >= 6 {
        bytes[..2].copy_from_slice(&[0, 1]);
        let crc = crc32c(&bytes[6..]);
        bytes[2..6].copy_from_slice(&crc.to_be_bytes());
    }
    let Some(producers) = producer_snapshot::decode(&bytes, offset) else { return };
    let written = producer_snapshot::encode(&producers);
    let again = producer_snapshot::decode(&written, offset).unwrap();
    assert_eq!(producer_snapshot::encode(&again), written);
}

fn epochs(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some(epochs) = epoch_file::decode(text) else { return };
    assert_eq!(epoch_file::decode(&epoch_file::encode(&epochs)), Some(epochs));
}

fn state(mut bytes: &[u8]) {
    let Ok(state) = PartitionState::decode(&mut bytes) else { return };
    let mut written = Vec::new();
    state.encode(&mut written);
    let mut left = &written[..];
    assert_eq!(PartitionState::decode(&mut left), Ok(state));
    assert!(left.is_empty());
}

fn aborted(bytes: &[u8]) {
    let Ok(entries) = txn_index::decode(bytes) else { return };
    let written: Vec<u8> = entries.iter().flat_map(txn_index::entry).collect();
    assert_eq!(written, bytes);
}

fn properties(bytes: &[u8]) {
    let directory = Path::new("/data");
    let files = SimDisk::new(1).files();
    files.create_dir_all(directory).unwrap();
    files.replace(&directory.join(META), bytes).unwrap();
    let Ok(meta) = Meta::read(&*files, directory) else { return };
    let meta = meta.expect("it is there");
    meta.write(&*files, directory).unwrap();
    let again = Meta::read(&*files, directory).unwrap();
    assert_eq!(again.map(|meta| meta.directory_id), Some(meta.directory_id));
}
