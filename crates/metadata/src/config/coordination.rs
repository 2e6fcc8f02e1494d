//! [`GroupsConfig`], [`TransactionsConfig`]: what coordinators go by.

/// `group.*`, `offsets.*`: consumer groups, their offsets and the topic that keeps both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupsConfig {
    pub session_timeout_min_ms: i32,
    pub session_timeout_max_ms: i32,
    pub initial_rebalance_delay_ms: i32,
    pub size_max: usize,
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

/// `transaction.*`: transactions, and what partitions have to do with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionsConfig {
    /// Whether the coordinator is asked before the first batch of a transaction is appended.
    pub partition_verification: bool,
    /// Between two questions, while it is still ending the transaction before, and for how long it is asked.
    pub add_retry_backoff_ms: i64,
    pub add_retry_backoff_max_ms: i64,
}
