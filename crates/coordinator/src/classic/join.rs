//! JoinGroup of somebody who is not a member yet.

use protocol::{ErrorCode, Str};

use super::{Classic, Join, Member, State};
use crate::env::Env;

/// From here a first join is answered with an id only (KIP-394), so that whoever disconnects while it waits leaves no
/// member behind.
pub(crate) const MEMBER_ID_REQUIRED: i16 = 4;
/// How long a new member stays while its join is parked: it has no id yet to heartbeat with.
const NEW_MEMBER_TIMEOUT_MS: i32 = 5 * 60 * 1000;

impl Classic {
    pub(crate) fn join(&mut self, env: &mut Env<'_>, join: Join) {
        if !self.has_room_for(env, &join.member_id) {
            env.refuse_join(join.to, Str::EMPTY, ErrorCode::GroupMaxSizeReached);
            self.remove_pending(env, &join.member_id);
            self.remove(env, &join.member_id, ErrorCode::GroupMaxSizeReached);
            self.complete_if_everybody_joined(env);
        } else if !self.supports(&join.protocol_type, &join.protocols) {
            env.refuse_join(join.to, join.member_id, ErrorCode::InconsistentGroupProtocol);
        } else if join.member_id.is_empty() {
            self.join_first(env, join);
        } else if join.instance_id.is_none() && self.remove_pending(env, &join.member_id) {
            let id = join.member_id.clone();
            self.add(env, id, join);
        } else {
            self.join_again(env, join);
        }
    }

    /// While members join, those count that have; so the last ones are left outside when the limit was lowered.
    fn has_room_for(&self, env: &Env<'_>, member_id: &str) -> bool {
        let limit = env.options.group_max_size;
        let member = self.members.get(member_id);
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                member.is_some_and(|member| member.join.is_some()) || self.joining < limit
            }
            State::CompletingRebalance | State::Stable => member.is_some() || self.members.len() < limit,
        }
    }

    fn join_first(&mut self, env: &mut Env<'_>, join: Join) {
        let Some(instance_id) = &join.instance_id else {
            let id = env.fresh_member_id(&join.client_id);
            if join.version >= MEMBER_ID_REQUIRED {
                self.require_member_id(env, id, &join);
            } else {
                self.add(env, id, join);
            }
            return;
        };
        let id = env.fresh_member_id(instance_id);
        match self.instances.get(instance_id).cloned() {
            Some(before) => self.replace_static(env, &before, id, join),
            None => self.add(env, id, join),
        }
    }

    fn require_member_id(&mut self, env: &mut Env<'_>, id: Str, join: &Join) {
        let at_ms = env.deadline(join.session_timeout_ms);
        env.schedule(at_ms, self.session_timer(&id));
        self.pending.insert(id.clone(), at_ms);
        env.refuse_join(join.to, id, ErrorCode::MemberIdRequired);
    }

    fn add(&mut self, env: &mut Env<'_>, id: Str, join: Join) {
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        if let Some(initial) = &mut self.initial {
            initial.grew = true;
        }
        self.insert(Member::new(id.clone(), join));
        self.keep_alive_for(env, &id, NEW_MEMBER_TIMEOUT_MS);
        self.rebalance(env);
    }
}
