//! The goals, each for one metric.

use super::{ANY, Label};

/// What a goal compares with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Against {
    Kafka,
    Floor,
    /// Another case of Bourn's own.
    Case(&'static str),
    Nothing,
}

#[derive(Debug)]
pub(super) struct Goal {
    work: &'static str,
    case: &'static str,
    metric: &'static str,
    pub(super) is_most: bool,
    pub(super) bound: f64,
    pub(super) against: Against,
}

const fn most(
    (work, case, metric): (&'static str, &'static str, &'static str),
    bound: f64,
    against: Against,
) -> Goal {
    Goal { work, case, metric, is_most: true, bound, against }
}

const fn least(
    (work, case, metric): (&'static str, &'static str, &'static str),
    bound: f64,
    against: Against,
) -> Goal {
    Goal { work, case, metric, is_most: false, bound, against }
}

const GOALS: &[Goal] = &[
    most(("produce-1k", ANY, "CPU-s/GB"), 1.6, Against::Floor),
    least(("produce-1k", ANY, "MB/s"), 1.0, Against::Kafka),
    most(("produce-1k", "round 3", "machine CPU-s/GB"), 1.1, Against::Case("round 1")),
    most(("produce-100b", ANY, "CPU-us/record"), 0.6, Against::Kafka),
    most(("single", "synced", "CPU-us/record"), 0.7, Against::Kafka),
    least(("single", "synced", "records/s"), 1.3, Against::Kafka),
    most(("single", "buffered", "CPU-us/record"), 1.6, Against::Floor),
    least(("single", "buffered", "records/s"), 2.0, Against::Kafka),
    most(("consume", ANY, "CPU-s/GB"), 1.25, Against::Floor),
    most(("one-at-a-time", ANY, "p99 ms"), 0.25, Against::Kafka),
    most(("one-at-a-time", ANY, "p99.9 ms"), 0.2, Against::Kafka),
    most(("open-loop", ANY, "p50 ms"), 1.0, Against::Kafka),
    most(("open-loop", ANY, "p99.9 ms"), 0.2, Against::Kafka),
    most(("open-loop", ANY, "cores"), 0.5, Against::Kafka),
    most(("beside", "beside reads and compaction", "p99.9 ms"), 2.0, Against::Case("quiet")),
    least(("many-partitions", ANY, "records/CPU-s"), 3.0, Against::Kafka),
    most(("many-partitions", ANY, "p99 ms"), 0.2, Against::Kafka),
    most(("start", "after all the work", "peak MiB"), 128.0, Against::Nothing),
    most(("start", "empty", "ready ms"), 50.0, Against::Nothing),
    most(("start", "empty", "resident MiB"), 40.0, Against::Nothing),
    most(("start", "binary", "MB"), 40.0, Against::Nothing),
    least(("transactions", ANY, "records/CPU-s"), 3.0, Against::Kafka),
    most(("transactions", ANY, "p99 ms"), 0.5, Against::Kafka),
    most(("rebalance", ANY, "join s"), 0.5, Against::Kafka),
    most(("rebalance", ANY, "leave s"), 0.5, Against::Kafka),
    least(("offsets", ANY, "offsets/CPU-s"), 3.0, Against::Kafka),
    most(("offsets", ANY, "all fetched after a start s"), 1.0, Against::Nothing),
    most(("partitions", ANY, "create s"), 0.2, Against::Kafka),
    most(("partitions", ANY, "idle cores"), 0.2, Against::Kafka),
    most(("partitions", ANY, "resident MiB"), 0.2, Against::Kafka),
    most(("partitions", ANY, "restart s"), 0.2, Against::Kafka),
    most(("connections", ANY, "KiB each"), 16.0, Against::Nothing),
];

/// The one for a case before the one for all.
pub(super) fn of(label: &Label, metric: &str) -> Option<&'static Goal> {
    let fits = |case: &str| {
        GOALS.iter().find(|goal| goal.work == label.work && goal.metric == metric && goal.case == case)
    };
    fits(&label.case).or_else(|| fits(ANY))
}
