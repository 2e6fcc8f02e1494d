//! `bourn log verify`

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, bail};
use host::{File, Files, OpenMode};
use protocol::LeaderEpoch;
use protocol::Offset;
use protocol::records::{Limits, NO_TIMESTAMP, Scratch, TxnMarker};
use serde::Serialize;
use storage::producers::AbortedTransaction;
use storage::segment::names::{FileKind, segment_file};
use storage::segment::replay::replay;
use storage::segment::scan::facts;
use storage::segment::{epoch_file, producer_snapshot, txn_index};

use super::files::{Found, Kind, find};
use super::segment::{At, Walk};
use super::{Paths, index};
use crate::output;

#[derive(clap::Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    paths: Paths,
}

/// What was looked at, and what is wrong with it. The JSON that docs/cli.md describes.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings {
    files: u64,
    batches: u64,
    records: u64,
    bytes: u64,
    problems: Vec<Problem>,
    /// What to do about them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    advice: BTreeSet<&'static str>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    file: String,
    /// In bytes, where that is known.
    position: Option<u64>,
    problem: String,
}

/// What to do about damage, by what is damaged.
const ADVICE_LOG: &str = "a torn end of the newest segment is cut off by the broker when it starts; other damage in a .log needs the \
                          partition's directory from a backup";
const ADVICE_INDEX: &str = "indexes hold nothing of their own: stop the broker, delete those that are wrong, and it writes them anew";
const ADVICE_OTHER: &str = "take the small files from a backup, together with the segments beside them";

/// Of one kind of file; the others are not worth reading.
const PROBLEMS_MAX: usize = 1000;
const SMALL_BYTES_MAX: u64 = 64 << 20;

impl Verify {
    pub(super) fn run(&self, files: &dyn Files, json: bool) -> anyhow::Result<()> {
        let findings = verify(files, &find(files, &self.paths.paths)?)?;
        if json {
            output::print_json(&findings)?;
        } else {
            for problem in &findings.problems {
                let at = problem.position.map_or(String::new(), |position| format!(" at byte {position}"));
                output::print(&format!("{}{at}: {}", problem.file, problem.problem))?;
            }
            output::print(&format!(
                "{} with {} of batches; batches: {}, records: {}",
                output::counted(findings.files, "file"),
                output::bytes(findings.bytes),
                output::grouped(findings.batches),
                output::grouped(findings.records),
            ))?;
        }
        let count = findings.problems.len() as u64;
        if count == 0 {
            return Ok(());
        }
        if !json {
            for advice in &findings.advice {
                eprintln!("{advice}");
            }
        }
        bail!("{} found", output::counted(count, "problem"))
    }
}

/// Batches of a segment by the position they begin at: last offset and largest timestamp.
type Batches = BTreeMap<u64, (Offset, i64)>;

pub(super) fn verify(files: &dyn Files, found: &[Found]) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    // The end of the segment before, its last epoch, and which directory it was in.
    let mut before: Option<(&Path, Reached)> = None;
    for one in found {
        if findings.problems.len() >= PROBLEMS_MAX {
            break;
        }
        findings.files += 1;
        let mut check = Check { files, found: one, findings: &mut findings };
        let result = match one.kind {
            Kind::Segment(base, FileKind::Log) => {
                let floor = before.filter(|(dir, _)| *dir == one.dir).map(|(_, reached)| reached);
                check.log(base, floor).map(|reached| before = Some((&one.dir, reached)))
            }
            Kind::Segment(base, FileKind::Index) => check.index(base),
            Kind::Segment(base, FileKind::TimeIndex) => check.time_index(base),
            Kind::Segment(base, FileKind::TxnIndex) => check.txn_index(base),
            Kind::Segment(base, FileKind::Snapshot) => {
                check.small("producer snapshot", |bytes| producer_snapshot::decode(bytes, base).is_some())
            }
            Kind::Epochs => check.small("leader epoch file", |bytes| {
                std::str::from_utf8(bytes).ok().and_then(epoch_file::decode).is_some()
            }),
            Kind::Metadata => check.small("partition.metadata", |bytes| {
                let id =
                    |line: &str| line.strip_prefix("topic_id: ").map(|id| id.parse::<protocol::TopicId>());
                std::str::from_utf8(bytes).is_ok_and(|text| text.lines().filter_map(id).any(|id| id.is_ok()))
            }),
        };
        result.with_context(|| format!("cannot read {}", one.path().display()))?;
    }
    Ok(findings)
}

/// How far the batches of a log have come: offsets and epochs never go back.
#[derive(Clone, Copy, Debug)]
struct Reached {
    end: Offset,
    epoch: LeaderEpoch,
}

struct Check<'a> {
    files: &'a dyn Files,
    found: &'a Found,
    findings: &'a mut Findings,
}

