//! [`Backoff`]: how long to wait before the next attempt.

use std::time::Duration;

use host::Rng;

/// Doubles from `initial` to `max`, a fifth more or less at random, so that clients do not come back all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub initial: Duration,
    pub max: Duration,
}

/// `2^20` times any sensible start is above any sensible maximum.
const DOUBLINGS_MAX: u32 = 20;

impl Backoff {
    pub const fn millis(initial: u64, max: u64) -> Self {
        Self { initial: Duration::from_millis(initial), max: Duration::from_millis(max) }
    }

    /// The wait after so many failures in a row.
    pub fn delay(&self, failures: u32, rng: &dyn Rng) -> Duration {
        let doublings = failures.saturating_sub(1).min(DOUBLINGS_MAX);
        let full = self.initial.saturating_mul(1 << doublings).min(self.max);
        let per_mille = 800 + u32::try_from(rng.below(400)).unwrap_or(0);
        full.saturating_mul(per_mille) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(u64);

    impl Rng for Fixed {
        fn next_u64(&self) -> u64 {
            self.0
        }

        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    #[test]
    fn it_doubles_up_to_its_maximum_and_jitters_by_a_fifth() {
        let backoff = Backoff::millis(100, 1000);
        let delays: Vec<u128> =
            [1, 2, 3, 4, 5, 99].map(|n| backoff.delay(n, &Fixed(200)).as_millis()).to_vec();
        assert_eq!(delays, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.delay(1, &Fixed(0)).as_millis(), 80);
        assert_eq!(backoff.delay(1, &Fixed(399)).as_micros(), 119_900);
    }
}
