//! What Jepsen's Kafka workload looks for, in the whole of a run with transactions: see [`anomaly`](crate::anomaly).
//!
//! Of records that may be lost, doubled, taken by retention or superseded nothing is told here.

use std::collections::BTreeMap;

use super::{Check, FinalLogs};
use crate::anomaly::{Action, History, Operation, Outcome, Process, find_all};
use crate::event::{Event, Log, Reader, Seen, Transaction};
use crate::history::AUDITS;
use crate::scenario::Scenario;
use crate::value::Id;

/// Whoever does one thing after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Transactor(usize),
    /// A producer, and the how manieth of its lives.
    Producer(usize, u64),
    Reader(Reader),
    /// Reads everything in the end.
    Audit,
}

#[derive(Debug, Default)]
pub(super) struct Anomalies {
    history: History,
    processes: BTreeMap<Who, Process>,
    lives: BTreeMap<usize, u64>,
    transactions: BTreeMap<Transaction, usize>,
    /// The operation that sends it, and the how manieth of its actions that is.
    sent: BTreeMap<Id, (usize, usize)>,
    /// For whose transaction somebody reads.
    reads_for: BTreeMap<Reader, Transaction>,
}

fn is_looked_at(log: &Log, scenario: &Scenario) -> bool {
    scenario.transactors > 0
        && scenario.topic(&log.topic).is_some()
        && scenario.is_synced(&log.topic)
        && !scenario.loses_front(&log.topic)
        && !scenario.is_compacted(&log.topic)
        && !scenario.may_miss_records()
}

impl Anomalies {
    fn begin(&mut self, who: Who, outcome: Outcome, actions: Vec<Action>) -> usize {
        let next = self.processes.len();
        let process = *self.processes.entry(who).or_insert(next);
        self.history.operations.push(Operation { process, outcome, actions });
        self.history.operations.len() - 1
    }

    fn act(&mut self, operation: usize, action: Action) -> usize {
        let Some(operation) = self.history.operations.get_mut(operation) else { return 0 };
        operation.actions.push(action);
        operation.actions.len() - 1
    }

    /// A transaction is aborted unless somebody asks for its commit.
    fn transaction(&mut self, transaction: Transaction) -> usize {
        if let Some(known) = self.transactions.get(&transaction) {
            return *known;
        }
        let operation = self.begin(Who::Transactor(transaction.transactor), Outcome::Aborted, Vec::new());
        self.transactions.insert(transaction, operation);
        operation
    }

    fn set_outcome(&mut self, operation: usize, outcome: Outcome) {
        if let Some(operation) = self.history.operations.get_mut(operation) {
            operation.outcome = outcome;
        }
    }

    fn written(&mut self, id: Id, at: Option<protocol::Offset>) {
        let Some((operation, action)) = self.sent.get(&id) else { return };
        let operation = self.history.operations.get_mut(*operation);
        if let Some(Action::Send { offset, .. }) = operation.and_then(|one| one.actions.get_mut(*action)) {
            *offset = at;
        }
    }

    fn polled(&mut self, reader: Reader, log: &Log, records: &[Seen]) {
        let known = |seen: &Seen| Some((seen.offset, seen.id.filter(|id| self.sent.contains_key(id))?));
        let poll = Action::Poll { log: log.clone(), records: records.iter().filter_map(known).collect() };
        match self.reads_for.get(&reader).copied() {
            Some(transaction) => {
                let operation = self.transaction(transaction);
                self.act(operation, poll);
            }
            None => {
                self.begin(Who::Reader(reader), Outcome::Committed, vec![poll]);
            }
        }
    }

    /// A record of no transaction.
    fn sent(&mut self, id: Id, log: &Log) {
        let life = self.lives.get(&id.producer).copied().unwrap_or(0);
        let send = Action::Send { log: log.clone(), id, offset: None };
        let operation = self.begin(Who::Producer(id.producer, life), Outcome::Unknown, vec![send]);
        self.sent.insert(id, (operation, 0));
    }
}

impl Check for Anomalies {
    fn invariant(&self) -> &'static str {
        "the history has no anomaly"
    }

    fn see(&mut self, event: &Event, scenario: &Scenario) -> Result<(), String> {
        match event {
            Event::ProducerBegins { producer, .. } => *self.lives.entry(*producer).or_default() += 1,
            Event::Sent { id, log }
                if is_looked_at(log, scenario)
                    && scenario.is_idempotent(id.producer)
                    && !scenario.is_transactor(id.producer) =>
            {
                self.sent(*id, log);
            }
            Event::Acked { id, log, offset } if is_looked_at(log, scenario) => {
                if !scenario.is_transactor(id.producer)
                    && let Some((operation, _)) = self.sent.get(id).copied()
                {
                    self.set_outcome(operation, Outcome::Committed);
                    self.written(*id, *offset);
                }
            }
            Event::Joined { transaction, id, log } if is_looked_at(log, scenario) => {
                let operation = self.transaction(*transaction);
                let action = self.act(operation, Action::Send { log: log.clone(), id: *id, offset: None });
                self.sent.insert(*id, (operation, action));
            }
            Event::Written { id, offset, .. } => self.written(*id, *offset),
            Event::EndBegins { transaction, commit: true } => {
                let operation = self.transaction(*transaction);
                self.set_outcome(operation, Outcome::Unknown);
            }
            Event::Ended { transaction, commit: true } => {
                let operation = self.transaction(*transaction);
                self.set_outcome(operation, Outcome::Committed);
            }
            Event::ReadsFor { reader, transaction } => {
                let operation = self.transaction(*transaction);
                self.reads_for.insert(*reader, *transaction);
                self.act(operation, Action::Seek);
            }
            Event::ReaderBegins { reader } | Event::Sought { reader } => {
                self.begin(Who::Reader(*reader), Outcome::Committed, vec![Action::Seek]);
            }
            // What an audit reads comes in one piece in the end.
            Event::Committed { reader, log, records } if *reader < AUDITS && is_looked_at(log, scenario) => {
                self.polled(*reader, log, records);
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, logs: &FinalLogs, scenario: &Scenario) -> Result<(), String> {
        let mut actions = vec![Action::Seek];
        for (log, held) in logs.iter().filter(|(log, _)| is_looked_at(log, scenario)) {
            let records = held.committed.iter().filter(|(_, id)| self.sent.contains_key(id));
            let records = records.map(|(offset, id)| (*offset, *id)).collect();
            actions.push(Action::Poll { log: log.clone(), records });
        }
        self.begin(Who::Audit, Outcome::Committed, actions);
        let found = find_all(&self.history);
        match found.first() {
            Some(first) if found.len() == 1 => Err(first.to_string()),
            Some(first) => Err(format!("{first}, and {} more", found.len() - 1)),
            None => Ok(()),
        }
    }
}
