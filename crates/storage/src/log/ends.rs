//! The ends of a log, and how they move.

use std::collections::VecDeque;

use protocol::ids::Offset;

use super::Log;
use crate::journal::{Body, Entry};
use crate::{Durability, Position};

/// Bytes that there are to be read since the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gained {
    pub bytes: usize,
    /// By readers of committed records.
    pub committed_bytes: usize,
}

impl Log {
    /// Behind the newest batch.
    #[must_use]
    pub fn log_end(&self) -> Offset {
        self.active.end
    }

    /// The first offset for readers. Retention moves it when the journal has synced the entry that says so: what a reader
    /// has seen to be gone does not come back.
    #[must_use]
    pub fn log_start(&self) -> Offset {
        self.log_start
    }

    /// What consumers may read ends here.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// What readers of committed records may read ends here: in front of the first transaction that is not decided, for
    /// all that the high watermark says.
    #[must_use]
    pub fn last_stable_offset(&self) -> Offset {
        // Until a truncation has read the producers, nobody knows what is decided.
        let lost = self.reads_producers.then_some(self.log_start);
        let undecided = lost.or(self.producers.first_unstable()).unwrap_or(self.high_watermark);
        undecided.max(self.log_start).min(self.high_watermark)
    }

    /// What is written to the journal ends here: it survives a kill of the process.
    #[must_use]
    pub fn written_end(&self) -> Offset {
        self.journal_written
    }

    /// What is synced, in the journal or in segments, ends here.
    #[must_use]
    pub fn synced_end(&self) -> Offset {
        self.journal_synced
    }

    /// What is written to segments, synced or not, ends here.
    #[must_use]
    pub fn segments_end(&self) -> Offset {
        self.written.end
    }

    /// The journal has written the batches up to `end`, at `position`. Returns how many bytes consumers have gained.
    pub fn journal_wrote(&mut self, end: Offset, position: Position) -> Gained {
        let end = known_end(end, &self.unwritten_cuts, self.log_end());
        self.journal_written = self.journal_written.max(end);
        if end > self.synced.end {
            self.held.hold(end, position);
        }
        self.advance_high_watermark()
    }

    /// The journal has synced the batches up to `end`. Returns how many bytes consumers have gained.
    pub fn journal_synced(&mut self, end: Offset) -> Gained {
        let end = known_end(end, &self.unsynced_cuts, self.log_end());
        self.journal_synced = self.journal_synced.max(end);
        self.advance_high_watermark()
    }

    /// The journal has synced the entries of [`Log::again`], the last of which ends at `end`, at `position`.
    pub fn journal_moved(&mut self, end: Offset, position: Position) {
        let end = known_end(end, &self.unsynced_cuts, self.log_end());
        if end > self.synced.end {
            self.held.moved(end, position);
        }
    }

    /// Whether `flush.messages` records below `end` are not synced: whoever is to hear of them has to wait.
    #[must_use]
    pub fn is_flush_due(&self, end: Offset) -> bool {
        u64::try_from(end - self.journal_synced).is_ok_and(|unsynced| unsynced >= self.config.flush_messages)
    }

    /// With a single replica the high watermark is its own end: on a synced topic the synced one, on a buffered one
    /// what a kill of this process leaves, as Kafka's page cache does, unless that would be `flush.messages` unsynced
    /// records.
    pub(super) fn advance_high_watermark(&mut self) -> Gained {
        let end = match self.config.durability {
            Durability::Buffered if !self.is_flush_due(self.journal_written) => self.journal_written,
            Durability::Synced | Durability::Buffered => self.journal_synced,
        };
        let before = self.readable_ends();
        self.high_watermark = self.high_watermark.max(end);
        self.producers.settle(self.high_watermark, self.synced.end);
        self.gained_since(before)
    }

    /// Where readers stand, and those of committed records.
    #[must_use]
    pub fn readable_ends(&self) -> (Offset, Offset) {
        (self.high_watermark, self.last_stable_offset())
    }

    /// What they have gained since they stood there.
    #[must_use]
    pub fn gained_since(&self, (high_watermark, last_stable): (Offset, Offset)) -> Gained {
        let bytes = if self.high_watermark > high_watermark {
            self.tail.bytes_between(high_watermark, self.high_watermark)
        } else {
            0
        };
        let now = self.last_stable_offset();
        if last_stable == high_watermark && now == self.high_watermark {
            return Gained { bytes, committed_bytes: bytes };
        }
        // Of a transaction, memory may have the end only: what is to be read is enough then, however much it is.
        let in_memory = self.tail.start().is_some_and(|start| start <= last_stable);
        let committed_bytes = match now > last_stable {
            true if in_memory => self.tail.bytes_between(last_stable, now),
            true => usize::MAX,
            false => 0,
        };
        Gained { bytes, committed_bytes }
    }

    /// The entries of all batches that are not synced in their segments, once more, for the head of the journal. For
    /// quiet partitions: this is cheaper than a sync of a file of their own. `None` if some batches are no longer in
    /// memory. The second part is the end to tell [`Log::journal_moved`].
    #[must_use]
    pub fn again(&self) -> Option<(Vec<Entry>, Offset)> {
        if self.cut.is_some() || self.tail.start()? > self.synced.end {
            return None;
        }
        let mut end = self.synced.end;
        let mut entries = Vec::new();
        for batch in self.tail.from(self.synced.end) {
            let (leader_epoch, base_offset) = (batch.leader_epoch, batch.facts.base_offset);
            // What is still on its way to the journal needs no second entry.
            if batch.facts.last_offset >= self.journal_synced {
                break;
            }
            let body = Body::Append { leader_epoch, base_offset, batch: batch.rest().clone() };
            entries.push(Entry { key: self.key, body });
            end = batch.facts.last_offset.next();
        }
        Some((entries, end))
    }
}

/// As far as a truncation has not been faster.
fn known_end(end: Offset, cuts: &VecDeque<Offset>, log_end: Offset) -> Offset {
    cuts.iter().copied().fold(end.min(log_end), Offset::min)
}
