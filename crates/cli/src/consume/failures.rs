//! What is said of partitions that cannot be read, as long as they are tried again.
//!
//! Kafka's consumers repeat a fetch that a damaged batch fails for ever, and say nothing unless they log. Whoever reads to the
//! end gets an error here soon, whoever follows gets warnings.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use client::{Consumer, TopicPartition};
use host::Instant;
use protocol::ErrorCode;

/// Elections and restarts are over by then.
const WARN_AFTER: Duration = Duration::from_secs(2);
const WARN_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// A replica on another node may take over by then; damage does not pass.
const STORAGE_PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct Failures {
    looked: Option<Instant>,
    warned: BTreeMap<TopicPartition, Instant>,
}

impl Failures {
    /// Warns of partitions that have failed for a while; an error when one cannot be read and nobody wants to wait.
    pub(super) fn look(&mut self, now: Instant, consumer: &Consumer, follow: bool) -> anyhow::Result<()> {
        if self.looked.is_some_and(|looked| now.since(looked) < LOOK_EVERY) {
            return Ok(());
        }
        self.looked = Some(now);
        let is_storage = |error: &client::Error| error.code() == Some(ErrorCode::KafkaStorageError);
        let mut given_up = consumer.failing(STORAGE_PATIENCE).filter(|(_, _, error)| is_storage(error));
        if let Some((_, offset, error)) = given_up.next().filter(|_| !follow) {
            bail!("at offset {offset}: {error}; {STORAGE_ADVICE}");
        }
        for (partition, offset, error) in consumer.failing(WARN_AFTER) {
            let recent = |warned: &Instant| now.since(*warned) < WARN_AGAIN_AFTER;
            if !self.warned.get(partition).is_some_and(recent) {
                self.warned.insert(partition.clone(), now);
                let advice = if is_storage(error) { format!("; {STORAGE_ADVICE}") } else { String::new() };
                eprintln!("bourn: at offset {offset}: {error}; trying again{advice}");
            }
        }
        Ok(())
    }
}

const STORAGE_ADVICE: &str = "the broker's log names the file, `bourn log verify` on its machine says what is damaged, \
                              and --from an offset further on reads what is behind it";
