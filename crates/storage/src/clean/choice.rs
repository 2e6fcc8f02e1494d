//! Which part of a log may be compacted, whether it is worth it, and which segments become one. Kafka's rules, as functions
//! of facts.

use std::ops::Range;

use protocol::ids::Offset;

use crate::LogConfig;
use crate::segment::SealedSegment;
use crate::segment::state::{OFFSET_ENTRY_BYTES, TIME_ENTRY_BYTES};

/// What is known of a log.
#[derive(Clone, Copy, Debug)]
pub struct LogFacts<'a> {
    /// The segments that may be compacted for all that the disk has to say: closed and synced. Oldest first.
    pub segments: &'a [SealedSegment],
    /// What is below is compacted.
    pub cleaned: Offset,
    pub log_start: Offset,
    /// What readers of committed records may read ends here: nothing behind it is compacted.
    pub last_stable: Offset,
}

/// The part of a log that is worth compacting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirtiness {
    /// Compaction may reach into the first so many segments.
    pub segments: usize,
    pub first_dirty: Offset,
    /// Nothing from here on may be compacted.
    pub end: Offset,
    /// `max.compaction.lag.ms` has passed: its turn comes before that of every log of which that is not true.
    pub is_urgent: bool,
    /// Of its bytes, in millionths.
    pub ratio_ppm: u64,
}

/// How dirty a log is; `None` if it is not to be compacted now.
#[must_use]
pub fn dirtiness(facts: &LogFacts<'_>, config: &LogConfig, now_ms: i64) -> Option<Dirtiness> {
    if !config.cleanup_policy.compact {
        return None;
    }
    let first_dirty = facts.cleaned.max(facts.log_start);
    let young_from = now_ms.saturating_sub_unsigned(config.min_compaction_lag_ms);
    let may_be_cleaned = |segment: &&SealedSegment| {
        // Segments that are compacted already do not stop it, however young their records are.
        let is_young = config.min_compaction_lag_ms > 0 && segment.max_timestamp_ms > young_from;
        segment.end <= facts.last_stable && !(is_young && segment.end > first_dirty)
    };
    let segments = facts.segments.iter().take_while(may_be_cleaned).count();
    let within = facts.segments.get(..segments)?;
    let end = within.last()?.end;
    let bytes = |segment: &SealedSegment| u64::from(segment.bytes);
    let is_dirty = |segment: &&SealedSegment| segment.end > first_dirty;
    let dirty: u64 = within.iter().filter(is_dirty).map(bytes).sum();
    // The segment that holds the first dirty offset counts as both.
    let clean: u64 = within.iter().filter(|segment| segment.base < first_dirty).map(bytes).sum();
    let total = clean + dirty;
    let oldest_ms = within
        .iter()
        .filter(is_dirty)
        .map(|segment| segment.first_timestamp_ms)
        .filter(|time| *time > 0)
        .min();
    let lag_from = now_ms.saturating_sub_unsigned(config.max_compaction_lag_ms);
    let is_urgent = oldest_ms.is_some_and(|oldest| oldest < lag_from) && dirty > 0;
    let ppm = |part: u64| u128::from(part) * 1_000_000;
    let is_dirty_enough = ppm(dirty) > u128::from(config.min_cleanable_dirty_ppm) * u128::from(total);
    let ratio_ppm = ppm(dirty).checked_div(u128::from(total)).and_then(|ratio| u64::try_from(ratio).ok())?;
    (is_urgent || is_dirty_enough).then_some(Dirtiness { segments, first_dirty, end, is_urgent, ratio_ppm })
}

/// How large a segment may be that several become.
#[derive(Clone, Copy, Debug)]
pub struct GroupLimits {
    pub bytes: u32,
    pub index_bytes: u32,
    pub index_interval_bytes: u32,
}

impl GroupLimits {
    #[must_use]
    pub fn new(config: &LogConfig) -> Self {
        Self {
            bytes: config.segment_bytes,
            index_bytes: config.segment_index_bytes,
            index_interval_bytes: config.index_interval_bytes,
        }
    }
}

/// The smallest batch.
const BATCH_BYTES_MIN: u64 = 61;

