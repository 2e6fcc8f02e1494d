//! Very many partitions: made, idle, and after another start.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::compare::Compare;
use crate::compare::broker::{Broker, Kind};
use crate::compare::sizes::Sizes;
use crate::compare::turn::{Turn, create};
use crate::report::{Label, Sample};
use crate::usage::{Usage, resident};

const TOPICS: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let label = label(turn.sizes);
    let names: Vec<String> = (0..TOPICS).map(|number| format!("wide-{number}")).collect();
    let bootstrap = turn.broker.bootstrap();
    let before = Usage::now(turn.broker.pid())?;
    // Kafka's controller takes 10,000 records at once, so one topic at a time.
    for name in &names {
        create(&bootstrap, std::slice::from_ref(name), turn.sizes.partitions / TOPICS, &[])?;
    }
    wait_for_leaders(&bootstrap, turn.sizes.partitions)?;
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

/// The same data, another process: until every partition has a leader.
pub(crate) fn restart(
    options: &Compare,
    sizes: &Sizes,
    (kind, number): (Kind, u32),
    dir: &Path,
    samples: &mut Vec<Sample>,
) -> Result<()> {
    let began = Instant::now();
    let broker = Broker::start(options, kind, dir)?;
    wait_for_leaders(&broker.bootstrap(), sizes.partitions)?;
    let took = began.elapsed();
    let mut turn = Turn::new(options, sizes, &broker, (kind, number), samples)?;
    turn.put(&label(sizes), "restart s", took.as_secs_f64());
    turn.put(&label(sizes), "restart ready ms", broker.ready.as_secs_f64() * 1e3);
    broker.stop()
}

fn wait_for_leaders(bootstrap: &str, partitions: u32) -> Result<()> {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let began = Instant::now();
    loop {
        let metadata = client.fetch_metadata(None, PATIENCE)?;
        let all = metadata.topics().iter().flat_map(|topic| topic.partitions());
        let led = all.filter(|partition| partition.leader() >= 0).count();
        if led >= usize::try_from(partitions)? {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "{led} of {partitions} partitions have a leader");
        std::thread::sleep(Duration::from_millis(10));
    }
}
