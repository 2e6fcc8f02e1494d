//! Heartbeat (12): a member of a classic group is alive, and hears whether the group rebalances.

use std::ops::RangeInclusive;

use coordinator::{Reply, Request};
use protocol::messages::heartbeat_request::HeartbeatRequest;
use protocol::messages::heartbeat_response::HeartbeatResponse;

use super::groups::{ask, failure};
use super::{Call, Handler, Protest};

pub(crate) struct Heartbeat;

impl Handler for Heartbeat {
    type Request = HeartbeatRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=4;

    async fn handle(call: Call, request: HeartbeatRequest) -> Result<Option<HeartbeatResponse>, Protest> {
        let group_id = request.group_id.clone();
        Ok(Some(match ask(&call, &group_id, Request::Heartbeat(request)).await {
            Ok(Reply::Heartbeat(response)) => response,
            other => HeartbeatResponse { error_code: failure(other).code(), ..Default::default() },
        }))
    }
}
