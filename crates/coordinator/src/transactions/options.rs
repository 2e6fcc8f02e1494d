//! [`Options`]: the configs that coordinators of transactions go by, under Kafka's names.

/// `transaction.*` and `transactional.*` configs of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub transaction_max_timeout_ms: i32,
    pub transactional_id_expiration_ms: i64,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`
    pub timeout_check_interval_ms: u64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`
    pub expiration_check_interval_ms: u64,
    /// `add.partitions.to.txn.retry.backoff.max.ms`: who comes while a transaction completes waits for so long.
    pub completion_patience_ms: u64,
    /// The level of `transaction.version` that the cluster works at.
    pub transaction_version: i16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            transaction_max_timeout_ms: 900_000,
            transactional_id_expiration_ms: 7 * 24 * 3_600_000,
            timeout_check_interval_ms: 10_000,
            expiration_check_interval_ms: 3_600_000,
            completion_patience_ms: 100,
            transaction_version: 2,
        }
    }
}
