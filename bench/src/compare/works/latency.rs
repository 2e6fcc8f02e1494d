//! Tails: one record at a time, and open loops.

use anyhow::Result;

use crate::compare::turn::{BENCH, RDKAFKA, Turn};
use crate::report::Label;

pub(super) fn one_at_a_time(turn: &mut Turn<'_>) -> Result<()> {
    turn.topic("one", 1, &[])?;
    turn.settle();
    let label = Label::new("one-at-a-time", "end to end", RDKAFKA);
    let mut load = turn.rdkafka("one", &["one", "--records", &turn.sizes.ones.to_string()]);
    let done = turn.measure(&label, &mut load)?;
    turn.put_latency(&label, &done)?;
    turn.settle();
    // Seldom enough that one is done before the next is due.
    let label = Label::new("one-at-a-time", "end to end, 200/s", BENCH);
    let seconds = turn.sizes.open_seconds.to_string();
    let mut load = turn.bench("latency", "one", &["--rate", "200", "--duration", &seconds]);
    let done = turn.measure(&label, &mut load)?;
    turn.put_latency(&label, &done)?;
    turn.forget("one")
}

pub(super) const PARTITIONS: u32 = 12;

pub(super) fn open_loop(turn: &mut Turn<'_>) -> Result<()> {
    turn.topic("open", PARTITIONS, &[])?;
    for rate in turn.sizes.rates {
        let case = format!("{rate}/s");
        paced(turn, &Label::new("open-loop", case.clone(), RDKAFKA), *rate)?;
        turn.settle();
        let label = Label::new("open-loop", case, BENCH);
        let (rate, seconds) = (rate.to_string(), turn.sizes.open_seconds.to_string());
        let words = ["--rate", &rate, "--duration", &seconds, "--warmup", "2", "--linger-ms", "1"];
        let mut load = turn.bench("produce", "open", &words);
        let done = turn.measure(&label, &mut load)?;
        turn.put_latency(&label, &done)?;
    }
    turn.forget("open")
}

/// On the topic `open`.
pub(super) fn paced(turn: &mut Turn<'_>, label: &Label, rate: u64) -> Result<()> {
    turn.settle();
    let (rate, seconds) = (rate.to_string(), turn.sizes.open_seconds.to_string());
    let partitions = PARTITIONS.to_string();
    let words = [
        "open-loop",
        "--record-bytes",
        "1024",
        "--rate",
        &rate,
        "--seconds",
        &seconds,
        "--partitions",
        &partitions,
    ];
    let mut load = turn.rdkafka("open", &words);
    let done = turn.measure(label, &mut load)?;
    turn.put_latency(label, &done)
}
