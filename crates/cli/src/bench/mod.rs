//! `bourn bench`: puts load on any Kafka-compatible cluster and says how it bore it.
//!
//! Invariants:
//! * With a rate the loop is open: every record has the time at which it is due, whatever became of those before it, and
//!   its latency counts from there. A stall of the cluster, or of this program, is in the numbers.
//! * What happens while warming up is in no number; failures are counted all the same.
//! * Every failure is counted under its reason, and one is enough for exit code 1.

mod consume;
mod lane;
mod latency;
mod load;
mod plan;
mod produce;
mod progress;
mod report;
mod tally;

use crate::context::Globals;

#[derive(clap::Subcommand)]
pub(crate) enum Bench {
    /// Write records as fast as it goes or at a rate, and measure how long each takes to be acknowledged
    Produce(produce::Produce),
    /// Read the records of a topic as fast as it goes
    Consume(consume::Consume),
    /// Write at a rate and read at the same time, and measure how long each record takes from end to end
    Latency(latency::Latency),
}

impl Bench {
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        match self {
            Self::Produce(produce) => produce.run(globals),
            Self::Consume(consume) => consume.run(globals),
            Self::Latency(latency) => latency.run(globals),
        }
    }
}
