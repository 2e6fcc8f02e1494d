//! Records go from the front only, by retention, and what has gone does not come back, whatever is lost.
//!
//! The start of a log, once seen, never goes back; without retention it never moves. A position that was refused as out
//! of range is below the start from then on.

use std::collections::BTreeMap;

use protocol::Offset;

use super::{Check, FinalLogs};
use crate::event::{Event, Log, Reader};
use crate::scenario::Scenario;

#[derive(Debug, Default)]
pub(super) struct Front {
    starts: BTreeMap<Log, Offset>,
    /// What the answer to a fetch under way must not go below.
    begun: BTreeMap<(Reader, Log), Offset>,
}

impl Front {
    fn raise(&mut self, log: &Log, to: Offset) {
        let start = self.starts.entry(log.clone()).or_default();
        *start = to.max(*start);
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
                if *log_start > Offset::ZERO && !scenario.is_retained(&log.topic) {
                    return Err(format!("{log} has no retention and starts at {log_start}"));
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
