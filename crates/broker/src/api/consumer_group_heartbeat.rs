//! ConsumerGroupHeartbeat (68): a member of a consumer group joins, subscribes, acknowledges, stays and leaves (KIP-848).

use std::ops::RangeInclusive;

use coordinator::{Reply, Request};
use protocol::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use protocol::messages::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;
use protocol::{ErrorCode, Str};

use super::groups::{ask, failure, serves_consumer_groups};
use super::{Call, Handler, Protest};

pub(crate) struct ConsumerGroupHeartbeat;

impl Handler for ConsumerGroupHeartbeat {
    type Request = ConsumerGroupHeartbeatRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=1;

    async fn handle(
        call: Call,
        request: ConsumerGroupHeartbeatRequest,
    ) -> Result<Option<ConsumerGroupHeartbeatResponse>, Protest> {
        if !serves_consumer_groups(&call) {
            return Ok(Some(refused(ErrorCode::UnsupportedVersion)));
        }
        let group_id = request.group_id.clone();
        Ok(Some(match ask(&call, &group_id, Request::ConsumerGroupHeartbeat(request)).await {
            Ok(Reply::ConsumerGroupHeartbeat(response)) => response,
            other => refused(failure(other)),
        }))
    }
}

fn refused(code: ErrorCode) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code: code.code(),
        error_message: Some(Str::from_static(code.message())),
        ..Default::default()
    }
}
