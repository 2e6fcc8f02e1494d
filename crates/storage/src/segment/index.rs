//! The `.index` and `.timeindex` files: entries as bytes, and searches in a file that is not held in memory.
//!
//! Invariants: entries of a file grow in both fields. A search trusts that; whoever uses its result checks that a
//! batch is where the entry says, and [rebuilds](super::scan::rebuild) the file if not.

use std::io;

use bytes::{Buf, BufMut};
use host::File;
use protocol::ids::Offset;

use super::state::{IndexEntries, OFFSET_ENTRY_BYTES, OffsetEntry, TIME_ENTRY_BYTES, TimeEntry};

/// Bytes that a write adds to the two indexes of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexBytes {
    pub offset: Vec<u8>,
    pub time: Vec<u8>,
}

impl IndexBytes {
    pub fn push(&mut self, base: Offset, entries: IndexEntries) {
        if let Some(entry) = entries.offset {
            put_offset(&mut self.offset, base, entry);
        }
        if let Some(entry) = entries.time {
            self.push_time(base, entry);
        }
    }

    pub fn push_time(&mut self, base: Offset, entry: TimeEntry) {
        self.time.put_i64(entry.timestamp_ms);
        self.time.put_i32(relative(base, entry.offset));
    }
}

fn put_offset(to: &mut Vec<u8>, base: Offset, entry: OffsetEntry) {
    to.put_i32(relative(base, entry.last_offset));
    to.put_u32(entry.position);
}

/// A segment is closed before its offsets outgrow this.
fn relative(base: Offset, offset: Offset) -> i32 {
    i32::try_from(offset - base).unwrap_or(i32::MAX)
}

fn absolute(base: Offset, relative: i32) -> Offset {
    Offset(base.0.saturating_add(i64::from(relative)))
}

/// The last entry of `.index` that `wanted` accepts; it accepts a front part of them.
pub fn last_offset_entry(
    file: &dyn File,
    base: Offset,
    wanted: impl Fn(&OffsetEntry) -> bool,
) -> io::Result<Option<OffsetEntry>> {
    last_entry(file, OFFSET_ENTRY_BYTES, |bytes| offset_entry(base, bytes), wanted)
}

fn offset_entry(base: Offset, bytes: &mut &[u8]) -> Option<OffsetEntry> {
    let relative = bytes.try_get_i32().ok()?;
    Some(OffsetEntry { last_offset: absolute(base, relative), position: bytes.try_get_u32().ok()? })
}

fn time_entry(base: Offset, bytes: &mut &[u8]) -> Option<TimeEntry> {
    let timestamp_ms = bytes.try_get_i64().ok()?;
    Some(TimeEntry { timestamp_ms, offset: absolute(base, bytes.try_get_i32().ok()?) })
}

/// Whether all entries of `.index` grow: a crash may have lost some in the middle that were never synced.
pub fn offset_entries_grow(file: &dyn File, base: Offset) -> io::Result<bool> {
    let read =
        |bytes: &mut &[u8]| offset_entry(base, bytes).map(|entry| (entry.last_offset.0, entry.position));
    entries_grow(file, OFFSET_ENTRY_BYTES, read, |before, next| before.0 < next.0 && before.1 < next.1)
}

/// The same for `.timeindex`.
pub fn time_entries_grow(file: &dyn File, base: Offset) -> io::Result<bool> {
    let read = |bytes: &mut &[u8]| time_entry(base, bytes).map(|entry| (entry.timestamp_ms, entry.offset.0));
    entries_grow(file, TIME_ENTRY_BYTES, read, |before, next| before.0 < next.0 && before.1 < next.1)
}

fn entries_grow<T>(
    file: &dyn File,
    entry_bytes: u32,
    read: impl Fn(&mut &[u8]) -> Option<T>,
    grows: impl Fn(&T, &T) -> bool,
) -> io::Result<bool> {
    let mut chunk = vec![0; entry_bytes as usize * 4096];
    let (mut at, mut before) = (0, None::<T>);
    loop {
        let got = file.read_at(&mut chunk, at)?;
        for mut bytes in chunk.get(..got).unwrap_or_default().chunks_exact(entry_bytes as usize) {
            let Some(next) = read(&mut bytes) else { return Ok(false) };
            if before.as_ref().is_some_and(|before| !grows(before, &next)) {
                return Ok(false);
            }
            before = Some(next);
        }
        if got < chunk.len() {
            return Ok(true);
        }
        at += got as u64;
    }
}

/// The last entry of `.timeindex` that `wanted` accepts; it accepts a front part of them.
pub fn last_time_entry(
    file: &dyn File,
    base: Offset,
    wanted: impl Fn(&TimeEntry) -> bool,
) -> io::Result<Option<TimeEntry>> {
    last_entry(file, TIME_ENTRY_BYTES, |bytes| time_entry(base, bytes), wanted)
}

fn last_entry<T>(
    file: &dyn File,
    entry_bytes: u32,
    read: impl Fn(&mut &[u8]) -> Option<T>,
    wanted: impl Fn(&T) -> bool,
) -> io::Result<Option<T>> {
    let entry_bytes = u64::from(entry_bytes);
    let (mut low, mut high) = (0, file.len()? / entry_bytes);
    let mut found = None;
    let mut bytes = [0; TIME_ENTRY_BYTES as usize];
    while low < high {
        let middle = low + (high - low) / 2;
        let got = file.read_at(&mut bytes, middle * entry_bytes)?;
        let entry = bytes.get(..got).and_then(|mut bytes| read(&mut bytes));
        match entry.filter(&wanted) {
            Some(entry) => {
                found = Some(entry);
                low = middle + 1;
            }
            None => high = middle,
        }
    }
    Ok(found)
}
