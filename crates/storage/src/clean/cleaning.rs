//! [`Cleaning`]: one pass over a log, in steps.
//!
//! First the dirty part is read and the newest offset of each key noted, then every segment up to there is written anew
//! without what is superseded, small neighbours together. A segment of which everything stays is left alone.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use host::Files;
use protocol::ids::{Offset, ProducerId};
use protocol::records::{Limits, Scratch, ValidBatch};

use super::output::{Output, remove_cleaned};
use super::source::Source;
use super::{
    Dirtiness, Filter, GroupLimits, Kept, LastBatch, OffsetMap, Passed, Transactions, group_segments,
};
use crate::LogConfig;
use crate::log::AbortedIn;
use crate::segment::SealedSegment;

/// What a pass is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) dir: PathBuf,
    /// All from the log start up to the end of the dirty part.
    pub(crate) segments: Vec<SealedSegment>,
    pub(crate) dirtiness: Dirtiness,
    pub(crate) last_batches: BTreeMap<ProducerId, LastBatch>,
    /// What was aborted of it.
    pub(crate) aborted: AbortedIn,
    pub(crate) config: Arc<LogConfig>,
    /// The number of the log's last replacement, and how often its files had been cut.
    pub(crate) replacements: u64,
    pub(crate) cuts: u64,
    pub(crate) now_ms: i64,
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// For the newest offsets of keys.
    pub map_bytes_max: usize,
    /// Random.
    pub secret: [u64; 2],
    /// A pass is given up when less than this would be left of the disk.
    pub disk_reserve_bytes: u64,
}

/// What a step has come to.
#[derive(Debug)]
pub enum Step {
    /// So many bytes were read and written; there is more to do.
    Partly { bytes: usize },
    /// A new segment is whole and synced, and wants to take the place of others.
    Replace(Replacement),
    /// Everything is done, and the log is compacted up to there.
    Done { cleaned: Offset },
}

/// A segment for the place of others.
#[derive(Clone, Debug)]
pub struct Replacement {
    pub(crate) number: u64,
    pub(crate) cuts: u64,
    pub(crate) segment: SealedSegment,
    pub(crate) sources: Vec<SealedSegment>,
}

/// What a pass has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub keys: usize,
    pub bytes_read: u64,
    pub bytes_written: u64,
    /// Bytes of the segments that were replaced, and of those in their place.
    pub bytes_before: u64,
    pub bytes_after: u64,
    pub segments_before: usize,
    pub segments_after: usize,
}

#[derive(Debug)]
pub struct Cleaning {
    plan: Plan,
    map: OffsetMap,
    scratch: Scratch,
    phase: Phase,
    /// Segments that are still to be cleaned, by what becomes one.
    groups: VecDeque<Range<usize>>,
    transactions: Transactions,
    number: u64,
    disk_reserve_bytes: u64,
    /// The segment that is being written: nobody has been promised anything of it.
    unoffered: Option<Offset>,
    stats: Stats,
}

#[derive(Debug)]
enum Phase {
    Map(Walk),
    Between,
    Group(Box<Group>),
    Done,
}

/// Through the batches of some segments.
#[derive(Debug)]
struct Walk {
    segments: Range<usize>,
    source: Option<Source>,
}

#[derive(Debug)]
struct Group {
    segments: Range<usize>,
    walk: Walk,
    /// `None` as long as everything stays in a segment on its own.
    output: Option<Output>,
    /// At the first batch of the group.
    transactions: Transactions,
}

