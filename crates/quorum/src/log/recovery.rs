//! What a log directory holds when the process starts.
//!
//! Invariants:
//! * Only the end of the last file may be torn; it is cut there, with a log line. Any other damage is an error
//!   that names file and position, and changes nothing.
//! * Whatever is handed on is durable, also what a killed process wrote and never synced, or failed to sync.
//! * What was purged stays gone, also when a crash kept its files.

use std::collections::VecDeque;
use std::path::Path;

use host::{Files, OpenMode};

use super::segment::{self, FaultKind, Segment};
use super::state_file::{Durable, Loaded, Progress};
use crate::error::{Doing, Error};
use crate::raft::Entry;

/// The log as it is on disk.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) entries: VecDeque<Entry>,
}

/// Reads the log files of `dir` and mends what a crash leaves behind.
pub(crate) fn recover(files: &dyn Files, dir: &Path, loaded: &Loaded) -> Result<Recovered, Error> {
    let Loaded { state_file, durable, progress } = loaded;
    let mut bases = log_files(files, dir)?;
    let log_start = durable.purged.map_or(0, |purged| purged.index + 1);
    remove_purged(files, dir, &mut bases, log_start)?;
    let mut recovered = Recovered { segments: VecDeque::new(), entries: VecDeque::new() };
    let (count, mut synced_end) = (bases.len(), progress.synced_end);
    for (number, base) in bases.into_iter().enumerate() {
        let path = Segment::path(dir, base);
        check_base(&path, base, recovered.segments.back(), log_start)?;
        let term = recovered.entries.back().map_or(0, |entry| entry.log_id.leader_id.term);
        let scan = segment::scan(files, &path, base, state_file.raft_id, term)?;
        let next = base + scan.entries.len() as u64;
        if let Some(fault) = &scan.fault {
            let last = number + 1 == count;
            let crash = last && fault.kind != FaultKind::Damage && next >= progress.synced_end;
            if !crash {
                let reason = fault.reason.to_owned();
                return Err(Error::Corrupt { file: path, position: fault.position, reason });
            }
            tracing::warn!(file = %path.display(), position = fault.position, reason = fault.reason, next,
                "cutting the torn end of the metadata log");
            if fault.kind == FaultKind::Header {
                files.remove_file(&path).doing("remove a torn metadata log file")?;
                files.sync_dir(dir).doing("sync the metadata log directory")?;
                continue;
            }
        }
        let file = files.open(&path, OpenMode::WRITE).doing("open the metadata log")?;
        if scan.fault.is_some() {
            file.set_len(scan.len).doing("cut the metadata log")?;
            file.sync().doing("sync the metadata log")?;
        }
        synced_end = synced_end.max(scan.synced_end);
        let (len, positions) = (scan.len, scan.positions);
        let segment = Segment { base, path, file, len, reserved: len, positions };
        recovered.segments.push_back(segment);
        recovered.entries.extend(scan.entries);
    }
    check_end(dir, &recovered, durable, progress)?;
    if let Some(last) = recovered.segments.back() {
        // A killed process may have written without syncing, and raft counts what is here as durable. The files before
        // were synced when this one was begun.
        last.write_again(files, synced_end)?;
        last.file.sync().doing("sync the metadata log")?;
    }
    // An installed snapshot may lie beyond the whole log.
    if let Some(stale) = recovered.segments.pop_back_if(|last| last.end() < log_start) {
        files.remove_file(&stale.path).doing("remove a purged metadata log file")?;
        files.sync_dir(dir).doing("sync the metadata log directory")?;
    }
    while recovered.entries.front().is_some_and(|entry| entry.log_id.index < log_start) {
        recovered.entries.pop_front();
    }
    Ok(recovered)
}

/// Base indexes of the log files, in order. What a crash left of a replaced file is removed.
fn log_files(files: &dyn Files, dir: &Path) -> Result<Vec<u64>, Error> {
    let mut bases = Vec::new();
    for entry in files.read_dir(dir).doing("list the metadata log")? {
        if entry.name.ends_with(".tmp") && !entry.is_dir {
            files.remove_file(&dir.join(&entry.name)).doing("remove a temporary file")?;
        }
        bases.extend(segment::base_of(&entry.name));
    }
    bases.sort_unstable();
    Ok(bases)
}

/// Removes files that end at or before the log's start: a crash may have come between the note of the purge and
/// the removal of its files.
fn remove_purged(files: &dyn Files, dir: &Path, bases: &mut Vec<u64>, log_start: u64) -> Result<(), Error> {
    let keep_from = bases.iter().rposition(|base| *base <= log_start).unwrap_or(0);
    for base in bases.drain(..keep_from) {
        files.remove_file(&Segment::path(dir, base)).doing("remove a purged metadata log file")?;
    }
    Ok(())
}

fn check_base(path: &Path, base: u64, previous: Option<&Segment>, log_start: u64) -> Result<(), Error> {
    let (fits, expected) = match previous {
        Some(previous) => (base == previous.end(), previous.end()),
        None => (base <= log_start, log_start),
    };
    if fits {
        return Ok(());
    }
    let reason = format!("the file begins with entry {base}, but entry {expected} is missing before it");
    Err(Error::Corrupt { file: path.to_owned(), position: 0, reason })
}

/// The log may not end before what is known to have been synced, nor be gone under a vote it once earned.
fn check_end(dir: &Path, recovered: &Recovered, durable: &Durable, progress: &Progress) -> Result<(), Error> {
    let log_start = durable.purged.map_or(0, |purged| purged.index + 1);
    let end = recovered.segments.back().map_or(log_start, Segment::end).max(log_start);
    if end >= progress.synced_end {
        return Ok(());
    }
    let (file, position) = match recovered.segments.back() {
        Some(segment) => (segment.path.clone(), segment.len),
        None => (dir.to_owned(), 0),
    };
    let synced_end = progress.synced_end;
    let reason = format!("the log ends before entry {end}, but it was synced up to entry {synced_end}");
    Err(Error::Corrupt { file, position, reason })
}
