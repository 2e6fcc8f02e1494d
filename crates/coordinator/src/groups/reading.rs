//! [`Reading`]: which topics the members of a group read, as far as the coordinator can know.

use std::collections::BTreeSet;

use protocol::Str;

use super::Turn;
use crate::classic::Classic;
use crate::consumer::ConsumerGroup;

#[derive(Debug)]
pub(super) enum Reading<'a> {
    /// There are no members.
    Nobody,
    /// They are consumers that say it in a way that we do not understand.
    Unknown,
    Topics(BTreeSet<Str>),
    Subscriptions(&'a ConsumerGroup),
}

impl Turn<'_> {
    pub(super) fn reading(&self, id: &str) -> Reading<'_> {
        if let Some(group) = self.env.logged.consumer_group(id) {
            return Reading::Subscriptions(group);
        }
        let live = self.live.get(id).filter(|group| group.has_members());
        match live.map(Classic::subscribed_topics) {
            None => Reading::Nobody,
            Some(None) => Reading::Unknown,
            Some(Some(topics)) => Reading::Topics(topics),
        }
    }
}

impl Reading<'_> {
    pub(super) fn may_be(&self, topic: &str) -> bool {
        match self {
            Reading::Nobody => false,
            Reading::Unknown => true,
            Reading::Topics(topics) => topics.contains(topic),
            Reading::Subscriptions(group) => group.subscriptions().contains(topic),
        }
    }
}
