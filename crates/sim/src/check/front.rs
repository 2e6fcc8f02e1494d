//! Records go from the front only, by retention or when somebody deletes them, and what has gone does not come back,
//! whatever is lost.
//!
//! The start of a log, once seen or told, never goes back; without retention it never moves beyond what somebody wanted
//! deleted. A position that was refused as out of range is below the start from then on.

use std::collections::BTreeMap;

use protocol::Offset;

use super::{Check, FinalLogs};
use crate::event::{Event, Log, Reader};
use crate::scenario::Scenario;

#[derive(Debug, Default)]
pub(super) struct Front {
    starts: BTreeMap<Log, Offset>,
    /// The latest below which somebody wanted records deleted.
    wanted: BTreeMap<Log, Offset>,
    /// What the answer to a fetch under way must not go below.
    begun: BTreeMap<(Reader, Log), Offset>,
}

impl Front {
    fn raise(&mut self, log: &Log, to: Offset) {
        let start = self.starts.entry(log.clone()).or_default();
        *start = to.max(*start);
    }

    fn want(&mut self, log: &Log, to: Offset) {
        let wanted = self.wanted.entry(log.clone()).or_default();
        *wanted = to.max(*wanted);
    }

    fn wanted(&self, log: &Log) -> Offset {
        self.wanted.get(log).copied().unwrap_or_default()
    }
}

impl Check for Front {
    fn invariant(&self) -> &'static str {
        "records go from the front only and do not come back"
    }

    fn see(&mut self, event: &Event, scenario: &Scenario) -> Result<(), String> {
        match event {
            Event::FetchBegins { reader, log } => {
                let start = self.starts.get(log).copied().unwrap_or_default();
                self.begun.insert((*reader, log.clone()), start);
            }
            Event::Watermark { reader, log, log_start, .. } => {
                let floor = self.begun.get(&(*reader, log.clone())).copied().unwrap_or_default();
                if *log_start < floor {
                    return Err(format!("{log} starts at {log_start} after {floor}"));
                }
                let wanted = self.wanted(log);
                if *log_start > wanted && !scenario.is_retained(&log.topic) {
                    return Err(format!(
                        "{log} has no retention, was to lose what is below {wanted}, and starts at {log_start}"
                    ));
                }
                self.raise(log, *log_start);
            }
            Event::Batch { reader, log, expected, .. } => {
                let floor = self.begun.get(&(*reader, log.clone())).copied().unwrap_or_default();
                if *expected < floor {
                    return Err(format!("r{reader} reads {log}@{expected}, which was gone up to {floor}"));
                }
            }
            Event::OutOfRange { log, position, .. } if scenario.is_retained(&log.topic) => {
                self.raise(log, position.next());
            }
            Event::OutOfRange { reader, log, position } if scenario.is_synced(&log.topic) => {
                let wanted = self.wanted(log);
                if *position >= wanted {
                    return Err(format!(
                        "r{reader} was at {log}@{position}, which is out of range, not below {wanted}"
                    ));
                }
                self.raise(log, position.next());
            }
            Event::TrimBegins { log, before } => self.want(log, before.unwrap_or(Offset(i64::MAX))),
            Event::Trimmed { log, before, start } => {
                if before.is_some_and(|before| *start < before) {
                    return Err(format!("{log} was to start at {before:?} at least, and starts at {start}"));
                }
                self.raise(log, *start);
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, logs: &FinalLogs, _: &Scenario) -> Result<(), String> {
        for (log, start) in &self.starts {
            let held = logs.get(log).map(|held| held.start);
            if held.is_some_and(|held| held < *start) {
                return Err(format!("{log} starts at {held:?}, and started at {start} before"));
            }
        }
        Ok(())
    }
}
