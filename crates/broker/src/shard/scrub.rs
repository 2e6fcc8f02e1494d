//! The background check of what lies on disk: pass after pass over the segments of a shard's partitions, slowly, so that
//! damage is found before a reader meets it. The first pass begins soon after the start, once everything that the start has
//! found has been opened; a start knows nothing of where an earlier life had come to.
//!
//! Invariants: one piece at a time; no more bytes a second than `bourn.scrub.max.bytes.per.second` leaves each shard. What
//! is found is reported and never served: reads of it answer KAFKA_STORAGE_ERROR (closed segments, and what a start has found
//! in open ones, are checked by each read anyway). Nothing is changed on disk.

use std::io;
use std::ops::Bound;
use std::time::Duration;

use host::{Instant, LaneRef};
use protocol::ids::Offset;
use storage::PartitionKey;
use storage::log::{DamagedSegment, Scrubbed, SegmentScrub};

use super::directory::call;
use super::message::Done;
use super::shard::Shard;

/// From a start to the first pass: clients that have waited for the start come first.
const FIRST_PASS: Duration = Duration::from_secs(10);

/// How fast and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubOptions {
    /// From the beginning of one pass to that of the next. None: never.
    pub interval: Option<Duration>,
    /// Of the node.
    pub bytes_per_second: u64,
}

impl Default for ScrubOptions {
    fn default() -> Self {
        Self { interval: Some(Duration::from_secs(7 * 24 * 60 * 60)), bytes_per_second: 8 << 20 }
    }
}

/// Where a shard's pass has come to.
#[derive(Debug)]
pub(super) struct Scrub {
    /// Made when there is something to read.
    lane: Option<LaneRef>,
    /// The partition that is being checked, and its last segment that was.
    at: Option<(PartitionKey, Option<Offset>)>,
    /// The rest of a segment, for the next second.
    rest: Option<SegmentScrub>,
    /// A piece is under way.
    busy: bool,
    /// What may still be read in this second.
    left: u64,
    /// When the next pass begins; in the middle of one, when it began.
    next: Instant,
    running: bool,
    /// Of this pass.
    read: u64,
    damaged: u64,
}

impl Scrub {
    /// The first pass is due soon.
    pub(super) fn new(now: Instant, options: ScrubOptions) -> Self {
        let wait = options.interval.map_or(FIRST_PASS, |interval| interval.min(FIRST_PASS));
        Self::due(now.after(wait))
    }

    fn due(next: Instant) -> Self {
        Self {
            lane: None,
            at: None,
            rest: None,
            busy: false,
            left: 0,
            next,
            running: false,
            read: 0,
            damaged: 0,
        }
    }
}

/// A segment whose piece is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScrubbedSegment {
    pub(super) key: PartitionKey,
    pub(super) base: Offset,
    pub(super) bytes: u32,
    /// How often segments of the partition had been replaced.
    pub(super) swaps: u64,
}

impl Shard {
    /// A second has passed.
    pub(super) fn scrub_tick(&mut self, now: Instant) {
        let ScrubOptions { interval, bytes_per_second } = self.common.scrub;
        let Some(interval) = interval else { return };
        if !self.scrub.running {
            // A pass over nothing would be over at once, and the next one far away.
            let is_open = self.found.is_empty() && !self.partitions.is_empty();
            if now < self.scrub.next || !is_open {
                return;
            }
            let lane = self.scrub.lane.take();
            self.scrub = Scrub { lane, running: true, ..Scrub::due(now.after(interval)) };
        }
        self.scrub.left = (bytes_per_second / self.peers.len().max(1) as u64).max(1);
        self.go_on_scrubbing();
    }

    fn go_on_scrubbing(&mut self) {
        if self.scrub.busy || self.scrub.left == 0 || !self.scrub.running || self.stopping.is_some() {
            return;
        }
        let rest = self.scrub.rest.take().zip(self.scrub.at.map(|(key, _)| key));
        let Some((segment, key)) = rest.or_else(|| self.next_segment()) else {
            return self.end_pass();
        };
        let Some(swaps) = self.partitions.get(&key).map(|partition| partition.log.swaps()) else { return };
        let checked = ScrubbedSegment { key, base: segment.base(), bytes: segment.bytes(), swaps };
        let left = self.scrub.left;
        self.scrub.busy = true;
        let completion = self.completion(move |result| Done::Scrubbed { segment: checked, result });
        let lane = self.scrub.lane.get_or_insert_with(|| self.host.disk.lane("scrub"));
        call(lane, self.open.clone(), move |files, _| segment.run(files, left), completion);
    }

