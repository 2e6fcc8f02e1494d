//! What a segment's batches did to producers, found out anew: from the snapshot at its base and the batches themselves.
//!
//! For what is missing or damaged, and for truncations that go back further than memory knows. A segment is read as a whole.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use bytes::Bytes;
use host::{File, Files, OpenMode};
use protocol::ids::{Offset, ProducerId};
use protocol::records::{BatchHeader, TxnMarker, ValidBatch};

use super::names::{FileKind, parse_segment_file, segment_file};
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

/// Ends the transactions, open at `end` for all that a replay knows, of which no batch is left in the segments: they were
/// decided, and compaction has taken their markers, too; or retention has taken all that there was to decide about. Blocking.
pub fn end_compacted(
    files: &dyn Files,
    dir: &Path,
    producers: &mut Producers,
    end: Offset,
) -> io::Result<()> {
    let open = producers.iter().filter_map(|(id, state)| Some((id, state.transaction?)));
    let mut without: BTreeMap<ProducerId, Offset> = open.collect();
    let Some(from) = without.values().min().copied() else { return Ok(()) };
    let names = files.read_dir(dir)?;
    let segments = names.iter().filter_map(|entry| parse_segment_file(&entry.name));
    let bases: Vec<Offset> =
        segments.filter(|(_, kind)| *kind == FileKind::Log).map(|(base, _)| base).collect();
    let first = bases.partition_point(|base| *base <= from).saturating_sub(1);
    for base in bases.into_iter().skip(first).take_while(|base| *base < end) {
        let log = files.open(&segment_file(dir, base, FileKind::Log), OpenMode::READ)?;
        let mut headers = Headers::new(&*log, 0, log.len()?);
        loop {
            let header = match headers.advance() {
                Ok(Some((_, header))) => header,
                Ok(None) => break,
                // What cannot be read may have had one.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(()),
                Err(error) => return Err(error),
            };
            let is_data = header.attributes.is_transactional() && !header.attributes.is_control();
            let is_within = |first: &Offset| *first <= header.base_offset && header.last_offset() < end;
            if is_data && without.get(&header.producer_id).is_some_and(is_within) {
                without.remove(&header.producer_id);
            }
        }
    }
    without.into_keys().for_each(|id| producers.end_transaction(id));
    Ok(())
}

fn marker(log: &dyn File, at: u64, header: &BatchHeader) -> io::Result<Option<TxnMarker>> {
    let mut bytes = vec![0; header.size()];
    let got = log.read_at(&mut bytes, at)?;
    bytes.truncate(got);
    let batch = ValidBatch::split_from(&mut Bytes::from(bytes));
    let marker = batch.and_then(|batch| TxnMarker::of(&batch));
    marker.map_err(|error| invalid(format!("at byte {at}: {error}")))
}