impl Cleaning {
    #[must_use]
    pub fn new(plan: Plan, options: Options) -> Self {
        let first_dirty = plan.dirtiness.first_dirty;
        let dirty = plan.segments.partition_point(|segment| segment.end <= first_dirty);
        let walk = Walk { segments: dirty..plan.segments.len(), source: None };
        let mut map = OffsetMap::new(options.map_bytes_max, options.secret);
        map.advance(first_dirty);
        let number = plan.replacements;
        Self {
            plan,
            map,
            scratch: Scratch::default(),
            phase: Phase::Map(walk),
            groups: VecDeque::new(),
            transactions: Transactions::default(),
            number,
            disk_reserve_bytes: options.disk_reserve_bytes,
            unoffered: None,
            stats: Stats::default(),
        }
    }

    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { keys: self.map.len(), ..self.stats }
    }

    /// Does a little more. Blocking. After an error only [`Self::abandon`] makes sense.
    pub fn step(&mut self, files: &dyn Files) -> io::Result<Step> {
        match std::mem::replace(&mut self.phase, Phase::Between) {
            Phase::Map(walk) => self.map(files, walk),
            Phase::Group(group) => self.clean(files, *group),
            Phase::Between | Phase::Done => Ok(self.next_group(files)?),
        }
    }

    /// What was offered is not wanted.
    pub fn refused(&mut self, replacement: &Replacement) {
        self.unoffered = Some(replacement.segment.base);
    }

    /// Removes what has been written, unless it is offered: then it may be part of the log by now. Blocking.
    pub fn abandon(&mut self, files: &dyn Files) -> io::Result<()> {
        self.phase = Phase::Done;
        let unoffered = self.unoffered.take();
        unoffered.map_or(Ok(()), |base| remove_cleaned(files, &self.plan.dir, base, self.number))
    }

    /// A step through the dirty part.
    fn map(&mut self, files: &dyn Files, mut walk: Walk) -> io::Result<Step> {
        let Some((source, segment)) = walk.source(files, &self.plan, &mut self.transactions)? else {
            self.begin_groups();
            return Ok(Step::Partly { bytes: 0 });
        };
        let bytes = source.fill()?;
        self.stats.bytes_read += bytes as u64;
        while let Some(batch) = source.take()? {
            let is_full = !self.put(&batch).map_err(|error| source.damaged_before(&error))?;
            if is_full {
                self.begin_groups();
                return Ok(Step::Partly { bytes });
            }
        }
        if bytes == 0 {
            // Offsets behind its last batch are gone.
            self.map.advance(segment.end);
            walk.source = None;
        }
        self.phase = Phase::Map(walk);
        Ok(Step::Partly { bytes })
    }

    /// Notes the keys of a batch; false if there is no room for one.
    fn put(&mut self, batch: &ValidBatch) -> Result<bool, protocol::records::Error> {
        let first_dirty = self.plan.dirtiness.first_dirty;
        let header = batch.header();
        let is_aborted = self.transactions.pass(batch, &mut self.scratch)?.may_go;
        if !is_aborted && !header.attributes.is_control() && header.last_offset() >= first_dirty {
            for record in batch.records(&mut self.scratch, &Limits::default())? {
                let record = record?;
                let Some(key) = record.key.filter(|_| record.offset >= first_dirty) else { continue };
                if !self.map.put(key, record.offset) {
                    return Ok(false);
                }
            }
        }
        self.map.advance(header.next_offset());
        Ok(true)
    }

    fn begin_groups(&mut self) {
        let end = self.map.end();
        let count = self.plan.segments.partition_point(|segment| segment.base < end);
        let segments = self.plan.segments.get(..count).unwrap_or_default();
        self.groups = group_segments(segments, &GroupLimits::new(&self.plan.config)).into();
        self.transactions = Transactions::default();
        self.phase = Phase::Between;
    }

    fn next_group(&mut self, files: &dyn Files) -> io::Result<Step> {
        let Some(segments) = self.groups.pop_front() else {
            self.phase = Phase::Done;
            return Ok(Step::Done { cleaned: self.map.end() });
        };
        let output = if segments.len() > 1 { Some(self.create(files, &segments)?) } else { None };
        let walk = Walk { segments: segments.clone(), source: None };
        let transactions = self.transactions.clone();
        self.phase = Phase::Group(Box::new(Group { segments, walk, output, transactions }));
        Ok(Step::Partly { bytes: 0 })
    }

    fn create(&mut self, files: &dyn Files, segments: &Range<usize>) -> io::Result<Output> {
        self.number += 1;
        let base = self.plan.segments.get(segments.start).map_or(Offset::ZERO, |segment| segment.base);
        self.unoffered = Some(base);
        let state = crate::segment::SegmentState::new(base, 0).indexed_by(&self.plan.config);
        let sources = self.plan.segments.get(segments.clone()).unwrap_or_default();
        let has_aborted = sources.iter().any(|segment| segment.aborted_entries > 0);
        let (dir, reserve) = (self.plan.dir.clone(), self.disk_reserve_bytes);
        Output::create(files, dir, state, self.number, reserve, has_aborted)
    }

    /// A step through a group.
    fn clean(&mut self, files: &dyn Files, mut group: Group) -> io::Result<Step> {
        let Some((source, _)) = group.walk.source(files, &self.plan, &mut self.transactions)? else {
            return self.finish(files, group);
        };
        let mut bytes = source.fill()?;
        self.stats.bytes_read += bytes as u64;
        let done = bytes == 0;
        while let Some(batch) = source.take()? {
            let filter = Filter {
                map: &self.map,
                now_ms: self.plan.now_ms,
                delete_retention_ms: i64::try_from(self.plan.config.delete_retention_ms).unwrap_or(i64::MAX),
                last_batches: &self.plan.last_batches,
                end: self.plan.dirtiness.end,
            };
            let passed = self.transactions.pass(&batch, &mut self.scratch);
            let Passed { may_go, aborted } = passed.map_err(|error| source.damaged_before(&error))?;
            let kept = filter.keep(&batch, may_go, &mut self.scratch);
            let kept = kept.map_err(|error| source.damaged_before(&error))?;
            if let Some(output) = &mut group.output {
                aborted.into_iter().for_each(|aborted| output.index_aborted(&aborted));
            }
            match (&mut group.output, kept) {
                (Some(output), Kept::Whole) => output.push(&batch),
                (Some(output), Kept::Rewritten(batch)) => output.push(&batch),
                (Some(_), Kept::Nothing) | (None, Kept::Whole) => {}
                (None, Kept::Rewritten(_) | Kept::Nothing) => return self.begin_again(files, group, bytes),
            }
        }
        if done {
            group.walk.source = None;
        }
        if let Some(output) = &mut group.output {
            let written = output.flush(files)?;
            self.stats.bytes_written += written as u64;
            bytes += written;
        }
        self.phase = Phase::Group(Box::new(group));
        Ok(Step::Partly { bytes })
    }

    /// The segment changes after all.
    fn begin_again(&mut self, files: &dyn Files, group: Group, bytes: usize) -> io::Result<Step> {
        let output = Some(self.create(files, &group.segments)?);
        self.transactions = group.transactions.clone();
        let walk = Walk { segments: group.segments.clone(), source: None };
        self.phase = Phase::Group(Box::new(Group { walk, output, ..group }));
        Ok(Step::Partly { bytes })
    }

    fn finish(&mut self, files: &dyn Files, group: Group) -> io::Result<Step> {
        let sources = self.plan.segments.get(group.segments.clone()).unwrap_or_default();
        let (Some(output), Some(last)) = (group.output, sources.last()) else {
            return Ok(Step::Partly { bytes: 0 });
        };
        let segment = output.finish(files, last.end, last.created_ms)?;
        self.stats.segments_before += sources.len();
        self.stats.bytes_before += sources.iter().map(|segment| u64::from(segment.bytes)).sum::<u64>();
        self.stats.segments_after += 1;
        self.stats.bytes_after += u64::from(segment.bytes);
        let (number, cuts) = (self.number, self.plan.cuts);
        self.unoffered = None;
        Ok(Step::Replace(Replacement { number, cuts, segment, sources: sources.to_vec() }))
    }
}

impl Walk {
    /// The segment that is being read, the next one if there is none.
    fn source(
        &mut self,
        files: &dyn Files,
        plan: &Plan,
        transactions: &mut Transactions,
    ) -> io::Result<Option<(&mut Source, SealedSegment)>> {
        if self.source.is_none() {
            let Some(next) = self.segments.next() else { return Ok(None) };
            let Some(segment) = plan.segments.get(next) else { return Ok(None) };
            self.source = Some(Source::open(files, &plan.dir, segment)?);
            transactions.add(plan.aborted.within(files, segment.base, segment.end)?);
        }
        let current = self.segments.start.checked_sub(1).and_then(|current| plan.segments.get(current));
        Ok(self.source.as_mut().zip(current.copied()))
    }
}
