//! ConsumerGroupDescribe (69): state, epochs and members of consumer groups (KIP-848).

use std::collections::HashSet;
use std::ops::RangeInclusive;

use coordinator::{Reply, Request};
use protocol::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use protocol::messages::consumer_group_describe_response::{ConsumerGroupDescribeResponse, DescribedGroup};
use protocol::{ErrorCode, Str};

use super::groups::{ask, failure, serves_consumer_groups};
use super::operations;
use super::{Call, Handler, Protest};

pub(crate) struct ConsumerGroupDescribe;

impl Handler for ConsumerGroupDescribe {
    type Request = ConsumerGroupDescribeRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=1;

    async fn handle(
        call: Call,
        request: ConsumerGroupDescribeRequest,
    ) -> Result<Option<ConsumerGroupDescribeResponse>, Protest> {
        let mut names = request.group_ids;
        // Each once: a group may have many members.
        let mut seen = HashSet::new();
        names.retain(|group_id| seen.insert(group_id.clone()));
        let is_served = serves_consumer_groups(&call);
        let mut groups = Vec::with_capacity(names.len());
        for group_id in names {
            let mut group = match is_served {
                true => describe(&call, group_id).await,
                false => refused(group_id, ErrorCode::UnsupportedVersion),
            };
            let told = request.include_authorized_operations && group.error_code == 0;
            group.authorized_operations = operations::told(told, operations::GROUP);
            groups.push(group);
        }
        Ok(Some(ConsumerGroupDescribeResponse { groups, ..Default::default() }))
    }
}

async fn describe(call: &Call, group_id: Str) -> DescribedGroup {
    if group_id.is_empty() {
        return refused(group_id, ErrorCode::InvalidGroupId);
    }
    let asked = Request::ConsumerGroupDescribe { group_id: group_id.clone() };
    match ask(call, &group_id, asked).await {
        Ok(Reply::ConsumerGroupDescribe(group)) => group,
        other => refused(group_id, failure(other)),
    }
}

fn refused(group_id: Str, code: ErrorCode) -> DescribedGroup {
    DescribedGroup {
        group_id,
        error_code: code.code(),
        error_message: Some(Str::from_static(code.message())),
        ..Default::default()
    }
}
