//! [`One`]: one record at a time, end to end: from handing it to the producer to having it from the consumer.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use hdrhistogram::Histogram;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Outcome, Percentiles, apply, payload};

#[derive(Args)]
pub(super) struct One {
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    #[arg(long)]
    records: u64,
    /// So many do not count
    #[arg(long, default_value_t = 500)]
    warmup: u64,
}

const WAIT: Duration = Duration::from_secs(30);

impl One {
    pub(super) fn run(
        &self,
        client: &mut ClientConfig,
        configs: &[(String, String)],
        topic: &str,
    ) -> Result<Outcome> {
        client.set("socket.nagle.disable", "true");
        let mut consumes = client.clone();
        client.set("linger.ms", "0");
        apply(client, configs);
        consumes.remove("acks");
        consumes.set("group.id", "bench").set("enable.auto.commit", "false");
        let producer: ThreadedProducer<DefaultProducerContext> = client.create()?;
        let consumer: BaseConsumer = consumes.create()?;
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, 0, Offset::Beginning)?;
        consumer.assign(&assignment)?;
        let mut value = payload(self.record_bytes.max(8));
        let mut times: Histogram<u64> = Histogram::new_with_bounds(1, 600_000_000_000, 3)?;
        let mut began = Instant::now();
        for number in 0..self.records + self.warmup {
            if number == self.warmup {
                began = Instant::now();
            }
            let stamp = number.to_be_bytes();
            value.splice(..stamp.len(), stamp);
            let sent = Instant::now();
            let record = BaseRecord::<(), [u8]>::to(topic).partition(0).payload(&value);
            producer.send(record).map_err(|(error, _)| anyhow!("could not send: {error}"))?;
            let message = consumer.poll(WAIT).context("nothing came for 30 s")??;
            let took = sent.elapsed();
            ensure!(message.payload().is_some_and(|read| read.starts_with(&stamp)), "read another record");
            if number >= self.warmup {
                times.saturating_record(u64::try_from(took.as_nanos())?);
            }
        }
        Ok(Outcome {
            records: self.records,
            bytes: self.records * value.len() as u64,
            seconds: began.elapsed().as_secs_f64(),
            requests: None,
            latency_ms: Some(Percentiles::of(&times)),
        })
    }
}
