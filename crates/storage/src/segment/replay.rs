//! What a segment's batches did to producers, found out anew: from the snapshot at its base and the batches themselves.
//!
//! For what is missing or damaged, and for truncations that go back further than memory knows. A segment is read as a whole.

use std::io;
use std::path::Path;

use bytes::Bytes;
use host::{File, Files};
use protocol::ids::Offset;
use protocol::records::{BatchHeader, TxnMarker, ValidBatch};

use super::names::{FileKind, segment_file};
use super::producer_snapshot;
use super::scan::{Headers, invalid};
use crate::producers::{AbortedTransaction, Producers};

/// More than a snapshot of all producers that are kept ever takes.
const SNAPSHOT_BYTES_MAX: u64 = 64 << 20;

/// After the last batch.
#[derive(Debug, Default)]
pub struct Replayed {
    pub producers: Producers,
    /// By markers in the segment.
    pub aborted: Vec<AbortedTransaction>,
}

/// Replays the batches in the first `bytes` of the segment `base` that end below `end`. Blocking. `None` if nobody knows what was
/// before it: its snapshot is missing or damaged.
pub fn replay(
    files: &dyn Files,
    dir: &Path,
    base: Offset,
    (log, bytes): (&dyn File, u64),
    end: Offset,
) -> io::Result<Option<Replayed>> {
    let Some(producers) = producers_at(files, dir, base)? else { return Ok(None) };
    let mut replayed = Replayed { producers, aborted: Vec::new() };
    let mut headers = Headers::new(log, 0, bytes);
    while let Some((at, header)) = headers.advance()? {
        if header.last_offset() >= end {
            break;
        }
        let marker = if header.attributes.is_control() { marker(log, at, &header)? } else { None };
        let aborted = replayed.producers.apply(&header, marker, header.max_timestamp);
        replayed.aborted.extend(aborted);
    }
    Ok(Some(replayed))
}

/// What was known of producers when the segment was begun; `None` if its snapshot is missing or damaged. Blocking.
pub fn producers_at(files: &dyn Files, dir: &Path, base: Offset) -> io::Result<Option<Producers>> {
    match files.read(&segment_file(dir, base, FileKind::Snapshot), SNAPSHOT_BYTES_MAX) {
        Ok(bytes) => Ok(producer_snapshot::decode(&bytes, base)),
        // Nothing comes before the first one.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok((base == Offset::ZERO).then(Producers::default))
        }
        Err(error) => Err(error),
    }
}

fn marker(log: &dyn File, at: u64, header: &BatchHeader) -> io::Result<Option<TxnMarker>> {
    let mut bytes = vec![0; header.size()];
    let got = log.read_at(&mut bytes, at)?;
    bytes.truncate(got);
    let batch = ValidBatch::split_from(&mut Bytes::from(bytes));
    let marker = batch.and_then(|batch| TxnMarker::of(&batch));
    marker.map_err(|error| invalid(format!("at byte {at}: {error}")))
}
