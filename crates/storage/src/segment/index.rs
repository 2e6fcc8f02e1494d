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
    let found = last_entry(file, OFFSET_ENTRY_BYTES, |bytes| offset_entry(base, bytes), wanted)?;
    Ok(found.map(|(_, entry)| entry))
}

fn offset_entry(base: Offset, bytes: &mut &[u8]) -> Option<OffsetEntry> {
    let relative = bytes.try_get_i32().ok()?;
    Some(OffsetEntry { last_offset: absolute(base, relative), position: bytes.try_get_u32().ok()? })
}

fn time_entry(base: Offset, bytes: &mut &[u8]) -> Option<TimeEntry> {
    let timestamp_ms = bytes.try_get_i64().ok()?;
    Some(TimeEntry { timestamp_ms, offset: absolute(base, bytes.try_get_i32().ok()?) })
}

/// The last of the first `entries` entries of `.index`, if all of them are there and grow: a crash may have lost some
/// in the middle that were never synced.
pub fn check_offset_entries(file: &dyn File, base: Offset, entries: u32) -> io::Result<Option<OffsetEntry>> {
    check_entries(
        file,
        (entries, OFFSET_ENTRY_BYTES),
        |bytes| offset_entry(base, bytes),
        |before, next| before.last_offset < next.last_offset && before.position < next.position,
    )
}

/// The same for `.timeindex`.
pub fn check_time_entries(file: &dyn File, base: Offset, entries: u32) -> io::Result<Option<TimeEntry>> {
    check_entries(
        file,
        (entries, TIME_ENTRY_BYTES),
        |bytes| time_entry(base, bytes),
        |before, next| before.timestamp_ms < next.timestamp_ms && before.offset < next.offset,
    )
}

fn check_entries<T>(
    file: &dyn File,
    (entries, entry_bytes): (u32, u32),
    read: impl Fn(&mut &[u8]) -> Option<T>,
    grows: impl Fn(&T, &T) -> bool,
) -> io::Result<Option<T>> {
    const ENTRIES_A_READ: u32 = 4096;
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut chunk = vec![0; (entry_bytes * entries.min(ENTRIES_A_READ)) as usize];
    let (mut at, mut left, mut last) = (0, entries, None::<T>);
    while left > 0 {
        let count = left.min(ENTRIES_A_READ);
        let wanted = (entry_bytes * count) as usize;
        let bytes = chunk.get_mut(..wanted).unwrap_or_default();
        if file.read_at(bytes, at)? < wanted {
            return Err(bad("entries are missing"));
        }
        for mut bytes in bytes.chunks_exact(entry_bytes as usize) {
            let next = read(&mut bytes).ok_or_else(|| bad("an entry is cut off"))?;
            if last.as_ref().is_some_and(|before| !grows(before, &next)) {
                return Err(bad("entries in the middle are missing"));
            }
            last = Some(next);
        }
        at += wanted as u64;
        left -= count;
    }
    Ok(last)
}

/// The last entry of `.timeindex` that `wanted` accepts, and the one in front of it; it accepts a front part of them.
pub fn last_time_entries(
    file: &dyn File,
    base: Offset,
    wanted: impl Fn(&TimeEntry) -> bool,
) -> io::Result<Option<(Option<TimeEntry>, TimeEntry)>> {
    let read = |bytes: &mut &[u8]| time_entry(base, bytes);
    let Some((number, last)) = last_entry(file, TIME_ENTRY_BYTES, read, wanted)? else { return Ok(None) };
    let Some(before) = number.checked_sub(1) else { return Ok(Some((None, last))) };
    let mut bytes = [0; TIME_ENTRY_BYTES as usize];
    let got = file.read_at(&mut bytes, before * u64::from(TIME_ENTRY_BYTES))?;
    Ok(Some((bytes.get(..got).and_then(|mut bytes| read(&mut bytes)), last)))
}

/// With its number.
fn last_entry<T>(
    file: &dyn File,
    entry_bytes: u32,
    read: impl Fn(&mut &[u8]) -> Option<T>,
    wanted: impl Fn(&T) -> bool,
) -> io::Result<Option<(u64, T)>> {
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
                found = Some((middle, entry));
                low = middle + 1;
            }
            None => high = middle,
        }
    }
    Ok(found)
}
