//! [`Script`]: the ends and the jumps of the clock of a run of the family `steps`, in the same order in each of its runs.

use std::collections::VecDeque;
use std::time::Duration;

use host::Instant;
use host::sim::Control;

use crate::event::Setback;
use crate::scenario::{BROKER, Family, Scenario};
use crate::server::Server;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Clone, Copy, Debug)]
enum Act {
    CleanStop,
    End(Setback),
    /// The wall clock is so far ahead of true time from now on.
    Clock(i64),
}

#[derive(Debug)]
pub(crate) struct Script {
    /// Each so long after the one before, or when the broker serves again.
    acts: VecDeque<(Duration, Act)>,
    due: Instant,
}

impl Script {
    pub(crate) fn new(scenario: &Scenario, now: Instant) -> Self {
        let acts: &[_] = match scenario.family {
            Family::Steps => &[
                (250, Act::CleanStop),
                (100, Act::Clock(2 * DAY_MS)),
                (100, Act::End(Setback::Process)),
                (100, Act::Clock(-DAY_MS)),
                (100, Act::End(Setback::Unsynced)),
                (150, Act::Clock(0)),
            ],
            _ => &[],
        };
        let acts = acts.iter().map(|(after, act)| (Duration::from_millis(*after), *act)).collect();
        Self { acts, due: now }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.acts.is_empty()
    }

    /// Does what is due.
    pub(crate) fn turn(&mut self, control: &Control, server: &mut Server) {
        let now = control.now();
        if !server.is_serving() {
            self.due = now;
            return;
        }
        let Some(act) = self.acts.pop_front_if(|(after, _)| now >= self.due.after(*after)) else { return };
        self.due = now;
        match act.1 {
            Act::CleanStop => server.stop_cleanly(),
            Act::End(setback) => server.end(setback),
            Act::Clock(skew_ms) => control.set_wall_skew(BROKER, skew_ms),
        }
    }
}
