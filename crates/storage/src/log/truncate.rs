//! Truncation: a suffix that another leader does not have goes away.
//!
//! Memory is cut at once. Files are cut only after the journal has synced the entry, so that recovery finds either
//! the whole log and no entry, or an entry that tells why something is missing. Until then nothing is appended,
//! written or synced.
//!
//! What memory knows of producers goes back no further than to what nothing was thought to take back. A truncation that does
//! reads them out of the last segment, and takes what is in memory only along with the rest.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use host::{File, Files};
use protocol::ids::{LeaderEpoch, Offset};

use super::Log;
use crate::LogConfig;
use crate::epochs::Epochs;
use crate::journal::{Body, Entry};
use crate::producers::Producers;
use crate::segment::check::{Bounds, check_segment};
use crate::segment::names::{FileKind, segment_file};
use crate::segment::replay::{Replayed, end_compacted, producers_at, replay};
use crate::segment::scan::{Scan, invalid, scan};
use crate::segment::{BatchFacts, OpenFiles, SegmentState, txn_index};

/// Cuts the files of a log back to an offset.
#[derive(Debug)]
pub struct SegmentCut {
    pub(super) dir: PathBuf,
    /// Segments that may exist, oldest first.
    pub(super) bases: Vec<Offset>,
    /// Those before this one are synced.
    pub(super) synced_base: Offset,
    pub(super) created_ms: i64,
    pub(super) end: Offset,
    /// Of what is kept.
    pub(super) epochs: Epochs,
    /// Whether producers are to be read out of the last segment.
    pub(super) reads_producers: bool,
    pub(super) config: Arc<LogConfig>,
}

/// What a cut has left.
#[derive(Debug)]
pub struct Cut {
    /// The segment that is the last one now. It is synced.
    pub(super) state: SegmentState,
    /// After its last batch, if they were to be read.
    pub(super) producers: Option<Producers>,
}

impl SegmentCut {
    /// Blocking.
    pub fn run(&self, files: &dyn Files, open: &OpenFiles) -> io::Result<Cut> {
        let kept = self.bases.partition_point(|base| *base <= self.end);
        for gone in self.bases.iter().skip(kept) {
            remove_segment(files, open, &self.dir, *gone)?;
        }
        self.sync_closed(files, open)?;
        let last = kept.checked_sub(1).and_then(|last| self.bases.get(last).copied());
        let Some(base) = last.filter(|base| *base < self.end) else {
            // The first write begins the file anew, whatever is in it.
            self.sync_names(files)?;
            let state = SegmentState::new(self.end, self.created_ms).indexed_by(&self.config);
            let reads = self.reads_producers;
            let producers = if reads { producers_at(files, &self.dir, self.end)? } else { None };
            let producers = self.without_compacted(files, producers)?;
            return Ok(Cut { state, producers });
        };
        let log = open.get(files, &segment_file(&self.dir, base, FileKind::Log))?;
        let Scan { mut state, index, damage } =
            scan(&*log, base, log.len()?, self.end, &self.config, |_, _| ())?;
        if let Some(error) = damage.filter(|_| state.end < self.end) {
            return Err(error);
        }
        // What the segment says of itself is all that is known of it from now on.
        let bytes = u64::from(state.bytes);
        let bounds = Bounds { end: self.end, epochs: self.epochs.clone(), heads_crc: None };
        check_segment(&*log, base, bytes, bounds)?.map_err(|damage| invalid(damage.to_string()))?;
        state.created_ms = self.created_ms;
        // Compaction may have taken the last batches before it.
        state.end = self.end;
        log.set_len(u64::from(state.bytes))?;
        log.sync()?;
        for (kind, bytes) in [(FileKind::Index, &index.offset), (FileKind::TimeIndex, &index.time)] {
            let path = segment_file(&self.dir, base, kind);
            open.forget(&path);
            files.replace(&path, bytes)?;
        }
        let producers = self.cut_aborted(files, open, &*log, &mut state)?;
        self.sync_names(files)?;
        Ok(Cut { state, producers })
    }

