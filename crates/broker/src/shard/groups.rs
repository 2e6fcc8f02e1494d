//! [`Groups`]: appends that one caller waits for together.

use std::collections::HashMap;

use storage::PartitionKey;
use tokio::sync::oneshot;

use super::AppendResult;
use super::api::{Appended, Refusal};

/// One append of a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    group: u64,
    index: usize,
}

#[derive(Debug)]
struct Group {
    results: Vec<(PartitionKey, Option<Result<Appended, Refusal>>)>,
    missing: usize,
    reply: oneshot::Sender<Vec<AppendResult>>,
}

#[derive(Debug, Default)]
pub(super) struct Groups {
    next: u64,
    open: HashMap<u64, Group>,
}

impl Groups {
    /// Begins a group for appends to `keys`; every one of them must be [answered](Self::answer).
    pub(super) fn begin(
        &mut self,
        keys: Vec<PartitionKey>,
        reply: oneshot::Sender<Vec<AppendResult>>,
    ) -> u64 {
        let id = self.next;
        self.next += 1;
        let missing = keys.len();
        let results = keys.into_iter().map(|key| (key, None)).collect();
        if missing == 0 {
            // The asker may be gone; then nobody wants the answer.
            let _ = reply.send(Vec::new());
        } else {
            self.open.insert(id, Group { results, missing, reply });
        }
        id
    }

    pub(super) fn place(group: u64, index: usize) -> Place {
        Place { group, index }
    }

    pub(super) fn answer(&mut self, place: Place, result: Result<Appended, Refusal>) {
        let Some(group) = self.open.get_mut(&place.group) else { return };
        let Some((_, slot)) = group.results.get_mut(place.index) else { return };
        if slot.replace(result).is_none() {
            group.missing -= 1;
        }
        if group.missing == 0
            && let Some(group) = self.open.remove(&place.group)
        {
            let results = group.results.into_iter();
            let results = results.filter_map(|(key, result)| Some((key, result?))).collect();
            // The asker may be gone; then nobody wants the answer.
            let _ = group.reply.send(results);
        }
    }
}
