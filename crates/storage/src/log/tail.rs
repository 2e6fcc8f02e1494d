//! [`Tail`]: the newest batches of a log, in memory.
//!
//! Invariants: batches follow each other without a gap, from `start` to the log end; the first `written` of them are
//! in their segments and may go. What a batch costs is the memory it keeps alive, not its length.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use protocol::RecordSet;
use protocol::ids::{LeaderEpoch, Offset};
use protocol::records::{HEAD_LEN, ValidBatch, crc32c};

use crate::segment::BatchFacts;
use crate::segment::scan::facts;

/// What a batch takes beside its bytes: this structure in a queue that is up to half empty, reference counts, its place in
/// the journal, the allocator's own. Measured as resident memory of 100,000 batches of 1 KiB in 1,000 logs.
const OVERHEAD_BYTES: usize = 320;

/// Where the CRC is, behind the 16th byte of a batch and its magic; it covers everything behind it.
const CRC_AT: usize = 1;
const CRC_END: usize = 5;

#[derive(Clone, Debug)]
pub(crate) struct TailBatch {
    pub(crate) facts: BatchFacts,
    pub(crate) leader_epoch: LeaderEpoch,
    /// The first 16 bytes, or the whole batch.
    head: Bytes,
    /// From the 16th byte on.
    rest: Bytes,
}

impl TailBatch {
    /// Takes a batch that has its offset and epoch. `backing_bytes` is the size of the allocation that it is a slice
    /// of: it is copied out unless it makes up at least half of that.
    pub(crate) fn new(batch: &ValidBatch, backing_bytes: usize) -> Self {
        let (head, rest) = if batch.size() * 2 < backing_bytes || batch.size() < COPY_BELOW_BYTES {
            let mut whole = BytesMut::with_capacity(batch.size());
            whole.extend_from_slice(&batch.head());
            whole.extend_from_slice(batch.rest());
            let whole = whole.freeze();
            let rest = whole.slice(HEAD_LEN..);
            (whole, rest)
        } else {
            (Bytes::copy_from_slice(&batch.head()), batch.rest().clone())
        };
        let leader_epoch = batch.header().partition_leader_epoch;
        Self { facts: facts(batch.header()), leader_epoch, head, rest }
    }

    /// From the 16th byte on.
    pub(crate) fn rest(&self) -> &Bytes {
        &self.rest
    }

    pub(crate) fn size(&self) -> usize {
        HEAD_LEN + self.rest.len()
    }

    /// Whether the bytes are the ones that the CRC was made of.
    fn is_intact(&self) -> bool {
        let crc =
            self.rest.get(CRC_AT..CRC_END).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        crc == Some(crc32c(self.rest.get(CRC_END..).unwrap_or_default()))
    }

    fn cost(&self) -> usize {
        self.size() + OVERHEAD_BYTES
    }

    pub(crate) fn pieces(&self, mut push: impl FnMut(Bytes)) {
        push(self.head.clone());
        if self.head.len() == HEAD_LEN {
            push(self.rest.clone());
        }
    }

    /// All of it as one slice; a copy for large ones.
    pub(crate) fn to_bytes(&self) -> Bytes {
        if self.head.len() > HEAD_LEN {
            return self.head.clone();
        }
        let mut whole = BytesMut::with_capacity(self.size());
        self.pieces(|piece| whole.extend_from_slice(&piece));
        whole.freeze()
    }
}

/// One piece is cheaper to send than two; below this a copy costs less than that.
const COPY_BELOW_BYTES: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Tail {
    batches: VecDeque<TailBatch>,
    /// How many of the first batches are in their segments.
    written: usize,
    cost: usize,
    unwritten_bytes: usize,
}

impl Tail {
    /// Where memory begins; `None` if it is empty.
    pub(crate) fn start(&self) -> Option<Offset> {
        self.batches.front().map(|batch| batch.facts.base_offset)
    }

    /// Memory kept alive.
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    /// Bytes of batches that are not in their segments yet.
    pub(crate) fn unwritten_bytes(&self) -> usize {
        self.unwritten_bytes
    }

