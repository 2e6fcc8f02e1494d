//! Many producers' small batches over many partitions: at a rate, for the tail; as fast as it goes, for the cost.

use anyhow::Result;

use crate::compare::turn::{BENCH, RDKAFKA, Turn};
use crate::report::Label;

pub(super) fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let sizes = turn.sizes;
    turn.topic("many", sizes.spread_partitions, &[])?;
    turn.settle();
    let (rate, seconds) = (sizes.spread_rate.to_string(), sizes.open_seconds.to_string());
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
        "3",
        "--linger-ms",
        "0",
        "--batch-bytes",
        "1024",
        "--buffer-bytes",
        "65536",
    ];
    let mut load = turn.bench("produce", "many", &words);
    let done = turn.measure(&label, &mut load)?;
    turn.put_latency(&label, &done)?;
    turn.put(&label, "records/CPU-s", done.0.records as f64 / done.0.seconds / (done.1.cpu / done.1.seconds));
    turn.settle();
    let label = Label::new("many-partitions", "one record a batch, all at once", RDKAFKA);
    let (partitions, records) = (sizes.spread_partitions.to_string(), sizes.spread_records.to_string());
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
    let mut load = turn.rdkafka("many", &words);
    let done = turn.measure(&label, &mut load)?;
    turn.put_bulk(&label, &done);
    turn.put(&label, "records/s", done.0.records as f64 / done.0.seconds);
    turn.put(&label, "records/CPU-s", done.0.records as f64 / done.1.cpu);
    turn.forget("many")
}
