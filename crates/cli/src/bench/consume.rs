//! `bourn bench consume`

use std::time::Duration;

use anyhow::bail;
use client::{Consumer, ConsumerOptions, OutOfRange, TopicPartition};
use host::{Host, Instant, Place};
use protocol::Str;
use tokio::sync::mpsc;

use super::load::threads_for;
use super::plan::{Pace, Schedule, seconds};
use super::progress::Progress;
use super::report::Report;
use super::tally::{Shared, sum};
use crate::consume::From;
use crate::context::{Globals, WORKERS, explain};
use crate::output;

/// Reads from the beginning to the end that the topic has, unless something else is said.
#[derive(clap::Args)]
pub(crate) struct Consume {
    #[arg(default_value = "bench")]
    topic: String,
    /// Where to begin: earliest, latest, an offset, -N for N before the end, a time as 2026-11-23T14:05Z, or @MS
    #[arg(long, value_name = "START", default_value = "earliest", allow_hyphen_values = true)]
    from: From,
    /// Wait for new records at the end, until --records or --duration ends it
    #[arg(long)]
    follow: bool,
    /// Consumers, each with its own connections and share of the partitions, on as many threads as there are cores
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// How many records are counted at most, by each consumer for itself
    #[arg(short = 'n', long, value_name = "COUNT")]
    records: Option<u64>,
    /// For how long records are counted at most
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// How long the same is done before, without counting
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    warmup: Duration,
    /// The most that one fetch brings
    #[arg(long, value_name = "BYTES", default_value_t = 50 << 20)]
    fetch_bytes: i32,
    /// The most that one fetch brings of a partition
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    partition_bytes: i32,
    /// How long a broker may hold a fetch that finds nothing
    #[arg(long, value_name = "MS", default_value_t = 500)]
    wait_ms: u64,
    /// Leave out records of transactions that are open or were aborted
    #[arg(long)]
    committed: bool,
}

/// For ever, as far as a benchmark goes.
const LONG: Duration = Duration::from_secs(1 << 30);
/// How soon an end of time is noticed while nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Consume {
    pub(super) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        if self.follow && self.records.is_none() && self.duration.is_none() {
            bail!("--follow needs --records or --duration to end it");
        }
        let report = globals.with_machine(threads_for(self.connections), async |host| {
            let topic = Str::from(&self.topic);
            let cluster = globals.cluster(&host, WORKERS)?;
            let count = cluster.topic(&topic, false).await.map_err(explain)?.partitions.len();
            let consumers = self.consumers(globals, &host, &topic, count).await?;
            let pace = Pace {
                records: self.records,
                duration: Some(self.duration.unwrap_or(LONG)),
                warmup: self.warmup,
            };
            let schedule = Schedule::new(&pace, None, host.now());
            let tallies: Vec<Shared> = consumers.iter().map(|_| Shared::new()).collect();
            let progress = Progress::start(&host, schedule, tallies.clone());
            let (is_done, mut done) = mpsc::channel::<()>(1);
            for ((number, consumer), tally) in (0..).zip(consumers).zip(&tallies) {
                let (on, tally, is_done) = (host.clone(), tally.clone(), is_done.clone());
                host.spawn(Place::Shard(number), "bench consume", async move {
                    read(&on, consumer, schedule, &tally).await;
                    drop(is_done);
                });
            }
            drop(is_done);
            while done.recv().await.is_some() {}
            progress.finish();
            let tally = sum(&tallies);
            let sentence = format!(
                "{} in {}, {}",
                self.topic,
                output::counted(count as u64, "partition"),
                output::counted(u64::from(self.connections), "consumer")
            );
            let report = Report::new("consume", self.topic.clone(), count, self.connections, sentence);
            Ok(report
                .count(&tally, schedule.counting_from())
                .time("batch_wait_ms", tally.latency.percentiles()))
        })?;
        report.finish(globals)
    }

    /// Each with its share of the partitions.
    async fn consumers(
        &self,
        globals: &Globals,
        host: &Host,
        topic: &Str,
        partitions: usize,
    ) -> anyhow::Result<Vec<Consumer>> {
        let mut consumers = Vec::new();
        for number in 0..self.connections {
            let options = ConsumerOptions {
                until_end: !self.follow,
                out_of_range: OutOfRange::Fail,
                wait_max: Duration::from_millis(self.wait_ms),
                fetch_bytes_max: self.fetch_bytes,
                partition_bytes_max: self.partition_bytes,
                isolation: if self.committed {
                    client::Isolation::Committed
                } else {
                    client::Isolation::Uncommitted
                },
                ..ConsumerOptions::default()
            };
            let cluster = globals.cluster(host, Place::Shard(usize::from(number)))?;
            let mut consumer = Consumer::new(&cluster, options);
            let share = (0_i32..)
                .take(partitions)
                .skip(usize::from(number))
                .step_by(usize::from(self.connections))
                .map(|partition| (TopicPartition::new(topic.clone(), partition), self.from.start()));
            consumer.assign(share.collect()).await.map_err(explain)?;
            consumers.push(consumer);
        }
        Ok(consumers)
    }
}

/// Until the end, or the first error.
async fn read(host: &Host, mut consumer: Consumer, schedule: Schedule, tally: &Shared) {
    let mut asked = host.now();
    loop {
        let polled = consumer.poll(LOOK_EVERY).await;
        let now = host.now();
        let counted = tally.lock().records;
        if !schedule.goes_on(now, counted) {
            return;
        }
        match polled {
            Ok(Some(chunk)) => {
                count(tally, &chunk.records, (asked, now), schedule);
                asked = host.now();
            }
            Ok(None) if consumer.is_at_end() => return,
            Ok(None) => {}
            Err(error) => return tally.lock().fail(explain(error).to_string(), 1),
        }
    }
}

/// The time that is told is that between asking for a batch and having it.
fn count(tally: &Shared, records: &[client::Record], (asked, now): (Instant, Instant), schedule: Schedule) {
    let mut tally = tally.lock();
    let len = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
    tally.all += records.len() as u64;
    if schedule.is_counted(now) {
        tally.records += records.len() as u64;
        tally.bytes += records.iter().map(|record| len(&record.key) + len(&record.value)).sum::<u64>();
        tally.latency.add(now.since(asked));
        tally.last = now;
    }
}
