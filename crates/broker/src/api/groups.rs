//! What the APIs of groups have in common.

use coordinator::{Reply, Request};
use protocol::ErrorCode;

use super::Call;
use crate::coordinators::caller;

/// Asks the coordinator of a group, if it is here.
pub(super) async fn ask(call: &Call, group_id: &str, request: Request) -> Result<Reply, ErrorCode> {
    let view = call.broker.metadata.view();
    call.broker.groups.ask(&view, group_id, caller(call), request).await
}

/// Groups of the consumer protocol are there from this level on.
const GROUP_VERSION: &str = "group.version";
const WITH_CONSUMER_GROUPS: i16 = 1;

/// Whether the cluster has groups of the consumer protocol (KIP-848).
pub(super) fn serves_consumer_groups(call: &Call) -> bool {
    let view = call.broker.metadata.view();
    view.config.groups.consumer.are_served && view.image.feature_level(GROUP_VERSION) >= WITH_CONSUMER_GROUPS
}

/// Why there is no fitting reply.
pub(super) fn failure(reply: Result<Reply, ErrorCode>) -> ErrorCode {
    // A coordinator answers a request with the reply of its kind.
    reply.err().unwrap_or(ErrorCode::UnknownServerError)
}
