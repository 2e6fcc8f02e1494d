//! Entries of `.index` and `.timeindex` files, in absolute terms.

use std::io;
use std::path::Path;

use host::Files;
use protocol::Offset;
use storage::segment::state::{OFFSET_ENTRY_BYTES, OffsetEntry, TIME_ENTRY_BYTES, TimeEntry};

/// Kafka's default limit is 10 MiB.
const INDEX_BYTES_MAX: u64 = 1 << 30;

/// The entries of an index, and how many bytes behind the last one make no entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entries<T> {
    pub(super) entries: Vec<T>,
    pub(super) left_over: usize,
}

fn absolute(base: Offset, relative: [u8; 4]) -> Offset {
    Offset(base.get().saturating_add(i64::from(i32::from_be_bytes(relative))))
}

pub(super) fn offsets(files: &dyn Files, path: &Path, base: Offset) -> io::Result<Entries<OffsetEntry>> {
    let bytes = files.read(path, INDEX_BYTES_MAX)?;
    Ok(entries::<{ OFFSET_ENTRY_BYTES as usize }, _>(&bytes, |entry| {
        let [a, b, c, d, position @ ..] = *entry;
        OffsetEntry { last_offset: absolute(base, [a, b, c, d]), position: u32::from_be_bytes(position) }
    }))
}

pub(super) fn times(files: &dyn Files, path: &Path, base: Offset) -> io::Result<Entries<TimeEntry>> {
    let bytes = files.read(path, INDEX_BYTES_MAX)?;
    Ok(entries::<{ TIME_ENTRY_BYTES as usize }, _>(&bytes, |entry| {
        let [timestamp @ .., a, b, c, d] = *entry;
        TimeEntry { timestamp_ms: i64::from_be_bytes(timestamp), offset: absolute(base, [a, b, c, d]) }
    }))
}

/// Kafka makes the index of its active segment full size at once: zeros at the end are no entries.
fn entries<const N: usize, T>(bytes: &[u8], entry: impl Fn(&[u8; N]) -> T) -> Entries<T> {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let (whole, left_over) = bytes.as_chunks::<N>();
    let count = used.div_ceil(N);
    Entries { entries: whole.iter().take(count).map(entry).collect(), left_over: left_over.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_at_the_end_are_no_entries() {
        let number = |four: &[u8; 4]| u32::from_be_bytes(*four);
        let parsed = |bytes: &[u8]| entries(bytes, number);
        assert_eq!(parsed(&[]), Entries { entries: vec![], left_over: 0 });
        assert_eq!(parsed(&[0, 0, 0, 0]), Entries { entries: vec![], left_over: 0 });
        let bytes = [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(parsed(&bytes), Entries { entries: vec![0, 256], left_over: 2 });
    }
}
