//! What is read from disk, out of the page cache; and what is new enough to be in memory, read over and over.

use anyhow::Result;

use crate::compare::floors::uncache;
use crate::compare::turn::{BENCH, RDKAFKA, Turn, finish};
use crate::report::Label;

const RECORD: u64 = 1024;
const MEMORY: u64 = 48 << 20;

pub(super) fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let bulk = turn.sizes.bulk;
    write(turn, "disk", bulk)?;
    write(turn, "filler", turn.sizes.filler)?;
    for driver in [RDKAFKA, BENCH] {
        turn.settle();
        uncache(&turn.broker.data())?;
        read(turn, ("disk", "disk", driver), bulk, 1)?;
    }
    write(turn, "memory", MEMORY)?;
    turn.settle();
    let times = u32::try_from(bulk / MEMORY).unwrap_or(u32::MAX).max(1);
    read(turn, ("memory", "memory", RDKAFKA), MEMORY, times)?;
    for topic in ["disk", "filler", "memory"] {
        turn.forget(topic)?;
    }
    Ok(())
}

fn write(turn: &Turn<'_>, topic: &str, bytes: u64) -> Result<()> {
    turn.topic(topic, 6, &[])?;
    let records = (bytes / RECORD).to_string();
    let words = ["produce", "--record-bytes", &RECORD.to_string(), "--records", &records];
    finish(&mut turn.rdkafka(topic, &words))?;
    Ok(())
}

fn read(
    turn: &mut Turn<'_>,
    (case, topic, driver): (&str, &str, &str),
    bytes: u64,
    times: u32,
) -> Result<()> {
    let label = Label::new("consume", case, driver);
    let (records, times) = ((bytes / RECORD).to_string(), times.to_string());
    let mut load = if driver == BENCH {
        turn.bench("consume", topic, &[])
    } else {
        turn.rdkafka(topic, &["consume", "--partitions", "6", "--records", &records, "--times", &times])
    };
    let (outcome, spent) = turn.measure(&label, &mut load)?;
    let gigabytes = outcome.bytes as f64 / 1e9;
    turn.put(&label, "MB/s", gigabytes * 1e3 / outcome.seconds);
    turn.put(&label, "CPU-s/GB", spent.cpu / gigabytes);
    turn.put(&label, "machine CPU-s/GB", spent.machine / gigabytes);
    Ok(())
}
