//! [`Subscriptions`]: which topics the members of a group read, and by how many names and patterns.

use protocol::Str;

use super::group::Resolved;
use super::member::Metadata;
use crate::few::Few;

/// How often a topic is subscribed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    /// Members that name it.
    names: u32,
    /// Patterns that it matches.
    patterns: u32,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Subscriptions {
    topics: Few<Str, Count>,
    /// How many members subscribe by each pattern.
    patterns: Few<Str, u32>,
}

impl Subscriptions {
    /// Every topic that somebody reads, ascending.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &Str> {
        self.topics.iter().map(|(topic, _)| topic)
    }

    pub(crate) fn contains(&self, topic: &str) -> bool {
        self.topics.get(topic).is_some()
    }

    /// Every pattern that somebody subscribes by, ascending.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &Str> {
        self.patterns.iter().map(|(pattern, _)| pattern)
    }

    pub(crate) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    pub(crate) fn patterns_len(&self) -> usize {
        self.patterns.len()
    }

    pub(crate) fn members_by(&self, pattern: &str) -> u32 {
        self.patterns.get(pattern).copied().unwrap_or(0)
    }

    /// Whether all of so many members read the same topics.
    pub(crate) fn are_alike(&self, members: usize) -> bool {
        let members = u32::try_from(members).unwrap_or(u32::MAX);
        let Some((_, by_first)) = self.patterns.iter().next() else {
            return self.topics.iter().all(|(_, count)| count.names == members);
        };
        *by_first == members && self.topics.iter().all(|(_, count)| *count == Count { names: 0, patterns: 1 })
    }

    pub(super) fn add_member(&mut self, member: &Metadata) {
        for topic in &member.topics {
            self.count(topic, |count| count.names += 1);
        }
        if member.has_pattern() {
            let before = self.members_by(&member.pattern);
            self.patterns.insert(member.pattern.clone(), before + 1);
        }
    }

    pub(super) fn remove_member(&mut self, member: &Metadata) {
        for topic in &member.topics {
            self.count(topic, |count| count.names = count.names.saturating_sub(1));
        }
        match self.members_by(&member.pattern) {
            _ if !member.has_pattern() => {}
            0 | 1 => self.patterns.remove(&*member.pattern),
            before => self.patterns.insert(member.pattern.clone(), before - 1),
        }
    }

    pub(super) fn add_resolved(&mut self, resolved: &Resolved) {
        for topic in &resolved.topics {
            self.count(topic, |count| count.patterns += 1);
        }
    }

    pub(super) fn remove_resolved(&mut self, resolved: &Resolved) {
        for topic in &resolved.topics {
            self.count(topic, |count| count.patterns = count.patterns.saturating_sub(1));
        }
    }

    fn count(&mut self, topic: &Str, change: impl FnOnce(&mut Count)) {
        let mut count = self.topics.get(topic).copied().unwrap_or_default();
        change(&mut count);
        if count == Count::default() {
            self.topics.remove(topic);
        } else {
            self.topics.insert(topic.clone(), count);
        }
    }
}
