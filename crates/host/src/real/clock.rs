//! The operating system's clocks, and the reactor's timers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::{Clock, Instant, Sleep};

#[derive(Debug)]
pub(super) struct OsClock {
    started: std::time::Instant,
}

impl OsClock {
    pub(super) fn start() -> Self {
        Self { started: std::time::Instant::now() }
    }
}

impl Clock for OsClock {
    fn now(&self) -> Instant {
        Instant::ZERO.after(self.started.elapsed())
    }

    fn wall_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        }
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        match self.started.checked_add(Duration::from_nanos(at.0)) {
            Some(at) => Box::pin(tokio::time::sleep_until(at.into())),
            // Later than the clock can say: never.
            None => Box::pin(std::future::pending()),
        }
    }
}
