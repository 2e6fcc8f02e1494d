//! [`Schedule`]: when each record is due, when counting begins, when all is over. Times are arguments.

use std::time::Duration;

use host::Instant;

/// How much, how fast, for how long. Shared by all benchmarks that write.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How many records are counted at most
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub(super) records: Option<u64>,
    /// For how long records are counted at most [default: 10, without --records]
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) duration: Option<Duration>,
    /// How long the same is done before, without counting
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(super) warmup: Duration,
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "expected a number of seconds".to_owned())
}

const DURATION: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    begin: Instant,
    counting_from: Instant,
    end: Instant,
    records: u64,
    rate: Option<u64>,
}

impl Schedule {
    /// `rate` is in records a second; `None` is as fast as it goes.
    pub(super) fn new(pace: &Pace, rate: Option<u64>, begin: Instant) -> Self {
        let duration = pace.duration.or(pace.records.is_none().then_some(DURATION));
        let counting_from = begin.after(pace.warmup);
        Self {
            begin,
            counting_from,
            end: duration.map_or(Instant(u64::MAX), |duration| counting_from.after(duration)),
            records: pace.records.unwrap_or(u64::MAX),
            rate,
        }
    }

    /// When the record of this number is due, if there is a rate. Later records never move earlier ones.
    pub(super) fn due(&self, number: u64) -> Option<Instant> {
        let ns = u128::from(number) * 1_000_000_000 / u128::from(self.rate?);
        Some(Instant(self.begin.0.saturating_add(u64::try_from(ns).unwrap_or(u64::MAX))))
    }

    pub(super) fn is_counted(&self, due: Instant) -> bool {
        due >= self.counting_from
    }

    pub(super) fn counting_from(&self) -> Instant {
        self.counting_from
    }

    /// Whether a record that is due then is still to be written, after so many that counted.
    pub(super) fn goes_on(&self, due: Instant, counted: u64) -> bool {
        due < self.end && counted < self.records
    }

    /// How far along it is, from 0 to 1.
    pub(super) fn progress(&self, now: Instant, counted: u64) -> f64 {
        let part = |done: u64, all: u64| match all {
            0 => 1.0,
            #[expect(clippy::cast_precision_loss, reason = "a bar has no more than some hundred steps")]
            _ => done as f64 / all as f64,
        };
        let by_time = part(now.0.saturating_sub(self.begin.0), self.end.0.saturating_sub(self.begin.0));
        by_time.max(part(counted, self.records)).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(records: Option<u64>, duration: Option<Duration>) -> Pace {
        Pace { records, duration, warmup: SECOND }
    }

    #[test]
    fn records_are_due_at_the_rate_without_drift() {
        let schedule = Schedule::new(&pace(None, None), Some(3), Instant(7));
        let due: Vec<u64> = (0..4).map(|number| schedule.due(number).unwrap().0).collect();
        assert_eq!(due, [7, 333_333_340, 666_666_673, 1_000_000_007]);
        assert_eq!(schedule.due(3_000_000).unwrap(), Instant(1_000_000_000_000_007), "no rounding adds up");
        assert_eq!(Schedule::new(&pace(None, None), None, Instant(7)).due(1), None);
    }

    #[test]
    fn warming_up_does_not_count_and_the_first_limit_ends_it() {
        let at = |seconds| Instant::ZERO.after(SECOND * seconds);
        let both = Schedule::new(&pace(Some(5), Some(2 * SECOND)), None, at(0));
        assert!(!both.is_counted(Instant(999_999_999)) && both.is_counted(at(1)));
        assert!(both.goes_on(at(2), 4) && !both.goes_on(at(2), 5) && !both.goes_on(at(3), 0));
        let counted = Schedule::new(&pace(Some(5), None), None, at(0));
        assert!(counted.goes_on(at(3600), 4));
        let plain = Schedule::new(&pace(None, None), None, at(0));
        assert!(plain.goes_on(at(10), u64::MAX - 1) && !plain.goes_on(at(11), 0));
    }

    #[test]
    fn seconds_may_have_fractions() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(seconds("-1").is_err() && seconds("soon").is_err() && seconds("NaN").is_err());
    }
}
