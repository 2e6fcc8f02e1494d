//! The records of an idempotent producer are in a partition in the order in which they were sent.

use std::collections::BTreeMap;

use super::{Check, FinalLogs};
use crate::event::Event;
use crate::scenario::Scenario;
use crate::value::Id;

#[derive(Debug, Default)]
pub(super) struct Order {
    /// The first numbers of each producer's lives.
    begins: BTreeMap<usize, Vec<u64>>,
}

impl Order {
    /// Whose work a record is: what an earlier life has left in flight may be written after what a later one sends.
    fn life(&self, id: Id) -> usize {
        self.begins.get(&id.producer).map_or(0, |begins| begins.partition_point(|first| *first <= id.n))
    }
}

impl Check for Order {
    fn invariant(&self) -> &'static str {
        "an idempotent producer's records are in order"
    }

    fn see(&mut self, event: &Event, _: &Scenario) -> Result<(), String> {
        if let Event::ProducerBegins { producer, n } = event {
            self.begins.entry(*producer).or_default().push(*n);
        }
        Ok(())
    }

    fn end(&mut self, logs: &FinalLogs, scenario: &Scenario) -> Result<(), String> {
        for (log, held) in logs {
            let mut last = BTreeMap::new();
            for (offset, id) in &held.records {
                if !scenario.is_idempotent(id.producer) {
                    continue;
                }
                let before = last.insert((id.producer, self.life(*id)), *id);
                if let Some(before) = before.filter(|before| before.n > id.n) {
                    return Err(format!("{id} is in {log} at {offset}, behind {before}"));
                }
            }
        }
        Ok(())
    }
}
