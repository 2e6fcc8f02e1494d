//! From a checkpoint's state and the journal's entries back to a log.
//!
//! Replay needs no positions. An entry that the state reflects already may come again, and so may an entry that was
//! submitted twice: appends are taken by their base offset, and whatever a truncation cut off is written again by
//! entries behind it.
//!
//! Invariants: segment files are cut back to what the state says is synced there, the rest comes out of the
//! journal; a byte that was synced and is missing is an error that names the file; no segment is read as a whole,
//! unless a truncation cuts into it or one of its indexes is damaged.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use host::disk::DirEntry;
use host::{File, Files, OpenMode};
use protocol::ids::{LeaderEpoch, Offset};
use protocol::records::{HEAD_LEN, LOG_OVERHEAD, ValidBatch, head};

use super::replace::finish_replacing;
use super::truncate::{Cut, SegmentCut, remove_segment};
use super::{Log, LogConfig};
use crate::epochs::Epochs;
use crate::error::Error;
use crate::journal::Body;
use crate::producers::Producers;
use crate::segment::index::{check_offset_entries, check_time_entries};
use crate::segment::names::{
    CLEANED_SUFFIX, DELETED_SUFFIX, FileKind, parse_segment_file, partition_dir, segment_file,
};
use crate::segment::scan::{Headers, invalid, scan};
use crate::segment::state::{OFFSET_ENTRY_BYTES, TIME_ENTRY_BYTES};
use crate::segment::txn_index::{self, TXN_ENTRY_BYTES};
use crate::segment::{OpenFiles, SealedSegment, SegmentState, replay};
use crate::{PartitionState, Position};

/// A partition as it was found on disk. It becomes a [`Log`] when its configuration is known.
#[derive(Debug)]
pub struct Recovered {
    dir: PathBuf,
    state: PartitionState,
    /// Behind the synced end, without a gap, with their places in the journal.
    batches: Vec<(Position, ValidBatch)>,
}

impl Recovered {
    #[must_use]
    pub fn state(&self) -> &PartitionState {
        &self.state
    }

    #[must_use]
    pub fn log_end(&self) -> Offset {
        self.batches.last().map_or(self.state.synced.end, |(_, last)| last.header().next_offset())
    }

    /// Batches that only the journal has.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.batches.len()
    }

    /// Bytes of them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.batches.iter().map(|(_, batch)| batch.size()).sum()
    }
}

impl Log {
    /// The log that was found; everything in it counts as synced.
    #[must_use]
    pub fn open(recovered: Recovered, config: Arc<LogConfig>, random: u64, now_ms: i64) -> Self {
        let Recovered { dir, state, batches } = recovered;
        let mut log = Self::from_state(state, dir, config, random);
        for (position, batch) in batches {
            // A slice of a read of the journal, most of which is kept as well: small batches are copied out of it,
            // larger ones are not worth it for the short time until they are in their segments.
            log.take(&batch, batch.size(), now_ms);
            log.held.hold(batch.header().next_offset(), position);
        }
        let end = log.log_end();
        log.journal_written = end;
        log.journal_synced = end;
        log.high_watermark = end;
        log.producers.settle(end, end);
        log
    }
}

/// Puts a partition of `log_dir` together. Blocking; for starts. `entries` are those of this partition, in the order
/// of the journal.
pub fn recover(
    files: &dyn Files,
    open: &OpenFiles,
    log_dir: &Path,
    mut state: PartitionState,
    entries: impl IntoIterator<Item = (Position, Body)>,
) -> Result<Recovered, Error> {
    let dir = partition_dir(log_dir, &state.topic, state.key.partition);
    let mut replay = Replay::new(&state);
    for (position, body) in entries {
        replay.entry(position, body);
    }
    state.log_start = replay.log_start;
    finish_replacing(files, open, &dir, &mut state).map_err(Error::io(&dir, "replace a segment"))?;
    let names = names_in(files, &dir)?;
    let bases = segment_bases(&names);
    let is_gone = state.synced.bytes > 0 && !bases.contains(&state.synced.base);
    if is_gone && (state.synced.end..=replay.log_start).contains(&replay.synced_end) {
        // Retention has come this far since the checkpoint; the journal has what is left.
        state.synced = SegmentState::new(replay.drop_gone(), state.synced.created_ms);
    }
    state.synced = if replay.synced_end < state.synced.end {
        let created_ms = state.synced.created_ms;
        let config = Arc::default();
        // Later segments are not part of the checkpoint's truth, even if their files are there.
        let known = bases.iter().copied().filter(|base| *base <= state.synced.base).collect();
        let cut = SegmentCut {
            dir: dir.clone(),
            bases: known,
            synced_base: state.synced.base,
            created_ms,
            end: replay.synced_end,
            epochs: replay.epochs.clone(),
            reads_producers: replay.producers.end() < replay.producers.truncatable(),
            config,
        };
        let Cut { state, producers } =
            cut.run(files, open).map_err(Error::io(&dir, "cut its segments back"))?;
        replay.producers = producers.unwrap_or(replay.producers);
        state
    } else if state.synced.end < replay.synced_end {
        SegmentState::new(replay.synced_end, state.synced.created_ms)
    } else {
        cut_back(files, open, &dir, state.synced)?
    };
    state.cut = None;
    state.sealed.retain(|segment| segment.end > state.log_start && segment.base < state.synced.base);
    tidy(files, open, &dir, &state, &names)?;
    let batches = replay.batches(&dir, state.synced.end)?;
    let mut recovered = Recovered { dir, state, batches };
    let end = recovered.log_end();
    replay.epochs.truncate_from_end(end);
    replay.epochs.truncate_from_start(recovered.state.log_start);
    replay.producers.truncate_from_end(end);
    recovered.state.cleaned = recovered.state.cleaned.min(end);
    recovered.state.log_start = recovered.state.log_start.min(end);
    recovered.state.high_watermark = end;
    recovered.state.epochs = replay.epochs.entries().to_vec();
    let from = recovered.state.synced.end;
    recovered.state.aborted.retain(|aborted| (from..end).contains(&aborted.last_offset));
    replay.producers.settle(end, end);
    recovered.state.producers = replay.producers;
    Ok(recovered)
}

