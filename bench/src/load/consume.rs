//! [`Consume`]: reads every record of the first partitions, once or over and over, at a pace if there is one.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Outcome, apply};

#[derive(Args)]
pub(super) struct Consume {
    #[arg(long)]
    partitions: i32,
    /// How many there are
    #[arg(long)]
    records: u64,
    /// How often they are read, from the beginning each time
    #[arg(long, default_value_t = 1)]
    times: u32,
    /// At most so many megabytes a second
    #[arg(long)]
    pace: Option<f64>,
}

impl Consume {
    pub(super) fn run(
        &self,
        client: &mut ClientConfig,
        configs: &[(String, String)],
        topic: &str,
    ) -> Result<Outcome> {
        client.set("group.id", "bench").set("enable.auto.commit", "false").set("fetch.min.bytes", "100000");
        client.set("queued.min.messages", "1000000").set("fetch.message.max.bytes", "10000000");
        // What is still waited for at the end of one time is in the way of the next.
        client.set("fetch.wait.max.ms", "10");
        // Not more than the pace asks for is read ahead.
        let queued = if self.pace.is_some() { "8192" } else { "65536" };
        client.set("queued.max.messages.kbytes", queued);
        apply(client, configs);
        let consumer: BaseConsumer = client.create()?;
        let began = Instant::now();
        let mut bytes = 0;
        for _ in 0..self.times {
            let mut assignment = TopicPartitionList::new();
            for partition in 0..self.partitions {
                assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
            }
            consumer.assign(&assignment)?;
            self.read(&consumer, began, &mut bytes)?;
            consumer.unassign()?;
        }
        let seconds = began.elapsed().as_secs_f64();
        let records = self.records * u64::from(self.times);
        Ok(Outcome { records, bytes, seconds, requests: None, latency_ms: None })
    }

    fn read(&self, consumer: &BaseConsumer, began: Instant, bytes: &mut u64) -> Result<()> {
        for _ in 0..self.records {
            let message = consumer.poll(Duration::from_secs(30)).context("nothing came for 30 s")??;
            *bytes += message.payload().map_or(0, <[u8]>::len) as u64;
            let Some(pace) = self.pace else { continue };
            let due = Duration::from_secs_f64(*bytes as f64 / 1e6 / pace);
            if let Some(early) = due.checked_sub(began.elapsed()).filter(|early| early.as_millis() > 0) {
                std::thread::sleep(early);
            }
        }
        Ok(())
    }
}
