//! LeaveGroup, of members and of those who are not any more.

use protocol::ErrorCode;
use protocol::messages::leave_group_request::MemberIdentity;
use protocol::messages::leave_group_response::MemberResponse;

use super::{Classic, State};
use crate::env::Env;

impl Classic {
    pub(crate) fn leave(&mut self, env: &mut Env<'_>, members: Vec<MemberIdentity>) -> Vec<MemberResponse> {
        let mut has_left = false;
        let mut responses = Vec::with_capacity(members.len());
        for member in members {
            let result = self.leave_one(env, &member);
            has_left |= result.is_ok();
            responses.push(MemberResponse {
                member_id: member.member_id,
                group_instance_id: member.group_instance_id,
                error_code: result.err().unwrap_or_default().code(),
            });
        }
        if has_left && self.state != State::Empty {
            self.rebalance(env);
        }
        responses
    }

    fn leave_one(&mut self, env: &mut Env<'_>, member: &MemberIdentity) -> Result<(), ErrorCode> {
        if member.member_id.is_empty() {
            // An administrator takes a static member out.
            let instance_id = member.group_instance_id.as_ref().ok_or(ErrorCode::UnknownMemberId)?;
            let id = self.instances.get(instance_id).cloned().ok_or(ErrorCode::UnknownMemberId)?;
            self.remove(env, &id, ErrorCode::UnknownMemberId);
        } else if !self.remove_pending(env, &member.member_id) {
            self.check_member(&member.member_id, member.group_instance_id.as_ref())?;
            self.remove(env, &member.member_id, ErrorCode::UnknownMemberId);
        }
        Ok(())
    }
}
