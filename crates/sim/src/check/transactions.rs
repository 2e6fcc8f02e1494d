//! Transactions are all or nothing, for readers of committed records.
//!
//! Such a reader gets nothing of a transaction before somebody has asked for its commit, and nothing of one that was aborted. In
//! the end all of a committed transaction is there, and nothing of one that was not; one whose end was not answered is
//! one or the other. Where records may be lost, taken by retention or superseded, only what must not be there is
//! looked at.

use std::collections::{BTreeMap, BTreeSet};

use protocol::Offset;

use super::{Check, FinalLog, FinalLogs};
use crate::event::{Event, Log, Reader, Transaction};
use crate::scenario::Scenario;
use crate::value::Id;

#[derive(Debug)]
struct Part {
    id: Id,
    log: Log,
    written: bool,
}

#[derive(Debug, Default)]
struct State {
    parts: Vec<Part>,
    /// What was asked for.
    wanted: Option<bool>,
    answered: bool,
}

#[derive(Debug, Default)]
pub(super) struct Transactions {
    states: BTreeMap<Transaction, State>,
    of: BTreeMap<Id, Transaction>,
    /// How far each reader has seen that it may read.
    stable: BTreeMap<(Reader, Log), Offset>,
}

impl Transactions {
    fn state(&mut self, transaction: Transaction) -> &mut State {
        self.states.entry(transaction).or_default()
    }

    fn delivered(&self, id: Id, log: &Log, offset: Offset) -> Result<(), String> {
        let Some(transaction) = self.of.get(&id) else { return Ok(()) };
        match self.states.get(transaction).and_then(|state| state.wanted) {
            Some(true) => Ok(()),
            Some(false) => Err(format!("{log}@{offset} holds {id} of {transaction}, which was aborted")),
            None => Err(format!("{log}@{offset} holds {id} of {transaction}, which is not decided")),
        }
    }
}

/// Whether what is not there was lost: nothing else takes it away.
fn is_kept(log: &Log, held: Option<&FinalLog>, scenario: &Scenario) -> bool {
    let is_whole = held.is_some_and(|held| held.holes.is_empty());
    scenario.is_synced(&log.topic)
        && !scenario.loses_front(&log.topic)
        && !scenario.is_compacted(&log.topic)
        && is_whole
}

impl Check for Transactions {
    fn invariant(&self) -> &'static str {
        "transactions are all or nothing"
    }

    fn see(&mut self, event: &Event, scenario: &Scenario) -> Result<(), String> {
        match event {
            Event::Joined { transaction, id, log } => {
                self.of.insert(*id, *transaction);
                self.state(*transaction).parts.push(Part { id: *id, log: log.clone(), written: false });
            }
            Event::Written { transaction, id, .. } => {
                let parts = &mut self.state(*transaction).parts;
                parts.iter_mut().filter(|part| part.id == *id).for_each(|part| part.written = true);
            }
            Event::EndBegins { transaction, commit } => self.state(*transaction).wanted = Some(*commit),
            Event::Ended { transaction, .. } => self.state(*transaction).answered = true,
            Event::Committed { log, records, .. } => {
                for record in records {
                    record.id.map_or(Ok(()), |id| self.delivered(id, log, record.offset))?;
                }
            }
            Event::Stable { reader, log, last_stable } if scenario.is_synced(&log.topic) => {
                let before = self.stable.insert((*reader, log.clone()), *last_stable);
                if before.is_some_and(|before| before > *last_stable) {
                    return Err(format!("r{reader} may read {log} up to {last_stable} after {before:?}"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, logs: &FinalLogs, scenario: &Scenario) -> Result<(), String> {
        let there: BTreeMap<&Log, BTreeSet<Id>> =
            logs.iter().map(|(log, held)| (log, held.committed.values().copied().collect())).collect();
        for (transaction, state) in &self.states {
            let (mut found, mut missing) = (None, None);
            for part in state.parts.iter() {
                let is_there = there.get(&part.log).is_some_and(|ids| ids.contains(&part.id));
                if is_there {
                    found = Some(part);
                } else if part.written && is_kept(&part.log, logs.get(&part.log), scenario) {
                    missing = Some(part);
                }
            }
            let shown = |part: &Part| format!("{} in {}", part.id, part.log);
            match (state.wanted, state.answered, found, missing) {
                (None | Some(false), _, Some(found), _) => {
                    return Err(format!(
                        "{} is there of {transaction}, which was not committed",
                        shown(found)
                    ));
                }
                (Some(true), true, _, Some(missing)) => {
                    return Err(format!(
                        "{} is missing of {transaction}, which was committed",
                        shown(missing)
                    ));
                }
                (Some(true), false, Some(found), Some(missing)) => {
                    let (found, missing) = (shown(found), shown(missing));
                    return Err(format!("of {transaction}, {found} is there and {missing} is not"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
