//! [`Groups`]: the state of one partition of `__consumer_offsets`.
//!
//! Owns: which groups there are, durable and soft, and who answers which request; one file a request.
//!
//! Invariants:
//! * What is soft (members that join, sessions, timers) is in [`Soft`], and a loaded partition has it from the records.
//! * A group with members has a record.

mod commit;
mod consumer;
#[cfg(test)]
mod consumer_tests;
mod delete;
mod describe;
mod driven;
mod expire;
mod fetch;
mod forget;
mod logged;
mod membership;
mod pending;
#[cfg(test)]
mod pending_tests;
mod reading;
#[cfg(test)]
mod tests;
mod txn_commit;

use std::collections::BTreeMap;

use protocol::Str;

use metadata::Image;

use crate::classic::Classic;
use crate::cluster::Cluster;
use crate::consumer::{Attendance, Ruling};
use crate::env::Env;
use crate::record::Change;
use crate::timers::{Timer, Timers};
use crate::{Caller, Error, Now, Options, Outcome, Record, Reply, Request, Ticket};
pub(crate) use logged::{Logged, LoggedGroup};

/// All groups whose id hashes to one partition.
#[derive(Debug)]
pub struct Groups {
    options: Options,
    cluster: Cluster,
    logged: Logged,
    soft: Soft,
}

/// What no record says.
#[derive(Debug, Default)]
struct Soft {
    live: Live,
    attendances: Attendances,
    timers: Timers,
    /// Where the search for what has expired goes on.
    expired_up_to: Option<Str>,
    forgetting: forget::Queue,
}

/// Groups of the classic protocol with members, or with ids that somebody may join with.
type Live = BTreeMap<Str, Classic>;

/// Groups of the consumer protocol with members.
type Attendances = BTreeMap<Str, Attendance>;

/// Offsets that one outcome forgets when it is the coordinator that chooses.
const OFFSETS_MAX: usize = 10_000;

/// One decision.
#[derive(Debug)]
struct Turn<'a> {
    live: &'a mut Live,
    attendances: &'a mut Attendances,
    expired_up_to: &'a mut Option<Str>,
    forgetting: &'a mut forget::Queue,
    env: Env<'a>,
}

impl Groups {
    pub fn new(options: Options) -> Self {
        Self { options, cluster: Cluster::default(), logged: Logged::default(), soft: Soft::default() }
    }

    /// What the cluster is from now on; versions grow. A coordinator has to know it before the first request.
    pub fn set_image(&mut self, image: Image, version: i64) {
        self.cluster.set(image, version);
    }

    pub fn set_options(&mut self, options: Options) {
        self.options = options;
    }

    /// A committed record of the log, in its order, while the partition is loaded. Keys of unknown versions are passed over, as Kafka does.
    pub fn replay(&mut self, record: &Record) -> Result<(), Error> {
        if let Some(change) = Change::decode(record)? {
            self.logged.apply(change);
        }
        Ok(())
    }

    /// Everything has been replayed: sessions begin.
    pub fn loaded(&mut self, now: Now) -> Outcome {
        // What was created while nobody looked counts as new.
        self.cluster.topics_made_at = self.cluster.version;
        let Soft { live, attendances, timers, .. } = &mut self.soft;
        let with_members: Vec<Str> = self
            .logged
            .groups()
            .iter()
            .filter(|(_, group)| group.has_members())
            .map(|(id, _)| id.clone())
            .collect();
        let mut env = Env::new(&self.options, &self.cluster, &mut self.logged, timers, now);
        for id in with_members {
            if let Some(group) = Classic::load(&id, &mut env) {
                live.insert(id, group);
            } else if env.logged.consumer_group(&id).is_some() {
                let attendance = attendances.entry(id.clone()).or_default();
                Ruling { id, attendance, env: &mut env }.resume();
            }
        }
        expire::schedule(&mut env);
        env.outcome
    }

    pub fn handle(&mut self, ticket: Ticket, caller: &Caller, request: Request, now: Now) -> Outcome {
        if let Request::TopicsChanged { are_new: true, .. } = &request {
            self.cluster.topics_made_at = self.cluster.version;
        }
        let mut turn = self.turn(now);
        match request {
            Request::JoinGroup(request) => turn.join(ticket, caller, &request),
            Request::SyncGroup(request) => turn.sync(ticket, &request),
            Request::Heartbeat(request) => turn.heartbeat(ticket, &request),
            Request::LeaveGroup(request) => turn.leave(ticket, caller, request),
            Request::ConsumerGroupHeartbeat(request) => turn.consumer_heartbeat(ticket, caller, &request),
            Request::ConsumerGroupDescribe { group_id } => turn.describe_consumer_group(ticket, group_id),
            Request::OffsetCommit(request) => turn.commit(ticket, caller, request),
            Request::TxnOffsetCommit(request) => turn.commit_in_transaction(ticket, caller, request),
            Request::OffsetFetch { group, require_stable } => turn.fetch(ticket, group, require_stable),
            Request::OffsetDelete(request) => turn.delete_offsets(ticket, &request),
            Request::DescribeGroup { group_id } => turn.describe(ticket, caller, group_id),
            Request::DeleteGroup { group_id } => turn.delete_group(ticket, group_id),
            Request::ListGroups { states, types } => turn.list(ticket, &states, &types),
            Request::ForgetTopics { topics } => turn.forget_topics(ticket, &topics),
            Request::TopicsChanged { topics, .. } => turn.topics_changed(ticket, &topics),
            Request::Found(found) => turn.found(ticket, found),
        }
        turn.env.outcome
    }

    /// Carries out what has come due.
    pub fn tick(&mut self, now: Now) -> Outcome {
        let mut turn = self.turn(now);
        while let Some(timer) = turn.env.timers.pop_due(now.monotonic_ms) {
            match timer {
                Timer::Join { group } => turn.with_live(&group, Classic::join_timed_out),
                Timer::Sync { group } => turn.with_live(&group, Classic::sync_timed_out),
                Timer::Session { group, member } => {
                    turn.with_live(&group, |group, env| group.session_timed_out(env, &member));
                }
                Timer::Consumer { group, member, due } => turn.member_timed_out(&group, &member, due),
                // The other ones after what this one wrote is on its way.
                Timer::Retention => {
                    turn.expire();
                    break;
                }
                Timer::Forget => {
                    turn.go_on_forgetting();
                    break;
                }
            }
        }
        turn.env.outcome
    }

    /// When [`Self::tick`] has something to do next, on the monotonic clock.
    pub fn next_tick_ms(&self) -> Option<u64> {
        self.soft.timers.next_ms()
    }

    fn turn(&mut self, now: Now) -> Turn<'_> {
        let Soft { live, attendances, timers, expired_up_to, forgetting } = &mut self.soft;
        let env = Env::new(&self.options, &self.cluster, &mut self.logged, timers, now);
        Turn { live, attendances, expired_up_to, forgetting, env }
    }
}

impl Turn<'_> {
    fn reply(&mut self, ticket: Ticket, reply: Reply) {
        self.env.reply(ticket, reply);
    }

    /// Does something with a group that has members, and lets it go if it has none any more.
    fn with_live<T: Default>(&mut self, id: &str, act: impl FnOnce(&mut Classic, &mut Env<'_>) -> T) -> T {
        let Some(group) = self.live.get_mut(id) else { return T::default() };
        let result = act(group, &mut self.env);
        if group.is_idle() {
            self.live.remove(id);
        }
        result
    }
}
