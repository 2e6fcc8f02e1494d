//! What is read is what was sent: content, topic and partition.

use std::collections::BTreeMap;

use super::Check;
use crate::event::{Event, Log, Seen};
use crate::scenario::Scenario;
use crate::value::Id;

#[derive(Debug, Default)]
pub(super) struct AsSent {
    sent: BTreeMap<Id, Log>,
}

impl AsSent {
    fn check(&self, log: &Log, record: &Seen) -> Result<(), String> {
        let at = format!("{log}@{}", record.offset);
        let id = record.id.ok_or_else(|| format!("{at} holds a record that nobody makes"))?;
        if !record.whole {
            return Err(format!("{at} holds {id}, damaged"));
        }
        match self.sent.get(&id) {
            None => Err(format!("{at} holds {id}, which nobody has sent")),
            Some(to) if to.partition != log.partition || to.topic.as_str() != log.name() => {
                Err(format!("{at} holds {id}, which was sent to {to}"))
            }
            Some(_) => Ok(()),
        }
    }
}

impl Check for AsSent {
    fn invariant(&self) -> &'static str {
        "what is read is what was sent"
    }

    fn see(&mut self, event: &Event, _: &Scenario) -> Result<(), String> {
        match event {
            Event::Sent { id, log } => {
                self.sent.insert(*id, log.clone());
                Ok(())
            }
            Event::Batch { log, records, .. } | Event::Chunk { log, records, .. } => {
                records.iter().try_for_each(|record| self.check(log, record))
            }
            _ => Ok(()),
        }
    }
}
