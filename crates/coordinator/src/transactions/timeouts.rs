//! Transactions that run for longer than their producer has asked for: the coordinator aborts them.
//!
//! Looked for at every multiple of `transaction.abort.timed.out.transaction.cleanup.interval.ms`, so that one look serves
//! all that have ended until then. The time that is left is counted on the monotonic clock: a wall clock that jumps
//! aborts nobody.

use protocol::Str;

use super::Turn;
use super::soft::Timer;

/// Transactions that one outcome aborts.
const TOGETHER_MAX: usize = 500;

impl Turn<'_> {
    pub(super) fn set_deadline(&mut self, id: &Str, start_ms: i64, timeout_ms: i32) {
        let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
        let gone_ms = u64::try_from(self.now.wall_ms.saturating_sub(start_ms)).unwrap_or(0);
        let left_ms = timeout_ms.saturating_sub(gone_ms);
        let deadline_ms = self.now.monotonic_ms.saturating_add(left_ms);
        self.live(id).deadline_ms = Some(deadline_ms);
        let Some((id, _)) = self.soft.live.get_key_value(id) else { return };
        self.soft.deadlines.insert((deadline_ms, id.clone()));
        self.schedule_timeouts(deadline_ms);
    }

    pub(super) fn clear_deadline(&mut self, id: &Str) {
        let Some(live) = self.soft.live.get_mut(id) else { return };
        if let Some(deadline_ms) = live.deadline_ms.take() {
            self.soft.deadlines.remove(&(deadline_ms, id.clone()));
        }
        self.forget_if_nothing(id);
    }

    /// The next look after `deadline_ms`.
    fn schedule_timeouts(&mut self, deadline_ms: u64) {
        let interval_ms = self.options.timeout_check_interval_ms.max(1);
        let at_ms = (deadline_ms / interval_ms).saturating_add(1).saturating_mul(interval_ms);
        self.soft.timers.schedule(at_ms, Timer::Timeouts);
    }

    pub(super) fn abort_timed_out(&mut self) {
        for _ in 0..TOGETHER_MAX {
            let Some((deadline_ms, id)) = self.soft.deadlines.first().cloned() else { return };
            if deadline_ms >= self.now.monotonic_ms {
                self.schedule_timeouts(deadline_ms);
                return;
            }
            self.clear_deadline(&id);
            self.fence(&id);
        }
        if !self.soft.deadlines.is_empty() {
            self.soft.timers.schedule(self.now.monotonic_ms, Timer::Timeouts);
        }
    }
}
