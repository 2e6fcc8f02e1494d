//! An idempotent producer's record is there once at most.

use std::collections::BTreeMap;

use super::{Check, FinalLogs};
use crate::event::Event;
use crate::scenario::Scenario;

#[derive(Debug)]
pub(super) struct Doubled;

impl Check for Doubled {
    fn invariant(&self) -> &'static str {
        "nothing of an idempotent producer is doubled"
    }

    fn see(&mut self, _: &Event, _: &Scenario) -> Result<(), String> {
        Ok(())
    }

    fn end(&mut self, logs: &FinalLogs, scenario: &Scenario) -> Result<(), String> {
        for (log, held) in logs {
            let mut first = BTreeMap::new();
            for (offset, id) in &held.records {
                if !scenario.is_idempotent(id.producer) {
                    continue;
                }
                if let Some(before) = first.insert(*id, *offset) {
                    return Err(format!("{id} is in {log} at {before} and at {offset}"));
                }
            }
        }
        Ok(())
    }
}
