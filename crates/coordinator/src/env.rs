//! [`Env`]: what a decision may read and change besides the group that it is about.

use protocol::ErrorCode;
use protocol::messages::join_group_response::JoinGroupResponse;
use protocol::messages::sync_group_response::SyncGroupResponse;
use protocol::wire::Writer;
use protocol::{Str, Uuid};

use crate::cluster::Cluster;
use crate::groups::Logged;
use crate::record::Change;
use crate::timers::{Timer, Timers};
use crate::{Now, Options, Outcome, Producer, Reply, Ticket};

#[derive(Debug)]
pub(crate) struct Env<'a> {
    pub options: &'a Options,
    pub cluster: &'a Cluster,
    pub now: Now,
    pub logged: &'a mut Logged,
    pub timers: &'a mut Timers,
    pub outcome: Outcome,
    writer: Writer,
}

impl<'a> Env<'a> {
    pub(crate) fn new(
        options: &'a Options,
        cluster: &'a Cluster,
        logged: &'a mut Logged,
        timers: &'a mut Timers,
        now: Now,
    ) -> Self {
        let (outcome, writer) = (Outcome::default(), Writer::new());
        Self { options, cluster, now, logged, timers, outcome, writer }
    }

    /// Records are applied when they are made, so that the next decision sees them.
    pub(crate) fn emit(&mut self, change: Change) {
        self.outcome.records.push(change.encode(&mut self.writer));
        self.logged.apply(change);
    }

    /// As [`Self::emit`], in the transaction of a producer, of which all records of the outcome are then.
    pub(crate) fn emit_pending(&mut self, producer: Producer, change: Change) {
        self.outcome.records.push(change.encode(&mut self.writer));
        self.outcome.producer = Some(producer);
        self.logged.apply_pending(producer.id, change);
    }

    pub(crate) fn reply(&mut self, ticket: Ticket, reply: Reply) {
        self.outcome.replies.push((ticket, reply));
    }

    pub(crate) fn refuse_join(&mut self, to: Ticket, member_id: Str, error: ErrorCode) {
        let response = JoinGroupResponse { error_code: error.code(), member_id, ..Default::default() };
        self.reply(to, Reply::JoinGroup(response));
    }

    pub(crate) fn refuse_sync(&mut self, to: Ticket, error: ErrorCode) {
        self.reply(
            to,
            Reply::SyncGroup(SyncGroupResponse { error_code: error.code(), ..Default::default() }),
        );
    }

    /// When it is `after_ms` from now. Timeouts come from clients; below zero is at once.
    pub(crate) fn deadline(&self, after_ms: i32) -> u64 {
        self.now.monotonic_ms.saturating_add(u64::try_from(after_ms).unwrap_or(0))
    }

    pub(crate) fn schedule(&mut self, at_ms: u64, timer: Timer) {
        self.timers.schedule(at_ms, timer);
    }

    pub(crate) fn cancel(&mut self, at_ms: u64, timer: Timer) {
        self.timers.cancel(at_ms, timer);
    }

    pub(crate) fn consumer_session_timeout_ms(&self, group: &str) -> i32 {
        let own = self.cluster.config_of_group(group).consumer_session_timeout_ms;
        self.options.consumer_session_timeout_ms.of(own)
    }

    /// A group that has chosen gets what it chose. Others are told of a rebalance sooner than the brokers' interval has it
    /// while that costs little: a partition of `__consumer_offsets` asks for some two hundred heartbeats a second at most.
    pub(crate) fn consumer_heartbeat_interval_ms(&self, group: &str, members: usize, waits: bool) -> i32 {
        let own = self.cluster.config_of_group(group).consumer_heartbeat_interval_ms;
        let most = self.options.consumer_heartbeat_interval_ms.of(own);
        if own.is_some() {
            return most;
        }
        let share = members.saturating_mul(self.logged.len()).saturating_mul(HEARTBEAT_SHARE_MS);
        let least = if waits { WAITING_HEARTBEAT_MS } else { LEAST_HEARTBEAT_MS };
        i32::try_from(share).unwrap_or(i32::MAX).max(least).min(most)
    }

    pub(crate) fn consumer_assignment_interval_ms(&self, group: &str) -> i32 {
        let own = self.cluster.config_of_group(group).consumer_assignment_interval_ms;
        self.options.consumer_assignment_interval_ms.of(own)
    }

    /// A member id as Kafka makes it: what the client calls itself, and a uuid in the form of RFC 9562.
    pub(crate) fn fresh_member_id(&self, prefix: &str) -> Str {
        let prefix = prefix.get(..prefix.floor_char_boundary(MEMBER_ID_PREFIX_MAX)).unwrap_or_default();
        Str::from(format!("{prefix}-{}", dashed(&self.now.fresh_id)))
    }
}

/// Between two heartbeats of all members of all groups of a partition, if the groups are of the same size.
const HEARTBEAT_SHARE_MS: usize = 5;
const LEAST_HEARTBEAT_MS: i32 = 1_000;
/// Of a member that waits for what others have not given up yet.
const WAITING_HEARTBEAT_MS: i32 = 500;

/// Bytes of a client's name in a member id: enough for any name that is one, and never too long for a message.
const MEMBER_ID_PREFIX_MAX: usize = 1024;

fn dashed(id: &Uuid) -> String {
    let mut text = String::with_capacity(36);
    for (place, byte) in id.as_bytes().iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
}
