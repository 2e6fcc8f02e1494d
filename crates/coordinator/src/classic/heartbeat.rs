//! Heartbeat, and what happens without it.

use protocol::messages::heartbeat_request::HeartbeatRequest;
use protocol::{ErrorCode, Str};

use super::{Classic, State};
use crate::env::Env;

impl Classic {
    pub(crate) fn heartbeat(
        &mut self,
        env: &mut Env<'_>,
        request: &HeartbeatRequest,
    ) -> Result<(), ErrorCode> {
        self.check_member(&request.member_id, request.group_instance_id.as_ref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        self.keep_alive(env, &request.member_id);
        match self.state {
            State::Empty => Err(ErrorCode::UnknownMemberId),
            State::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    /// The timer of a session, or of an id that nobody has joined with, has come.
    pub(crate) fn session_timed_out(&mut self, env: &mut Env<'_>, id: &Str) {
        if self.pending.remove(id).is_some() {
            self.complete_if_everybody_joined(env);
            return;
        }
        let Some(member) = self.members.get_mut(id) else { return };
        member.session.scheduled_ms = None;
        if member.session.deadline_ms > env.now.monotonic_ms {
            let at_ms = member.session.deadline_ms;
            member.session.scheduled_ms = Some(at_ms);
            env.schedule(at_ms, self.session_timer(id));
        } else if !member.is_excused() {
            self.remove(env, id, ErrorCode::UnknownMemberId);
            self.rebalance(env);
        }
    }
}
