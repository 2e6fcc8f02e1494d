//! JoinGroup of a member, and of a new process that takes a static member's place (KIP-345).

use protocol::{ErrorCode, Str};

use super::{Classic, Join, Member, State};
use crate::env::Env;

/// From here the leader can be told that there is nothing to assign (KIP-814).
const SKIP_ASSIGNMENT: i16 = 9;

impl Classic {
    pub(super) fn join_again(&mut self, env: &mut Env<'_>, join: Join) {
        let id = join.member_id.clone();
        if let Err(error) = self.check_member(&id, join.instance_id.as_ref()) {
            env.refuse_join(join.to, id, error);
            return;
        }
        let is_unchanged = self.members.get(&id).is_some_and(|member| member.protocols == join.protocols);
        match self.state {
            // A group without members was refused above.
            State::Empty => env.refuse_join(join.to, id, ErrorCode::UnknownMemberId),
            // It may not have received the answer.
            State::CompletingRebalance if is_unchanged => self.reply_joined(env, join.to, &id),
            // The leader joins when something else than its own metadata asks for new assignments.
            State::Stable if is_unchanged && !self.is_leader(&id) => self.reply_joined(env, join.to, &id),
            State::PreparingRebalance | State::CompletingRebalance | State::Stable => {
                self.update(env, &id, join);
                self.rebalance(env);
            }
        }
    }

    /// The new process gets a member id of its own; whoever still uses the old one is fenced.
    pub(super) fn replace_static(&mut self, env: &mut Env<'_>, before: &str, id: Str, join: Join) {
        let was_leader = self.is_leader(before);
        let leader_before = self.leader.clone();
        let version = join.version;
        let Some(member) = self.take_out(env, before) else { return };
        if let Some(to) = member.join {
            env.refuse_join(to, member.id.clone(), ErrorCode::FencedInstanceId);
        }
        if let Some(to) = member.sync {
            env.refuse_sync(to, ErrorCode::FencedInstanceId);
        }
        if was_leader {
            self.leader = Some(id.clone());
        }
        let assignment = member.assignment;
        self.insert(Member {
            assignment,
            is_new: false,
            client_id: member.client_id,
            client_host: member.client_host,
            ..Member::new(id.clone(), join)
        });
        self.keep_alive(env, &id);
        match self.state {
            State::Stable if self.select_protocol() == self.protocol => {
                self.log(env);
                let skips = version >= SKIP_ASSIGNMENT;
                let mut response = self.joined(&id, skips && was_leader);
                response.skip_assignment = skips && was_leader;
                if !skips {
                    // An old leader would assign again: it is told of its former self, which makes it a follower.
                    response.leader = leader_before.unwrap_or_default();
                }
                self.answer_join(env, &id, response);
            }
            // The leader may have been told of the old id already, and would give the new one nothing.
            State::CompletingRebalance => self.prepare_rebalance(env),
            State::Stable => self.rebalance(env),
            State::PreparingRebalance | State::Empty => self.complete_if_everybody_joined(env),
        }
    }
}
