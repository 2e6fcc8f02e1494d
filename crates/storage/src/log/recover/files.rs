//! The files of a partition at a start: cut back to what is synced, mended where that can be done, and rid of what is no part
//! of the log.

use std::io;
use std::path::Path;

use host::disk::DirEntry;
use host::{File, Files, OpenMode};
use protocol::ids::Offset;

use crate::error::Error;
use crate::log::truncate::remove_segment;
use crate::segment::index::{check_offset_entries, check_time_entries};
use crate::segment::names::{CLEANED_SUFFIX, DELETED_SUFFIX, FileKind, parse_segment_file, segment_file};
use crate::segment::scan::{Headers, invalid, scan};
use crate::segment::state::{OFFSET_ENTRY_BYTES, TIME_ENTRY_BYTES};
use crate::segment::txn_index::{self, TXN_ENTRY_BYTES};
use crate::segment::{OpenFiles, SealedSegment, SegmentState, replay};
use crate::{LogConfig, PartitionState};

/// None, if there is no directory.
pub(super) fn names_in(files: &dyn Files, dir: &Path) -> Result<Vec<DirEntry>, Error> {
    match files.read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(Error::io(dir, "list a partition's files")),
    }
}

/// The segments that have a `.log` file, sorted, as the names are.
pub(super) fn segment_bases(names: &[DirEntry]) -> Vec<Offset> {
    let segments = names.iter().filter_map(|entry| parse_segment_file(&entry.name));
    segments.filter(|(_, kind)| *kind == FileKind::Log).map(|(base, _)| base).collect()
}

/// Cuts the files of the last segment back to its synced state. Bytes behind it were not promised to anyone, or are
/// in the journal.
pub(super) fn cut_back(
    files: &dyn Files,
    open: &OpenFiles,
    dir: &Path,
    mut synced: SegmentState,
) -> Result<SegmentState, Error> {
    if synced.bytes == 0 {
        return Ok(synced);
    }
    let path = segment_file(dir, synced.base, FileKind::Log);
    let opened = open.get(files, &path);
    if opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Err(Error::Missing { path, because: "the checkpoint says that it holds records" });
    }
    let log = opened.map_err(Error::io(&path, "recover a segment"))?;
    let bytes = u64::from(synced.bytes);
    tell_what_is_cut(&path, &*log, bytes, synced.end)
        .map_err(Error::io(&path, "look behind a segment's end"))?;
    let len = cut_to(&*log, bytes).map_err(Error::io(&path, "cut a segment back"))?;
    if len < bytes {
        let what = format!("{bytes} bytes were synced, {len} are there");
        return Err(Error::Damaged { path, offset: len, what });
    }
    let trimmed = trim_indexes(files, open, dir, &synced, bytes);
    if let Err(error) = trimmed {
        tracing::warn!("{}: rebuilding the indexes of segment {}: {error}", dir.display(), synced.base);
        let config = LogConfig::default();
        let found = scan(&*log, synced.base, bytes, Offset(i64::MAX), &config, |_, _| ())
            .map_err(Error::io(&path, "read a segment"))?;
        if let Some(error) = found.damage {
            let offset = u64::from(found.state.bytes);
            return Err(Error::Damaged { path, offset, what: error.to_string() });
        }
        if !is_as_synced(&found.state, &synced) {
            let what = "its batches do not say what those said that were synced".to_owned();
            return Err(Error::Damaged { path, offset: 0, what });
        }
        for (kind, bytes) in
            [(FileKind::Index, &found.index.offset), (FileKind::TimeIndex, &found.index.time)]
        {
            let path = segment_file(dir, synced.base, kind);
            open.forget(&path);
            files.replace(&path, bytes).map_err(Error::io(&path, "rebuild an index"))?;
        }
        let SegmentState { end, created_ms, aborted_entries, aborted_crc, .. } = synced;
        synced = SegmentState { end, created_ms, aborted_entries, aborted_crc, ..found.state };
    }
    trim_aborted(files, open, dir, &*log, &synced)?;
    Ok(synced)
}

/// Cuts the index of aborted transactions back to what the state counts, or writes it anew from the batches, if it is not
/// that. What cannot be is an error for those who read it.
fn trim_aborted(
    files: &dyn Files,
    open: &OpenFiles,
    dir: &Path,
    log: &dyn File,
    synced: &SegmentState,
) -> Result<(), Error> {
    let path = segment_file(dir, synced.base, FileKind::TxnIndex);
    let bytes = u64::from(synced.aborted_entries) * u64::from(TXN_ENTRY_BYTES);
    let trim = || {
        if !files.exists(&path)? {
            return if bytes == 0 { Ok(()) } else { Err(invalid("it is missing".to_owned())) };
        }
        cut_to(&*open.get(files, &path)?, bytes)?;
        txn_index::read(files, &path, synced.aborted_entries, synced.aborted_crc).map(drop)
    };
    let Err(error) = trim() else { return Ok(()) };
    if error.kind() != io::ErrorKind::InvalidData {
        return Err(Error::io(&path, "cut the index of aborted transactions back")(error));
    }
    let found = replay::replay(files, dir, synced.base, (log, u64::from(synced.bytes)), synced.end)
        .map_err(Error::io(&path, "rebuild the index of aborted transactions"))?;
    let aborted = found.map(|found| found.aborted).unwrap_or_default();
    if aborted.iter().fold(0, txn_index::entries_crc) != synced.aborted_crc {
        tracing::error!(
            "{}: {error}, and the batches of its segment do not tell what it was",
            path.display()
        );
        return Ok(());
    }
    tracing::warn!("{}: {error}; it is written anew", path.display());
    open.forget(&path);
    let entries: Vec<u8> = aborted.iter().flat_map(txn_index::entry).collect();
    files.replace(&path, &entries).map_err(Error::io(&path, "rebuild the index of aborted transactions"))
}

