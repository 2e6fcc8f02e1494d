//! Many producers' small batches over many partitions: at a rate, for the tail; as fast as it goes, for the cost.

use std::process::Command;

use anyhow::Result;

use crate::compare::sizes::Sizes;
use crate::compare::turn::{BENCH, RDKAFKA, Turn, finish};
use crate::report::Label;

const WORK: &str = "many-partitions";
/// Time for a producer to make each of its partitions known.
const WARMUP_SECONDS: u64 = 5;

pub(super) fn measure(turn: &mut Turn<'_>) -> Result<()> {
    turn.topic("many", turn.sizes.spread_partitions, &[])?;
    // The first write to a partition makes its files, which is no part of this.
    finish(&mut singles(turn, 2 * u64::from(turn.sizes.spread_partitions)))?;
    paced(turn)?;
    all_at_once(turn)?;
    // Last, since these producers are idempotent, and Kafka may not bear them all at once.
    paced_by_bench(turn)?;
    turn.forget("many")
}

/// One record a request.
fn singles(turn: &Turn<'_>, records: u64) -> Command {
    let (partitions, records) = (turn.sizes.spread_partitions.to_string(), records.to_string());
    let mut load = turn.rdkafka("many", &["produce", "--record-bytes", "1024", "--single", "100"]);
    load.args(["--records", &records, "--partitions", &partitions]);
    load
}

fn all_at_once(turn: &mut Turn<'_>) -> Result<()> {
    let label = Label::new(WORK, "one record a batch, all at once", RDKAFKA);
    turn.settle();
    let mut load = singles(turn, turn.sizes.spread_records);
    let done = turn.measure(&label, &mut load)?;
    turn.put_bulk(&label, &done);
    turn.put(&label, "records/s", done.0.records as f64 / done.0.seconds);
    turn.put(&label, "records/CPU-s", done.0.records as f64 / done.1.cpu);
    Ok(())
}

fn paced(turn: &mut Turn<'_>) -> Result<()> {
    let (rate, seconds, warmup) = pace(turn.sizes);
    let partitions = turn.sizes.spread_partitions.to_string();
    let mut load = turn.rdkafka("many", &["open-loop", "--record-bytes", "1024", "--producers", "20"]);
    load.args(["--partitions", &partitions, "--rate", &rate, "--seconds", &seconds]);
    load.args(["--warmup-seconds", &warmup]);
    at_rate(turn, &Label::new(WORK, format!("20 producers, {rate}/s"), RDKAFKA), &mut load)
}

fn paced_by_bench(turn: &mut Turn<'_>) -> Result<()> {
    let (rate, seconds, warmup) = pace(turn.sizes);
    let producers = turn.sizes.spread_producers.to_string();
    let mut load = turn.bench("produce", "many", &["-s", "1024", "--connections", &producers]);
    load.args(["--rate", &rate, "--duration", &seconds, "--warmup", &warmup]);
    load.args(["--linger-ms", "0", "--batch-bytes", "1024", "--buffer-bytes", "65536"]);
    at_rate(turn, &Label::new(WORK, format!("{producers} producers, {rate}/s"), BENCH), &mut load)
}

fn pace(sizes: &Sizes) -> (String, String, String) {
    (sizes.spread_rate.to_string(), sizes.open_seconds.to_string(), WARMUP_SECONDS.to_string())
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
