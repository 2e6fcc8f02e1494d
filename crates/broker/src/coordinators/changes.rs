//! [`TopicsChanged`]: what coordinators hear of changes of the metadata.

use std::collections::BTreeSet;

use metadata::Delta;
use protocol::Str;

/// What has become of topics. The view of the metadata that says so is published before anybody hears of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicsChanged {
    /// Names of those that are gone.
    pub(crate) deleted: Vec<Str>,
    /// Names of those that are new, gone, have more partitions or other replicas.
    pub(crate) changed: Vec<Str>,
    /// Some of them are new.
    pub(crate) are_new: bool,
}

impl TopicsChanged {
    pub(crate) fn of(delta: &Delta) -> Self {
        let deleted: Vec<Str> = delta.topics_deleted().map(|topic| topic.name().clone()).collect();
        // Who leads and who is in sync changes often, and nobody here goes by it.
        let moved = delta.partitions().filter(|change| match (change.before, change.after) {
            (Some(before), Some(after)) => before.replicas != after.replicas,
            _ => true,
        });
        let changed: BTreeSet<Str> = moved.map(|change| change.topic.name().clone()).collect();
        let are_new = delta.topics_created().next().is_some();
        Self { deleted, changed: changed.into_iter().collect(), are_new }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.deleted.is_empty() && self.changed.is_empty()
    }
}
