//! Reading from an offset on: out of memory at once, or a plan for the lane that reads files.

use protocol::RecordSet;
use protocol::ids::Offset;

use super::{ColdRead, Log};

/// How a read is answered.
#[derive(Debug)]
pub enum ReadPlan {
    /// From memory; may be empty.
    Now(RecordSet),
    /// The batches are in a segment file.
    Cold(ColdRead),
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
    /// Whole batches from the one that holds `offset` on, which end at or below `limit`: the high watermark for
    /// consumers, the log end for followers. At most `bytes_max` bytes; the first batch whatever its size if
    /// `at_least_one` (KIP-74). Never reaches from a file into memory or into another file: the next read does.
    pub fn read(
        &self,
        offset: Offset,
        limit: Offset,
        bytes_max: usize,
        at_least_one: bool,
    ) -> Result<ReadPlan, OutOfRange> {
        self.plan_read(offset, limit, bytes_max, at_least_one, false)
    }

    /// As [`Log::read`], but out of the file if the batches are written to it, though they may be in memory, too:
    /// for readers who must not keep memory.
    pub fn read_from_file(
        &self,
        offset: Offset,
        limit: Offset,
        bytes_max: usize,
        at_least_one: bool,
    ) -> Result<ReadPlan, OutOfRange> {
        self.plan_read(offset, limit, bytes_max, at_least_one, true)
    }

    fn plan_read(
        &self,
        offset: Offset,
        limit: Offset,
        bytes_max: usize,
        at_least_one: bool,
        from_file: bool,
    ) -> Result<ReadPlan, OutOfRange> {
        let (start, end) = (self.log_start(), self.log_end());
        if offset < start || offset > end {
            return Err(OutOfRange { offset, start, end });
        }
        let limit = limit.min(end);
        let nothing = offset >= limit || (bytes_max == 0 && !at_least_one);
        let in_file = from_file && offset < self.written.end;
        if nothing || (!in_file && self.tail.start().is_some_and(|start| offset >= start)) {
            let records = self.tail.read(offset, limit, bytes_max, at_least_one);
            return Ok(ReadPlan::Now(if nothing { RecordSet::new() } else { records }));
        }
        let (base, bytes, end) = self.segment_at(offset);
        Ok(ReadPlan::Cold(ColdRead {
            dir: self.dir.clone(),
            base,
            bytes,
            closed: base < self.written.base,
            offset,
            // Behind the high watermark only where there is something: then the file is walked up to there.
            limit: (limit < end).then_some(limit),
            bytes_max,
            at_least_one,
            config: self.config.clone(),
        }))
    }

    /// The segment with `offset`, which is below what is in memory: base, bytes of the file that may be read, end.
    fn segment_at(&self, offset: Offset) -> (Offset, u32, Offset) {
        if offset >= self.written.base {
            return (self.written.base, self.written.bytes, self.written.end);
        }
        // Offsets that compaction took away belong to the segment before.
        let next = self.sealed.partition_point(|segment| segment.base <= offset);
        let found = next.checked_sub(1).or(Some(0)).and_then(|index| self.sealed.get(index));
        found.map_or((self.written.base, self.written.bytes, self.written.end), |segment| {
            (segment.base, segment.bytes, segment.end)
        })
    }
}
