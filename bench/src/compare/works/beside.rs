//! An open loop while somebody reads old data from disk, and segments of another topic are compacted.

use std::process::{Child, Stdio};

use anyhow::Result;

use super::latency::{PARTITIONS, paced};
use crate::compare::floors::uncache;
use crate::compare::turn::{RDKAFKA, Turn, finish};
use crate::report::Label;

const RATE: u64 = 20_000;
const RECORD: u64 = 1024;
const KEYS: &str = "20000";

pub(super) fn measure(turn: &mut Turn<'_>) -> Result<()> {
    turn.topic("open", PARTITIONS, &[])?;
    paced(turn, &Label::new("beside", "quiet", RDKAFKA), RATE)?;
    turn.topic("old", 6, &[])?;
    let old = (turn.sizes.old / RECORD).to_string();
    finish(&mut turn.rdkafka("old", &["produce", "--record-bytes", "1024", "--records", &old]))?;
    let compact = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "16777216"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("max.compaction.lag.ms", "1000"),
    ];
    turn.topic("compacted", 4, &compact)?;
    let keyed = (turn.sizes.compacted / RECORD).to_string();
    let words = ["produce", "--record-bytes", "1024", "--records", &keyed, "--keys", KEYS];
    finish(&mut turn.rdkafka("compacted", &words))?;
    turn.settle();
    uncache(&turn.broker.data())?;
    let mut others = Others(Vec::new());
    // All of it within the time that is measured, and some more.
    let pace = turn.sizes.old / 1_000_000 / (turn.sizes.open_seconds + 5);
    let words =
        ["consume", "--partitions", "6", "--records", &old, "--times", "2", "--pace", &pace.to_string()];
    others.start(turn, "old", &words)?;
    let seconds = (turn.sizes.open_seconds + 10).to_string();
    let words = [
        "open-loop",
        "--record-bytes",
        "1024",
        "--rate",
        "2000",
        "--seconds",
        &seconds,
        "--partitions",
        "4",
        "--keys",
        KEYS,
    ];
    others.start(turn, "compacted", &words)?;
    paced(turn, &Label::new("beside", "beside reads and compaction", RDKAFKA), RATE)?;
    drop(others);
    for topic in ["open", "old", "compacted"] {
        turn.forget(topic)?;
    }
    Ok(())
}

/// Ended together.
struct Others(Vec<Child>);

impl Others {
    fn start(&mut self, turn: &Turn<'_>, topic: &str, words: &[&str]) -> Result<()> {
        let mut load = turn.rdkafka(topic, words);
        self.0.push(load.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        Ok(())
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        for other in &mut self.0 {
            let _ = other.kill();
            let _ = other.wait();
        }
    }
}
