//! SyncGroup: the leader says who gets what, and everybody gets it.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::messages::sync_group_request::SyncGroupRequest;
use protocol::messages::sync_group_response::SyncGroupResponse;
use protocol::{ErrorCode, Str};

use super::{Classic, State};
use crate::env::Env;
use crate::{Reply, Ticket};

impl Classic {
    pub(crate) fn sync(&mut self, env: &mut Env<'_>, to: Ticket, request: &SyncGroupRequest) {
        if let Err(error) = self.check_sync(request) {
            env.refuse_sync(to, error);
            return;
        }
        match self.state {
            State::Empty => env.refuse_sync(to, ErrorCode::UnknownMemberId),
            State::PreparingRebalance => env.refuse_sync(to, ErrorCode::RebalanceInProgress),
            State::CompletingRebalance => {
                self.mark_synced(env, &request.member_id);
                self.park_sync(env, to, &request.member_id);
                if self.is_leader(&request.member_id) {
                    self.assign(env, request);
                }
            }
            State::Stable => {
                self.mark_synced(env, &request.member_id);
                let response = self.assignment_of(&request.member_id);
                env.reply(to, Reply::SyncGroup(response));
            }
        }
    }

    fn check_sync(&self, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        self.check_member(&request.member_id, request.group_instance_id.as_ref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |theirs: &Option<Str>, ours: &Option<Str>| matches!((theirs, ours), (Some(theirs), Some(ours)) if theirs != ours);
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn mark_synced(&mut self, env: &mut Env<'_>, id: &str) {
        self.unsynced.remove(id);
        if self.unsynced.is_empty() {
            self.cancel_sync_timer(env);
        }
    }

    fn park_sync(&mut self, env: &mut Env<'_>, to: Ticket, id: &str) {
        let Some(member) = self.members.get_mut(id) else { return };
        if let Some(superseded) = member.sync.replace(to) {
            env.refuse_sync(superseded, ErrorCode::RebalanceInProgress);
        }
    }

    /// Who is not mentioned gets nothing.
    fn assign(&mut self, env: &mut Env<'_>, request: &SyncGroupRequest) {
        let assigned: BTreeMap<&Str, &Bytes> =
            request.assignments.iter().map(|one| (&one.member_id, &one.assignment)).collect();
        for member in self.members.values_mut() {
            let assignment = assigned.get(&member.id).copied();
            member.assignment = assignment.map(|bytes| Bytes::copy_from_slice(bytes)).unwrap_or_default();
        }
        self.log(env);
        self.enter(env, State::Stable);
        for id in self.waiting_for_sync() {
            let response = self.assignment_of(&id);
            self.answer_sync(env, &id, response);
        }
    }

    /// The generation ends before its assignments are known.
    pub(super) fn cancel_assignments(&mut self, env: &mut Env<'_>) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
        let error_code = ErrorCode::RebalanceInProgress.code();
        for id in self.waiting_for_sync() {
            self.answer_sync(env, &id, SyncGroupResponse { error_code, ..Default::default() });
        }
    }

    fn waiting_for_sync(&self) -> Vec<Str> {
        let waiting = self.members.values().filter(|member| member.sync.is_some());
        waiting.map(|member| member.id.clone()).collect()
    }

    /// Its session may have ended while it waited, which was excused.
    fn answer_sync(&mut self, env: &mut Env<'_>, id: &str, response: SyncGroupResponse) {
        if let Some(to) = self.members.get_mut(id).and_then(|member| member.sync.take()) {
            env.reply(to, Reply::SyncGroup(response));
            self.keep_alive(env, id);
        }
    }

    fn assignment_of(&self, id: &str) -> SyncGroupResponse {
        SyncGroupResponse {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment: self.members.get(id).map(|member| member.assignment.clone()).unwrap_or_default(),
            ..SyncGroupResponse::default()
        }
    }

    /// Whoever has joined and never asked for its assignment is gone.
    pub(crate) fn sync_timed_out(&mut self, env: &mut Env<'_>) {
        self.sync_due_ms = None;
        let gone = std::mem::take(&mut self.unsynced);
        if gone.is_empty() || !matches!(self.state, State::CompletingRebalance | State::Stable) {
            return;
        }
        for id in gone {
            self.remove(env, &id, ErrorCode::UnknownMemberId);
        }
        self.prepare_rebalance(env);
    }
}
