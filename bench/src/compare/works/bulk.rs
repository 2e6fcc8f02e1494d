//! As fast as it goes, in batches of up to a megabyte, acks=all.

use anyhow::Result;

use crate::compare::turn::{BENCH, RDKAFKA, Turn};
use crate::report::Label;

/// Rounds one behind the other, so that the later ones meet the disk's writeback.
pub(super) fn kibibytes(turn: &mut Turn<'_>) -> Result<()> {
    let records = (turn.sizes.bulk / 1024).to_string();
    turn.topic("bulk", 6, &[])?;
    turn.settle();
    for round in 1..=turn.sizes.rounds {
        let label = Label::new("produce-1k", format!("round {round}"), RDKAFKA);
        let mut load = turn.rdkafka("bulk", &["produce", "--record-bytes", "1024", "--records", &records]);
        let done = turn.measure(&label, &mut load)?;
        turn.put_bulk(&label, &done);
    }
    turn.forget("bulk")?;
    turn.topic("bulk-bench", 6, &[])?;
    turn.settle();
    let label = Label::new("produce-1k", "one round", BENCH);
    let size =
        ["-s", "1024", "-n", &records, "--warmup", "0", "--batch-bytes", "1000000", "--linger-ms", "20"];
    let mut load = turn.bench("produce", "bulk-bench", &size);
    let done = turn.measure(&label, &mut load)?;
    turn.put_bulk(&label, &done);
    turn.forget("bulk-bench")
}

pub(super) fn small(turn: &mut Turn<'_>) -> Result<()> {
    let records = turn.sizes.small_records.to_string();
    turn.topic("small", 6, &[])?;
    turn.settle();
    let label = Label::new("produce-100b", "one round", RDKAFKA);
    let mut load = turn.rdkafka("small", &["produce", "--record-bytes", "100", "--records", &records]);
    let done = turn.measure(&label, &mut load)?;
    turn.put_bulk(&label, &done);
    turn.settle();
    let label = Label::new("produce-100b", "one round", BENCH);
    let size =
        ["-s", "100", "-n", &records, "--warmup", "0", "--batch-bytes", "1000000", "--linger-ms", "20"];
    let mut load = turn.bench("produce", "small", &size);
    let done = turn.measure(&label, &mut load)?;
    turn.put_bulk(&label, &done);
    turn.forget("small")
}