impl Check<'_> {
    fn problem(&mut self, position: Option<u64>, problem: impl ToString) {
        let advice = match self.found.kind {
            Kind::Segment(_, FileKind::Log) => ADVICE_LOG,
            Kind::Segment(_, FileKind::Index | FileKind::TimeIndex | FileKind::TxnIndex) => ADVICE_INDEX,
            Kind::Segment(_, FileKind::Snapshot) | Kind::Epochs | Kind::Metadata => ADVICE_OTHER,
        };
        self.note(position, problem, advice);
    }

    fn note(&mut self, position: Option<u64>, problem: impl ToString, advice: &'static str) {
        if self.findings.problems.len() < PROBLEMS_MAX {
            let file = self.found.path().display().to_string();
            self.findings.problems.push(Problem { file, position, problem: problem.to_string() });
            self.findings.advice.insert(advice);
        }
    }

    /// Checks every batch; the end is behind the last one that could be read.
    fn log(&mut self, base: Offset, before: Option<Reached>) -> anyhow::Result<Reached> {
        let file = self.files.open(&self.found.path(), OpenMode::READ)?;
        self.findings.bytes += file.len()?;
        self.has_indexes(base)?;
        if let Some(floor) = before.map(|before| before.end).filter(|floor| *floor > base) {
            self.problem(
                None,
                format!("the segment begins at {base}, but the one before it ends at {floor}"),
            );
        }
        let (mut walk, mut scratch) = (Walk::new(&*file)?, Scratch::default());
        let (mut end, mut epoch) = (base, before.map_or(LeaderEpoch::NONE, |before| before.epoch));
        let mut has_markers = false;
        while let Some(next) = walk.next()? {
            let at = match next {
                Ok(at) => at,
                Err(error) => {
                    self.problem(Some(walk.position), format!("{error}; nothing behind it can be read"));
                    break;
                }
            };
            self.findings.batches += 1;
            if at.header.base_offset < end {
                let text = format!("offset {} behind offset {}", at.header.base_offset, end - 1);
                self.problem(Some(at.position), text);
            }
            end = end.max(at.header.next_offset());
            let now = at.header.partition_leader_epoch;
            if now < epoch && !now.is_none() {
                self.problem(Some(at.position), format!("leader epoch {now} behind epoch {epoch}"));
            }
            epoch = epoch.max(now);
            has_markers |= at.header.attributes.is_control();
            if let Err(error) = self.records(&at, &mut scratch) {
                self.problem(Some(at.position), error);
            }
        }
        if has_markers {
            self.has_aborted(base, (&*file, walk.position), end)?;
        }
        Ok(Reached { end, epoch })
    }

    /// Whether what the batches of a segment abort is in its index. Where nobody knows what was before it, nobody can tell.
    fn has_aborted(
        &mut self,
        base: Offset,
        (file, bytes): (&dyn File, u64),
        end: Offset,
    ) -> anyhow::Result<()> {
        // Damage has been found before.
        let Ok(Some(replayed)) = replay(self.files, &self.found.dir, base, (file, bytes), end) else {
            return Ok(());
        };
        let path = segment_file(&self.found.dir, base, FileKind::TxnIndex);
        let is_there = self.files.exists(&path)?;
        if !self.found.listed && !is_there {
            return Ok(());
        }
        let bytes = if is_there { self.files.read(&path, SMALL_BYTES_MAX)? } else { Vec::new() };
        let indexed = txn_index::decode(&bytes).unwrap_or_default();
        for aborted in replayed.aborted {
            let (producer_id, last) = (aborted.producer_id, aborted.last_offset);
            // Compaction takes the first batches of a transaction, but leaves the index what it says.
            let is_it = |entry: &AbortedTransaction| {
                (entry.producer_id, entry.last_offset) == (producer_id, last)
                    && entry.first_offset <= aborted.first_offset
            };
            if !indexed.iter().any(is_it) {
                let text = format!(
                    "{} does not say that producer {producer_id} aborted offsets {} to {last}",
                    path.display(),
                    aborted.first_offset
                );
                self.note(None, text, ADVICE_INDEX);
            }
        }
        Ok(())
    }

    fn has_indexes(&mut self, base: Offset) -> anyhow::Result<()> {
        for kind in [FileKind::Index, FileKind::TimeIndex] {
            let path = segment_file(&self.found.dir, base, kind);
            if self.found.listed && !self.files.exists(&path)? {
                self.note(None, format!("{} is missing", path.display()), ADVICE_INDEX);
            }
        }
        Ok(())
    }

    fn records(&mut self, at: &At, scratch: &mut Scratch) -> Result<(), protocol::records::Error> {
        let batch = at.checked.as_ref().map_err(Clone::clone)?;
        let mut last = -1;
        for record in batch.records(scratch, &Limits::default())? {
            let record = record?;
            if record.offset_delta <= last || record.offset_delta > at.header.last_offset_delta {
                let what = "its offset does not follow the one before it";
                let index = usize::try_from(last + 1).unwrap_or(0);
                return Err(protocol::records::Error::Record { index, what });
            }
            last = record.offset_delta;
            self.findings.records += 1;
        }
        Ok(())
    }

    /// The batches of the segment that an index belongs to.
    fn batches(&mut self, base: Offset) -> anyhow::Result<Option<Batches>> {
        let path = segment_file(&self.found.dir, base, FileKind::Log);
        let Ok(file) = self.files.open(&path, OpenMode::READ) else {
            self.problem(None, "there is no segment that it belongs to");
            return Ok(None);
        };
        let (mut walk, mut batches) = (Walk::new(&*file)?, Batches::new());
        while let Some(Ok(at)) = walk.next()? {
            let facts = facts(&at.header);
            batches.insert(at.position, (facts.last_offset, facts.max_timestamp_ms));
        }
        Ok(Some(batches))
    }

    fn index(&mut self, base: Offset) -> anyhow::Result<()> {
        let index = index::offsets(self.files, &self.found.path(), base)?;
        let Some(batches) = self.batches(base)? else { return Ok(()) };
        self.left_over(index.left_over);
        let mut last: Option<(Offset, u32)> = None;
        for entry in index.entries {
            let now = (entry.last_offset, entry.position);
            let text = format!("entry offset {} position {}", now.0, now.1);
            if last.is_some_and(|last| now.0 <= last.0 || now.1 <= last.1) {
                self.problem(None, format!("{text} does not grow"));
            }
            match batches.get(&u64::from(entry.position)) {
                Some((offset, _)) if *offset == entry.last_offset => {}
                Some((offset, _)) => {
                    self.problem(None, format!("{text}: the batch there ends at offset {offset}"))
                }
                None => self.problem(None, format!("{text}: no batch begins there")),
            }
            last = Some(now);
        }
        Ok(())
    }

    fn time_index(&mut self, base: Offset) -> anyhow::Result<()> {
        let index = index::times(self.files, &self.found.path(), base)?;
        let Some(batches) = self.batches(base)? else { return Ok(()) };
        self.left_over(index.left_over);
        let end = batches.values().next_back().map_or(base, |(last, _)| last.next());
        let mut last: Option<(i64, Offset)> = None;
        let mut behind = batches.values().peekable();
        let mut latest = NO_TIMESTAMP;
        for entry in index.entries {
            let now = (entry.timestamp_ms, entry.offset);
            let text = format!("entry timestamp {} offset {}", now.0, now.1);
            if last.is_some_and(|last| now.0 < last.0 || now.1 < last.1) {
                self.problem(None, format!("{text} does not grow"));
            }
            if entry.offset < base || entry.offset >= end.max(base.next()) {
                self.problem(None, format!("{text}: the segment holds {base} to {}", end - 1));
            }
            while let Some((_, time)) = behind.next_if(|(offset, _)| *offset <= entry.offset) {
                latest = latest.max(*time);
            }
            if latest > entry.timestamp_ms {
                self.problem(None, format!("{text}: a record up to there has timestamp {latest}"));
            }
            last = Some(now);
        }
        Ok(())
    }

    fn txn_index(&mut self, base: Offset) -> anyhow::Result<()> {
        let bytes = self.files.read(&self.found.path(), SMALL_BYTES_MAX)?;
        let entries = match txn_index::decode(&bytes) {
            Ok(entries) => entries,
            Err(error) => {
                self.problem(None, error);
                return Ok(());
            }
        };
        let path = segment_file(&self.found.dir, base, FileKind::Log);
        let Ok(file) = self.files.open(&path, OpenMode::READ) else {
            self.problem(None, "there is no segment that it belongs to");
            return Ok(());
        };
        let (mut walk, mut markers) = (Walk::new(&*file)?, BTreeMap::new());
        while let Some(Ok(at)) = walk.next()? {
            if let Ok(batch) = at.checked
                && at.header.attributes.is_control()
            {
                let marker = TxnMarker::of(&batch).ok().flatten();
                markers.insert(at.header.base_offset, (at.header.producer_id, marker));
            }
        }
        for AbortedTransaction { producer_id, first_offset, last_offset, .. } in entries {
            let text = format!("producer {producer_id} aborted offsets {first_offset} to {last_offset}");
            match markers.get(&last_offset) {
                Some((id, Some(marker))) if *id == producer_id && !marker.commit => {}
                Some(_) => self.problem(None, format!("{text}: the marker there says something else")),
                None => self.problem(None, format!("{text}: there is no marker")),
            }
        }
        Ok(())
    }

    fn left_over(&mut self, bytes: usize) {
        if bytes > 0 {
            self.problem(None, format!("{bytes} bytes behind the last entry"));
        }
    }

    fn small(&mut self, what: &str, is_sound: impl Fn(&[u8]) -> bool) -> anyhow::Result<()> {
        let bytes = self.files.read(&self.found.path(), SMALL_BYTES_MAX)?;
        if !is_sound(&bytes) {
            self.problem(None, format!("the {what} is damaged"));
        }
        Ok(())
    }
}
