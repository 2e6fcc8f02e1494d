//! Reading from an offset on: out of memory at once, or a plan for the lane that reads files.

use protocol::RecordSet;
use protocol::ids::Offset;

use super::{ColdRead, Log};
use crate::segment::{BatchFacts, SealedSegment};

/// How far a read goes.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Batches end at or below it: the high watermark for consumers, the last stable offset for those of committed records, the
    /// log end for followers.
    pub end: Offset,
    pub bytes_max: usize,
    /// The first batch is read whatever its size (KIP-74).
    pub at_least_one: bool,
    /// Out of the file where the batches are written to it, though they may be in memory, too: for readers who must not
    /// keep memory.
    pub from_file: bool,
}

/// How a read is answered.
#[derive(Debug)]
pub enum ReadPlan {
    /// From memory; may be empty. `is_full` says that the next batch is there and was too large for what is left; `end` is behind
    /// the last batch.
    Now { records: RecordSet, is_full: bool, end: Offset },
    /// The batches are in a segment file.
    Cold(ColdRead),
    /// Memory does not hold any more what was appended, and nothing else does.
    Damaged(BatchFacts),
}

/// The log does not have the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("offset {offset} is outside of {start}..={end}")]
pub struct OutOfRange {
    pub offset: Offset,
    pub start: Offset,
    pub end: Offset,
}

impl Log {
    /// Whole batches from the one that holds `offset` on. Never reaches from a file into memory or into another file: the
    /// next read does.
    pub fn read(&self, offset: Offset, limits: ReadLimits) -> Result<ReadPlan, OutOfRange> {
        let ReadLimits { end: limit, bytes_max, at_least_one, from_file } = limits;
        let (start, end) = (self.log_start(), self.log_end());
        if offset < start || offset > end {
            return Err(OutOfRange { offset, start, end });
        }
        let limit = limit.min(end);
        let nothing = offset >= limit || (bytes_max == 0 && !at_least_one);
        let in_file = from_file && offset < self.written.end;
        if nothing || (!in_file && self.tail.start().is_some_and(|start| offset >= start)) {
            if nothing {
                return Ok(ReadPlan::Now { records: RecordSet::new(), is_full: false, end: offset });
            }
            match self.tail.read(offset, limit, bytes_max, at_least_one) {
                Ok((records, is_full, end)) => return Ok(ReadPlan::Now { records, is_full, end }),
                // The file has what was in memory when it was written there.
                Err(damaged) if damaged.last_offset < self.written.end => {}
                Err(damaged) => return Ok(ReadPlan::Damaged(damaged)),
            }
        }
        let segment = self.segment_at(offset);
        let whole = self.whole_segment(&segment);
        Ok(ReadPlan::Cold(ColdRead {
            offset,
            checked: whole.checked || offset < self.found,
            // Behind the high watermark only where there is something: then the file is walked up to there.
            limit: (limit < segment.end).then_some(limit),
            bytes_max,
            at_least_one,
            ..whole
        }))
    }

    /// A read of everything in a segment that is written.
    pub(super) fn whole_segment(&self, segment: &SealedSegment) -> ColdRead {
        let SealedSegment { base, end, bytes, .. } = *segment;
        let (closed, suspect) = (base < self.written.base, self.suspects.get(&base));
        ColdRead {
            dir: self.dir.clone(),
            base,
            end,
            bytes,
            closed,
            checked: closed || suspect.is_some(),
            bounds: self.bounds(segment),
            damaged: suspect.is_some(),
            refused: suspect == Some(&true),
            offset: base,
            limit: None,
            bytes_max: usize::MAX,
            at_least_one: true,
            config: self.config.clone(),
        }
    }

    /// The segment with `offset`, which is below what is in memory, as far as it is written.
    fn segment_at(&self, offset: Offset) -> SealedSegment {
        let written = SealedSegment::from(&self.written);
        if offset >= written.base {
            return written;
        }
        // Offsets that compaction took away belong to the segment before.
        let next = self.sealed.partition_point(|segment| segment.base <= offset);
        let found = next.checked_sub(1).or(Some(0)).and_then(|index| self.sealed.get(index));
        found.copied().unwrap_or(written)
    }
}
