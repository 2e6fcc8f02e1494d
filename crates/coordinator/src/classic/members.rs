//! Who is in the group: members come and go, sessions, the leader, and the protocol that all of them can do.

use std::collections::BTreeMap;

use protocol::messages::join_group_response::JoinGroupResponse;
use protocol::{ErrorCode, Str};

use super::member::{Member, Protocols};
use super::{Classic, Join, State};
use crate::env::Env;
use crate::timers::Timer;
use crate::{Reply, Ticket};

impl Classic {
    pub(super) fn insert(&mut self, member: Member) {
        if let Some(instance_id) = &member.instance_id {
            self.instances.insert(instance_id.clone(), member.id.clone());
        }
        self.leader.get_or_insert_with(|| member.id.clone());
        self.count_protocols(&member.protocols, 1);
        self.joining += usize::from(member.join.is_some());
        self.members.insert(member.id.clone(), member);
    }

    /// Takes a member out and answers what it had parked.
    pub(super) fn remove(&mut self, env: &mut Env<'_>, id: &str, error: ErrorCode) {
        let Some(member) = self.take_out(env, id) else { return };
        if let Some(instance_id) = &member.instance_id {
            self.instances.remove(instance_id);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        if let Some(to) = member.join {
            env.refuse_join(to, Str::EMPTY, error);
        }
        if let Some(to) = member.sync {
            env.refuse_sync(to, error);
        }
    }

    /// Takes a member out and leaves its place to another.
    pub(super) fn take_out(&mut self, env: &mut Env<'_>, id: &str) -> Option<Member> {
        self.unsynced.remove(id);
        let member = self.members.remove(id)?;
        self.uncount_protocols(&member.protocols);
        self.joining -= usize::from(member.join.is_some());
        if let Some(at_ms) = member.session.scheduled_ms {
            env.cancel(at_ms, self.session_timer(&member.id));
        }
        Some(member)
    }

    pub(super) fn remove_pending(&mut self, env: &mut Env<'_>, id: &str) -> bool {
        let Some((id, at_ms)) = self.pending.remove_entry(id) else { return false };
        env.cancel(at_ms, self.session_timer(&id));
        true
    }

    /// What a member says of itself now, and its parked join.
    pub(super) fn update(&mut self, env: &mut Env<'_>, id: &str, join: Join) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.rebalance_timeout_ms = join.rebalance_timeout_ms;
        member.session_timeout_ms = join.session_timeout_ms;
        let before = std::mem::replace(&mut member.protocols, join.protocols.clone());
        let superseded = member.join.replace(join.to);
        self.uncount_protocols(&before);
        self.count_protocols(&join.protocols, 1);
        match superseded {
            None => self.joining += 1,
            // The client lost its connection and joins again: nobody waits for the first answer.
            Some(to) => env.refuse_join(to, join.member_id, ErrorCode::RebalanceInProgress),
        }
    }

    pub(super) fn answer_join(&mut self, env: &mut Env<'_>, id: &str, response: JoinGroupResponse) {
        if let Some(to) = self.members.get_mut(id).and_then(|member| member.join.take()) {
            self.joining -= 1;
            env.reply(to, Reply::JoinGroup(response));
        }
    }

    /// The answer to a join that leads into the current generation.
    pub(super) fn joined(&self, id: &str, tell_members: bool) -> JoinGroupResponse {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = match tell_members {
            true => self.members.values().map(|member| member.for_leader(protocol)).collect(),
            false => Vec::new(),
        };
        JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: self.members.get(id).map(|member| member.id.clone()).unwrap_or_default(),
            members,
            ..JoinGroupResponse::default()
        }
    }

    pub(super) fn reply_joined(&self, env: &mut Env<'_>, to: Ticket, id: &str) {
        env.reply(to, Reply::JoinGroup(self.joined(id, self.is_leader(id))));
    }

    /// The member is there: its session begins anew.
    pub(crate) fn keep_alive(&mut self, env: &mut Env<'_>, id: &str) {
        if let Some(member) = self.members.get(id) {
            let timeout_ms = member.session_timeout_ms;
            self.keep_alive_for(env, id, timeout_ms);
        }
    }

    /// A later deadline leaves the timer alone; an earlier one moves it.
    pub(super) fn keep_alive_for(&mut self, env: &mut Env<'_>, id: &str, timeout_ms: i32) {
        let deadline_ms = env.deadline(timeout_ms);
        let Some(member) = self.members.get_mut(id) else { return };
        member.session.deadline_ms = deadline_ms;
        let timer = |id: &Str| Timer::Session { group: self.id.clone(), member: id.clone() };
        match member.session.scheduled_ms {
            Some(at_ms) if at_ms <= deadline_ms => return,
            Some(at_ms) => env.cancel(at_ms, timer(&member.id)),
            None => {}
        }
        member.session.scheduled_ms = Some(deadline_ms);
        env.schedule(deadline_ms, timer(&member.id));
    }

    pub(super) fn session_timer(&self, member: &Str) -> Timer {
        Timer::Session { group: self.id.clone(), member: member.clone() }
    }

    /// The longest that a member may take to join.
    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0)
    }

    pub(super) fn everybody_joined(&self) -> bool {
        self.joining == self.members.len() && self.pending.is_empty()
    }

    /// Whether a member with these protocols finds one that all others can do.
    pub(super) fn supports(&self, protocol_type: &Str, protocols: &Protocols) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_ref() == Some(protocol_type)
            && protocols.iter().any(|(name, _)| self.is_supported_by_all(name))
    }

    fn is_supported_by_all(&self, protocol: &Str) -> bool {
        self.supported.get(protocol).copied().unwrap_or(0) == self.members.len()
    }

    /// What most members like best among what all of them can do.
    pub(crate) fn select_protocol(&self) -> Option<Str> {
        let mut votes: BTreeMap<&Str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let choice = member.protocols.iter().find(|(name, _)| self.is_supported_by_all(name));
            if let Some((name, _)) = choice {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(name, _)| name.clone())
    }

    fn count_protocols(&mut self, protocols: &Protocols, by: usize) {
        for (name, _) in protocols {
            *self.supported.entry(name.clone()).or_default() += by;
        }
    }

    fn uncount_protocols(&mut self, protocols: &Protocols) {
        for (name, _) in protocols {
            if let Some(count) = self.supported.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.supported.remove(name);
                }
            }
        }
    }

    /// Whether a request comes from the member that it says it comes from.
    pub(super) fn check_member(&self, member_id: &str, instance_id: Option<&Str>) -> Result<(), ErrorCode> {
        match instance_id.map(|instance_id| self.instances.get(instance_id)) {
            Some(None) => return Err(ErrorCode::UnknownMemberId),
            Some(Some(owner)) if *owner != member_id => return Err(ErrorCode::FencedInstanceId),
            Some(Some(_)) | None => {}
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }
}
