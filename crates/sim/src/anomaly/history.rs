//! [`History`]: what clients did and what they were told, without how it went on in between.

use std::collections::{BTreeMap, BTreeSet};

use protocol::Offset;

use crate::event::Log;
use crate::value::Id;

/// Whoever does one thing after the other.
pub(crate) type Process = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The broker has said so.
    Committed,
    /// Nobody has asked for its commit, or its abort was asked for.
    Aborted,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// `offset`: if it was told.
    Send { log: Log, id: Id, offset: Option<Offset> },
    /// Records as a reader of committed records got them.
    Poll { log: Log, records: Vec<(Offset, Id)> },
    /// What is polled next may be anywhere.
    Seek,
}

/// A transaction, or whatever else is done as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) process: Process,
    pub(crate) outcome: Outcome,
    pub(crate) actions: Vec<Action>,
}

/// Operations; those of one process are in the order in which it began them, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) operations: Vec<Operation>,
}

impl History {
    /// Each record that was sent: by which operation, to where.
    pub(super) fn sends(&self) -> impl Iterator<Item = (usize, &Operation, &Log, Id, Option<Offset>)> {
        self.operations.iter().enumerate().flat_map(|(index, operation)| {
            operation.actions.iter().filter_map(move |action| match action {
                Action::Send { log, id, offset } => Some((index, operation, log, *id, *offset)),
                _ => None,
            })
        })
    }

    /// Each record that was read.
    pub(super) fn reads(&self) -> impl Iterator<Item = (usize, &Operation, &Log, Offset, Id)> {
        self.operations.iter().enumerate().flat_map(|(index, operation)| {
            operation
                .actions
                .iter()
                .filter_map(|action| match action {
                    Action::Poll { log, records } => Some((log, records)),
                    _ => None,
                })
                .flat_map(move |(log, records)| {
                    records.iter().map(move |(offset, id)| (index, operation, log, *offset, *id))
                })
        })
    }

    /// By which operation each record was sent.
    pub(super) fn writers(&self) -> BTreeMap<Id, usize> {
        self.sends().map(|(index, _, _, id, _)| (id, index)).collect()
    }

    /// What somebody has read of each log.
    pub(super) fn read(&self) -> BTreeMap<&Log, BTreeMap<Offset, Id>> {
        let mut read: BTreeMap<&Log, BTreeMap<Offset, Id>> = BTreeMap::new();
        for (_, _, log, offset, id) in self.reads() {
            read.entry(log).or_default().insert(offset, id);
        }
        read
    }

    /// The operations that have certainly taken effect: also of those without an answer the ones of which anything was read, since
    /// all of it must be there then.
    pub(super) fn effective(&self) -> BTreeSet<usize> {
        let writers = self.writers();
        let seen: BTreeSet<usize> = self.reads().filter_map(|(.., id)| writers.get(&id).copied()).collect();
        let all = self.operations.iter().enumerate();
        all.filter(|(index, operation)| match operation.outcome {
            Outcome::Committed => true,
            Outcome::Unknown => seen.contains(index),
            Outcome::Aborted => false,
        })
        .map(|(index, _)| index)
        .collect()
    }

    /// What was certainly written and nobody has read.
    pub(super) fn not_read(&self) -> impl Iterator<Item = (&Log, Id, Option<Offset>)> {
        let effective = self.effective();
        let read: BTreeSet<Id> = self.reads().map(|(.., id)| id).collect();
        self.sends()
            .filter(move |(index, _, _, id, _)| effective.contains(index) && !read.contains(id))
            .map(|(_, _, log, id, offset)| (log, id, offset))
    }
}
