//! What was committed for topics that are gone.
//!
//! Groups are looked at a few at a time, so that neither an outcome nor the time that it takes grows with all of them.
//! Meanwhile a topic of the same name may be there again: what is committed for that stays.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;

use protocol::Str;

use super::{OFFSETS_MAX, Turn};
use crate::few::Few;
use crate::timers::Timer;
use crate::{Reply, Ticket};

/// A search for the offsets of some topics.
#[derive(Debug)]
pub(super) struct Forgetting {
    ticket: Ticket,
    topics: BTreeSet<Str>,
    /// What is committed later is for somebody else.
    since_ms: i64,
    /// The last group that was looked at.
    after: Option<Str>,
}

pub(super) type Queue = VecDeque<Forgetting>;

impl Turn<'_> {
    pub(super) fn forget_topics(&mut self, ticket: Ticket, topics: &[Str]) {
        let topics = topics.iter().map(Str::detached).collect();
        let since_ms = self.env.now.wall_ms;
        self.forgetting.push_back(Forgetting { ticket, topics, since_ms, after: None });
        if self.forgetting.len() == 1 {
            self.go_on_forgetting();
        }
    }

    pub(super) fn go_on_forgetting(&mut self) {
        let Some(mut search) = self.forgetting.pop_front() else { return };
        let is_done = self.forget_some(&mut search);
        if is_done {
            for topic in &search.topics {
                self.env.logged.forget_topic_name(topic);
            }
            self.reply(search.ticket, Reply::Done);
        } else {
            self.forgetting.push_front(search);
        }
        if !self.forgetting.is_empty() {
            self.env.schedule(self.env.now.monotonic_ms, Timer::Forget);
        }
    }

    /// Whether all groups have been looked at.
    fn forget_some(&mut self, search: &mut Forgetting) -> bool {
        let mut gone = Vec::new();
        let after = search.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.env.logged.groups().range::<Str, _>((after, Bound::Unbounded));
        let mut last = None;
        for (seen, (id, group)) in rest.by_ref().enumerate() {
            for topic in &search.topics {
                let offsets = group.offsets.get(topic).into_iter().flat_map(Few::iter);
                let is_new = |partition| {
                    let pending = group.pending.iter().flat_map(|pending| pending.iter());
                    let of_place = pending.filter(|((name, id), _)| name == topic && *id == partition);
                    of_place.map(|(_, commit)| commit.commit_timestamp).any(|at_ms| at_ms > search.since_ms)
                };
                let old = offsets.filter(|(partition, commit)| {
                    commit.commit_timestamp <= search.since_ms && !is_new(**partition)
                });
                gone.extend(old.map(|(&partition, _)| (id.clone(), topic.clone(), partition)));
            }
            let pending = group.pending.iter().flat_map(|pending| pending.iter());
            let old = pending.filter(|((topic, partition), commit)| {
                search.topics.contains(topic)
                    && commit.commit_timestamp <= search.since_ms
                    && group.offset(topic, *partition).is_none()
            });
            gone.extend(old.map(|((topic, partition), _)| (id.clone(), topic.clone(), *partition)));
            last = Some(id.clone());
            if gone.len() >= OFFSETS_MAX || seen >= OFFSETS_MAX {
                break;
            }
        }
        let is_done = rest.next().is_none();
        search.after = last.or(search.after.take());
        for (group, topic, partition) in gone {
            self.forget_offset(&group, topic, partition);
        }
        is_done
    }
}
