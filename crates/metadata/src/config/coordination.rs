//! [`GroupsConfig`], [`TransactionsConfig`]: what coordinators go by.

/// Which way a group with members may change its protocol: `group.consumer.migration.policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationPolicy {
    Disabled,
    /// From the consumer protocol to the classic one.
    Downgrade,
    /// From the classic protocol to the consumer protocol.
    Upgrade,
    Bidirectional,
}

impl MigrationPolicy {
    pub(super) fn named(name: &str) -> MigrationPolicy {
        match name.to_ascii_lowercase().as_str() {
            "disabled" => MigrationPolicy::Disabled,
            "downgrade" => MigrationPolicy::Downgrade,
            "upgrade" => MigrationPolicy::Upgrade,
            _ => MigrationPolicy::Bidirectional,
        }
    }

    pub fn upgrades(self) -> bool {
        matches!(self, MigrationPolicy::Upgrade | MigrationPolicy::Bidirectional)
    }

    pub fn downgrades(self) -> bool {
        matches!(self, MigrationPolicy::Downgrade | MigrationPolicy::Bidirectional)
    }
}

/// A config of groups, and within which limits a group may choose its own value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    pub value: i32,
    pub min: i32,
    pub max: i32,
}

impl Limited {
    /// What a group has that chose, or did not. The limits may be others now than when it chose.
    pub fn of(self, chosen: Option<i32>) -> i32 {
        chosen.unwrap_or(self.value).min(self.max).max(self.min)
    }
}

/// `group.consumer.*`: groups of the consumer protocol (KIP-848).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupsConfig {
    /// `consumer` is in `group.coordinator.rebalance.protocols`.
    pub are_served: bool,
    pub session_timeout_ms: Limited,
    pub heartbeat_interval_ms: Limited,
    pub assignment_interval_ms: Limited,
    pub size_max: usize,
    /// The default first.
    pub assignors: Vec<String>,
    pub migration_policy: MigrationPolicy,
    pub regex_refresh_interval_ms: i32,
}

/// `group.*`, `offsets.*`: consumer groups, their offsets and the topic that keeps both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupsConfig {
    pub session_timeout_min_ms: i32,
    pub session_timeout_max_ms: i32,
    pub initial_rebalance_delay_ms: i32,
    pub size_max: usize,
    pub consumer: ConsumerGroupsConfig,
    pub offset_metadata_bytes_max: usize,
    pub offsets_retention_ms: i64,
    pub offsets_retention_check_interval_ms: i64,
    /// How long a write of a coordinator may take.
    pub commit_timeout_ms: i64,
    pub load_buffer_bytes: usize,
    pub topic_partitions: i32,
    pub topic_replication_factor: i16,
    pub topic_segment_bytes: i64,
    /// Kafka's number of a codec.
    pub topic_codec: u8,
}

/// `transaction.*`, `transactional.*`: transactions, the topic that keeps them, and what partitions have to do with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionsConfig {
    /// Whether the coordinator is asked before the first batch of a transaction is appended.
    pub partition_verification: bool,
    /// How long who comes while a transaction is completed waits for that.
    pub add_retry_backoff_max_ms: i64,
    pub max_timeout_ms: i32,
    pub id_expiration_ms: i64,
    pub timeout_check_interval_ms: i64,
    pub expiration_check_interval_ms: i64,
    pub load_buffer_bytes: usize,
    pub topic_partitions: i32,
    pub topic_replication_factor: i16,
    pub topic_min_insync_replicas: i32,
    pub topic_segment_bytes: i64,
}
