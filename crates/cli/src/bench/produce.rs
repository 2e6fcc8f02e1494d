//! `bourn bench produce`

use protocol::Str;

use super::load::{self, Letters, Load};
use super::plan::{Pace, Schedule};
use super::report::{Report, Setup};
use crate::context::{Globals, WORKERS};

#[derive(clap::Args)]
pub(crate) struct Produce {
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    pace: Pace,
    /// Records a second; as fast as it goes if not given
    #[arg(long, value_name = "RECORDS/S", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    rate: Option<u64>,
}

const LINGER_MS: u64 = 5;

impl Produce {
    pub(super) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        let load = &self.load;
        let linger_ms = load.linger_ms.unwrap_or(LINGER_MS);
        let report = globals.with_machine(load.threads(), async |host| {
            let partitions = load.prepare(&globals.cluster(&host, WORKERS)?).await?;
            let lanes = load.lanes(globals, &host, partitions, &load.producer(linger_ms))?;
            let letters = Letters::new(&host, load.record_size as usize);
            let schedule = Schedule::new(&self.pace, self.rate, host.now());
            let topic = Str::from(&load.topic);
            let written =
                load::write(&host, &topic, (lanes, partitions), schedule, |number| letters.cut(number))
                    .await?;
            let report = Report::of_load("produce", load, (partitions, linger_ms), self.rate);
            let late = self.rate.and_then(|_| written.late.percentiles());
            Ok(report
                .count(&written.tally, schedule.counting_from())
                .time("ack_ms", written.tally.latency.percentiles())
                .time("late_ms", late))
        })?;
        report.finish(globals)
    }
}

impl Report {
    /// Without numbers yet.
    pub(super) fn of_load(
        bench: &'static str,
        load: &Load,
        (partitions, linger_ms): (usize, u64),
        rate: Option<u64>,
    ) -> Self {
        Self::new(
            bench,
            load.topic.clone(),
            partitions,
            load.connections,
            load.sentence(partitions, linger_ms),
        )
        .written(Setup {
            record_size: load.record_size,
            rate,
            acks: load.acks.name(),
            compression: load.compression.codec.name(),
            batch_bytes: load.batch_bytes,
            linger_ms,
        })
    }
}
