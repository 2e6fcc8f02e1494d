//! The `.txnindex` file: the transactions that markers in the segment have aborted, in Kafka's format.
//!
//! Invariants: entries stand in the order of their markers, which lie in the segment; the file is there only if it has entries. The
//! format has no checksum: the log knows one over all entries of a segment ([`entries_crc`]), and what does not give it is not
//! believed.

use std::io;
use std::path::Path;

use bytes::{Buf, BufMut};
use host::{Files, OpenMode};
use protocol::ids::{Offset, ProducerId};

use super::scan::invalid;
use crate::crc::crc32c;
use crate::producers::AbortedTransaction;

pub const TXN_ENTRY_BYTES: u32 = 34;

/// A segment of 2 GiB cannot have more, with a batch and a marker for each.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Kafka's only version.
const VERSION: i16 = 0;

/// An entry as it stands in the file.
#[must_use]
pub fn entry(aborted: &AbortedTransaction) -> [u8; TXN_ENTRY_BYTES as usize] {
    let mut bytes = [0; TXN_ENTRY_BYTES as usize];
    let mut to: &mut [u8] = &mut bytes;
    to.put_i16(VERSION);
    to.put_i64(aborted.producer_id.0);
    to.put_i64(aborted.first_offset.0);
    to.put_i64(aborted.last_offset.0);
    to.put_i64(aborted.last_stable_offset.0);
    bytes
}

/// Goes on, behind the entries that gave `before`, with the checksum over the entries of a segment. 0 is that of none.
#[must_use]
pub fn entries_crc(before: u32, aborted: &AbortedTransaction) -> u32 {
    crc32c([&before.to_be_bytes()[..], &entry(aborted)])
}

/// The entries that a file's bytes say, or what is wrong with them.
pub fn decode(mut bytes: &[u8]) -> Result<Vec<AbortedTransaction>, String> {
    let mut all: Vec<AbortedTransaction> = Vec::with_capacity(bytes.len() / TXN_ENTRY_BYTES as usize);
    let cut_off = |_| "an entry is cut off".to_owned();
    while !bytes.is_empty() {
        let version = bytes.try_get_i16().map_err(cut_off)?;
        if version != VERSION {
            return Err(format!("entry {} has version {version}", all.len()));
        }
        let aborted = AbortedTransaction {
            producer_id: ProducerId(bytes.try_get_i64().map_err(cut_off)?),
            first_offset: Offset(bytes.try_get_i64().map_err(cut_off)?),
            last_offset: Offset(bytes.try_get_i64().map_err(cut_off)?),
            last_stable_offset: Offset(bytes.try_get_i64().map_err(cut_off)?),
        };
        let before = all.last().map_or(Offset::NONE, |last| last.last_offset);
        if aborted.last_offset <= before || aborted.first_offset > aborted.last_offset {
            let AbortedTransaction { first_offset, last_offset, .. } = aborted;
            return Err(format!("offsets {first_offset} to {last_offset} behind a marker at {before}"));
        }
        all.push(aborted);
    }
    Ok(all)
}

/// The first `entries` entries of a file, if they give `crc`. Otherwise `InvalidData`.
pub fn read(files: &dyn Files, path: &Path, entries: u32, crc: u32) -> io::Result<Vec<AbortedTransaction>> {
    if entries == 0 {
        return Ok(Vec::new());
    }
    let wanted = entries as usize * TXN_ENTRY_BYTES as usize;
    let file = match files.open(path, OpenMode::READ) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(invalid("it is missing".to_owned()));
        }
        file => file?,
    };
    let mut bytes = vec![0; wanted.min(usize::try_from(file.len()?).unwrap_or(usize::MAX))];
    let got = file.read_at(&mut bytes, 0)?;
    if got < wanted {
        return Err(invalid(format!("{entries} entries belong there, it ends after {got} bytes")));
    }
    let all = decode(&bytes).map_err(invalid)?;
    if all.iter().fold(0, entries_crc) != crc {
        return Err(invalid("its entries are not those that were written".to_owned()));
    }
    Ok(all)
}

/// The entries in front of `end`, without a checksum to go by.
pub fn read_front(files: &dyn Files, path: &Path, end: Offset) -> io::Result<Vec<AbortedTransaction>> {
    let bytes = match files.read(path, FILE_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        bytes => bytes?,
    };
    let mut all = decode(&bytes).map_err(invalid)?;
    all.retain(|aborted| aborted.last_offset < end);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aborted(first: i64, last: i64) -> AbortedTransaction {
        AbortedTransaction {
            producer_id: ProducerId(3),
            first_offset: Offset(first),
            last_offset: Offset(last),
            last_stable_offset: Offset(last + 1),
        }
    }

    #[test]
    fn entries_come_back() {
        let all = [aborted(1, 5), aborted(0, 6), aborted(7, 9)];
        let bytes: Vec<u8> = all.iter().flat_map(entry).collect();
        assert_eq!(decode(&bytes), Ok(all.to_vec()));
        assert_eq!(bytes.len(), 3 * TXN_ENTRY_BYTES as usize);
        assert!(decode(&bytes[..50]).is_err());
        assert!(decode(&[&[0, 1], &bytes[2..]].concat()).is_err(), "a version that nobody knows");
        let swapped: Vec<u8> = [all[1], all[0]].iter().flat_map(entry).collect();
        assert!(decode(&swapped).is_err());
    }

    #[test]
    fn what_has_changed_is_not_believed() {
        let files = host::sim::SimDisk::new(1).files();
        let path = Path::new("/00.txnindex");
        let all = [aborted(1, 5), aborted(0, 6)];
        let crc = all.iter().fold(0, entries_crc);
        let bytes: Vec<u8> = all.iter().chain([&aborted(7, 8)]).flat_map(entry).collect();
        files.replace(path, &bytes).unwrap();
        assert_eq!(
            read(&*files, path, 2, crc).unwrap(),
            all,
            "what a crash has left behind them does not count"
        );
        assert!(read(&*files, Path::new("/none"), 0, 0).unwrap().is_empty());
        let kind = |result: io::Result<Vec<AbortedTransaction>>| result.unwrap_err().kind();
        assert_eq!(kind(read(&*files, path, 4, crc)), io::ErrorKind::InvalidData);
        assert_eq!(kind(read(&*files, Path::new("/none"), 1, crc)), io::ErrorKind::InvalidData);
        for at in 0..68 {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            files.replace(path, &changed).unwrap();
            assert_eq!(kind(read(&*files, path, 2, crc)), io::ErrorKind::InvalidData, "byte {at}");
        }
    }
}
