//! From a checkpoint's state and the journal's entries back to a log.
//!
//! Replay needs no positions. An entry that the state reflects already may come again, and so may an entry that was
//! submitted twice: appends are taken by their base offset, and whatever a truncation cut off is written again by
//! entries behind it.
//!
//! Invariants: segment files are cut back to what the state says is synced there, the rest comes out of the
//! journal; a byte that was synced and is missing is an error that names the file; no segment is read as a whole,
//! unless a truncation cuts into it or one of its indexes is damaged.

mod files;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use host::Files;
use protocol::ids::{LeaderEpoch, Offset};
use protocol::records::{Error as BatchError, HEAD_LEN, LOG_OVERHEAD, ValidBatch, head};

use super::append::marker_of;
use super::replace::finish_replacing;
use super::truncate::{Cut, SegmentCut};
use super::{Log, LogConfig};
use crate::epochs::Epochs;
use crate::error::Error;
use crate::journal::Body;
use crate::producers::Producers;
use crate::segment::names::{FileKind, partition_dir, segment_file};
use crate::segment::{OpenFiles, SegmentState, replay};
use crate::{PartitionState, Position};
use files::{cut_back, names_in, segment_bases, tidy};

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
        log.producers.settle(end, log.synced.end);
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
    state.producers =
        producers_before(files, open, &dir, &state.synced, std::mem::take(&mut replay.producers))?;
    state.cut = None;
    state.sealed.retain(|segment| segment.end > state.log_start && segment.base < state.synced.base);
    tidy(files, open, &dir, &state, &names)?;
    let batches = replay.batches(&dir, state.synced.end)?;
    let mut recovered = Recovered { dir, state, batches };
    let end = recovered.log_end();
    replay.epochs.truncate_from_end(end);
    replay.epochs.truncate_from_start(recovered.state.log_start);
    recovered.state.cleaned = recovered.state.cleaned.min(end);
    recovered.state.log_start = recovered.state.log_start.min(end);
    recovered.state.high_watermark = end;
    recovered.state.epochs = replay.epochs.entries().to_vec();
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

    /// Forgets the batches below the log start; returns where the rest begins. Their producers go on, and so do transactions that
    /// they have begun or ended.
    fn drop_gone(&mut self) -> Offset {
        let first = self.appends.range(..=self.log_start).next_back();
        self.synced_end = first.map_or(self.log_start, |(base, _)| *base);
        let rest = self.appends.split_off(&self.synced_end);
        for (base, (_, epoch, bytes)) in std::mem::replace(&mut self.appends, rest) {
            if let Ok(batch) = join(base, epoch, bytes) {
                let header = batch.header();
                self.producers.apply(header, marker_of(&batch), header.max_timestamp);
            }
        }
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
            let batch = join(base, epoch, rest)
                .map_err(|error| damaged(format!("in the journal at offset {base}: {error}")))?;
            end = batch.header().next_offset();
            batches.push((position, batch));
        }
        Ok(batches)
    }
}

/// A batch as it is in the journal, without its head.
fn join(base: Offset, epoch: LeaderEpoch, rest: Bytes) -> Result<ValidBatch, BatchError> {
    let size = rest.len() + HEAD_LEN;
    let length = i32::try_from(size - LOG_OVERHEAD).map_err(|_| BatchError::Length { length: -1 })?;
    ValidBatch::join(&head(base, length, epoch), rest)
}

/// What is known of producers in front of what the journal is to give: `producers` without what came later, or what the last
/// segment says if that is not known any more.
fn producers_before(
    files: &dyn Files,
    open: &OpenFiles,
    dir: &Path,
    synced: &SegmentState,
    mut producers: Producers,
) -> Result<Producers, Error> {
    if producers.end().min(synced.end) < producers.truncatable()
        && let Some(found) = producers_of(files, open, dir, synced)?
    {
        return Ok(found);
    }
    producers.truncate_from_end(synced.end);
    Ok(producers)
}

fn producers_of(
    files: &dyn Files,
    open: &OpenFiles,
    dir: &Path,
    synced: &SegmentState,
) -> Result<Option<Producers>, Error> {
    let path = segment_file(dir, synced.base, FileKind::Log);
    let read = || {
        let producers = if synced.bytes == 0 {
            replay::producers_at(files, dir, synced.end)?
        } else {
            let log = open.get(files, &path)?;
            let all = (&*log, u64::from(synced.bytes));
            let replayed = replay::replay(files, dir, synced.base, all, synced.end)?;
            replayed.map(|replayed| replayed.producers)
        };
        let Some(mut producers) = producers else { return Ok(None) };
        replay::end_compacted(files, dir, &mut producers, synced.end)?;
        Ok(Some(producers))
    };
    read().map_err(Error::io(&path, "read the producers of a segment"))
}
