//! ListGroups (16): the groups that this broker coordinates.

use std::ops::RangeInclusive;

use coordinator::{Reply, Request};
use protocol::messages::list_groups_request::ListGroupsRequest;
use protocol::messages::list_groups_response::ListGroupsResponse;

use super::groups::failure;
use super::{Call, Handler, Protest};
use crate::coordinators::caller;

pub(crate) struct ListGroups;

impl Handler for ListGroups {
    type Request = ListGroupsRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=5;

    async fn handle(call: Call, request: ListGroupsRequest) -> Result<Option<ListGroupsResponse>, Protest> {
        let asked = Request::ListGroups { states: request.states_filter, types: request.types_filter };
        let mut response = ListGroupsResponse::default();
        for reply in call.broker.groups.ask_all(&caller(&call), &asked).await {
            match reply {
                Ok(Reply::ListGroups(groups)) => response.groups.extend(groups),
                other => response.error_code = failure(other).code(),
            }
        }
        Ok(Some(response))
    }
}
