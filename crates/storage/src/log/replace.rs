//! Compaction as the log sees it: what a pass is to do, and how a new segment takes the place of others.
//!
//! The checkpoint decides. A replacement becomes part of the log's state when it is offered; when a checkpoint with that
//! state is on disk, the files get their names, and from then on the new segment is read. A start that finds a replacement in
//! the checkpoint does what is left to do to the files; one that finds none removes what was written.
//!
//! Invariants:
//! * At most one replacement is under way. Meanwhile no segment is deleted or cut.
//! * Once a state with a replacement has been given away it is carried out, whatever happens.
//! * A read that was planned before files were renamed and ended after that began counts for nothing: [`Log::is_swapping`]
//!   and [`Log::swaps`] tell.

use std::io;
use std::path::{Path, PathBuf};

use host::Files;
use protocol::ids::Offset;

use super::Log;
use super::retention::{DeletedFiles, SegmentDelete, is_full};
use super::truncate::remove_segment;
use crate::PartitionState;
use crate::clean::{Dirtiness, LastBatch, LogFacts, Plan, Replacement, dirtiness};
use crate::producers::ProducerState;
use crate::segment::names::{CLEANED_KINDS, cleaned_file, segment_file};
use crate::segment::{OpenFiles, SealedSegment};

/// Where a replacement stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replacing {
    pub(super) segment: SealedSegment,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Offered,
    /// A state that says so is on its way to the checkpoint.
    Told,
    Durable,
    /// The files are getting their names.
    Swapping,
}

/// The segments are not what they were when the pass began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the segments from {base} on have changed meanwhile")]
pub struct Overtaken {
    pub base: Offset,
}

/// Gives the files of a replacement the names of those that it replaces.
#[derive(Debug)]
pub struct SegmentSwap {
    dir: PathBuf,
    base: Offset,
    number: u64,
    gone: SegmentDelete,
}

impl SegmentSwap {
    /// Blocking. Returns the files of the other segments, under their last names.
    pub fn run(&self, files: &dyn Files, open: &OpenFiles) -> io::Result<DeletedFiles> {
        let mut deleted = take_place(files, open, &self.dir, self.base, self.number)?;
        deleted.append(self.gone.run(files, open)?);
        files.sync_dir(&self.dir)?;
        Ok(deleted)
    }
}

/// Renames what has not been renamed yet. What had the names before gets others: it may be read still, and to set a whole
/// segment free takes long.
fn take_place(
    files: &dyn Files,
    open: &OpenFiles,
    dir: &Path,
    base: Offset,
    number: u64,
) -> io::Result<DeletedFiles> {
    let mut deleted = DeletedFiles::default();
    for kind in CLEANED_KINDS {
        let (from, to) = (cleaned_file(dir, base, kind, number), segment_file(dir, base, kind));
        if files.exists(&from)? {
            deleted.take(files, open, &to)?;
            match files.rename(&from, &to) {
                // A full disk has no room for a name, unless others go first.
                Err(error) if is_full(&error) => {
                    deleted.remove(files)?;
                    files.rename(&from, &to)?;
                }
                renamed => renamed?,
            }
        }
        open.forget(&to);
    }
    Ok(deleted)
}