    pub(crate) fn push(&mut self, batch: TailBatch) {
        self.cost += batch.cost();
        self.unwritten_bytes += batch.size();
        self.batches.push_back(batch);
    }

    /// The batches that are not in their segments yet.
    pub(crate) fn unwritten(&self) -> impl Iterator<Item = &TailBatch> {
        self.batches.range(self.written..)
    }

    /// The next `count` batches are in their segments.
    pub(crate) fn wrote(&mut self, count: usize) {
        let count = count.min(self.batches.len() - self.written);
        let bytes: usize = self.batches.range(self.written..self.written + count).map(TailBatch::size).sum();
        self.written += count;
        self.unwritten_bytes -= bytes;
    }

    /// Drops the oldest batch if it is in its segment; returns the memory set free.
    pub(crate) fn evict_one(&mut self) -> usize {
        if self.written == 0 {
            return 0;
        }
        self.written -= 1;
        let cost = self.batches.pop_front().map_or(0, |batch| batch.cost());
        self.cost -= cost;
        if self.batches.is_empty() {
            self.batches = VecDeque::new();
        }
        cost
    }

    /// Drops the batches below `end` that are in their segments.
    pub(crate) fn evict_below(&mut self, end: Offset) {
        while self.batches.front().is_some_and(|batch| batch.facts.last_offset < end) {
            if self.evict_one() == 0 {
                break;
            }
        }
    }

    /// Drops the newest batch if it ends at or behind `end`.
    pub(crate) fn pop_from(&mut self, end: Offset) -> bool {
        if self.batches.back().is_none_or(|batch| batch.facts.last_offset < end) {
            return false;
        }
        if let Some(batch) = self.batches.pop_back() {
            self.cost -= batch.cost();
            if self.written > self.batches.len() {
                self.written = self.batches.len();
            } else {
                self.unwritten_bytes -= batch.size();
            }
        }
        true
    }

    /// The batches from the one that holds `offset` on.
    pub(crate) fn from(&self, offset: Offset) -> impl Iterator<Item = &TailBatch> {
        let first = self.batches.partition_point(|batch| batch.facts.last_offset < offset);
        self.batches.range(first..)
    }

    /// Changes a byte of a batch, as a broken memory would.
    #[cfg(test)]
    pub(crate) fn spoil(&mut self, index: usize) {
        let batch = &mut self.batches[index];
        let mut rest = batch.rest.to_vec();
        rest[40] ^= 1;
        batch.rest = rest.into();
    }

    /// Bytes of the batches that begin in `from..to`.
    pub(crate) fn bytes_between(&self, from: Offset, to: Offset) -> usize {
        let first = self.batches.partition_point(|batch| batch.facts.base_offset < from);
        self.batches
            .range(first..)
            .take_while(|batch| batch.facts.base_offset < to)
            .map(TailBatch::size)
            .sum()
    }

    /// Whole batches from the one that holds `offset` on, that end below `limit`, of at most `bytes_max` together;
    /// the first one whatever its size if `at_least_one`; whether the next one was too large; and where the last one ends. An error names the first
    /// one if its bytes have changed since it was appended.
    pub(crate) fn read(
        &self,
        offset: Offset,
        limit: Offset,
        bytes_max: usize,
        at_least_one: bool,
    ) -> Result<(RecordSet, bool, Offset), BatchFacts> {
        let (mut records, mut end) = (RecordSet::new(), offset);
        for batch in self.from(offset).take_while(|batch| batch.facts.last_offset < limit) {
            let too_large = batch.size() > bytes_max.saturating_sub(records.len());
            let wanted_anyway = at_least_one && records.is_empty();
            if too_large && !wanted_anyway {
                return Ok((records, true, end));
            }
            if !batch.is_intact() {
                if records.is_empty() {
                    return Err(batch.facts);
                }
                break;
            }
            batch.pieces(|piece| records.push(piece));
            end = batch.facts.last_offset.next();
        }
        Ok((records, false, end))
    }
}
