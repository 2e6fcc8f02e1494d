//! [`LogConfig`]: what a topic's configuration means to its partitions' logs.
//!
//! Invariants: the values are in range (whoever parses configurations checks them); `None` is Kafka's "unlimited".
//!
//! Does not know: names of configurations, their sources, brokers' defaults.

/// Whose clock a record's timestamp comes from (`message.timestamp.type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampSource {
    #[default]
    CreateTime,
    LogAppendTime,
}

/// What an acknowledged write has survived (`bourn.durability`, ours).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The high watermark follows the end that is synced to disk: acks=all means on disk.
    #[default]
    Synced,
    /// Kafka's semantics: the high watermark follows what is written and survives a kill of the process; the disk
    /// syncs when it can.
    Buffered,
}

/// `cleanup.policy`, which is a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    pub delete: bool,
    pub compact: bool,
}

/// The configurations of one topic that its logs obey. Replaced as a whole when one changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    pub cleanup_policy: CleanupPolicy,
    /// `segment.bytes`: a segment never grows beyond it.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment whose first record is older than this is closed, by the timestamps of records.
    pub segment_ms: u64,
    /// `segment.jitter.ms`: at most this is subtracted from `segment_ms`, so that logs do not all roll at once.
    pub segment_jitter_ms: u64,
    /// `segment.index.bytes`: a segment whose index is full is closed.
    pub segment_index_bytes: u32,
    /// `preallocate`: the space of a segment is reserved when it is begun, up to `segment_bytes`.
    pub preallocate: bool,
    /// `index.interval.bytes`: bytes of log between two entries of the index.
    pub index_interval_bytes: u32,
    /// `retention.ms`.
    pub retention_ms: Option<u64>,
    /// `retention.bytes`, per partition.
    pub retention_bytes: Option<u64>,
    /// `max.message.bytes`: the largest batch.
    pub max_message_bytes: u32,
    /// `message.timestamp.type`.
    pub timestamp_source: TimestampSource,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: u64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: u64,
    /// `delete.retention.ms`: how long compaction keeps tombstones.
    pub delete_retention_ms: u64,
    /// `min.compaction.lag.ms`: records younger than this are not compacted.
    pub min_compaction_lag_ms: u64,
    /// `max.compaction.lag.ms`: records older than this are compacted whatever the ratio.
    pub max_compaction_lag_ms: u64,
    /// `min.cleanable.dirty.ratio`, in millionths.
    pub min_cleanable_dirty_ppm: u32,
    /// `file.delete.delay.ms`: how long a deleted file stays under another name.
    pub file_delete_delay_ms: u64,
    /// `flush.messages`: fewer records than this are acknowledged and not synced, whatever the durability and the acks.
    pub flush_messages: u64,
    /// `min.insync.replicas`.
    pub min_insync_replicas: u32,
    /// `bourn.durability`.
    pub durability: Durability,
}

impl Default for LogConfig {
    /// Kafka's defaults.
    fn default() -> Self {
        const WEEK_MS: u64 = 7 * 24 * 60 * 60 * 1000;
        Self {
            cleanup_policy: CleanupPolicy { delete: true, compact: false },
            segment_bytes: 1 << 30,
            segment_ms: WEEK_MS,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            preallocate: false,
            index_interval_bytes: 4096,
            retention_ms: Some(WEEK_MS),
            retention_bytes: None,
            max_message_bytes: 1_048_588,
            timestamp_source: TimestampSource::CreateTime,
            timestamp_before_max_ms: u64::MAX,
            timestamp_after_max_ms: 60 * 60 * 1000,
            delete_retention_ms: WEEK_MS / 7,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX.unsigned_abs(),
            min_cleanable_dirty_ppm: 500_000,
            file_delete_delay_ms: 60_000,
            flush_messages: u64::MAX,
            min_insync_replicas: 1,
            durability: Durability::Synced,
        }
    }
}
