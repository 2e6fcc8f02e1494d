//! DescribeAcls (29), CreateAcls (30), DeleteAcls (31). There is no authorizer here, so there are no ACLs: asked for them, the
//! broker says so as a broker of Kafka's does whose `authorizer.class.name` is empty.

use std::ops::RangeInclusive;

use protocol::messages::create_acls_request::CreateAclsRequest;
use protocol::messages::create_acls_response::{AclCreationResult, CreateAclsResponse};
use protocol::messages::delete_acls_request::DeleteAclsRequest;
use protocol::messages::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsResponse};
use protocol::messages::describe_acls_request::DescribeAclsRequest;
use protocol::messages::describe_acls_response::DescribeAclsResponse;
use protocol::{ErrorCode, Str};

use super::{Call, Handler, Protest};

const CODE: i16 = ErrorCode::SecurityDisabled.code();
const WHY: &str = "no authorizer is configured: there are no ACLs, and everybody may do everything";

pub(crate) struct DescribeAcls;
pub(crate) struct CreateAcls;
pub(crate) struct DeleteAcls;

impl Handler for DescribeAcls {
    type Request = DescribeAclsRequest;

    const ADVERTISED: RangeInclusive<i16> = 1..=3;

    async fn handle(_: Call, _: DescribeAclsRequest) -> Result<Option<DescribeAclsResponse>, Protest> {
        let error_message = Some(Str::from(WHY));
        Ok(Some(DescribeAclsResponse { error_code: CODE, error_message, ..Default::default() }))
    }
}

impl Handler for CreateAcls {
    type Request = CreateAclsRequest;

    const ADVERTISED: RangeInclusive<i16> = 1..=3;

    async fn handle(_: Call, request: CreateAclsRequest) -> Result<Option<CreateAclsResponse>, Protest> {
        let result = AclCreationResult { error_code: CODE, error_message: Some(Str::from(WHY)) };
        Ok(Some(CreateAclsResponse { results: vec![result; request.creations.len()], ..Default::default() }))
    }
}

impl Handler for DeleteAcls {
    type Request = DeleteAclsRequest;

    const ADVERTISED: RangeInclusive<i16> = 1..=3;

    async fn handle(_: Call, request: DeleteAclsRequest) -> Result<Option<DeleteAclsResponse>, Protest> {
        let error_message = Some(Str::from(WHY));
        let result = DeleteAclsFilterResult { error_code: CODE, error_message, ..Default::default() };
        Ok(Some(DeleteAclsResponse {
            filter_results: vec![result; request.filters.len()],
            ..Default::default()
        }))
    }
}
