//! OffsetDelete (47): forgets committed offsets of a group (KIP-496).

use std::ops::RangeInclusive;

use coordinator::{Reply, Request};
use protocol::messages::offset_delete_request::OffsetDeleteRequest;
use protocol::messages::offset_delete_response::OffsetDeleteResponse;

use super::groups::{ask, failure};
use super::{Call, Handler, Protest};

pub(crate) struct OffsetDelete;

impl Handler for OffsetDelete {
    type Request = OffsetDeleteRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=0;

    async fn handle(
        call: Call,
        request: OffsetDeleteRequest,
    ) -> Result<Option<OffsetDeleteResponse>, Protest> {
        let group_id = request.group_id.clone();
        Ok(Some(match ask(&call, &group_id, Request::OffsetDelete(request)).await {
            Ok(Reply::OffsetDelete(response)) => response,
            other => OffsetDeleteResponse { error_code: failure(other).code(), ..Default::default() },
        }))
    }
}
