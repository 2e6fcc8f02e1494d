//! Offsets by time: ListOffsets' questions that need a look at records.

use std::io;

use protocol::ids::{LeaderEpoch, Offset};
use protocol::records::{Error, Limits, Scratch, ValidBatch};

use super::{ColdRead, Log, TimeSearch};
use crate::segment::SealedSegment;

/// A record that was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub offset: Offset,
    pub timestamp_ms: i64,
    pub leader_epoch: LeaderEpoch,
}

/// How a search goes on.
#[derive(Debug)]
pub enum Search {
    /// With [`Log::find_in_memory`].
    InMemory,
    /// First in files; if there is nothing, in memory.
    Cold(TimeSearch),
}

impl Log {
    /// The first record at or after `timestamp_ms`.
    #[must_use]
    pub fn find(&self, timestamp_ms: i64) -> Search {
        let written = self.written;
        let closed = self.sealed.iter().take_while(|segment| segment.base < written.base);
        let mut segments: Vec<ColdRead> = closed
            .filter(|segment| segment.max_timestamp_ms >= timestamp_ms && segment.end > self.log_start())
            .map(|segment| self.whole_segment(segment))
            .collect();
        if written.bytes > 0 && written.max_timestamp_ms >= timestamp_ms {
            segments.push(self.whole_segment(&SealedSegment::from(&written)));
        }
        // A segment that is in memory as a whole needs no file.
        let start = self.tail.start();
        segments.retain(|segment| start.is_none_or(|start| segment.base < start));
        if segments.is_empty() {
            return Search::InMemory;
        }
        Search::Cold(TimeSearch { timestamp_ms, start: self.log_start(), segments })
    }

    /// The first record in memory at or after `timestamp_ms`. An error, if memory does not hold any more what was appended.
    pub fn find_in_memory(&self, timestamp_ms: i64) -> io::Result<Option<Found>> {
        let mut scratch = Scratch::default();
        for batch in self.tail.from(self.log_start()) {
            if batch.facts.max_timestamp_ms < timestamp_ms {
                continue;
            }
            let found = ValidBatch::split_from(&mut batch.to_bytes()).and_then(|batch| {
                first_at(&batch, timestamp_ms, self.log_start(), &mut scratch, &Limits::default())
            });
            match found {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => {
                    let offset = batch.facts.base_offset;
                    return Err(io::Error::other(format!(
                        "the batch at offset {offset}, in memory: {error}"
                    )));
                }
            }
        }
        Ok(None)
    }

    /// The largest timestamp of the log, -1 if it has none. Its first record is what [`Log::find`] finds.
    #[must_use]
    pub fn max_timestamp_ms(&self) -> i64 {
        let live = self.sealed.iter().filter(|segment| segment.end > self.log_start());
        live.map(|segment| segment.max_timestamp_ms).fold(self.active.max_timestamp_ms, i64::max)
    }
}

/// The first record of a batch that is late enough and not below `start`.
pub(super) fn first_at(
    batch: &ValidBatch,
    timestamp_ms: i64,
    start: Offset,
    scratch: &mut Scratch,
    limits: &Limits,
) -> Result<Option<Found>, Error> {
    for record in batch.records(scratch, limits)? {
        let record = record?;
        if record.timestamp >= timestamp_ms && record.offset >= start {
            let leader_epoch = batch.header().partition_leader_epoch;
            return Ok(Some(Found { offset: record.offset, timestamp_ms: record.timestamp, leader_epoch }));
        }
    }
    Ok(None)
}