/// Carries out what a checkpoint has promised. Blocking; for starts.
pub(super) fn finish_replacing(
    files: &dyn Files,
    open: &OpenFiles,
    dir: &Path,
    state: &mut PartitionState,
) -> io::Result<()> {
    let Some(segment) = state.replacing.take() else { return Ok(()) };
    // What has got a last name is removed with all others that have one.
    take_place(files, open, dir, segment.base, state.replacements)?;
    let is_replaced = |other: &&SealedSegment| (segment.base..segment.end).contains(&other.base);
    for gone in state.sealed.iter().filter(is_replaced).filter(|other| other.base != segment.base) {
        remove_segment(files, open, dir, gone.base)?;
    }
    let at = state.sealed.partition_point(|other| other.base < segment.base);
    state.sealed.retain(|other| !is_replaced(&other));
    state.sealed.insert(at, segment);
    match files.sync_dir(dir) {
        // It was deleted or moved since.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Log {
    /// Whether this log is worth compacting, and how much.
    #[must_use]
    pub fn dirtiness(&mut self, now_ms: i64) -> Option<Dirtiness> {
        if !self.config.cleanup_policy.compact || self.replacing.is_some() || self.cut.is_some() {
            return None;
        }
        let (log_start, last_stable) = (self.next_start, self.last_stable_offset());
        let (cleaned, config) = (self.cleaned, self.config.clone());
        dirtiness(&LogFacts { segments: self.cleanable(), cleaned, log_start, last_stable }, &config, now_ms)
    }

    /// Whether a closed segment can be compacted only when it is synced.
    #[must_use]
    pub fn wants_sync_to_clean(&self) -> bool {
        let is_unsynced = self.sealed.back().is_some_and(|segment| segment.base >= self.synced.base);
        self.config.cleanup_policy.compact && is_unsynced
    }

    /// A pass over the part that `dirtiness` speaks of.
    #[must_use]
    pub fn plan_cleaning(&mut self, dirtiness: Dirtiness, now_ms: i64) -> Plan {
        let segments = self.cleanable().get(..dirtiness.segments).unwrap_or_default().to_vec();
        let (start, end) = (segments.first().map_or(self.next_start, |first| first.base), dirtiness.end);
        let last_batch = |state: &ProducerState| {
            let marker = LastBatch::Marker { epoch: state.epoch };
            state.batches.back().map_or(marker, |batch| LastBatch::Data(batch.last_offset))
        };
        Plan {
            dir: self.dir.clone(),
            segments,
            dirtiness,
            last_batches: self.producers.iter().map(|(id, state)| (id, last_batch(state))).collect(),
            aborted: self.aborted_in(start, end),
            config: self.config.clone(),
            replacements: self.replacements,
            cuts: self.cuts,
            now_ms,
        }
    }

    /// Closed, synced, and not all gone.
    fn cleanable(&mut self) -> &[SealedSegment] {
        let (start, end) = (self.next_start, self.synced.base);
        let all = &*self.sealed.make_contiguous();
        let first = all.partition_point(|segment| segment.end <= start);
        let behind = all.partition_point(|segment| segment.base < end);
        all.get(first..behind).unwrap_or_default()
    }

    /// Everything below this offset is compacted.
    #[must_use]
    pub fn cleaned(&self) -> Offset {
        self.cleaned
    }

    /// A pass has come to its end.
    pub fn set_cleaned(&mut self, cleaned: Offset) {
        self.cleaned = cleaned.min(self.log_end());
        self.changed = true;
    }

    /// Takes a new segment, which is synced, for the place of others. It counts when a checkpoint with the
    /// [state](Self::take_state) of this log from now on is [on disk](Self::checkpointed), and the files have been
    /// [swapped](Self::next_swap).
    pub fn replace(&mut self, replacement: &Replacement) -> Result<(), Overtaken> {
        let Replacement { number, cuts, segment, sources } = replacement;
        let is_as_it_was = *cuts == self.cuts && self.has_segments(sources);
        // Kafka ends the passes of a log, too, that is no longer to be compacted.
        let is_as_it_was = is_as_it_was && self.config.cleanup_policy.compact;
        if self.replacing.is_some() || !is_as_it_was || *number <= self.replacements {
            return Err(Overtaken { base: segment.base });
        }
        self.replacements = *number;
        self.replacing = Some(Replacing { segment: *segment, progress: Progress::Offered });
        self.changed = true;
        Ok(())
    }

    /// Whether a pass can go on: what it reads is what it was made for.
    #[must_use]
    pub fn is_as_planned(&self, plan: &Plan) -> bool {
        plan.cuts == self.cuts && plan.segments.first().is_none_or(|first| first.end > self.next_start)
    }

    fn has_segments(&self, wanted: &[SealedSegment]) -> bool {
        let from = wanted.first().map_or(Offset::ZERO, |first| first.base);
        let from = self.sealed.partition_point(|segment| segment.base < from);
        self.sealed.iter().skip(from).take(wanted.len()).eq(wanted)
    }

    /// What a checkpoint holds of this log, if that has changed since the last time.
    pub fn take_state(&mut self) -> Option<PartitionState> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        if let Some(replacing) = self.replacing.as_mut().filter(|this| this.progress == Progress::Offered) {
            replacing.progress = Progress::Told;
        }
        Some(self.state())
    }

    /// A checkpoint with the last [state](Self::take_state) is on disk.
    pub fn checkpointed(&mut self) {
        if let Some(replacing) = self.replacing.as_mut().filter(|this| this.progress == Progress::Told) {
            replacing.progress = Progress::Durable;
        }
    }

    /// Whether a segment is being replaced, or is to be.
    #[must_use]
    pub fn is_replacing(&self) -> bool {
        self.replacing.is_some()
    }

    /// How often segments have been replaced or cut since the start.
    #[must_use]
    pub fn swaps(&self) -> u64 {
        self.swaps + self.cuts
    }

    /// The renaming of files that a replacement asks for, once it is in the checkpoint.
    pub fn next_swap(&mut self) -> Option<SegmentSwap> {
        let number = self.replacements;
        let replacing = self.replacing.as_mut().filter(|this| this.progress == Progress::Durable)?;
        replacing.progress = Progress::Swapping;
        let segment = replacing.segment;
        let is_gone = |other: &&SealedSegment| segment.base < other.base && other.base < segment.end;
        let bases = self.sealed.iter().filter(is_gone).map(|other| other.base).collect();
        let gone = SegmentDelete { dir: self.dir.clone(), bases };
        Some(SegmentSwap { dir: self.dir.clone(), base: segment.base, number, gone })
    }

    /// Whether files are being renamed for a replacement: what was read of files meanwhile is to be read again.
    #[must_use]
    pub fn is_swapping(&self) -> bool {
        self.replacing.is_some_and(|replacing| replacing.progress == Progress::Swapping)
    }

    /// The files have been renamed: from now on the new segment is read.
    pub fn swapped(&mut self) {
        let Some(Replacing { segment, .. }) = self.replacing.take() else { return };
        let at = self.sealed.partition_point(|other| other.base < segment.base);
        self.sealed.retain(|other| !(segment.base..segment.end).contains(&other.base));
        self.sealed.insert(at, segment);
        // Memory holds what the segments no longer do.
        self.tail.evict_below(segment.end);
        self.aborted.forget_below(segment.end);
        self.suspects.retain(|base, _| !(segment.base..segment.end).contains(base));
        self.swaps += 1;
        self.changed = true;
    }
}
