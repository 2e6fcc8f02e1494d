//! [`Membership`]: how a member of a group stands with its coordinator, for both protocols.
//!
//! Invariants:
//! * Pure: answers and the time go in, [`Step`]s come out; whoever drives it does what they say.
//! * One request and one [`Change`] at a time. While a change is carried out, heartbeats go on.
//! * The coordinator hears that partitions have been given up only after [`Membership::changed`].

mod classic;
mod consumer;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use host::Instant;
use protocol::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use protocol::messages::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;
use protocol::messages::heartbeat_request::HeartbeatRequest;
use protocol::messages::heartbeat_response::HeartbeatResponse;
use protocol::messages::join_group_request::JoinGroupRequest;
use protocol::messages::join_group_response::JoinGroupResponse;
use protocol::messages::leave_group_request::LeaveGroupRequest;
use protocol::messages::leave_group_response::LeaveGroupResponse;
use protocol::messages::sync_group_request::SyncGroupRequest;
use protocol::messages::sync_group_response::SyncGroupResponse;
use protocol::{ErrorCode, Str, Uuid};

pub(super) use self::classic::Classic;
pub(super) use self::consumer::Modern;
use crate::cluster::refused;
use crate::{Error, TopicPartition};

pub(super) trait Membership: Send {
    /// What to do now.
    fn next(&mut self, now: Instant) -> Step;

    /// What came of the last [`Step::Ask`]. When it has to be asked again, that is after `pause`. An error is the end.
    fn answered(
        &mut self,
        result: Result<Told, Error>,
        now: Instant,
        pause: Duration,
    ) -> Result<Verdict, Error>;

    /// The last [`Step::Change`] has been carried out.
    fn changed(&mut self, now: Instant);

    /// What came of the last [`Step::Learn`]; topics that do not exist are not in it.
    fn learned(&mut self, topics: &[Learned], now: Instant);

    /// How a member says that it leaves, if it has to say so.
    fn leave(&self) -> Option<Ask>;

    fn identity(&self) -> Identity;
}

#[derive(Debug)]
pub(super) enum Step {
    Ask(Ask),
    Change(Change),
    /// Find out about these topics.
    Learn(Vec<Str>),
    /// Nothing, until then or until something happens.
    Wait(Instant),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ask {
    Beat(ConsumerGroupHeartbeatRequest),
    Join(JoinGroupRequest),
    Sync(SyncGroupRequest),
    Heartbeat(HeartbeatRequest),
    Leave(LeaveGroupRequest),
}

#[derive(Clone, Debug)]
pub(super) enum Told {
    Beat(ConsumerGroupHeartbeatResponse),
    Join(JoinGroupResponse),
    Sync(SyncGroupResponse),
    Heartbeat(HeartbeatResponse),
    Leave(LeaveGroupResponse),
}

impl Told {
    fn code(&self) -> ErrorCode {
        ErrorCode::from(match self {
            Self::Beat(response) => response.error_code,
            Self::Join(response) => response.error_code,
            Self::Sync(response) => response.error_code,
            Self::Heartbeat(response) => response.error_code,
            Self::Leave(response) => response.error_code,
        })
    }

    fn message(&self) -> Option<&Str> {
        match self {
            Self::Beat(response) => response.error_message.as_ref(),
            _ => None,
        }
    }
}

/// What a member has to do about its partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) give: BTreeSet<TopicPartition>,
    /// What is given up belongs to others already: nothing may be committed any more.
    pub(super) lost: bool,
    pub(super) take: BTreeSet<TopicPartition>,
}

#[derive(Clone, Debug)]
pub(super) struct Learned {
    pub(super) name: Str,
    pub(super) id: Uuid,
    pub(super) partitions: i32,
}

/// What an answer meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Well,
    /// The same will be asked again.
    Again,
    /// As `Again`, of another coordinator.
    Elsewhere,
}

/// As whom a member commits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) member_id: Str,
    /// The member epoch or the generation; `None` while it is no member.
    pub(super) epoch: Option<i32>,
    pub(super) instance_id: Option<Str>,
    /// Whether it is of the consumer protocol.
    pub(super) is_modern: bool,
}

/// So far away that nothing waits for it.
const NEVER: Duration = Duration::from_secs(3600);

/// What passes, and what to do about it. Everything else is for the protocol to decide, or the end.
pub(super) fn passing(error: &Error) -> Option<Verdict> {
    match error.code() {
        Some(ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable) => Some(Verdict::Elsewhere),
        Some(code) if code.is_retriable() => Some(Verdict::Again),
        None if error.is_retriable() => Some(Verdict::Elsewhere),
        _ => None,
    }
}

/// What went wrong, if something did: on the way, or by the answer's own code.
fn error_of(group: &Str, result: &Result<Told, Error>) -> Option<Error> {
    match result {
        Ok(told) if told.code().is_none() => None,
        Ok(told) => Some(refused(format!("group {group}"), told.code(), told.message())),
        Err(error) => Some(error.clone()),
    }
}
