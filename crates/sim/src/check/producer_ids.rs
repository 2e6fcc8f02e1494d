//! A producer id is never given twice: not on request, and no two producers write with one.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ProducerId;

use super::Check;
use crate::event::Event;
use crate::scenario::Scenario;

#[derive(Debug, Default)]
pub(super) struct ProducerIds {
    given: BTreeSet<ProducerId>,
    writers: BTreeMap<ProducerId, usize>,
}

impl Check for ProducerIds {
    fn invariant(&self) -> &'static str {
        "a producer id is never given twice"
    }

    fn see(&mut self, event: &Event, scenario: &Scenario) -> Result<(), String> {
        match event {
            Event::ProducerIdGiven { id } => {
                if !self.given.insert(*id) {
                    return Err(format!("{id} was given before"));
                }
                if let Some(writer) = self.writers.get(id) {
                    return Err(format!("{id} is given, and p{writer} writes with it"));
                }
            }
            Event::Batch { header, records, log, .. } => {
                let writers = records.iter().filter_map(|record| record.id).map(|id| id.producer);
                for writer in writers {
                    let (id, at) = (header.producer_id, header.base_offset);
                    if id.is_none() {
                        if scenario.is_idempotent(writer) {
                            return Err(format!("{log}@{at} of p{writer} has no producer id"));
                        }
                        continue;
                    }
                    let writer = scenario.owner_of_id(writer);
                    let known = *self.writers.entry(id).or_insert(writer);
                    if known != writer || self.given.contains(&id) {
                        return Err(format!(
                            "p{writer} and p{known} write with {id}, or it was given to the admin"
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