/// Records behind the synced end are in the journal, or were promised to nobody. Anything else somebody may look for.
fn tell_what_is_cut(path: &Path, log: &dyn File, from: u64, next: Offset) -> io::Result<()> {
    let len = log.len()?;
    if len <= from {
        return Ok(());
    }
    let (path, bytes) = (path.display(), len - from);
    match Headers::new(log, from, len).advance() {
        Ok(Some((_, header))) if header.base_offset >= next => {
            tracing::debug!(%path, bytes, "records that had not been synced are cut off the segment");
        }
        Err(error) if error.kind() != io::ErrorKind::InvalidData => return Err(error),
        _ => tracing::warn!(
            %path,
            bytes,
            "what is behind the last synced record is no whole record batch and is cut off: the end of a write that a \
             crash has broken off, or something that Bourn has not written"
        ),
    }
    Ok(())
}

/// Whether the headers of a segment give what the checkpoint knows of it.
fn is_as_synced(found: &SegmentState, synced: &SegmentState) -> bool {
    let facts = |state: &SegmentState| {
        let times = (state.first_timestamp_ms, state.max_timestamp_ms, state.max_timestamp_offset);
        (state.bytes, state.heads_crc, times)
    };
    // A truncation may have left a gap at its end.
    facts(found) == facts(synced) && found.end <= synced.end
}

/// Cuts the indexes back to the entries that the state counts; an error if they are not there or not right.
fn trim_indexes(
    files: &dyn Files,
    open: &OpenFiles,
    dir: &Path,
    synced: &SegmentState,
    bytes: u64,
) -> io::Result<()> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let base = synced.base;
    let index = open.get(files, &segment_file(dir, base, FileKind::Index))?;
    let times = open.get(files, &segment_file(dir, base, FileKind::TimeIndex))?;
    cut_to(&*index, u64::from(synced.offset_entries) * u64::from(OFFSET_ENTRY_BYTES))?;
    cut_to(&*times, u64::from(synced.time_entries) * u64::from(TIME_ENTRY_BYTES))?;
    // Indexes of an open segment are not synced.
    if let Some(last) = check_offset_entries(&*index, base, synced.offset_entries)? {
        let log = open.get(files, &segment_file(dir, base, FileKind::Log))?;
        let header = Headers::new(&*log, u64::from(last.position), bytes).advance()?;
        if header.is_none_or(|(_, header)| header.last_offset() != last.last_offset) {
            return Err(bad("the last entry of the index names another batch"));
        }
    }
    let last_time = check_time_entries(&*times, base, synced.time_entries)?;
    if last_time.map_or(-1, |entry| entry.timestamp_ms) != synced.last_time_entry_ms {
        return Err(bad("the last entry of the time index is not the one that was written"));
    }
    Ok(())
}

/// Says so if a closed segment is not as long as it was when it was closed. What is left of it can be read.
fn check_length(files: &dyn Files, dir: &Path, segment: &SealedSegment) -> Result<(), Error> {
    let path = segment_file(dir, segment.base, FileKind::Log);
    let len = files.open(&path, OpenMode::READ).and_then(|file| file.len());
    let len = len.map_err(Error::io(&path, "look at a segment"))?;
    let bytes = u64::from(segment.bytes);
    if len < bytes {
        let path = path.display();
        tracing::error!(
            "{path} has lost its end: {bytes} bytes were synced, {len} are there; reads of what is missing answer \
             KAFKA_STORAGE_ERROR; restore the file from a backup while the broker is stopped"
        );
    }
    Ok(())
}

/// Cuts a file back if it is longer; answers how long it was.
fn cut_to(file: &dyn File, bytes: u64) -> io::Result<u64> {
    let len = file.len()?;
    if len > bytes {
        file.set_len(bytes)?;
    }
    Ok(len)
}

/// Compares the segments that are there with those that should be, and removes what was on its way out.
pub(super) fn tidy(
    files: &dyn Files,
    open: &OpenFiles,
    dir: &Path,
    state: &PartitionState,
    names: &[DirEntry],
) -> Result<(), Error> {
    let bases = segment_bases(names);
    for segment in &state.sealed {
        if !bases.contains(&segment.base) {
            let path = segment_file(dir, segment.base, FileKind::Log);
            return Err(Error::Missing { path, because: "the checkpoint says that it holds records" });
        }
        check_length(files, dir, segment)?;
    }
    let oldest = state.sealed.first().map_or(state.synced.base, |segment| segment.base);
    for base in bases.iter().filter(|base| **base < oldest || **base > state.synced.base) {
        tracing::info!("{}: removing segment {base}, which is not part of the log", dir.display());
        remove_segment(files, open, dir, *base).map_err(Error::io(dir, "remove a segment"))?;
    }
    let is_left = |name: &str| name.ends_with(DELETED_SUFFIX) || name.ends_with(CLEANED_SUFFIX);
    for entry in names.iter().filter(|entry| is_left(&entry.name)) {
        let path = dir.join(&entry.name);
        files.remove_file(&path).map_err(Error::io(&path, "remove a leftover file"))?;
    }
    Ok(())
}
