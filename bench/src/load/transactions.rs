//! [`Transactions`]: one producer's transactions one after the other, and what the commit of each takes once its records
//! are acknowledged.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clap::Args;
use hdrhistogram::Histogram;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::{Outcome, PATIENCE, Percentiles, apply, payload};

#[derive(Args)]
pub(super) struct Transactions {
    #[arg(long)]
    transactions: u64,
    /// Records of each
    #[arg(long, default_value_t = 100)]
    records: u64,
    #[arg(long, default_value_t = 100)]
    record_bytes: usize,
    #[arg(long, default_value_t = 1)]
    partitions: u64,
    /// So many do not count
    #[arg(long, default_value_t = 50)]
    warmup: u64,
}

impl Transactions {
    pub(super) fn run(
        &self,
        client: &mut ClientConfig,
        configs: &[(String, String)],
        topic: &str,
    ) -> Result<Outcome> {
        client.set("transactional.id", format!("bench-{topic}")).set("linger.ms", "1");
        client.set("socket.nagle.disable", "true");
        apply(client, configs);
        let producer: BaseProducer = client.create()?;
        producer.init_transactions(PATIENCE)?;
        let value = payload(self.record_bytes);
        let mut commits: Histogram<u64> = Histogram::new_with_bounds(1, 600_000_000_000, 3)?;
        let mut began = Instant::now();
        for number in 0..self.transactions + self.warmup {
            if number == self.warmup {
                began = Instant::now();
            }
            producer.begin_transaction()?;
            for record in 0..self.records {
                let partition = i32::try_from(record % self.partitions)?;
                let record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(&value);
                producer.send(record).map_err(|(error, _)| anyhow!("could not send: {error}"))?;
            }
            // Its flush looks again only every 100 ms.
            while producer.in_flight_count() > 0 {
                producer.poll(Duration::from_millis(1));
            }
            let acknowledged = Instant::now();
            producer.commit_transaction(PATIENCE)?;
            if number >= self.warmup {
                commits.saturating_record(nanos(acknowledged.elapsed())?);
            }
        }
        let records = self.transactions * self.records;
        Ok(Outcome {
            records,
            bytes: records * value.len() as u64,
            seconds: began.elapsed().as_secs_f64(),
            requests: Some(self.transactions),
            latency_ms: Some(Percentiles::of(&commits)),
        })
    }
}

fn nanos(time: Duration) -> Result<u64> {
    Ok(u64::try_from(time.as_nanos())?)
}
