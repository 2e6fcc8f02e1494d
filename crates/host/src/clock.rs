//! Two clocks: a monotonic one for intervals, and the wall clock for record timestamps.
//!
//! Invariants: [`Instant`] never goes back within one start of a node. The wall clock may jump either way.

use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

/// Nanoseconds since the host started: monotonic, and meaningless outside this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    pub const ZERO: Self = Self(0);

    /// The instant `by` later, or the last representable one.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Time from `earlier` to here, zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A timer that is done once its instant has come.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

pub trait Clock: Send + Sync + Debug {
    fn now(&self) -> Instant;

    /// Milliseconds since the Unix epoch. May jump.
    fn wall_ms(&self) -> i64;

    /// Must be called from, and awaited on, a task of this host.
    fn sleep_until(&self, at: Instant) -> Sleep;

    fn sleep(&self, by: Duration) -> Sleep {
        self.sleep_until(self.now().after(by))
    }
}