/// Neighbours that fit into one segment together, as they are now; every segment is in one group.
#[must_use]
pub fn group_segments(segments: &[SealedSegment], limits: &GroupLimits) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let (mut bytes, mut base) = (0, Offset::ZERO);
    for (index, segment) in segments.iter().enumerate() {
        let together: u64 = bytes + u64::from(segment.bytes);
        // Entries that so many bytes may have, at most.
        let entries = together / u64::from(limits.index_interval_bytes).max(BATCH_BYTES_MIN) + 1;
        let fits = together <= u64::from(limits.bytes)
            && entries * u64::from(OFFSET_ENTRY_BYTES) <= u64::from(limits.index_bytes)
            && entries * u64::from(TIME_ENTRY_BYTES) <= u64::from(limits.index_bytes)
            && segment.end - base <= i64::from(i32::MAX);
        match groups.last_mut() {
            Some(group) if fits => {
                group.end = index + 1;
                bytes = together;
            }
            _ => {
                groups.push(index..index + 1);
                (bytes, base) = (u64::from(segment.bytes), segment.base);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(base: i64, end: i64, bytes: u32, first_timestamp_ms: i64) -> SealedSegment {
        SealedSegment {
            heads_crc: 0,
            base: Offset(base),
            end: Offset(end),
            bytes,
            first_timestamp_ms,
            max_timestamp_ms: first_timestamp_ms + 10,
            max_timestamp_offset: Offset(base),
            created_ms: 0,
            aborted_entries: 0,
            aborted_crc: 0,
        }
    }

    fn compacted() -> LogConfig {
        let cleanup_policy = crate::CleanupPolicy { delete: false, compact: true };
        LogConfig { cleanup_policy, ..LogConfig::default() }
    }

    #[test]
    fn dirty_enough_or_overdue() {
        let segments =
            [segment(0, 100, 1000, 1000), segment(100, 200, 500, 2000), segment(200, 300, 1000, 3000)];
        let facts = LogFacts {
            segments: &segments,
            cleaned: Offset(100),
            log_start: Offset(0),
            last_stable: Offset(500),
        };
        let found = |segments, first_dirty, end, is_urgent, ratio_ppm| {
            let (first_dirty, end) = (Offset(first_dirty), Offset(end));
            Some(Dirtiness { segments, first_dirty, end, is_urgent, ratio_ppm })
        };
        let ratio = |ppm| LogConfig { min_cleanable_dirty_ppm: ppm, ..compacted() };
        let lag =
            |min, max| LogConfig { min_compaction_lag_ms: min, max_compaction_lag_ms: max, ..compacted() };
        let never = LogFacts { cleaned: Offset(0), ..facts };
        let retained = LogFacts { cleaned: Offset(0), log_start: Offset(200), ..facts };
        let inside = LogFacts { cleaned: Offset(150), ..facts };
        for (name, facts, config, expected) in [
            ("1500 of 2500 bytes", facts, compacted(), found(3, 100, 300, false, 600_000)),
            ("not compacted", facts, LogConfig::default(), None),
            ("just not enough", facts, ratio(600_000), None),
            ("enough", facts, ratio(599_999), found(3, 100, 300, false, 600_000)),
            ("never compacted", never, ratio(999_999), found(3, 0, 300, false, 1_000_000)),
            ("the front is gone", retained, ratio(399_999), found(3, 200, 300, false, 400_000)),
            ("from the middle of a segment", inside, ratio(1), found(3, 150, 300, false, 500_000)),
            (
                "unstable",
                LogFacts { last_stable: Offset(299), ..facts },
                ratio(333_332),
                found(2, 100, 200, false, 333_333),
            ),
            ("clean", LogFacts { cleaned: Offset(300), ..facts }, ratio(0), None),
            ("nothing", LogFacts { segments: &[], ..facts }, ratio(0), None),
            // The time is 5,000.
            ("too young", facts, lag(1991, u64::MAX), None),
            ("old enough", facts, lag(1990, u64::MAX), found(3, 100, 300, false, 600_000)),
            (
                "overdue",
                facts,
                LogConfig { min_cleanable_dirty_ppm: 1_000_000, ..lag(0, 2999) },
                found(3, 100, 300, true, 600_000),
            ),
            ("not overdue", facts, LogConfig { min_cleanable_dirty_ppm: 1_000_000, ..lag(0, 3000) }, None),
            ("overdue and clean", LogFacts { cleaned: Offset(300), ..facts }, lag(0, 1), None),
        ] {
            assert_eq!(dirtiness(&facts, &config, 5_000), expected, "{name}");
        }
    }

    #[test]
    fn neighbours_become_one() {
        let limits = GroupLimits { bytes: 1000, index_bytes: 1200, index_interval_bytes: 100 };
        let far = i64::from(i32::MAX);
        for (name, segments, limits, expected) in [
            ("none", vec![], limits, vec![]),
            (
                "by size",
                vec![
                    segment(0, 1, 600, 0),
                    segment(1, 2, 400, 0),
                    segment(2, 3, 1, 0),
                    segment(3, 4, 2000, 0),
                ],
                limits,
                vec![0..2, 2..3, 3..4],
            ),
            (
                "empty ones",
                vec![segment(0, 1, 0, 0), segment(1, 2, 1000, 0), segment(2, 3, 0, 0), segment(3, 4, 1, 0)],
                limits,
                vec![0..3, 3..4],
            ),
            (
                "by entries",
                vec![segment(0, 1, 400, 0), segment(1, 2, 400, 0)],
                GroupLimits { index_bytes: 100, ..limits },
                vec![0..1, 1..2],
            ),
            (
                "by offsets",
                vec![segment(0, far, 1, 0), segment(far, far + 1, 1, 0)],
                limits,
                vec![0..1, 1..2],
            ),
        ] {
            assert_eq!(group_segments(&segments, &limits), expected, "{name}");
        }
    }
}
