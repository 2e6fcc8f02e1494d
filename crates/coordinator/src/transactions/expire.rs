//! Transactional ids that nobody has used for `transactional.id.expiration.ms`.
//!
//! Ids are looked at some at a time, so that nobody waits for all of them.

use std::ops::Bound;

use protocol::Str;

use super::Turn;
use super::soft::Timer;

/// Ids that are looked at in one go.
const TOGETHER_MAX: usize = 10_000;

impl Turn<'_> {
    pub(super) fn schedule_expiration(&mut self) {
        let after_ms = self.options.expiration_check_interval_ms.max(1);
        self.soft.timers.schedule(self.now.monotonic_ms.saturating_add(after_ms), Timer::Expiration);
    }

    pub(super) fn expire(&mut self) {
        let expired_ms = self.now.wall_ms.saturating_sub(self.options.transactional_id_expiration_ms);
        let after = self.soft.expired_up_to.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.logged.ids().range::<Str, _>((after, Bound::Unbounded));
        let mut expired = Vec::new();
        let mut last = None;
        for (id, transaction) in rest.by_ref().take(TOGETHER_MAX) {
            if transaction.state.is_idle() && transaction.last_update_ms <= expired_ms {
                expired.push(id.clone());
            }
            last = Some(id.clone());
        }
        let is_done = rest.next().is_none();
        for id in expired {
            self.emit(&id, None);
            self.soft.live.remove(&id);
        }
        if is_done {
            self.soft.expired_up_to = None;
            self.schedule_expiration();
        } else {
            self.soft.expired_up_to = last;
            self.soft.timers.schedule(self.now.monotonic_ms, Timer::Expiration);
        }
    }
}
