//! `bourn-bench`: Bourn and Apache Kafka under the same load on the same disk, beside what the machine can do at all.
//!
//! Invariants:
//! * `compare` starts everything else as processes of their own, so that each has a clock of its own.
//! * `load` and `floor` print one line of JSON, which is all that `compare` knows of them.
//!
//! It does not know Bourn's crates: to it, Bourn is a binary that speaks Kafka's protocol.

mod compare;
mod floor;
mod load;
mod report;
mod soak;
mod usage;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Bourn and Apache Kafka under the same load, beside what the machine can do at all")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Both in turn under every workload, as a table
    Compare(compare::Compare),
    /// The table of a run again, from its raw results
    Table(report::Again),
    /// Load by librdkafka, somebody else's client
    Load(load::Load),
    /// What the machine can do at all, without any protocol
    Floor(floor::Floor),
    /// Many clients for half an hour, and how much memory Bourn takes
    Soak(soak::Soak),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Compare(compare) => compare.run(),
        Command::Table(again) => again.run(),
        Command::Load(load) => load.run(),
        Command::Floor(floor) => floor.run(),
        Command::Soak(soak) => soak.run(),
    }
}
