//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup, up to the group that they are for.

use protocol::messages::heartbeat_request::HeartbeatRequest;
use protocol::messages::heartbeat_response::HeartbeatResponse;
use protocol::messages::join_group_request::JoinGroupRequest;
use protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use protocol::messages::sync_group_request::SyncGroupRequest;
use protocol::{ErrorCode, Str};

use protocol::messages::join_group_response::JoinGroupResponse;

use super::Turn;
use crate::classic::{Classic, Join, MEMBER_ID_REQUIRED};
use crate::consumer::{Admitted, ConsumerGroup, Entry};
use crate::{Caller, Reply, Ticket};

/// From here LeaveGroup names several members, and answers for each.
const LEAVE_BATCHED: i16 = 3;

impl Turn<'_> {
    pub(super) fn join(&mut self, ticket: Ticket, caller: &Caller, request: &JoinGroupRequest) {
        if let Err(error) = self.check_join(request) {
            self.env.refuse_join(ticket, request.member_id.clone(), error);
            return;
        }
        let join = Join::new(ticket, caller, request);
        match self.consumer_group(&request.group_id) {
            Some(group) if !group.is_empty() => return self.join_consumer_group(&request.group_id, &join),
            // Without members it is whatever the first one makes it.
            Some(_) => self.rule(&self.shared_group_id(&request.group_id), |ruling| ruling.bury()),
            None => {}
        }
        if !self.live.contains_key(&request.group_id) {
            let id = request.group_id.detached();
            let group = Classic::begin(id.clone(), self.env.logged.group(&id));
            self.live.insert(id, group);
        }
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
        } else if !request.member_id.is_empty()
            && !self.live.contains_key(&request.group_id)
            && self.consumer_group(&request.group_id).is_none_or(ConsumerGroup::is_empty)
        {
            Err(ErrorCode::UnknownMemberId)
        } else {
            Ok(())
        }
    }

    /// A member of the classic protocol joins a group of the consumer protocol.
    fn join_consumer_group(&mut self, group_id: &Str, join: &Join) {
        let Some(group) = self.consumer_group(group_id) else { return };
        let fresh = Str::from(self.env.now.fresh_id.to_string());
        let is_new = join.member_id.is_empty();
        let member_id = if is_new { &fresh } else { &join.member_id };
        let admitted = match group.admit(self.env.options, join, member_id) {
            Ok(admitted) => admitted,
            Err(error) => return self.env.refuse_join(join.to, join.member_id.clone(), error),
        };
        if is_new && join.instance_id.is_none() && join.version >= MEMBER_ID_REQUIRED {
            return self.env.refuse_join(join.to, fresh, ErrorCode::MemberIdRequired);
        }
        let id = self.shared_group_id(group_id);
        let response = self.admit_to_consumer_group(&id, join, &admitted);
        self.reply(join.to, Reply::JoinGroup(response));
    }

    fn admit_to_consumer_group(&mut self, id: &Str, join: &Join, admitted: &Admitted) -> JoinGroupResponse {
        let options = self.env.options;
        let group = self.consumer_group(id);
        // The last member of the consumer protocol comes back as one of the classic protocol.
        let downgrades = match &admitted.entry {
            Entry::Replaces(before, _) => {
                group.is_some_and(|group| group.can_downgrade_replacing(before, options))
            }
            Entry::Member(member) => {
                join.instance_id.is_some()
                    && group.is_some_and(|group| group.can_downgrade_replacing(member, options))
            }
        };
        let (member, has_resubscribed) = self.rule(id, |ruling| {
            let member = ruling.enter(admitted.entry.clone());
            let has_resubscribed = ruling.listen_to_join(&member, join, admitted);
            (member, has_resubscribed)
        });
        if !downgrades {
            return self.rule(id, |ruling| ruling.join(&member, join, admitted, has_resubscribed));
        }
        let is_behind =
            self.consumer_group(id).is_some_and(|group| group.target_epoch.epoch < group.epoch.epoch);
        let response = self.rule(id, |ruling| match is_behind {
            true => ruling.joined(&member),
            false => ruling.join(&member, join, admitted, has_resubscribed),
        });
        self.downgrade(id, &[]);
        if is_behind {
            self.with_live(id, Classic::rebalance_anew);
        }
        response
    }

    pub(super) fn sync(&mut self, ticket: Ticket, request: &SyncGroupRequest) {
        if request.group_id.is_empty() {
            self.env.refuse_sync(ticket, ErrorCode::InvalidGroupId);
        } else if self.attendances.contains_key(&request.group_id) {
            let id = self.shared_group_id(&request.group_id);
            match self.rule(&id, |ruling| ruling.sync(request)) {
                Ok(response) => self.reply(ticket, Reply::SyncGroup(response)),
                Err(error) => self.env.refuse_sync(ticket, error),
            }
        } else if !self.live.contains_key(&request.group_id) {
            self.env.refuse_sync(ticket, ErrorCode::UnknownMemberId);
        } else {
            self.with_live(&request.group_id, |group, env| group.sync(env, ticket, request));
        }
    }

    pub(super) fn heartbeat(&mut self, ticket: Ticket, request: &HeartbeatRequest) {
        let result = match self.live.get_mut(&request.group_id) {
            _ if request.group_id.is_empty() => Err(ErrorCode::InvalidGroupId),
            None if self.attendances.contains_key(&request.group_id) => {
                let id = self.shared_group_id(&request.group_id);
                self.rule(&id, |ruling| ruling.classic_heartbeat(request))
            }
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
            false if self.attendances.contains_key(&request.group_id) => {
                self.leave_as_classic(&request.group_id, members)
            }
            false => {
                members.into_iter().map(|member| answer(member, Err(ErrorCode::UnknownMemberId))).collect()
            }
        };
        match (is_batched, members.first()) {
            (false, Some(member)) => response.error_code = member.error_code,
            _ => response.members = members,
        }
        self.reply(ticket, Reply::LeaveGroup(response));
    }

    /// LeaveGroup for members of a consumer group, of either protocol: administrators take them out by it, too.
    fn leave_as_classic(&mut self, group_id: &Str, members: Vec<MemberIdentity>) -> Vec<MemberResponse> {
        let id = self.shared_group_id(group_id);
        let mut gone = Vec::new();
        let mut responses = Vec::with_capacity(members.len());
        for member in members {
            let found = self.consumer_group(&id).map_or(Err(ErrorCode::UnknownMemberId), |group| {
                group.leaving(&member.member_id, member.group_instance_id.as_ref())
            });
            if let Ok(found) = &found
                && !gone.contains(found)
            {
                gone.push(found.clone());
            }
            responses.push(answer(member, found.map(|_| ())));
        }
        self.give_up(&id, &gone);
        responses
    }
}

fn answer(member: MemberIdentity, result: Result<(), ErrorCode>) -> MemberResponse {
    MemberResponse {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        error_code: result.err().unwrap_or_default().code(),
    }
}

/// What a group without members is called.
pub(super) const EMPTY: Str = Str::from_static("Empty");