/// The journal's entries, carried out without touching files.
struct Replay {
    /// Below this the segments have it.
    synced_end: Offset,
    log_start: Offset,
    appends: BTreeMap<Offset, (Position, LeaderEpoch, Bytes)>,
    epochs: Epochs,
    producers: Producers,
}

impl Replay {
    fn new(state: &PartitionState) -> Self {
        let mut replay = Self {
            synced_end: state.synced.end,
            log_start: state.log_start,
            appends: BTreeMap::new(),
            epochs: Epochs::new(state.epochs.iter().copied()),
            producers: state.producers.clone(),
        };
        if let Some(end) = state.cut {
            replay.truncate(end);
        }
        replay
    }

    fn entry(&mut self, position: Position, body: Body) {
        match body {
            Body::Append { leader_epoch, base_offset, batch } => {
                if base_offset >= self.synced_end {
                    self.appends.insert(base_offset, (position, leader_epoch, batch));
                }
            }
            Body::Truncate { end, .. } => self.truncate(end),
            Body::LogStart { offset } => self.log_start = self.log_start.max(offset),
            Body::EpochStart { leader_epoch, start_offset } => {
                // An older one is reflected already.
                if self.epochs.latest().is_none_or(|latest| leader_epoch > latest) {
                    self.epochs.assign(leader_epoch, start_offset);
                }
            }
            Body::Create { start_offset, .. } => {
                if start_offset > self.synced_end {
                    self.synced_end = start_offset;
                    self.log_start = start_offset;
                    self.appends.clear();
                }
            }
            // Who reads the journal knows which partitions are no longer here.
            Body::Delete | Body::MovedAway { .. } => {}
        }
    }

    /// Forgets the batches below the log start; returns where the rest begins.
    fn drop_gone(&mut self) -> Offset {
        let first = self.appends.range(..=self.log_start).next_back();
        self.synced_end = first.map_or(self.log_start, |(base, _)| *base);
        self.appends = self.appends.split_off(&self.synced_end);
        self.synced_end
    }

    fn truncate(&mut self, end: Offset) {
        self.appends.split_off(&end);
        self.synced_end = self.synced_end.min(end);
        self.epochs.truncate_from_end(end);
        self.producers.truncate_from_end(end);
        self.log_start = self.log_start.min(end);
    }

    /// The batches behind `end`, which follow each other.
    fn batches(&mut self, dir: &Path, mut end: Offset) -> Result<Vec<(Position, ValidBatch)>, Error> {
        let damaged = |what: String| Error::Damaged { path: dir.to_path_buf(), offset: 0, what };
        let mut batches = Vec::with_capacity(self.appends.len());
        for (base, (position, epoch, rest)) in std::mem::take(&mut self.appends) {
            if base != end {
                return Err(damaged(format!("the journal has offset {base} next where {end} was expected")));
            }
            let length = i32::try_from(rest.len() + HEAD_LEN - LOG_OVERHEAD).map_err(|_| {
                damaged(format!("a batch of {} bytes at offset {base} in the journal", rest.len()))
            })?;
            let batch = ValidBatch::join(&head(base, length, epoch), rest)
                .map_err(|error| damaged(format!("in the journal at offset {base}: {error}")))?;
            end = batch.header().next_offset();
            batches.push((position, batch));
        }
        Ok(batches)
    }
}

/// None, if there is no directory.
fn names_in(files: &dyn Files, dir: &Path) -> Result<Vec<DirEntry>, Error> {
    match files.read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(Error::io(dir, "list a partition's files")),
    }
}

/// The segments that have a `.log` file, sorted, as the names are.
fn segment_bases(names: &[DirEntry]) -> Vec<Offset> {
    let segments = names.iter().filter_map(|entry| parse_segment_file(&entry.name));
    segments.filter(|(_, kind)| *kind == FileKind::Log).map(|(base, _)| base).collect()
}

/// Cuts the files of the last segment back to its synced state. Bytes behind it were not promised to anyone, or are
/// in the journal.
fn cut_back(
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
fn tidy(
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
