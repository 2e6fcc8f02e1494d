//! DescribeGroups and ListGroups.

use protocol::messages::describe_groups_response::DescribedGroup;
use protocol::messages::list_groups_response::ListedGroup;
use protocol::{ErrorCode, Str};

use super::membership::EMPTY;
use super::{LoggedGroup, Turn};
use crate::classic::CONSUMER as CONSUMER_PROTOCOL;
use crate::{Caller, Reply, Ticket};

/// From here a group that is not there is an error; before, it is one that is dead.
const GROUP_NOT_FOUND: i16 = 6;
const CLASSIC: Str = Str::from_static("classic");
const CONSUMER: Str = Str::from_static("consumer");

impl Turn<'_> {
    pub(super) fn describe(&mut self, ticket: Ticket, caller: &Caller, group_id: Str) {
        let logged = self.env.logged.group(&group_id);
        let described = match (self.live.get(&group_id), logged) {
            (Some(group), _) => group.describe(),
            // It is there, but not as what this API tells of.
            (None, Some(logged)) if logged.consumer.is_some() => {
                let why = format!("Group {group_id} is not a classic group.");
                not_found(group_id, caller.version, why)
            }
            (None, Some(logged)) => DescribedGroup {
                group_state: EMPTY,
                protocol_type: logged.protocol_type().cloned().unwrap_or_default(),
                group_id,
                ..DescribedGroup::default()
            },
            (None, None) => {
                let why = format!("Group {group_id} not found.");
                not_found(group_id, caller.version, why)
            }
        };
        self.reply(ticket, Reply::DescribeGroup(described));
    }

    pub(super) fn list(&mut self, ticket: Ticket, states: &[Str], types: &[Str]) {
        let states: Vec<String> = states.iter().map(|state| state.trim().to_lowercase()).collect();
        let in_state = |group: &ListedGroup| {
            states.is_empty() || states.iter().any(|state| group.group_state.eq_ignore_ascii_case(state))
        };
        let of_type = |logged: &LoggedGroup| {
            let kind = if logged.consumer.is_some() { CONSUMER } else { CLASSIC };
            types.is_empty() || types.iter().any(|wanted| wanted.eq_ignore_ascii_case(&kind))
        };
        let all = self.env.logged.groups().iter().filter(|(_, logged)| of_type(logged));
        let groups = all.map(|(id, logged)| self.listed(id, logged)).filter(in_state).collect();
        self.reply(ticket, Reply::ListGroups(groups));
    }

    fn listed(&self, id: &Str, logged: &LoggedGroup) -> ListedGroup {
        if let Some(group) = &logged.consumer {
            return ListedGroup {
                group_id: id.clone(),
                protocol_type: Str::from_static(CONSUMER_PROTOCOL),
                group_state: Str::from_static(group.state()),
                group_type: CONSUMER,
            };
        }
        let live = self.live.get(id);
        let protocol_type = match live {
            Some(group) => group.protocol_type(),
            None => logged.protocol_type(),
        };
        ListedGroup {
            group_id: id.clone(),
            protocol_type: protocol_type.cloned().unwrap_or_default(),
            group_state: live.map_or(EMPTY, |group| Str::from_static(group.state().name())),
            group_type: CLASSIC,
        }
    }
}

fn not_found(group_id: Str, version: i16, why: String) -> DescribedGroup {
    let is_error = version >= GROUP_NOT_FOUND;
    DescribedGroup {
        error_code: if is_error { ErrorCode::GroupIdNotFound.code() } else { 0 },
        error_message: is_error.then(|| Str::from(why)),
        group_id,
        group_state: Str::from_static("Dead"),
        ..DescribedGroup::default()
    }
}
