//! [`Tally`]: what became of the records: counts, latencies, reasons of failures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use host::Instant;
use serde::Serialize;

/// Latencies above this are taken for it.
const LONGEST_NS: u64 = 3_600_000_000_000;
/// Three digits of each value are kept.
const DIGITS: u8 = 3;
/// Reasons that are told apart; the others are one.
const REASONS_MAX: usize = 100;

/// Durations, from nanoseconds to an hour.
#[derive(Clone, Debug)]
pub(super) struct Times(Histogram<u64>);

impl Times {
    pub(super) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).expect("the bounds are far apart"))
    }

    pub(super) fn add(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(LONGEST_NS));
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    /// `None` when nothing was timed.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        let at = |quantile: f64| ms(self.0.value_at_quantile(quantile));
        (!self.0.is_empty()).then(|| Percentiles {
            mean: round(self.0.mean() / 1e6),
            p50: at(0.5),
            p75: at(0.75),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: ms(self.0.max()),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "no more than four digits are shown")]
fn ms(ns: u64) -> f64 {
    round(ns as f64 / 1e6)
}

/// Microseconds are enough.
fn round(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

/// Milliseconds. Part of the JSON that docs/cli.md describes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Percentiles {
    pub(super) mean: f64,
    pub(super) p50: f64,
    pub(super) p75: f64,
    pub(super) p90: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) p9999: f64,
    pub(super) max: f64,
}

#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// What counted: written or read.
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// Also what was written or read while warming up.
    pub(super) all: u64,
    pub(super) failed: u64,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) latency: Times,
    /// When the last of what counted was done.
    pub(super) last: Instant,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            records: 0,
            bytes: 0,
            all: 0,
            failed: 0,
            errors: BTreeMap::new(),
            latency: Times::new(),
            last: Instant::ZERO,
        }
    }

    /// A record that was done at `at` and counts if its latency is given.
    pub(super) fn done(&mut self, bytes: u64, latency: Option<Duration>, at: Instant) {
        self.all += 1;
        if let Some(latency) = latency {
            self.records += 1;
            self.bytes += bytes;
            self.latency.add(latency);
            self.last = self.last.max(at);
        }
    }

    pub(super) fn fail(&mut self, reason: String, count: u64) {
        self.failed += count;
        let known = self.errors.len() < REASONS_MAX || self.errors.contains_key(&reason);
        *self.errors.entry(if known { reason } else { "others".to_owned() }).or_default() += count;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.all += other.all;
        self.failed += other.failed;
        for (reason, count) in &other.errors {
            *self.errors.entry(reason.clone()).or_default() += count;
        }
        self.latency.merge(&other.latency);
        self.last = self.last.max(other.last);
    }
}

/// A tally that several tasks of one thread, and now and then another, add to.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Mutex<Tally>>);

impl Shared {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Tally::new())))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All of them together.
pub(super) fn sum<'a>(tallies: impl IntoIterator<Item = &'a Shared>) -> Tally {
    let mut sum = Tally::new();
    tallies.into_iter().for_each(|tally| sum.merge(&tally.lock()));
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_counted() {
        let (one, two) = (Shared::new(), Shared::new());
        for ms in 1..=1000 {
            let tally = if ms % 2 == 0 { &one } else { &two };
            tally.lock().done(10, Some(Duration::from_millis(ms)), Instant(ms));
        }
        one.lock().done(10, None, Instant(5000));
        let sum = sum([&one, &two]);
        assert_eq!((sum.records, sum.all, sum.bytes, sum.last), (1000, 1001, 10_000, Instant(1000)));
        let found = sum.latency.percentiles().unwrap();
        let near = |value: f64, wanted: f64| (value - wanted).abs() <= wanted / 1000.0;
        assert!(near(found.p50, 500.0) && near(found.p99, 990.0) && near(found.max, 1000.0), "{found:?}");
        assert!(near(found.mean, 500.5), "{found:?}");
        assert_eq!(Times::new().percentiles(), None);
    }

    #[test]
    fn what_takes_longer_than_an_hour_takes_an_hour() {
        let mut times = Times::new();
        times.add(Duration::MAX);
        assert!((times.percentiles().unwrap().max - 3_600_000.0).abs() < 3_600.0);
    }

    #[test]
    fn reasons_are_counted_and_have_an_end() {
        let mut tally = Tally::new();
        for number in 0..REASONS_MAX + 5 {
            tally.fail(format!("reason {number}"), 2);
        }
        tally.fail("reason 3".to_owned(), 1);
        assert_eq!((tally.failed, tally.errors.len()), (211, REASONS_MAX + 1));
        assert_eq!((tally.errors["reason 3"], tally.errors["others"]), (3, 10));
    }
}
