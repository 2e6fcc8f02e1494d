//! What nobody has used for long: offsets by `offsets.retention.minutes` (KIP-211), and groups without members and offsets.
//!
//! Groups are looked at a few at a time, so that nobody waits for all of them.

use std::ops::Bound;

use protocol::Str;

use super::reading::Reading;
use super::{LoggedGroup, OFFSETS_MAX, Turn};
use crate::classic::{CONSUMER, Classic, State};
use crate::env::Env;
use crate::record::OffsetCommit;
use crate::timers::Timer;

/// Groups that are looked at in one go.
const GROUPS_MAX: usize = 1_000;

pub(super) fn schedule(env: &mut Env<'_>) {
    let after_ms = env.options.offsets_retention_check_interval_ms.max(1);
    env.schedule(env.now.monotonic_ms.saturating_add(after_ms), Timer::Retention);
}

impl Turn<'_> {
    pub(super) fn expire(&mut self) {
        let mut offsets_seen = 0;
        for _ in 0..GROUPS_MAX {
            let after = self.expired_up_to.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.env.logged.groups().range::<Str, _>((after, Bound::Unbounded)).next();
            let Some((id, group)) = next else {
                *self.expired_up_to = None;
                schedule(&mut self.env);
                return;
            };
            let id = id.clone();
            offsets_seen += group.offsets_len();
            self.expire_group(&id);
            *self.expired_up_to = Some(id);
            if offsets_seen >= OFFSETS_MAX {
                break;
            }
        }
        self.env.schedule(self.env.now.monotonic_ms, Timer::Retention);
    }

    fn expire_group(&mut self, id: &Str) {
        let Some(group) = self.env.logged.group(id) else { return };
        let live = self.live.get(id);
        let reading = self.reading(id);
        let expired = expired_offsets(&self.env, group, live.filter(|live| live.has_members()), &reading);
        let total = group.offsets_len();
        let is_joined = live.is_some() || self.attendances.contains_key(id);
        if total == expired.len() && !is_joined && group.pending.is_none() {
            self.bury(id);
            return;
        }
        for (topic, partition) in expired {
            self.forget_offset(id, topic, partition);
        }
    }
}

fn expired_offsets(
    env: &Env<'_>,
    group: &LoggedGroup,
    live: Option<&Classic>,
    reading: &Reading<'_>,
) -> Vec<(Str, i32)> {
    let Some(policy) = policy(group, live) else { return Vec::new() };
    let is_expired = |commit: &OffsetCommit| match (commit.expire_timestamp, policy) {
        (-1, Since::Commit) => {
            env.now.wall_ms.saturating_sub(commit.commit_timestamp) >= env.options.offsets_retention_ms
        }
        (-1, Since::Empty(since_ms)) => {
            env.now.wall_ms.saturating_sub(since_ms) >= env.options.offsets_retention_ms
        }
        (at_ms, _) => env.now.wall_ms >= at_ms,
    };
    let unread = group.offsets.iter().filter(|(topic, _)| !reading.may_be(topic));
    unread
        .flat_map(|(topic, offsets)| {
            offsets.iter().map(move |(&partition, commit)| (topic, partition, commit))
        })
        .filter(|(topic, partition, commit)| is_expired(commit) && !group.is_pending(topic, *partition))
        .map(|(topic, partition, _)| (topic.clone(), partition))
        .collect()
}

/// From when the retention counts.
#[derive(Clone, Copy)]
enum Since {
    Commit,
    Empty(i64),
}

/// `None`: nothing expires, since the members may use all of it.
fn policy(group: &LoggedGroup, live: Option<&Classic>) -> Option<Since> {
    match live {
        // What nobody reads any more expires while others are read.
        None if group.consumer.is_some() => Some(Since::Commit),
        Some(live) => {
            let reads_topics = live.protocol_type().is_some_and(|kind| kind == CONSUMER);
            (reads_topics && live.state() == State::Stable).then_some(Since::Commit)
        }
        None if group.protocol_type().is_none() => Some(Since::Commit),
        None => match group.metadata.as_ref().map_or(-1, |metadata| metadata.state_timestamp) {
            -1 => Some(Since::Commit),
            since_ms => Some(Since::Empty(since_ms)),
        },
    }
}
