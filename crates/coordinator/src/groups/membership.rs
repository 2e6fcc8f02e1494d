//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup, up to the group that they are for.

use protocol::messages::heartbeat_request::HeartbeatRequest;
use protocol::messages::heartbeat_response::HeartbeatResponse;
use protocol::messages::join_group_request::JoinGroupRequest;
use protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use protocol::messages::sync_group_request::SyncGroupRequest;
use protocol::{ErrorCode, Str};

use super::Turn;
use crate::classic::{Classic, Join};
use crate::{Caller, Reply, Ticket};

/// From here LeaveGroup names several members, and answers for each.
const LEAVE_BATCHED: i16 = 3;

impl Turn<'_> {
    pub(super) fn join(&mut self, ticket: Ticket, caller: &Caller, request: &JoinGroupRequest) {
        if let Err(error) = self.check_join(request) {
            self.env.refuse_join(ticket, request.member_id.clone(), error);
            return;
        }
        if !self.live.contains_key(&request.group_id) {
            let id = request.group_id.detached();
            let group = Classic::begin(id.clone(), self.env.logged.group(&id));
            self.live.insert(id, group);
        }
        let join = Join::new(ticket, caller, request);
        self.with_live(&request.group_id, |group, env| group.join(env, join));
        let logged = self.env.logged.group(&request.group_id);
        if logged.is_none_or(|logged| logged.metadata.is_none())
            && let Some(group) = self.live.get(&request.group_id)
        {
            group.log_beginning(&mut self.env);
        }
    }

    fn check_join(&self, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
        let options = self.env.options;
        let sessions = options.group_min_session_timeout_ms..=options.group_max_session_timeout_ms;
        if request.group_id.is_empty() {
            Err(ErrorCode::InvalidGroupId)
        } else if !sessions.contains(&request.session_timeout_ms) {
            Err(ErrorCode::InvalidSessionTimeout)
        } else if !request.member_id.is_empty() && !self.live.contains_key(&request.group_id) {
            Err(ErrorCode::UnknownMemberId)
        } else {
            Ok(())
        }
    }

    pub(super) fn sync(&mut self, ticket: Ticket, request: &SyncGroupRequest) {
        if request.group_id.is_empty() {
            self.env.refuse_sync(ticket, ErrorCode::InvalidGroupId);
        } else if !self.live.contains_key(&request.group_id) {
            self.env.refuse_sync(ticket, ErrorCode::UnknownMemberId);
        } else {
            self.with_live(&request.group_id, |group, env| group.sync(env, ticket, request));
        }
    }

    pub(super) fn heartbeat(&mut self, ticket: Ticket, request: &HeartbeatRequest) {
        let result = match self.live.get_mut(&request.group_id) {
            _ if request.group_id.is_empty() => Err(ErrorCode::InvalidGroupId),
            None => Err(ErrorCode::UnknownMemberId),
            Some(group) => group.heartbeat(&mut self.env, request),
        };
        let error_code = result.err().unwrap_or_default().code();
        self.reply(ticket, Reply::Heartbeat(HeartbeatResponse { error_code, ..Default::default() }));
    }

    pub(super) fn leave(&mut self, ticket: Ticket, caller: &Caller, request: LeaveGroupRequest) {
        let mut response = LeaveGroupResponse::default();
        if request.group_id.is_empty() {
            response.error_code = ErrorCode::InvalidGroupId.code();
            self.reply(ticket, Reply::LeaveGroup(response));
            return;
        }
        let is_batched = caller.version >= LEAVE_BATCHED;
        let members = match is_batched {
            true => request.members,
            false => vec![MemberIdentity { member_id: request.member_id, ..Default::default() }],
        };
        let members = match self.live.contains_key(&request.group_id) {
            true => self.with_live(&request.group_id, |group, env| group.leave(env, members)),
            false => members.into_iter().map(unknown_member).collect(),
        };
        match (is_batched, members.first()) {
            (false, Some(member)) => response.error_code = member.error_code,
            _ => response.members = members,
        }
        self.reply(ticket, Reply::LeaveGroup(response));
    }
}

fn unknown_member(member: MemberIdentity) -> MemberResponse {
    MemberResponse {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        error_code: ErrorCode::UnknownMemberId.code(),
    }
}

/// What a group without members is called.
pub(super) const EMPTY: Str = Str::from_static("Empty");
