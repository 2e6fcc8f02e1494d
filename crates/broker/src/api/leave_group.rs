//! LeaveGroup (13): members leave a classic group (KIP-345: several at once).

use std::ops::RangeInclusive;

use coordinator::{Reply, Request};
use protocol::messages::leave_group_request::LeaveGroupRequest;
use protocol::messages::leave_group_response::LeaveGroupResponse;

use super::groups::{ask, failure};
use super::{Call, Handler, Protest};

pub(crate) struct LeaveGroup;

impl Handler for LeaveGroup {
    type Request = LeaveGroupRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=5;

    async fn handle(call: Call, request: LeaveGroupRequest) -> Result<Option<LeaveGroupResponse>, Protest> {
        let group_id = request.group_id.clone();
        Ok(Some(match ask(&call, &group_id, Request::LeaveGroup(request)).await {
            Ok(Reply::LeaveGroup(response)) => response,
            other => LeaveGroupResponse { error_code: failure(other).code(), ..Default::default() },
        }))
    }
}
