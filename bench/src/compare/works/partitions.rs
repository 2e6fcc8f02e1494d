//! Very many partitions: made, idle, and after another start.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::compare::Compare;
use crate::compare::broker::{Broker, Kind};
use crate::compare::sizes::Sizes;
use crate::compare::turn::{Turn, create, wait_for_all};
use crate::report::{Label, Sample};
use crate::usage::{Usage, resident};

const TOPICS: [&str; 10] =
    ["wide-0", "wide-1", "wide-2", "wide-3", "wide-4", "wide-5", "wide-6", "wide-7", "wide-8", "wide-9"];

pub(super) fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let label = label(turn.sizes);
    let bootstrap = turn.broker.bootstrap();
    let before = Usage::now(turn.broker.pid())?;
    // Kafka's controller takes 10,000 records at once, so one topic at a time.
    for name in TOPICS {
        create(&bootstrap, name, each(turn.sizes), &[])?;
    }
    wait_for_all(&bootstrap, &TOPICS, each(turn.sizes))?;
    let spent = Usage::now(turn.broker.pid())?.since(&before);
    turn.put(&label, "create s", spent.seconds);
    turn.put(&label, "create CPU-s", spent.cpu);
    turn.settle();
    std::thread::sleep(Duration::from_secs(turn.sizes.idle_seconds));
    let before = Usage::now(turn.broker.pid())?;
    std::thread::sleep(Duration::from_secs(turn.sizes.idle_seconds));
    let spent = Usage::now(turn.broker.pid())?.since(&before);
    turn.put(&label, "idle cores", spent.cpu / spent.seconds);
    turn.put(&label, "resident MiB", resident(turn.broker.pid())?.0);
    Ok(())
}

fn label(sizes: &Sizes) -> Label {
    Label::new("partitions", format!("{} partitions", sizes.partitions), "")
}

/// Partitions of a topic.
fn each(sizes: &Sizes) -> u32 {
    sizes.partitions / 10
}

/// The same data, another process: until every partition tells its end.
pub(crate) fn restart(
    options: &Compare,
    sizes: &Sizes,
    (kind, number): (Kind, u32),
    dir: &Path,
    samples: &mut Vec<Sample>,
) -> Result<()> {
    let began = Instant::now();
    let broker = Broker::start(options, kind, dir)?;
    wait_for_all(&broker.bootstrap(), &TOPICS, each(sizes))?;
    let took = began.elapsed();
    let mut turn = Turn::new(options, sizes, &broker, (kind, number), samples)?;
    turn.put(&label(sizes), "restart s", took.as_secs_f64());
    turn.put(&label(sizes), "restart ready ms", broker.ready.as_secs_f64() * 1e3);
    broker.stop()
}
