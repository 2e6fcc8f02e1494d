//! Who asks for a time gets the first record at or after it.

use protocol::Offset;

use super::{Check, FinalLogs};
use crate::event::{Event, Log};
use crate::scenario::Scenario;

#[derive(Debug)]
struct Answer {
    log: Log,
    timestamp: i64,
    /// Records below are known to the answer.
    end: Offset,
    found: Option<Offset>,
}

#[derive(Debug, Default)]
pub(super) struct ByTime {
    answers: Vec<Answer>,
}

impl Check for ByTime {
    fn invariant(&self) -> &'static str {
        "an offset by time is the first one at or after it"
    }

    fn see(&mut self, event: &Event, scenario: &Scenario) -> Result<(), String> {
        if let Event::FoundByTime { log, timestamp, end, found } = event
            && scenario.is_synced(&log.topic)
            && !scenario.is_restamped(&log.topic)
        {
            let (log, timestamp, end, found) = (log.clone(), *timestamp, *end, *found);
            self.answers.push(Answer { log, timestamp, end, found });
        }
        Ok(())
    }

    fn end(&mut self, logs: &FinalLogs, _: &Scenario) -> Result<(), String> {
        for Answer { log, timestamp, end, found } in self.answers.drain(..) {
            let Some(held) = logs.get(&log) else { continue };
            let mut before = held.records.range(..found.unwrap_or(end));
            let missed = before.find(|(_, id)| id.timestamp() >= timestamp);
            if let Some((offset, id)) = missed {
                return Err(format!(
                    "{log}: {found:?} is at or after {timestamp} of records up to {end}, and {id} at {offset} before it"
                ));
            }
            let record = found.and_then(|found| held.records.get(&found));
            if let Some(id) = record.filter(|id| id.timestamp() < timestamp) {
                return Err(format!("{log}: {id} at {found:?} is before {timestamp}"));
            }
        }
        Ok(())
    }
}