    /// Has the index of aborted transactions say what the batches that are left do. Returns what they did to producers, if
    /// that is wanted.
    fn cut_aborted(
        &self,
        files: &dyn Files,
        open: &OpenFiles,
        log: &dyn File,
        state: &mut SegmentState,
    ) -> io::Result<Option<Producers>> {
        let path = segment_file(&self.dir, state.base, FileKind::TxnIndex);
        let has_index = files.exists(&path)?;
        if !has_index && !self.reads_producers {
            return Ok(None);
        }
        let all = (log, u64::from(state.bytes));
        let replayed = replay(files, &self.dir, state.base, all, self.end)?;
        let (producers, aborted) = match replayed {
            Some(Replayed { producers, aborted }) => (Some(producers), aborted),
            None => {
                let (dir, base) = (self.dir.display(), state.base);
                tracing::warn!(
                    "{dir}: segment {base} has no snapshot of producers; its index of aborted transactions is believed"
                );
                (None, txn_index::read_front(files, &path, self.end)?)
            }
        };
        aborted.iter().for_each(|aborted| state.index_aborted(aborted));
        if has_index || !aborted.is_empty() {
            open.forget(&path);
            let entries: Vec<u8> = aborted.iter().flat_map(txn_index::entry).collect();
            files.replace(&path, &entries)?;
        }
        self.without_compacted(files, producers.filter(|_| self.reads_producers))
    }

    fn without_compacted(
        &self,
        files: &dyn Files,
        producers: Option<Producers>,
    ) -> io::Result<Option<Producers>> {
        let Some(mut producers) = producers else { return Ok(None) };
        end_compacted(files, &self.dir, &mut producers, self.end)?;
        Ok(Some(producers))
    }

    /// Everything up to the cut counts as synced afterwards: closed segments too.
    fn sync_closed(&self, files: &dyn Files, open: &OpenFiles) -> io::Result<()> {
        for (base, next) in self.bases.iter().zip(self.bases.iter().skip(1)) {
            if *base < self.synced_base || *next > self.end {
                continue;
            }
            for kind in [FileKind::Log, FileKind::Index, FileKind::TimeIndex] {
                open.get(files, &segment_file(&self.dir, *base, kind))?.sync()?;
            }
        }
        Ok(())
    }

    /// The directory itself may be as new as the file.
    fn sync_names(&self, files: &dyn Files) -> io::Result<()> {
        match files.sync_dir(&self.dir) {
            // Nothing was ever written.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            synced => synced?,
        }
        self.dir.parent().map_or(Ok(()), |parent| files.sync_dir(parent))
    }
}

