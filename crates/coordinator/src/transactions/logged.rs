//! [`Logged`]: the durable state, which is what the records say and nothing else.
//!
//! Invariant: [`Logged::apply`] is its only writer, live and when a partition is loaded.

use std::collections::BTreeMap;

use protocol::Str;

use super::record::Change;
use super::transaction::Transaction;

#[derive(Debug, Default)]
pub(super) struct Logged {
    ids: BTreeMap<Str, Transaction>,
}

impl Logged {
    pub(super) fn get(&self, id: &str) -> Option<&Transaction> {
        self.ids.get(id)
    }

    pub(super) fn ids(&self) -> &BTreeMap<Str, Transaction> {
        &self.ids
    }

    pub(super) fn apply(&mut self, change: Change) {
        let Change { id, transaction } = change;
        match (transaction, self.ids.get_mut(&id)) {
            (Some(transaction), Some(own)) => *own = transaction,
            // What is kept gets a buffer of its own.
            (Some(transaction), None) => drop(self.ids.insert(id.detached(), transaction)),
            (None, _) => drop(self.ids.remove(&id)),
        }
    }
}
