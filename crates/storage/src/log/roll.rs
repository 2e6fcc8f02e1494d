//! When a segment is closed and the next one begun: Kafka's rules, as a function of facts.

use crate::LogConfig;
use crate::segment::state::{OFFSET_ENTRY_BYTES, TIME_ENTRY_BYTES};
use crate::segment::{BatchFacts, SegmentState};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollReason {
    /// The batch would make it larger than `segment.bytes`.
    Size,
    /// Its first record is older than `segment.ms`, less the jitter.
    Time,
    /// An index has reached `segment.index.bytes`.
    IndexFull,
    /// The batch's offset is too far from the base for the indexes' 32 bits.
    OffsetOverflow,
}

/// What closes a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub bytes: u32,
    pub age_ms: u64,
    pub index_bytes: u32,
}

impl Limits {
    /// `random` decides about the jitter: any number.
    #[must_use]
    pub fn new(config: &LogConfig, random: u64) -> Self {
        // Only a closed segment can be compacted.
        let lag_ms = config.cleanup_policy.compact.then_some(config.max_compaction_lag_ms);
        let segment_ms = lag_ms.map_or(config.segment_ms, |lag_ms| lag_ms.min(config.segment_ms));
        let jitter_max = config.segment_jitter_ms.min(segment_ms);
        let jitter = random.checked_rem(jitter_max).unwrap_or(0);
        Self {
            bytes: config.segment_bytes,
            age_ms: segment_ms - jitter,
            index_bytes: config.segment_index_bytes,
        }
    }
}

/// Why `segment` must be closed before `batch` is appended; `None` if it need not.
#[must_use]
pub fn roll_reason(
    segment: &SegmentState,
    batch: &BatchFacts,
    limits: &Limits,
    now_ms: i64,
) -> Option<RollReason> {
    if segment.bytes == 0 {
        // An empty segment is rolled only if its name does not fit: never, since it is named after the log end.
        return None;
    }
    if batch.bytes > limits.bytes.saturating_sub(segment.bytes) {
        return Some(RollReason::Size);
    }
    let age_ms = if segment.first_timestamp_ms >= 0 {
        batch.max_timestamp_ms.saturating_sub(segment.first_timestamp_ms)
    } else {
        now_ms.saturating_sub(segment.created_ms)
    };
    if u64::try_from(age_ms).is_ok_and(|age_ms| age_ms > limits.age_ms) {
        return Some(RollReason::Time);
    }
    let full = segment.offset_entries >= (limits.index_bytes / OFFSET_ENTRY_BYTES).max(1)
        || segment.time_entries >= (limits.index_bytes / TIME_ENTRY_BYTES).saturating_sub(1).max(1);
    if full {
        return Some(RollReason::IndexFull);
    }
    (batch.last_offset - segment.base > i64::from(i32::MAX)).then_some(RollReason::OffsetOverflow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::ids::{LeaderEpoch, Offset};

    #[test]
    fn reasons() {
        let limits = Limits { bytes: 1000, age_ms: 50, index_bytes: 80 };
        let segment = SegmentState {
            end: Offset(110),
            bytes: 600,
            first_timestamp_ms: 2_000,
            max_timestamp_ms: 2_010,
            ..SegmentState::new(Offset(100), 1_000)
        };
        let batch = BatchFacts {
            base_offset: Offset(110),
            last_offset: Offset(119),
            leader_epoch: LeaderEpoch(0),
            max_timestamp_ms: 2_050,
            bytes: 400,
        };
        let far = Offset(100 + i64::from(i32::MAX));
        for (name, segment, batch, reason) in [
            ("fits exactly", segment, batch, None),
            ("too large", segment, BatchFacts { bytes: 401, ..batch }, Some(RollReason::Size)),
            ("empty", SegmentState { bytes: 0, ..segment }, BatchFacts { bytes: 4_000, ..batch }, None),
            ("old", segment, BatchFacts { max_timestamp_ms: 2_051, ..batch }, Some(RollReason::Time)),
            ("older than the first", segment, BatchFacts { max_timestamp_ms: 5, ..batch }, None),
            (
                "by the clock",
                SegmentState { first_timestamp_ms: -1, ..segment },
                batch,
                Some(RollReason::Time),
            ),
            ("index", SegmentState { offset_entries: 10, ..segment }, batch, Some(RollReason::IndexFull)),
            ("time index", SegmentState { time_entries: 5, ..segment }, batch, Some(RollReason::IndexFull)),
            ("near", segment, BatchFacts { last_offset: far, ..batch }, None),
            (
                "far",
                segment,
                BatchFacts { last_offset: far.next(), ..batch },
                Some(RollReason::OffsetOverflow),
            ),
        ] {
            assert_eq!(roll_reason(&segment, &batch, &limits, 1_100), reason, "{name}");
        }
    }

    #[test]
    fn jitter_makes_segments_younger() {
        let config = LogConfig { segment_ms: 100, segment_jitter_ms: 30, ..LogConfig::default() };
        for (random, age_ms) in [(0, 100), (29, 71), (30, 100)] {
            assert_eq!(Limits::new(&config, random).age_ms, age_ms);
        }
        assert_eq!(Limits::new(&LogConfig::default(), 7).age_ms, LogConfig::default().segment_ms);
    }

    #[test]
    fn segments_are_closed_in_time_to_be_compacted() {
        for (compact, age_ms) in [(false, 100), (true, 40)] {
            let cleanup_policy = crate::CleanupPolicy { delete: true, compact };
            let config = LogConfig {
                segment_ms: 100,
                max_compaction_lag_ms: 40,
                cleanup_policy,
                ..LogConfig::default()
            };
            assert_eq!(Limits::new(&config, 7).age_ms, age_ms, "{compact}");
        }
    }
}