/// Removes the files of a segment, as far as they are there.
pub(super) fn remove_segment(
    files: &dyn Files,
    open: &OpenFiles,
    dir: &std::path::Path,
    base: Offset,
) -> io::Result<()> {
    for kind in FileKind::ALL {
        let path = segment_file(dir, base, kind);
        open.forget(&path);
        match files.remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

impl Log {
    /// Everything from `end`, the boundary of a batch, on is gone, on behalf of a leader of `epoch`: more than that, as the entry
    /// says, if what is known of producers does not reach so far back. `None` if there is nothing. Nothing may be appended
    /// while [`Log::is_cutting`].
    pub fn truncate_to(&mut self, end: Offset, epoch: LeaderEpoch) -> Option<Entry> {
        if end >= self.log_end() {
            return None;
        }
        let reads_producers = end < self.producers.truncatable();
        let end = if reads_producers { end.min(self.written.end) } else { end };
        self.reads_producers |= reads_producers;
        while self.tail.pop_from(end) {}
        self.held.truncate(end);
        self.epochs.truncate_from_end(end);
        self.producers.truncate_from_end(end);
        self.aborted.truncate(end);
        while self.seals.back().is_some_and(|seal| seal.next.base >= end) {
            self.seals.pop_back();
        }
        self.high_watermark = self.high_watermark.min(end);
        self.producers.settle(self.high_watermark, self.synced.end);
        self.next_start = self.next_start.min(end);
        self.log_start = self.log_start.min(end);
        self.cleaned = self.cleaned.min(end);
        self.journal_written = self.journal_written.min(end);
        self.journal_synced = self.journal_synced.min(end);
        self.unwritten_cuts.push_back(end);
        self.unsynced_cuts.push_back(end);
        self.changed = true;
        if end < self.written.end || reads_producers || self.writing || self.cut.is_some() {
            self.cut_files(end);
        } else {
            self.forget_beginning();
            self.count_active();
        }
        Some(Entry { key: self.key, body: Body::Truncate { end, leader_epoch: epoch } })
    }

    /// The journal has written the entry of the oldest truncation that it had not.
    pub fn truncation_wrote(&mut self) {
        self.unwritten_cuts.pop_front();
    }

    /// The journal has synced the entry of the oldest truncation that it had not. The files may be
    /// [cut](Self::next_cut) now.
    pub fn truncation_synced(&mut self) {
        self.unsynced_cuts.pop_front();
    }

    /// Whether the files have not followed a truncation yet.
    #[must_use]
    pub fn is_cutting(&self) -> bool {
        self.cut.is_some()
    }

    /// The file may have the beginning of a batch that is gone.
    fn forget_beginning(&mut self) {
        let written = u64::from(self.written.bytes);
        self.overhangs |= self.file_bytes > written;
        self.file_bytes = written;
    }

    fn cut_files(&mut self, end: Offset) {
        let end = self.cut.map_or(end, |earlier| earlier.min(end));
        self.cut = Some(end);
        self.cuts += 1;
        // Stands in for the state that the cut will find. Closed segments stay known until then: they are read.
        self.active = SegmentState::new(end, self.active.created_ms).indexed_by(&self.config);
    }

    /// Counts the open segment anew: what is written, and what is in memory behind it.
    fn count_active(&mut self) {
        let mut state = self.written;
        let mut seals = self.seals.iter().peekable();
        for batch in self.tail.unwritten() {
            if let Some(seal) = seals.next_if(|seal| seal.next.base <= batch.facts.base_offset) {
                state = seal.next;
            }
            state.advance(&batch.facts);
            let BatchFacts { base_offset, last_offset, .. } = batch.facts;
            let aborted = self.aborted.between(base_offset, last_offset.next());
            aborted.for_each(|aborted| state.index_aborted(aborted));
        }
        if let Some(seal) = seals.next() {
            state = seal.next;
        }
        self.active = state;
        self.drop_sealed();
    }

    fn drop_sealed(&mut self) {
        while self.sealed.back().is_some_and(|segment| segment.base >= self.active.base) {
            self.sealed.pop_back();
        }
    }

    /// The cut of the files that truncations ask for, once the journal has synced them and nothing else is done to
    /// the files.
    pub fn next_cut(&mut self) -> Option<SegmentCut> {
        if self.is_busy() || self.replacing.is_some() || !self.unsynced_cuts.is_empty() {
            return None;
        }
        let end = self.cut?;
        self.writing = true;
        let written = self.written.base;
        let closed = self.sealed.iter().map(|segment| segment.base).take_while(|base| *base < written);
        let bases = closed.chain([written]).collect();
        Some(SegmentCut {
            dir: self.dir.clone(),
            bases,
            synced_base: self.synced.base,
            created_ms: self.active.created_ms,
            end,
            epochs: self.epochs.clone(),
            reads_producers: self.reads_producers,
            config: self.config.clone(),
        })
    }

    /// A cut has been carried out.
    pub fn cut_done(&mut self, cut: Cut) {
        let Cut { state, producers } = cut;
        self.writing = false;
        self.cut = None;
        self.reads_producers = false;
        if let Some(producers) = producers {
            self.producers = producers;
            self.producers.settle(self.high_watermark, state.end);
        }
        self.written = state;
        self.synced = state;
        self.file_bytes = u64::from(state.bytes);
        self.overhangs = false;
        self.cached_bytes = 0;
        self.count_active();
        self.changed = true;
    }
}
