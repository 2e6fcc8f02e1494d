//! [`History`]: takes every event of a run, writes it to the trace and shows it to the checkers.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use host::sim::Control;

use crate::check::{Check, FinalLogs, all};
use crate::event::{Event, Reader, Setback};
use crate::scenario::Scenario;

/// Readers of audits have numbers from here on.
pub(crate) const AUDITS: Reader = 1000;

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: &'static str,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// How much has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub sent: u64,
    pub acked: u64,
    pub failed: u64,
    pub read: u64,
    /// Ends of the process that lost nothing, or what was not synced.
    pub kills: u64,
    pub losses: u64,
    pub starts: u64,
    /// Bits that changed at rest.
    pub damages: u64,
}

struct State {
    checks: Vec<Box<dyn Check>>,
    violation: Option<Violation>,
    counts: Counts,
}

/// Cheap handle.
#[derive(Clone)]
pub(crate) struct History {
    control: Control,
    scenario: Arc<Scenario>,
    state: Arc<Mutex<State>>,
}

impl History {
    pub(crate) fn new(control: &Control, scenario: &Arc<Scenario>) -> Self {
        let state = State { checks: all(), violation: None, counts: Counts::default() };
        Self { control: control.clone(), scenario: Arc::clone(scenario), state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, event: &Event) {
        // What audits read would push everything else out of the log.
        if !matches!(event, Event::Batch { reader, .. } | Event::Committed { reader, .. } if *reader >= AUDITS)
        {
            self.control.trace().event(&event.to_string());
        }
        let mut state = self.state();
        state.counts.take(event);
        let State { checks, violation, .. } = &mut *state;
        for check in checks {
            if let Err(what) = check.see(event, &self.scenario) {
                violation.get_or_insert(Violation { invariant: check.invariant(), what });
            }
        }
    }

    /// Everything that the broker holds has been read.
    pub(crate) fn record_logs(&self, logs: &FinalLogs) {
        let mut state = self.state();
        let State { checks, violation, .. } = &mut *state;
        for check in checks {
            if let Err(what) = check.end(logs, &self.scenario) {
                violation.get_or_insert(Violation { invariant: check.invariant(), what });
            }
        }
    }

    /// Something is wrong that no checker looks for.
    pub(crate) fn violate(&self, invariant: &'static str, what: impl Into<String>) {
        let what = what.into();
        self.control.trace().event(&format!("{invariant}: {what}"));
        self.state().violation.get_or_insert(Violation { invariant, what });
    }

    /// The first one.
    pub(crate) fn violation(&self) -> Option<Violation> {
        self.state().violation.clone()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts
    }

    /// A line in the trace that concerns no checker.
    pub(crate) fn note(&self, text: &str) {
        self.control.trace().event(text);
    }
}

impl Counts {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Sent { .. } => self.sent += 1,
            Event::Acked { .. } => self.acked += 1,
            Event::Failed { .. } => self.failed += 1,
            Event::Batch { records, .. } | Event::Chunk { records, .. } => self.read += records.len() as u64,
            Event::Down { setback: Setback::Process } => self.kills += 1,
            Event::Down { setback: Setback::Unsynced } => self.losses += 1,
            Event::Up => self.starts += 1,
            Event::Rotten { .. } => self.damages += 1,
            _ => {}
        }
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.acked += other.acked;
        self.failed += other.failed;
        self.read += other.read;
        self.kills += other.kills;
        self.losses += other.losses;
        self.starts += other.starts;
        self.damages += other.damages;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, acked, failed, read, kills, losses, starts, damages } = self;
        write!(
            f,
            "{sent} sent, {acked} acked, {failed} failed, {read} read, {starts} starts, {kills} kills, {losses} losses"
        )?;
        if *damages > 0 { write!(f, ", {damages} bits changed") } else { Ok(()) }
    }
}
