//! [`Samples`]: resident memory over time, and what it says.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;

use crate::usage;

/// What a straight line through the second half may rise: less than what a burst of the load takes for a moment.
pub(super) const GROWTH_MAX_MIB: f64 = 4.0;

#[derive(Debug, Default)]
pub(super) struct Samples {
    /// Seconds and MiB.
    pub(super) resident: Vec<(f64, f64)>,
    /// The kernel's own maximum, which misses no moment.
    peak: f64,
}

impl Samples {
    pub(super) fn take(&mut self, pid: u32, at: Duration) -> Result<()> {
        let (now, peak) = usage::resident(pid)?;
        self.resident.push((at.as_secs_f64(), now));
        self.peak = peak;
        Ok(())
    }

    pub(super) fn last(&self) -> f64 {
        self.resident.last().map_or(0.0, |(_, mib)| *mib)
    }

    pub(super) fn peak(&self) -> f64 {
        self.peak
    }

    /// How much a straight line through the second half rises from its beginning to its end.
    pub(super) fn growth(&self) -> f64 {
        let half = self.resident.get(self.resident.len() / 2..).unwrap_or_default();
        let count = half.len().max(1) as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| half.iter().map(of).sum::<f64>() / count;
        let (time, mib) = (mean(|sample| sample.0), mean(|sample| sample.1));
        let covariance: f64 = half.iter().map(|(at, now)| (at - time) * (now - mib)).sum();
        let variance: f64 = half.iter().map(|(at, _)| (at - time).powi(2)).sum();
        let seconds = half.first().zip(half.last()).map_or(0.0, |(first, last)| last.0 - first.0);
        if variance > 0.0 { covariance / variance * seconds } else { 0.0 }
    }

    pub(super) fn csv(&self) -> String {
        let mut text = "seconds,resident_mib\n".to_owned();
        for (at, mib) in &self.resident {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{at:.0},{mib:.2}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growth(resident: impl Fn(f64) -> f64) -> f64 {
        let resident = (0..=1800).map(|at| (f64::from(at), resident(f64::from(at)))).collect();
        Samples { resident, peak: 0.0 }.growth()
    }

    #[test]
    fn only_what_goes_on_rising_grows() {
        assert!(growth(|_| 100.0).abs() < 0.01);
        assert!((growth(|at| 100.0 + at / 90.0) - 10.0).abs() < 0.01);
        assert!(growth(|at| if at < 900.0 { at } else { 900.0 }).abs() < 0.01);
        // Bursts once a minute.
        assert!(growth(|at| if at % 60.0 < 5.0 { 140.0 } else { 100.0 }).abs() < 1.0);
    }
}
