//! Many producers' small batches over many partitions: at a rate, for the tail; as fast as it goes, for the cost.

use std::process::Command;

use anyhow::Result;

use crate::compare::sizes::Sizes;
use crate::compare::turn::{BENCH, RDKAFKA, Turn, finish};
use crate::report::Label;

/// Time for a producer to make each of its partitions known.
const WARMUP_SECONDS: u64 = 5;

pub(super) fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let sizes = turn.sizes;
    turn.topic("many", sizes.spread_partitions, &[])?;
    let (rate, seconds) = (sizes.spread_rate.to_string(), sizes.open_seconds.to_string());
    let warmup = WARMUP_SECONDS.to_string();
    let partitions = sizes.spread_partitions.to_string();
    // The first write to a partition makes its files, which is no part of this.
    let twice = (2 * sizes.spread_partitions).to_string();
    let words = [
        "produce",
        "--record-bytes",
        "1024",
        "--records",
        &twice,
        "--partitions",
        &partitions,
        "--single",
        "100",
    ];
    finish(&mut turn.rdkafka("many", &words))?;
    let label = Label::new("many-partitions", format!("20 producers, {rate}/s"), RDKAFKA);
    let words = [
        "open-loop",
        "--record-bytes",
        "1024",
        "--rate",
        &rate,
        "--seconds",
        &seconds,
        "--warmup-seconds",
        &warmup,
        "--producers",
        "20",
        "--partitions",
        &partitions,
    ];
    let mut load = turn.rdkafka("many", &words);
    at_rate(turn, &label, &mut load)?;
    let label = Label::new("many-partitions", "one record a batch, all at once", RDKAFKA);
    let records = sizes.spread_records.to_string();
    let words = [
        "produce",
        "--record-bytes",
        "1024",
        "--records",
        &records,
        "--partitions",
        &partitions,
        "--single",
        "100",
    ];
    turn.settle();
    let mut load = turn.rdkafka("many", &words);
    let done = turn.measure(&label, &mut load)?;
    turn.put_bulk(&label, &done);
    turn.put(&label, "records/s", done.0.records as f64 / done.0.seconds);
    turn.put(&label, "records/CPU-s", done.0.records as f64 / done.1.cpu);
    // Last, since these producers are idempotent, and Kafka may not bear them all at once.
    let producers = sizes.spread_producers.to_string();
    let label = Label::new("many-partitions", format!("{producers} producers, {rate}/s"), BENCH);
    let words = [
        "-s",
        "1024",
        "--connections",
        &producers,
        "--rate",
        &rate,
        "--duration",
        &seconds,
        "--warmup",
        &warmup,
        "--linger-ms",
        "0",
        "--batch-bytes",
        "1024",
        "--buffer-bytes",
        "65536",
    ];
    let mut load = turn.bench("produce", "many", &words);
    at_rate(turn, &label, &mut load)?;
    turn.forget("many")
}

fn at_rate(turn: &mut Turn<'_>, label: &Label, load: &mut Command) -> Result<()> {
    turn.settle();
    let done = turn.measure(label, load)?;
    turn.put_latency(label, &done)?;
    let Sizes { spread_rate, open_seconds, .. } = turn.sizes;
    // All of them, not only those that count.
    let records = (spread_rate * (open_seconds + WARMUP_SECONDS)) as f64;
    turn.put(label, "records/CPU-s", records / done.1.cpu);
    Ok(())
}
