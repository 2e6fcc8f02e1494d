//! DeleteGroups (42): removes groups without members, and what they have committed (KIP-229).

use std::ops::RangeInclusive;

use coordinator::{Reply, Request};
use protocol::messages::delete_groups_request::DeleteGroupsRequest;
use protocol::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};

use super::groups::{ask, failure};
use super::{Call, Handler, Protest};

pub(crate) struct DeleteGroups;

impl Handler for DeleteGroups {
    type Request = DeleteGroupsRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=3;

    async fn handle(
        call: Call,
        request: DeleteGroupsRequest,
    ) -> Result<Option<DeleteGroupsResponse>, Protest> {
        let mut names = request.groups_names;
        // Each once, as in Kafka.
        names.sort_unstable();
        names.dedup();
        let mut results = Vec::with_capacity(names.len());
        for group_id in names {
            let asked = Request::DeleteGroup { group_id: group_id.clone() };
            results.push(match ask(&call, &group_id, asked).await {
                Ok(Reply::DeleteGroup(result)) => result,
                other => {
                    DeletableGroupResult { group_id, error_code: failure(other).code(), ..Default::default() }
                }
            });
        }
        Ok(Some(DeleteGroupsResponse { results, ..Default::default() }))
    }
}
