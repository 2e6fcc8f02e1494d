//! `bourn bench latency`: from the moment a record is due to the moment a consumer has it.
//!
//! Every value begins with the id of the run and the number of the record; the number says when it was due.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use client::{Consumer, ConsumerOptions, Start, TopicPartition};
use host::{Host, Place};
use protocol::Str;
use tokio::sync::mpsc;

use super::load::{self, Letters, Load};
use super::plan::{Pace, Schedule};
use super::report::Report;
use super::tally::{Shared, sum};
use crate::context::{Globals, WORKERS, explain};

#[derive(clap::Args)]
pub(crate) struct Latency {
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    pace: Pace,
    /// Records a second
    #[arg(long, value_name = "RECORDS/S", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    rate: u64,
}

/// What stands at the beginning of every value.
const STAMP: usize = 16;
/// So long after the last acknowledgement, what has not been read is lost.
const LOST_AFTER: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// While records are still being written.
const NOT_YET: u64 = u64::MAX;

impl Latency {
    pub(super) fn run(mut self, globals: &Globals) -> anyhow::Result<()> {
        let smallest = u32::try_from(STAMP).unwrap_or(u32::MAX);
        self.load.record_size = self.load.record_size.max(smallest);
        let load = &self.load;
        let linger_ms = load.linger_ms.unwrap_or(0);
        let report = globals.with_machine(load.threads(), async |host| {
            let topic = Str::from(&load.topic);
            let partitions = load.prepare(&globals.cluster(&host, WORKERS)?).await?;
            let lanes = load.lanes(globals, &host, partitions, &load.producer(linger_ms))?;
            let run = host.rng.next_u64();
            let mut consumers = Vec::new();
            for number in 0..usize::from(load.connections) {
                consumers
                    .push(consumer(globals, &host, &topic, partitions, (number, load.connections)).await?);
            }
            let schedule = Schedule::new(&self.pace, Some(self.rate), host.now());
            let expected = Arc::new(AtomicU64::new(NOT_YET));
            let seen = Arc::new(AtomicU64::new(0));
            let tallies: Vec<Shared> = consumers.iter().map(|_| Shared::new()).collect();
            let (is_done, mut done) = mpsc::channel::<()>(1);
            for ((number, consumer), tally) in (0..).zip(consumers).zip(&tallies) {
                let reader = Reader {
                    host: host.clone(),
                    run,
                    schedule,
                    tally: tally.clone(),
                    expected: Arc::clone(&expected),
                    seen: Arc::clone(&seen),
                };
                let is_done = is_done.clone();
                host.spawn(Place::Shard(number), "bench consume", async move {
                    reader.read(consumer).await;
                    drop(is_done);
                });
            }
            drop(is_done);
            let letters = Letters::new(&host, load.record_size as usize);
            let value = |number| stamped(run, number, &letters.cut(number));
            let written = load::write(&host, &topic, (lanes, partitions), schedule, value).await?;
            expected.store(written.tally.all, Ordering::Release);
            while done.recv().await.is_some() {}
            let mut read = sum(&tallies);
            let missing = written.tally.all.saturating_sub(read.all);
            if missing > 0 {
                read.fail("acknowledged, and not read".to_owned(), missing);
            }
            let acknowledged = written.tally.latency.percentiles();
            for (reason, count) in written.tally.errors {
                read.fail(reason, count);
            }
            let report = Report::of_load("latency", load, (partitions, linger_ms), Some(self.rate));
            Ok(report
                .count(&read, schedule.counting_from())
                .time("ack_ms", acknowledged)
                .time("end_to_end_ms", read.latency.percentiles())
                .time("late_ms", written.late.percentiles()))
        })?;
        report.finish(globals)
    }
}

/// For its share of the partitions, from their ends on.
async fn consumer(
    globals: &Globals,
    host: &Host,
    topic: &Str,
    partitions: usize,
    (number, of): (usize, u16),
) -> anyhow::Result<Consumer> {
    let cluster = globals.cluster(host, Place::Shard(number))?;
    let mut consumer = Consumer::new(&cluster, ConsumerOptions::default());
    let share = (0_i32..).take(partitions).skip(number).step_by(usize::from(of));
    let starts = share.map(|partition| (TopicPartition::new(topic.clone(), partition), Start::Latest));
    consumer.assign(starts.collect()).await.map_err(explain)?;
    Ok(consumer)
}

struct Reader {
    host: Host,
    run: u64,
    schedule: Schedule,
    tally: Shared,
    /// Records that were acknowledged, once that is known.
    expected: Arc<AtomicU64>,
    /// Records that all readers have seen.
    seen: Arc<AtomicU64>,
}

impl Reader {
    /// Until everything that was acknowledged is there, or is not to be expected any more.
    async fn read(&self, mut consumer: Consumer) {
        let mut given_up_at = None;
        loop {
            let polled = consumer.poll(LOOK_EVERY).await;
            let now = self.host.now();
            match polled {
                Ok(Some(chunk)) => chunk.records.iter().for_each(|record| self.take_in(record, now)),
                Ok(None) => {}
                Err(error) => return self.tally.lock().fail(explain(error).to_string(), 1),
            }
            let expected = self.expected.load(Ordering::Acquire);
            if expected == NOT_YET {
                continue;
            }
            let given_up_at = *given_up_at.get_or_insert(now.after(LOST_AFTER));
            if self.seen.load(Ordering::Acquire) >= expected || now >= given_up_at {
                return;
            }
        }
    }

    fn take_in(&self, record: &client::Record, now: host::Instant) {
        // Others may write to the topic, too.
        let Some((run, number)) = record.value.as_deref().and_then(stamp) else { return };
        let Some(due) = self.schedule.due(number).filter(|_| run == self.run) else { return };
        let bytes = record.value.as_ref().map_or(0, |value| value.len() as u64);
        let latency = self.schedule.is_counted(due).then(|| now.since(due));
        self.tally.lock().done(bytes, latency, now);
        self.seen.fetch_add(1, Ordering::Release);
    }
}

fn stamped(run: u64, number: u64, letters: &Bytes) -> Bytes {
    let mut value = BytesMut::with_capacity(letters.len().max(STAMP));
    value.put_u64(run);
    value.put_u64(number);
    value.put_slice(letters.get(STAMP..).unwrap_or_default());
    value.freeze()
}

fn stamp(mut value: &[u8]) -> Option<(u64, u64)> {
    (value.len() >= STAMP).then(|| (value.get_u64(), value.get_u64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_say_which_record_they_are() {
        let letters = Bytes::from(vec![b'A'; 20]);
        let value = stamped(7, 300, &letters);
        assert_eq!((value.len(), stamp(&value)), (20, Some((7, 300))));
        assert_eq!(stamped(7, 300, &letters.slice(..STAMP)).len(), STAMP);
        assert_eq!((stamp(b"short"), stamp(&[1; 17]).is_some()), (None, true));
    }
}
