//! [`OpenLoop`]: record N is due N/rate seconds after the beginning, whatever became of those before it; its latency
//! counts from there to its acknowledgement.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use clap::Args;
use hdrhistogram::Histogram;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use super::{Outcome, PATIENCE, Percentiles, apply, payload};

#[derive(Args)]
pub(super) struct OpenLoop {
    #[arg(long)]
    record_bytes: usize,
    /// Records a second
    #[arg(long)]
    rate: u64,
    #[arg(long)]
    seconds: u64,
    /// So long nothing counts
    #[arg(long, default_value_t = 2)]
    warmup_seconds: u64,
    /// Producers that take turns
    #[arg(long, default_value_t = 1)]
    producers: u32,
    /// In turn; to these in turn, and not as librdkafka spreads them
    #[arg(long)]
    partitions: u32,
    /// Records have so many keys in turn
    #[arg(long)]
    keys: Option<u64>,
}

#[derive(Clone)]
struct Times {
    began: Instant,
    counted_from: Duration,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    times: Histogram<u64>,
    done: u64,
    failed: u64,
}

impl ClientContext for Times {}

impl ProducerContext for Times {
    /// Nanoseconds from the beginning until the record was due.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, due: usize) {
        let due = Duration::from_nanos(due as u64);
        let took = self.began.elapsed().saturating_sub(due);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.done += 1;
        shared.failed += u64::from(result.is_err());
        if due >= self.counted_from {
            shared.times.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        }
    }
}

impl OpenLoop {
    pub(super) fn run(
        &self,
        client: &mut ClientConfig,
        configs: &[(String, String)],
        topic: &str,
    ) -> Result<Outcome> {
        client.set("queue.buffering.max.messages", "1000000").set("queue.buffering.max.kbytes", "1048576");
        client.set("linger.ms", "1").set("socket.nagle.disable", "true");
        apply(client, configs);
        let warmup = Duration::from_secs(self.warmup_seconds);
        let shared = Shared { times: Histogram::new_with_bounds(1, 600_000_000_000, 3)?, done: 0, failed: 0 };
        let context =
            Times { began: Instant::now(), counted_from: warmup, shared: Arc::new(Mutex::new(shared)) };
        let producers: Vec<ThreadedProducer<Times>> = (0..self.producers.max(1))
            .map(|_| client.create_with_context(context.clone()))
            .collect::<Result<_, _>>()?;
        let payload = payload(self.record_bytes);
        let records = self.rate * (self.seconds + self.warmup_seconds);
        for (number, producer) in (0..records).zip(producers.iter().cycle()) {
            let due = Duration::from_nanos(number * 1_000_000_000 / self.rate);
            if let Some(early) = due.checked_sub(context.began.elapsed()) {
                std::thread::sleep(early);
            }
            let key = self.keys.map(|keys| (number % keys).to_be_bytes());
            let partition = i32::try_from(number % u64::from(self.partitions.max(1)))?;
            let opaque = usize::try_from(due.as_nanos())?;
            let mut record = BaseRecord::<[u8; 8], [u8], usize>::with_opaque_to(topic, opaque)
                .payload(&payload)
                .partition(partition);
            if let Some(key) = &key {
                record = record.key(key);
            }
            producer.send(record).map_err(|(error, _)| anyhow!("could not send: {error}"))?;
        }
        for producer in &producers {
            producer.flush(PATIENCE)?;
        }
        let seconds = context.began.elapsed().as_secs_f64();
        let shared = context.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (done, failed) = (shared.done, shared.failed);
        ensure!(failed == 0 && done == records, "{done} of {records} done, {failed} failed");
        let bytes = records * self.record_bytes as u64;
        let latency_ms = Some(Percentiles::of(&shared.times));
        Ok(Outcome { records, bytes, seconds, requests: None, latency_ms })
    }
}
