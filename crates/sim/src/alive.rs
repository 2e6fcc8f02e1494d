//! [`Alive`]: on a good disk and network, with records under way, something is acknowledged or refused in time.

use std::time::Duration;

use host::Instant;

use crate::history::History;

/// Many times what a full journal on a slow disk takes to be written out.
const SILENCE_MAX: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Alive {
    acked: u64,
    since: Instant,
}

impl Alive {
    pub(crate) fn new(now: Instant) -> Self {
        Self { acked: 0, since: now }
    }

    /// To be called every few milliseconds. `trouble` is when something was wrong last.
    pub(crate) fn look(&mut self, now: Instant, trouble: Instant, history: &History) {
        let counts = history.counts();
        let waiting = counts.sent.saturating_sub(counts.acked + counts.failed);
        if counts.acked != self.acked || waiting == 0 {
            (self.acked, self.since) = (counts.acked, now);
        }
        let since = self.since.max(trouble);
        if now.since(since) > SILENCE_MAX {
            history.violate(
                "who waits gets an answer",
                format!("{waiting} records wait, and none was acknowledged for {SILENCE_MAX:?}"),
            );
        }
    }
}
