//! A deleted topic does not come back: not in lists, and not as records in a new topic of its name.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{Str, TopicId};

use super::Check;
use crate::event::{Event, Reader};
use crate::scenario::Scenario;
use crate::value::Id;

#[derive(Debug, Default)]
pub(super) struct Deleted {
    deleted: BTreeSet<TopicId>,
    made: BTreeSet<TopicId>,
    /// What was deleted before a list was asked for.
    begun: BTreeMap<Reader, BTreeSet<TopicId>>,
    /// What was acknowledged in the present lives of topics, and in former ones.
    acked: BTreeMap<Str, Vec<Id>>,
    gone: BTreeMap<Id, TopicId>,
}

impl Check for Deleted {
    fn invariant(&self) -> &'static str {
        "a deleted topic does not come back, and a topic that was made stays"
    }

    fn see(&mut self, event: &Event, scenario: &Scenario) -> Result<(), String> {
        match event {
            Event::TopicMade { topic, id } => {
                if self.deleted.contains(id) {
                    return Err(format!("{topic} is made with the id {id} of a deleted topic"));
                }
                self.made.insert(*id);
            }
            Event::NotEmpty { log, end } => {
                return Err(format!("{log} has just been made and ends at {end}"));
            }
            Event::Acked { id, log, .. } if scenario.topic(&log.topic).is_none() => {
                self.acked.entry(log.topic.clone()).or_default().push(*id);
            }
            Event::Batch { log, records, .. } if log.name() != log.topic.as_str() => {
                let life = |id: &TopicId| format!("{}/{id}", log.name());
                for id in records.iter().filter_map(|record| record.id) {
                    if let Some(of) = self.gone.get(&id).filter(|of| life(of) != log.topic.as_str()) {
                        return Err(format!("{id} was written to {} and is in {log}", life(of)));
                    }
                }
            }
            Event::TopicDeleted { topic, id } => {
                self.deleted.insert(*id);
                let acked = self.acked.remove(topic).unwrap_or_default();
                self.gone.extend(acked.into_iter().map(|record| (record, *id)));
            }
            Event::ListBegins { reader } => {
                self.begun.insert(*reader, self.deleted.clone());
            }
            Event::Listed { reader, topics } => {
                let gone = self.begun.remove(reader).unwrap_or_default();
                if let Some((name, id)) = topics.iter().find(|(_, id)| gone.contains(id)) {
                    return Err(format!("{name}, {id}, was deleted and is listed"));
                }
                let missing =
                    scenario.topics.iter().find(|plan| topics.iter().all(|(name, _)| *name != plan.name));
                if let Some(plan) = missing {
                    return Err(format!("{} was made and is not listed", plan.name));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