    /// The next one to be checked, and that is where the pass is now.
    fn next_segment(&mut self) -> Option<(SegmentScrub, PartitionKey)> {
        let from = match self.scrub.at {
            Some((key, _)) => Bound::Included(key),
            None => Bound::Unbounded,
        };
        for (key, partition) in self.partitions.range((from, Bound::Unbounded)) {
            let works = self.directories.get(partition.dir).is_some_and(|dir| dir.failed.is_none());
            if !works || partition.deleting.is_some() {
                continue;
            }
            let behind = self.scrub.at.filter(|(at, _)| at == key).and_then(|(_, base)| base);
            if let Some(segment) = partition.log.next_scrub(behind) {
                self.scrub.at = Some((*key, behind));
                return Some((segment, *key));
            }
        }
        None
    }

    pub(super) fn scrubbed(&mut self, segment: ScrubbedSegment, result: io::Result<(u64, Scrubbed)>) {
        self.scrub.busy = false;
        let ScrubbedSegment { key, base, bytes, swaps } = segment;
        // At least one byte, so that segments which cannot be read use the second up, too.
        let read = result.as_ref().map_or(1, |(read, _)| *read);
        self.scrub.left = self.scrub.left.saturating_sub(read.max(1));
        self.scrub.read += read;
        let damage = match result {
            Ok((_, Scrubbed::More(rest))) => {
                self.scrub.rest = Some(*rest);
                return self.go_on_scrubbing();
            }
            Ok((_, Scrubbed::Whole)) => None,
            Ok((_, Scrubbed::Damaged(damage))) => Some((damage.unplaced, damage.to_string())),
            Err(error) => Some((false, error.to_string())),
        };
        self.scrub.at = Some((key, Some(base)));
        // Retention, compaction or a truncation may have been there meanwhile, or the end of the whole directory.
        let works =
            |dir: usize| self.directories.get(dir).is_some_and(|directory| directory.failed.is_none());
        let is_same =
            |log: &storage::Log| log.still_has(base, bytes) && log.swaps() == swaps && !log.is_replacing();
        if let Some((unplaced, why)) = damage
            && self.partitions.get(&key).is_some_and(|it| works(it.dir) && is_same(&it.log))
        {
            self.scrub.damaged += 1;
            self.is_damaged(&key, base, unplaced, &why);
        }
        self.go_on_scrubbing();
    }

    /// A read or a search has failed; it may be that it has met damage.
    pub(super) fn met_damage(&mut self, key: &PartitionKey, error: &io::Error) {
        if let Some(damage) = DamagedSegment::of(error) {
            self.is_damaged(key, damage.base, damage.unplaced, &damage.to_string());
        }
    }

    /// Counts a damaged segment, and says so the first time.
    fn is_damaged(&mut self, key: &PartitionKey, base: Offset, unplaced: bool, why: &str) {
        let Some(partition) = self.partitions.get_mut(key) else { return };
        if !partition.log.suspect(base, unplaced) {
            return;
        }
        let (topic, dir) = (partition.log.topic().clone(), partition.log.dir().to_path_buf());
        let (dir, partition) = (dir.display(), key.partition);
        let damaged: usize = self.partitions.values().map(|partition| partition.log.suspects()).sum();
        let rest = if unplaced { "all of it" } else { "it, what is in front of and behind it is served" };
        tracing::error!(%topic, partition, damaged, "segment {base} in {dir} is damaged on disk; readers get \
            KAFKA_STORAGE_ERROR for {rest}; restore the file from a backup while the broker is stopped: {why}");
    }

    fn end_pass(&mut self) {
        let Scrub { read, damaged, .. } = self.scrub;
        self.scrub.running = false;
        if damaged > 0 {
            tracing::error!(bytes = read, "the check of the segments has found {damaged} damaged");
        } else if read > 0 {
            tracing::info!(bytes = read, "the check of the segments has found no damage");
        }
    }
}
