//! JoinGroup (11): a member joins a classic group, and hears of its generation when all members have joined.

use std::ops::RangeInclusive;

use coordinator::{Reply, Request};
use protocol::messages::join_group_request::JoinGroupRequest;
use protocol::messages::join_group_response::JoinGroupResponse;
use protocol::{ErrorCode, Str};

use super::groups::{ask, failure};
use super::{Call, Handler, Protest};

/// From here on a missing protocol is null and not empty (KIP-559).
const NULLABLE: i16 = 7;

pub(crate) struct JoinGroup;

impl Handler for JoinGroup {
    type Request = JoinGroupRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=9;

    async fn handle(call: Call, request: JoinGroupRequest) -> Result<Option<JoinGroupResponse>, Protest> {
        let group_id = request.group_id.clone();
        let member_id = request.member_id.clone();
        Ok(Some(match ask(&call, &group_id, Request::JoinGroup(request)).await {
            Ok(Reply::JoinGroup(mut response)) => {
                if call.version < NULLABLE && response.protocol_name.is_none() {
                    response.protocol_name = Some(Str::EMPTY);
                }
                response
            }
            other => failed(&call, failure(other), member_id),
        }))
    }
}

fn failed(call: &Call, code: ErrorCode, member_id: Str) -> JoinGroupResponse {
    let protocol_name = (call.version < NULLABLE).then_some(Str::EMPTY);
    JoinGroupResponse { error_code: code.code(), protocol_name, member_id, ..Default::default() }
}
