//! [`Work`]: the workloads, one a row of the table of goals.

mod beside;
mod bulk;
mod connections;
mod consume;
pub(super) mod groups;
mod latency;
mod many;
pub(super) mod partitions;
mod single;
pub(super) mod start;
mod transactions;

use anyhow::Result;
use clap::ValueEnum;

use super::turn::Turn;

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(super) enum Work {
    /// The floor's journal by itself
    Sync,
    /// Time to ready, memory before and after all the work, size of the binary
    Start,
    /// Bulk of 1 KB records in big batches, in rounds
    #[value(name = "produce-1k")]
    ProduceKib,
    /// Bulk of records of 100 bytes
    #[value(name = "produce-100b")]
    ProduceSmall,
    /// One record a request, five in flight
    Single,
    /// From disk, and from memory
    Consume,
    /// One record at a time, end to end
    OneAtATime,
    /// Records of 1 KiB, each when it is due
    OpenLoop,
    /// The same while others read what is old and segments are compacted
    Beside,
    /// Batches of 1 KiB of many producers over many partitions
    ManyPartitions,
    /// Transactions of one producer
    Transactions,
    /// Members that come to a large group and go
    Rebalance,
    /// Commits of very many groups
    Offsets,
    /// A broker with very many partitions
    Partitions,
    /// Very many idle connections
    Connections,
}

impl Work {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Start => "start",
            Self::ProduceKib => "produce-1k",
            Self::ProduceSmall => "produce-100b",
            Self::Single => "single",
            Self::Consume => "consume",
            Self::OneAtATime => "one-at-a-time",
            Self::OpenLoop => "open-loop",
            Self::Beside => "beside",
            Self::ManyPartitions => "many-partitions",
            Self::Transactions => "transactions",
            Self::Rebalance => "rebalance",
            Self::Offsets => "offsets",
            Self::Partitions => "partitions",
            Self::Connections => "connections",
        }
    }

    /// Whether it wants a broker that has done nothing else.
    pub(super) fn is_alone(self) -> bool {
        matches!(self, Self::Rebalance | Self::Offsets | Self::Partitions | Self::Connections)
    }

    pub(super) fn run(self, turn: &mut Turn<'_>) -> Result<()> {
        match self {
            Self::ProduceKib => bulk::kibibytes(turn),
            Self::ProduceSmall => bulk::small(turn),
            Self::Single => single::measure(turn),
            Self::Consume => consume::measure(turn),
            Self::OneAtATime => latency::one_at_a_time(turn),
            Self::OpenLoop => latency::open_loop(turn),
            Self::Beside => beside::measure(turn),
            Self::ManyPartitions => many::measure(turn),
            Self::Transactions => transactions::measure(turn),
            Self::Rebalance => groups::rebalance(turn),
            Self::Offsets => groups::offsets(turn),
            Self::Partitions => partitions::measure(turn),
            Self::Connections => connections::measure(turn),
            // The floor's, and what is measured in any case.
            Self::Sync | Self::Start => Ok(()),
        }
    }
}
