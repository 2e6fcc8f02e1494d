//! What is read is what was sent: content, topic and partition.

use std::collections::BTreeMap;

use super::Check;
use protocol::records::TimestampType;

use crate::event::{Event, Log, Seen};
use crate::scenario::Scenario;
use crate::value::Id;

#[derive(Debug, Default)]
pub(super) struct AsSent {
    sent: BTreeMap<Id, Log>,
}

impl AsSent {
    /// `restamped`: the time may be that of the append.
    fn check(&self, log: &Log, record: &Seen, restamped: bool) -> Result<(), String> {
        let at = format!("{log}@{}", record.offset);
        let id = record.id.ok_or_else(|| format!("{at} holds a record that nobody makes"))?;
        if !record.whole {
            return Err(format!("{at} holds {id}, damaged"));
        }
        if !record.in_time && !restamped {
            return Err(format!("{at} holds {id} with another time"));
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

    fn see(&mut self, event: &Event, scenario: &Scenario) -> Result<(), String> {
        match event {
            Event::Sent { id, log } => {
                self.sent.insert(*id, log.clone());
                Ok(())
            }
            Event::Batch { log, header, records, .. } => {
                let append_time = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
                let restamped = append_time && scenario.is_restamped(&log.topic);
                records.iter().try_for_each(|record| self.check(log, record, restamped))
            }
            Event::Chunk { log, records, .. } => {
                let restamped = scenario.is_restamped(&log.topic);
                records.iter().try_for_each(|record| self.check(log, record, restamped))
            }
            _ => Ok(()),
        }
    }
}
