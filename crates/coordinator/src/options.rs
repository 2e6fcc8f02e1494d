//! [`Options`]: the configs that coordinators go by, under Kafka's names.

use metadata::config::{Limited, MigrationPolicy};

use crate::consumer::Assignor;

/// `group.*` and `offset*` configs of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub group_min_session_timeout_ms: i32,
    pub group_max_session_timeout_ms: i32,
    pub group_initial_rebalance_delay_ms: i32,
    pub group_max_size: usize,
    /// What groups have that set nothing of their own, and within which limits they may.
    pub consumer_session_timeout_ms: Limited,
    pub consumer_heartbeat_interval_ms: Limited,
    /// Least time between two assignments of a group.
    pub consumer_assignment_interval_ms: Limited,
    pub consumer_group_max_size: usize,
    /// The default first.
    pub consumer_assignors: Vec<Assignor>,
    pub consumer_migration: MigrationPolicy,
    pub consumer_regex_refresh_interval_ms: i32,
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    pub offsets_retention_check_interval_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            group_min_session_timeout_ms: 6_000,
            group_max_session_timeout_ms: 1_800_000,
            group_initial_rebalance_delay_ms: 3_000,
            group_max_size: usize::MAX,
            consumer_session_timeout_ms: Limited { value: 45_000, min: 45_000, max: 60_000 },
            consumer_heartbeat_interval_ms: Limited { value: 5_000, min: 5_000, max: 15_000 },
            consumer_assignment_interval_ms: Limited { value: 1_000, min: 0, max: 15_000 },
            consumer_group_max_size: usize::MAX,
            consumer_assignors: Assignor::ALL.to_vec(),
            consumer_migration: MigrationPolicy::Bidirectional,
            consumer_regex_refresh_interval_ms: 600_000,
            offset_metadata_max_bytes: 4096,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            offsets_retention_check_interval_ms: 600_000,
        }
    }
}

impl Options {
    pub(crate) fn default_assignor(&self) -> Assignor {
        self.consumer_assignors.first().copied().unwrap_or(Assignor::Uniform)
    }
}
