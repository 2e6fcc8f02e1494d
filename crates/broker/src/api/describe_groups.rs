//! DescribeGroups (15): state and members of classic groups.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use coordinator::{Reply, Request};
use protocol::messages::describe_groups_request::DescribeGroupsRequest;
use protocol::messages::describe_groups_response::{DescribeGroupsResponse, DescribedGroup};

use super::groups::{ask, failure};
use super::operations;
use super::{Call, Handler, Protest};

pub(crate) struct DescribeGroups;

impl Handler for DescribeGroups {
    type Request = DescribeGroupsRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=6;

    async fn handle(
        call: Call,
        request: DescribeGroupsRequest,
    ) -> Result<Option<DescribeGroupsResponse>, Protest> {
        let mut names = request.groups;
        // Each once: a group may have many members.
        let mut seen = HashSet::new();
        names.retain(|group_id| seen.insert(group_id.clone()));
        let mut groups = Vec::with_capacity(names.len());
        for group_id in names {
            let asked = Request::DescribeGroup { group_id: group_id.clone() };
            let mut group = match ask(&call, &group_id, asked).await {
                Ok(Reply::DescribeGroup(group)) => group,
                other => DescribedGroup { group_id, error_code: failure(other).code(), ..Default::default() },
            };
            let told = request.include_authorized_operations && group.error_code == 0;
            group.authorized_operations = operations::told(told, operations::GROUP);
            groups.push(group);
        }
        Ok(Some(DescribeGroupsResponse { groups, ..Default::default() }))
    }
}
