//! [`Timers`]: what comes due, in order.
//!
//! Invariant: an entry costs the logarithm of their number, however many members heartbeat: a session that is extended
//! leaves its entry where it is, and whoever it wakes looks again ([`crate::classic::Session`]).

use std::collections::BTreeSet;

use protocol::Str;

use crate::consumer::Due;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The members of a group have had their time to join.
    Join { group: Str },
    /// The members of a group have had their time to ask for their assignments.
    Sync { group: Str },
    /// A member, or one that was told its id, may be gone.
    Session { group: Str, member: Str },
    /// A member of a consumer group may have let a deadline pass.
    Consumer { group: Str, member: Str, due: Due },
    /// Offsets and groups may have expired.
    Retention,
    /// Offsets of topics that are gone are still there.
    Forget,
}

#[derive(Debug)]
pub(crate) struct Timers<T = Timer> {
    due: BTreeSet<(u64, T)>,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { due: BTreeSet::new() }
    }
}

impl<T: Ord> Timers<T> {
    pub(crate) fn schedule(&mut self, at_ms: u64, timer: T) {
        self.due.insert((at_ms, timer));
    }

    pub(crate) fn cancel(&mut self, at_ms: u64, timer: T) {
        self.due.remove(&(at_ms, timer));
    }

    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.due.first().map(|(at_ms, _)| *at_ms)
    }

    pub(crate) fn pop_due(&mut self, now_ms: u64) -> Option<T> {
        if self.next_ms()? > now_ms {
            return None;
        }
        self.due.pop_first().map(|(_, timer)| timer)
    }
}

#[cfg(test)]
impl Timers {
    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }
}
