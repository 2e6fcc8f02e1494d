//! [`Dice`]: draws from the randomness of a simulated node.

use std::sync::Arc;
use std::time::Duration;

use host::{Host, Rng};

#[derive(Clone, Debug)]
pub(crate) struct Dice(Arc<dyn Rng>);

impl Dice {
    pub(crate) fn of(host: &Host) -> Self {
        Self(Arc::clone(&host.rng))
    }

    pub(crate) fn number(&self) -> u64 {
        self.0.next_u64()
    }

    /// In `low..=high`.
    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        low + self.0.below(high.saturating_sub(low) + 1)
    }

    pub(crate) fn index(&self, len: usize) -> usize {
        usize::try_from(self.0.below(len as u64)).unwrap_or(0)
    }

    /// True `percent` times in a hundred.
    pub(crate) fn chance(&self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&self, of: &[T]) -> T {
        *of.get(self.index(of.len())).expect("something to pick from")
    }

    pub(crate) fn millis(&self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// Mostly near `low`, sometimes up to `high`: each doubling is as likely as the one before.
    pub(crate) fn skewed_millis(&self, low: u64, high: u64) -> Duration {
        let doublings = (high / low.max(1)).checked_ilog2().unwrap_or(0);
        let top = low << self.between(0, u64::from(doublings));
        self.millis(low, top.clamp(low, high))
    }
}
