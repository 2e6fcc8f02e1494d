//! The borders to groups of the consumer protocol: a classic group ends, or begins, as the other kind.

use protocol::messages::sync_group_response::SyncGroupResponse;
use protocol::{ErrorCode, Str};

use super::{Classic, Member, State};
use crate::Reply;
use crate::env::Env;
use crate::groups::LoggedGroup;

impl Classic {
    /// The group goes on as one of the consumer protocol. Who waits is told to join again, and so learns of it.
    pub(crate) fn dissolve(mut self, env: &mut Env<'_>) {
        self.cancel_join_timer(env);
        self.cancel_sync_timer(env);
        let error = ErrorCode::RebalanceInProgress;
        let members: Vec<Str> = self.members.keys().cloned().collect();
        for id in members {
            let Some(member) = self.take_out(env, &id) else { continue };
            if let Some(to) = member.join {
                env.refuse_join(to, id, error);
            }
            if let Some(to) = member.sync {
                let response = SyncGroupResponse { error_code: error.code(), ..Default::default() };
                env.reply(to, Reply::SyncGroup(response));
            }
        }
        self.abandon(env);
    }

    /// A stable group of members that were in one of the consumer protocol, written down as such.
    pub(crate) fn adopt(id: Str, generation: i32, members: Vec<Member>, env: &mut Env<'_>) -> Self {
        let mut group = Self::begin(id, None::<&LoggedGroup>);
        group.generation = generation;
        group.protocol_type = Some(Str::from_static(super::CONSUMER));
        for member in members {
            group.insert(member);
        }
        group.protocol = group.select_protocol();
        group.enter(env, State::Stable);
        group.log(env);
        let members: Vec<Str> = group.members.keys().cloned().collect();
        for member in &members {
            group.keep_alive(env, member);
        }
        group
    }

    /// Everybody is to join again.
    pub(crate) fn rebalance_anew(&mut self, env: &mut Env<'_>) {
        self.prepare_rebalance(env);
    }
}
