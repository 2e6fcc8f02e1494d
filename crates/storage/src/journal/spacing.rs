//! When a round may start: at once while little is going on, and spaced under load so that many small requests
//! share one sync.
//!
//! The measure of load is how fast entries arrive *while a round is under way*. Clients that wait for their
//! answers before they send again do not arrive then, however busy they are, and are never held up; those that
//! come anyway will also come during a pause, which is then worth its delay.
//!
//! Invariant: a round is never held back longer than the goal after the start of the one before it.

use std::time::Duration;

use host::Instant;

/// Entries that have to be expected within the goal before rounds are spaced at all, and for the full goal.
const ARRIVALS_MIN: f64 = 1.0;
const ARRIVALS_FULL: f64 = 6.0;

/// Weight of the newest round in the average.
const WEIGHT: f64 = 0.125;

#[derive(Debug)]
pub(super) struct Spacing {
    goal: Duration,
    last_start: Option<Instant>,
    under_way_since: Option<Instant>,
    arrived: u32,
    /// Entries a second, averaged over rounds.
    rate: f64,
}

impl Spacing {
    pub(super) fn new(goal: Duration) -> Self {
        Self { goal, last_start: None, under_way_since: None, arrived: 0, rate: 0.0 }
    }

    pub(super) fn arrived(&mut self) {
        if self.under_way_since.is_some() {
            self.arrived = self.arrived.saturating_add(1);
        }
    }

    pub(super) fn started(&mut self, now: Instant) {
        self.last_start = Some(now);
        if self.under_way_since.is_none() {
            self.under_way_since = Some(now);
            self.arrived = 0;
        }
    }

    /// The first result that clients hear of since [`Self::started`].
    pub(super) fn answered(&mut self, now: Instant) {
        let Some(since) = self.under_way_since.take() else { return };
        let seconds = now.since(since).as_secs_f64();
        if seconds > 0.0 {
            self.rate += (f64::from(self.arrived) / seconds - self.rate) * WEIGHT;
        }
    }

    /// When the next round may start; `None` for at once.
    pub(super) fn earliest(&self) -> Option<Instant> {
        let expected = self.rate * self.goal.as_secs_f64();
        let share = ((expected - ARRIVALS_MIN) / (ARRIVALS_FULL - ARRIVALS_MIN)).clamp(0.0, 1.0);
        if share == 0.0 {
            return None;
        }
        Some(self.last_start?.after(self.goal.mul_f64(share)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOAL: Duration = Duration::from_micros(500);

    /// Rounds of 200 us back to back with `arrivals` entries during each; the pause the last one is given.
    fn pause_us(arrivals: u32) -> u128 {
        let mut spacing = Spacing::new(GOAL);
        let mut now = Instant(1_000_000);
        for _ in 0..100 {
            spacing.started(now);
            (0..arrivals).for_each(|_| spacing.arrived());
            spacing.answered(now.after(Duration::from_micros(200)));
            now = now.after(Duration::from_micros(200));
        }
        let start = Instant(now.0 - 200_000);
        spacing.earliest().map_or(0, |at| at.since(start).as_micros())
    }

    #[test]
    fn waits_only_for_those_who_come_unanswered() {
        for (arrivals, expected) in
            [(0, 0..=0), (1, 100..=200), (2, 350..=450), (3, 500..=500), (500, 500..=500)]
        {
            let pause = pause_us(arrivals);
            assert!(expected.contains(&pause), "{arrivals} arrivals a round: {pause} us");
        }
    }

    #[test]
    fn forgets_load_that_is_over() {
        let mut spacing = Spacing::new(GOAL);
        for round in 0..200_u64 {
            let now = Instant(round * 1_000_000);
            spacing.started(now);
            if round < 100 {
                (0..50).for_each(|_| spacing.arrived());
            }
            spacing.answered(now.after(Duration::from_micros(200)));
        }
        assert_eq!(spacing.earliest(), None);
    }
}
