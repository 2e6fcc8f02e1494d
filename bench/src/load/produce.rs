//! [`Produce`]: as fast as records are acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use rdkafka::Statistics;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use super::{Outcome, PATIENCE, apply, payload};

#[derive(Args)]
pub(super) struct Produce {
    #[arg(long)]
    record_bytes: usize,
    #[arg(long)]
    records: u64,
    /// One record a request, so many in flight
    #[arg(long, value_name = "IN_FLIGHT")]
    single: Option<u32>,
    /// Spread over so many partitions in turn, and not as librdkafka does
    #[arg(long)]
    partitions: Option<u32>,
    /// Records have so many keys in turn
    #[arg(long)]
    keys: Option<u64>,
}

#[derive(Clone, Default)]
struct Counts(Arc<Shared>);

#[derive(Default)]
struct Shared {
    done: AtomicU64,
    failed: AtomicU64,
    requests: AtomicU64,
}

impl ClientContext for Counts {
    fn stats(&self, statistics: Statistics) {
        let requests =
            statistics.brokers.values().filter_map(|broker| broker.req.get("Produce")).sum::<i64>();
        self.0.requests.store(requests.try_into().unwrap_or(0), Ordering::Relaxed);
    }
}

impl ProducerContext for Counts {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.failed.fetch_add(1, Ordering::Relaxed);
        }
        self.0.done.fetch_add(1, Ordering::Relaxed);
    }
}

const STATISTICS_EVERY: Duration = Duration::from_millis(200);

impl Produce {
    pub(super) fn run(
        &self,
        client: &mut ClientConfig,
        configs: &[(String, String)],
        topic: &str,
    ) -> Result<Outcome> {
        client.set("queue.buffering.max.messages", "200000").set("queue.buffering.max.kbytes", "262144");
        client.set("statistics.interval.ms", STATISTICS_EVERY.as_millis().to_string());
        if let Some(flight) = self.single {
            client.set("batch.num.messages", "1").set("linger.ms", "0");
            client.set("max.in.flight", flight.to_string()).set("socket.nagle.disable", "true");
        } else {
            client.set("batch.size", "1000000").set("batch.num.messages", "100000").set("linger.ms", "20");
        }
        apply(client, configs);
        let counts = Counts::default();
        let producer: ThreadedProducer<Counts> = client.create_with_context(counts.clone())?;
        let payload = payload(self.record_bytes);
        let began = Instant::now();
        for number in 0..self.records {
            let key = self.keys.map(|keys| (number % keys).to_be_bytes());
            let mut record = BaseRecord::<[u8; 8], [u8]>::to(topic).payload(&payload);
            if let Some(key) = &key {
                record = record.key(key);
            }
            if let Some(partitions) = self.partitions {
                record = record.partition(i32::try_from(number % u64::from(partitions))?);
            }
            send(&producer, record)?;
        }
        producer.flush(PATIENCE)?;
        let seconds = began.elapsed().as_secs_f64();
        let Shared { done, failed, requests } = &*counts.0;
        let (done, failed) = (done.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
        ensure!(failed == 0 && done == self.records, "{done} of {} done, {failed} failed", self.records);
        // The count of requests is that of the next report.
        std::thread::sleep(STATISTICS_EVERY * 2);
        let requests = Some(requests.load(Ordering::Relaxed)).filter(|requests| *requests > 0);
        let bytes = self.records * self.record_bytes as u64;
        Ok(Outcome { records: self.records, bytes, seconds, requests, latency_ms: None })
    }
}

fn send(producer: &ThreadedProducer<Counts>, mut record: BaseRecord<'_, [u8; 8], [u8]>) -> Result<()> {
    while let Err((error, back)) = producer.send(record) {
        let is_full = matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
        ensure!(is_full, "could not send: {error}");
        record = back;
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
