//! One log file: its name, its header, its entries.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{BufMut, Bytes, BytesMut};
use host::{File, FileRef, Files, OpenMode};

use super::frame::{self, Frame, Place};
use crate::codec::{Malformed, Reader, crc32c};
use crate::error::{Doing, Error};
use crate::raft::Entry;

/// A file of at least this size gets no more entries.
pub(crate) const SEGMENT_BYTES: u64 = 4 << 20;

/// On a full disk a file goes on up to this size.
pub(crate) const SEGMENT_BYTES_MAX: u64 = 32 << 20;

/// What one file may hold: a full one, a round, the largest entry, and room for later versions.
const FILE_BYTES_MAX: u64 = 64 << 20;

const MAGIC: &[u8; 8] = b"bournmdl";
const VERSION: u16 = 1;
/// magic, version, reserved, checksum, base index, raft id
pub(crate) const HEADER_BYTES: u64 = 8 + 2 + 2 + 4 + 8 + 8;

/// A log file that is open for writing.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: FileRef,
    pub(crate) len: u64,
    /// Up to here the disk has room for sure.
    pub(crate) reserved: u64,
    /// Where each entry begins; entry `base + i` at `positions[i]`.
    pub(crate) positions: Vec<u64>,
}

impl Segment {
    /// The index behind the last entry.
    pub(crate) fn end(&self) -> u64 {
        self.base + self.positions.len() as u64
    }

    pub(crate) fn path(dir: &Path, base: u64) -> PathBuf {
        dir.join(format!("{base:020}.log"))
    }

    /// Writes the entries from `index` on once more, as they are. For those that were written and perhaps never synced: if
    /// a sync of theirs has failed, the kernel may call them clean, and the next sync would succeed without them.
    pub(crate) fn write_again(&self, files: &dyn Files, index: u64) -> Result<(), Error> {
        let first = usize::try_from(index.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let Some(start) = self.positions.get(first).copied() else { return Ok(()) };
        let mut bytes = Bytes::from(files.read(&self.path, FILE_BYTES_MAX).doing("read the metadata log")?);
        bytes.truncate(usize::try_from(self.len).unwrap_or(usize::MAX));
        let rest = bytes.split_off(usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len()));
        self.file.write_at(&[rest], start).doing("write the end of the metadata log again")
    }

    /// Makes the file; [`Self::settle`] makes it durable. Nothing is left of it when that fails.
    pub(crate) fn begin(files: &dyn Files, dir: &Path, base: u64, raft_id: u64) -> io::Result<Self> {
        let path = Self::path(dir, base);
        let file = files.open(&path, OpenMode::CREATE_NEW)?;
        if let Err(error) = file.write_at(&[header(base, raft_id)], 0) {
            // What cannot be removed is a torn header to the next start.
            drop(files.remove_file(&path));
            return Err(error);
        }
        let len = HEADER_BYTES;
        Ok(Self { base, path, file, len, reserved: len, positions: Vec::new() })
    }

    /// Makes a new file durable with its name.
    pub(crate) fn settle(files: &dyn Files, dir: &Path, file: &dyn File) -> io::Result<()> {
        file.sync()?;
        files.sync_dir(dir)
    }
}

/// The base index in a log file's name.
pub(crate) fn base_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

fn header(base: u64, raft_id: u64) -> Bytes {
    let mut out = BytesMut::new();
    let (magic, version) = (MAGIC.as_slice(), VERSION.to_be_bytes());
    let crc = crc32c(&[magic, &version, &base.to_be_bytes(), &raft_id.to_be_bytes()]);
    out.put_slice(magic);
    out.put_slice(&version);
    out.put_u16(0);
    out.put_u32(crc);
    out.put_u64(base);
    out.put_u64(raft_id);
    out.freeze()
}

fn check_header(bytes: &[u8], base: u64, raft_id: u64) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.take(MAGIC.len())? != MAGIC {
        return Err(Malformed("this is not a metadata log file"));
    }
    if reader.u16()? != VERSION {
        return Err(Malformed("the file has an unknown version"));
    }
    let expected = header(base, raft_id);
    if bytes.get(..expected.len()) != Some(expected.as_ref()) {
        return Err(Malformed("the header does not belong to this file in this directory"));
    }
    Ok(())
}

/// What a log file holds, read back.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) entries: Vec<Entry>,
    pub(crate) positions: Vec<u64>,
    /// Entries before this index are proven to have been synced.
    pub(crate) synced_end: u64,
    /// Length of the good part.
    pub(crate) len: u64,
    pub(crate) fault: Option<Fault>,
}

/// Why the rest of a file is not read.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) position: u64,
    pub(crate) reason: &'static str,
    pub(crate) kind: FaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// Not even the file's header: it may never have been completed.
    Header,
    /// What a write that a crash cut short leaves behind.
    Torn,
    /// Later bytes prove that what stood here was synced, or no crash does this.
    Damage,
}

/// Reads a log file up to the first fault. `previous` is the entry before the file, if there is one.
pub(crate) fn scan(
    files: &dyn Files,
    path: &Path,
    base: u64,
    raft_id: u64,
    previous_term: u64,
) -> Result<Scan, Error> {
    let bytes = files.read(path, FILE_BYTES_MAX).doing("read the metadata log")?;
    let mut scan = Scan { entries: Vec::new(), positions: Vec::new(), synced_end: 0, len: 0, fault: None };
    if let Err(Malformed(reason)) = check_header(&bytes, base, raft_id) {
        let kind = if bytes.len() as u64 <= HEADER_BYTES { FaultKind::Header } else { FaultKind::Damage };
        scan.fault = Some(Fault { position: 0, reason, kind });
        return Ok(scan);
    }
    scan.len = HEADER_BYTES;
    let mut term = previous_term;
    while scan.len < bytes.len() as u64 {
        let rest = usize::try_from(scan.len).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let place = Place { raft_id, base, position: scan.len };
        let index = base + scan.entries.len() as u64;
        match frame::decode(rest, place) {
            Ok(frame) => match sequence_fault(&frame, index, term) {
                Some(reason) => {
                    scan.fault = Some(Fault { position: scan.len, reason, kind: FaultKind::Damage });
                    break;
                }
                None => {
                    term = frame.entry.log_id.leader_id.term;
                    scan.positions.push(scan.len);
                    scan.len += frame.bytes as u64;
                    scan.synced_end = scan.synced_end.max(frame.synced_end);
                    scan.entries.push(frame.entry);
                }
            },
            Err(Malformed(reason)) => {
                let behind = rest.get(1..).unwrap_or_default();
                let place = Place { position: scan.len + 1, ..place };
                let proven = frame::proves_synced(behind, place, index);
                let kind = if proven { FaultKind::Damage } else { FaultKind::Torn };
                scan.fault = Some(Fault { position: scan.len, reason, kind });
                break;
            }
        }
    }
    Ok(scan)
}

/// A whole entry that cannot follow the one before it.
fn sequence_fault(frame: &Frame, index: u64, previous_term: u64) -> Option<&'static str> {
    let id = &frame.entry.log_id;
    if id.index != index {
        Some("an entry does not follow the one before it")
    } else if id.leader_id.term < previous_term {
        Some("an entry has a smaller term than the one before it")
    } else if frame.synced_end > index {
        Some("an entry claims that it was synced before it was written")
    } else {
        None
    }
}
