//! [`Report`]: the numbers of a run, as JSON and for people.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::bail;
use serde::Serialize;

use super::tally::{Percentiles, Tally};
use crate::context::Globals;
use crate::output;

/// Part of the JSON that docs/cli.md describes.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) bench: &'static str,
    pub(super) topic: String,
    pub(super) partitions: usize,
    pub(super) connections: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) written: Option<Setup>,
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// From the end of the warmup to the last record that counts.
    pub(super) seconds: f64,
    pub(super) records_per_second: f64,
    pub(super) bytes_per_second: f64,
    pub(super) failed: u64,
    pub(super) errors: BTreeMap<String, u64>,
    /// Kinds of durations by name, in milliseconds.
    #[serde(flatten)]
    pub(super) times: BTreeMap<&'static str, Percentiles>,
    #[serde(skip)]
    pub(super) sentence: String,
}

/// How records were written.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Setup {
    pub(super) record_size: u32,
    pub(super) rate: Option<u64>,
    pub(super) acks: &'static str,
    pub(super) compression: &'static str,
    pub(super) batch_bytes: usize,
    pub(super) linger_ms: u64,
}

impl Report {
    /// Without numbers yet.
    pub(super) fn new(
        bench: &'static str,
        topic: String,
        partitions: usize,
        connections: u16,
        sentence: String,
    ) -> Self {
        Self {
            bench,
            topic,
            partitions,
            connections,
            written: None,
            records: 0,
            bytes: 0,
            seconds: 0.0,
            records_per_second: 0.0,
            bytes_per_second: 0.0,
            failed: 0,
            errors: BTreeMap::new(),
            times: BTreeMap::new(),
            sentence,
        }
    }

    pub(super) fn written(self, setup: Setup) -> Self {
        Self { written: Some(setup), ..self }
    }

    /// The numbers of what counted.
    pub(super) fn count(mut self, tally: &Tally, since: host::Instant) -> Self {
        self.records = tally.records;
        self.bytes = tally.bytes;
        self.seconds = round(tally.last.since(since).as_secs_f64());
        self.records_per_second = per_second(tally.records, self.seconds);
        self.bytes_per_second = per_second(tally.bytes, self.seconds);
        self.failed = tally.failed;
        self.errors = tally.errors.clone();
        self
    }

    pub(super) fn time(mut self, name: &'static str, percentiles: Option<Percentiles>) -> Self {
        self.times.extend(percentiles.map(|found| (name, found)));
        self
    }

    /// Shows it; a run with failures ends in one.
    pub(super) fn finish(&self, globals: &Globals) -> anyhow::Result<()> {
        if globals.is_json() {
            output::print_json(self)?;
        } else {
            output::print(&self.text())?;
        }
        if self.failed > 0 {
            bail!("{} failed", output::counted(self.failed, "record"));
        }
        if self.records == 0 {
            bail!("no record counted; was the run shorter than its warmup?");
        }
        Ok(())
    }

    fn text(&self) -> String {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates of this world")]
        let whole = |rate: f64| rate as u64;
        let mut text = format!("{}: {}\n", self.bench, self.sentence);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} ({}) in {:.1} s: {} records/s, {}/s, {} failed",
            output::counted(self.records, "record"),
            output::bytes(self.bytes),
            self.seconds,
            output::grouped(whole(self.records_per_second)),
            output::bytes(whole(self.bytes_per_second)),
            output::grouped(self.failed),
        );
        for (reason, count) in &self.errors {
            let _ = writeln!(text, "  {} x {reason}", output::grouped(*count));
        }
        let cell = |ms: f64| format!("{ms:.3}");
        let rows = self.times.iter().map(|(name, found)| {
            let Percentiles { mean, p50, p75, p90, p95, p99, p999, p9999, max } = *found;
            let [mean, p50, p75, p90, p95, p99, p999, p9999, max] =
                [mean, p50, p75, p90, p95, p99, p999, p9999, max].map(cell);
            [name.trim_end_matches("_ms").replace('_', " "), mean, p50, p75, p90, p95, p99, p999, p9999, max]
        });
        let head = ["MILLISECONDS", "MEAN", "P50", "P75", "P90", "P95", "P99", "P99.9", "P99.99", "MAX"];
        if !self.times.is_empty() {
            let _ = writeln!(text, "{}", output::table(head, rows));
        }
        text
    }
}

#[expect(clippy::cast_precision_loss, reason = "rates need no more digits than a float has")]
fn per_second(count: u64, seconds: f64) -> f64 {
    // A rate of nothing in no time says nothing.
    (count as f64 / seconds.max(0.001)).round()
}

fn round(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use host::Instant;

    use super::super::tally::Times;
    use super::*;

    #[test]
    fn shapes() {
        let mut tally = Tally::new();
        let at = Instant::ZERO.after(Duration::from_secs(3));
        (0..4).for_each(|_| tally.done(1 << 20, Some(Duration::from_millis(2)), at));
        tally.fail("the broker did not answer".to_owned(), 1234);
        let mut times = Times::new();
        times.add(Duration::from_micros(100));
        let setup = Setup {
            record_size: 1 << 20,
            rate: Some(2),
            acks: "all",
            compression: "none",
            batch_bytes: 10,
            linger_ms: 5,
        };
        let report = Report::new("produce", "t".to_owned(), 3, 2, "t in 3 partitions".to_owned());
        let report = report
            .written(setup)
            .count(&tally, Instant::ZERO.after(Duration::from_secs(1)))
            .time("ack_ms", tally.latency.percentiles())
            .time("late_ms", times.percentiles())
            .time("nothing_ms", None);
        insta::assert_snapshot!("bench_text", report.text());
        insta::assert_snapshot!("bench_json", serde_json::to_string_pretty(&report).unwrap());
    }
}
