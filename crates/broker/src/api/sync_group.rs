//! SyncGroup (14): the leader of a classic group hands in the assignment, and every member gets its part.

use std::ops::RangeInclusive;

use coordinator::{Reply, Request};
use protocol::messages::sync_group_request::SyncGroupRequest;
use protocol::messages::sync_group_response::SyncGroupResponse;

use super::groups::{ask, failure};
use super::{Call, Handler, Protest};

pub(crate) struct SyncGroup;

impl Handler for SyncGroup {
    type Request = SyncGroupRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=5;

    async fn handle(call: Call, request: SyncGroupRequest) -> Result<Option<SyncGroupResponse>, Protest> {
        let group_id = request.group_id.clone();
        Ok(Some(match ask(&call, &group_id, Request::SyncGroup(request)).await {
            Ok(Reply::SyncGroup(response)) => response,
            other => SyncGroupResponse { error_code: failure(other).code(), ..Default::default() },
        }))
    }
}
