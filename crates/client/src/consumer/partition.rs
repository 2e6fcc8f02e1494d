//! [`PartitionState`]: where reading of one partition stands.

use std::time::Duration;

use host::Instant;
use protocol::Offset;

use crate::Error;

#[derive(Debug)]
pub(super) struct PartitionState {
    /// Behind the last record that was given out.
    pub(super) position: Offset,
    /// Where reading ends.
    pub(super) end: Option<Offset>,
    /// Being fetched or looked up, or fetched and not taken yet.
    pub(super) busy: bool,
    /// What is known of its leader is wrong.
    pub(super) stale: bool,
    pub(super) failing_since: Option<Instant>,
    /// Why, the last time.
    pub(super) failure: Option<Error>,
}

impl PartitionState {
    pub(super) fn new(position: Offset, end: Option<Offset>) -> Self {
        Self { position, end, busy: false, stale: false, failing_since: None, failure: None }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.end.is_some_and(|end| self.position >= end)
    }

    /// Notes a failure; whether there have been nothing but failures for too long.
    pub(super) fn fails(&mut self, error: &Error, patience: Option<Duration>, now: Instant) -> bool {
        self.failing_since.get_or_insert(now);
        self.failure = Some(error.clone());
        self.has_failed_for(patience, now)
    }

    pub(super) fn has_failed_for(&self, patience: Option<Duration>, now: Instant) -> bool {
        // Nothing is wanted any more from one that is at its end, so that no success would clear it.
        let since = self.failing_since.filter(|_| !self.is_at_end()).map(|since| now.since(since));
        since.zip(patience).is_some_and(|(since, patience)| since >= patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_its_end_has_not_failed_for_long_however_long_ago_it_failed() {
        let (patience, later) = (Some(Duration::from_secs(60)), Instant::ZERO.after(Duration::from_secs(60)));
        let mut state = PartitionState::new(Offset(3), Some(Offset(4)));
        assert!(
            !state.fails(&Error::Closed, patience, Instant::ZERO) && state.has_failed_for(patience, later)
        );
        assert!(!state.has_failed_for(None, later));
        state.position = Offset(4);
        assert!(!state.has_failed_for(patience, later));
    }
}
