//! Nothing acknowledged is lost.
//!
//! acks=all on a topic that is synced from before the record is sent until it is acknowledged outlives everything.
//! acks=all on a buffered topic, and acks=1, outlive the end of the process, and may be lost with what is not synced. In a compacted topic a record may be gone when there is a later one of
//! its key.

use std::collections::BTreeMap;

use client::Acks;
use protocol::{Offset, Str};

use super::settings::Known;
use super::{Check, FinalLog, FinalLogs};
use crate::event::{Event, Log, Setback};
use crate::scenario::{Knob, Scenario};
use crate::value::Id;

#[derive(Clone, Copy, Debug)]
struct Owed {
    offset: Option<Offset>,
    /// Also after a loss of what was not synced.
    always: bool,
}

#[derive(Debug, Default)]
pub(super) struct Lost {
    owed: BTreeMap<Log, BTreeMap<Id, Owed>>,
    sent: BTreeMap<Id, Sent>,
    losses: u64,
    known: Known,
}

/// What there was when a record was sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// How many losses there had been. An answer may be older than the loss before it.
    losses: u64,
    /// See [`Lost::synced`].
    synced: Option<u64>,
}

impl Lost {
    /// `None` if the topic may be buffered. While the number is the same it has been synced without a break.
    fn synced(&self, topic: &Str, scenario: &Scenario) -> Option<u64> {
        let plan = scenario.topic(topic)?;
        if !plan.knobs.contains(&Knob::Durability) {
            return plan.synced.then_some(0);
        }
        let (value, changes) = self.known.certain(plan, Knob::Durability)?;
        // The default.
        value.is_none_or(|value| value.as_str() == "synced").then_some(changes)
    }
}

fn check(log: &Log, held: &FinalLog, owed: &BTreeMap<Id, Owed>, compacted: bool) -> Result<(), String> {
    let mut newest = BTreeMap::new();
    for (offset, id) in held.records.iter().filter(|_| compacted) {
        newest.insert(id.key(), *offset);
    }
    let end = held.records.last_key_value().map_or(Offset::ZERO, |(last, _)| last.next());
    for (id, owed) in owed {
        if owed.offset.map_or(held.start > Offset::ZERO, |offset| offset < held.start) {
            // Retention has taken it, or may have: another check looks after the start.
            continue;
        }
        let (found, place) = match owed.offset {
            Some(offset) => (held.records.get(&offset) == Some(id), format!("{log}@{offset}")),
            None => (held.records.values().any(|other| other == id), log.to_string()),
        };
        let is_superseded =
            || newest.get(&id.key()).is_some_and(|newest| owed.offset.is_none_or(|offset| *newest > offset));
        // What is damaged is not served, and that is said.
        let is_damaged = || held.holes.iter().any(|hole| owed.offset.is_none_or(|at| hole.contains(&at)));
        if !found && !is_superseded() && !is_damaged() {
            let instead = owed.offset.and_then(|offset| held.records.get(&offset));
            return Err(format!(
                "{id} was acked at {place}, where now is {instead:?}; the log ends at {end}"
            ));
        }
    }
    Ok(())
}

impl Check for Lost {
    fn invariant(&self) -> &'static str {
        "nothing acknowledged is lost"
    }

    fn see(&mut self, event: &Event, scenario: &Scenario) -> Result<(), String> {
        self.known.see(event, scenario)?;
        match event {
            Event::Sent { id, log } => {
                let sent = Sent { losses: self.losses, synced: self.synced(&log.topic, scenario) };
                self.sent.insert(*id, sent);
            }
            Event::Acked { id, log, offset } if scenario.topic(&log.topic).is_some() => {
                let Some(sent) = self.sent.get(id) else { return Ok(()) };
                let synced = sent.synced.is_some() && sent.synced == self.synced(&log.topic, scenario);
                let always = scenario.acks(id.producer) == Acks::All && synced;
                if !always && sent.losses != self.losses {
                    return Ok(());
                }
                let owed = Owed { offset: *offset, always };
                self.owed.entry(log.clone()).or_default().insert(*id, owed);
            }
            Event::Down { setback: Setback::Unsynced } => {
                self.losses += 1;
                for owed in self.owed.values_mut() {
                    owed.retain(|_, owed| owed.always);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, logs: &FinalLogs, scenario: &Scenario) -> Result<(), String> {
        let nothing = FinalLog::default();
        self.owed.iter().try_for_each(|(log, owed)| {
            check(log, logs.get(log).unwrap_or(&nothing), owed, scenario.is_compacted(&log.topic))
        })
    }
}
