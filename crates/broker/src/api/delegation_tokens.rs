//! CreateDelegationToken (38), RenewDelegationToken (39), ExpireDelegationToken (40), DescribeDelegationToken (41). Tokens are
//! for those who have said who they are, on a connection that nobody listens to (KIP-48). Listeners here are PLAINTEXT, and
//! those Kafka refuses them.

use std::ops::RangeInclusive;

use protocol::messages::create_delegation_token_request::CreateDelegationTokenRequest;
use protocol::messages::create_delegation_token_response::CreateDelegationTokenResponse;
use protocol::messages::describe_delegation_token_request::DescribeDelegationTokenRequest;
use protocol::messages::describe_delegation_token_response::DescribeDelegationTokenResponse;
use protocol::messages::expire_delegation_token_request::ExpireDelegationTokenRequest;
use protocol::messages::expire_delegation_token_response::ExpireDelegationTokenResponse;
use protocol::messages::renew_delegation_token_request::RenewDelegationTokenRequest;
use protocol::messages::renew_delegation_token_response::RenewDelegationTokenResponse;
use protocol::{ErrorCode, Str};

use super::{Call, Handler, Protest};

const CODE: i16 = ErrorCode::DelegationTokenRequestNotAllowed.code();

/// From this version on it is told who asked.
const TELLS_REQUESTER: i16 = 3;

/// No time.
const NONE: i64 = -1;

/// Whoever comes over a listener without authentication.
const NOBODY: (&str, &str) = ("User", "ANONYMOUS");

pub(crate) struct CreateDelegationToken;
pub(crate) struct RenewDelegationToken;
pub(crate) struct ExpireDelegationToken;
pub(crate) struct DescribeDelegationToken;

impl Handler for CreateDelegationToken {
    type Request = CreateDelegationTokenRequest;

    const ADVERTISED: RangeInclusive<i16> = 1..=3;

    async fn handle(
        call: Call,
        request: CreateDelegationTokenRequest,
    ) -> Result<Option<CreateDelegationTokenResponse>, Protest> {
        let nobody = (Str::from(NOBODY.0), Str::from(NOBODY.1));
        let named = request.owner_principal_name.filter(|name| !name.is_empty());
        let owner = match named {
            Some(name) => (request.owner_principal_type.unwrap_or_default(), name),
            None => nobody.clone(),
        };
        let requester = if call.version >= TELLS_REQUESTER { nobody } else { Default::default() };
        Ok(Some(CreateDelegationTokenResponse {
            error_code: CODE,
            principal_type: owner.0,
            principal_name: owner.1,
            token_requester_principal_type: requester.0,
            token_requester_principal_name: requester.1,
            issue_timestamp_ms: NONE,
            expiry_timestamp_ms: NONE,
            max_timestamp_ms: NONE,
            ..Default::default()
        }))
    }
}

impl Handler for RenewDelegationToken {
    type Request = RenewDelegationTokenRequest;

    const ADVERTISED: RangeInclusive<i16> = 1..=2;

    async fn handle(
        _: Call,
        _: RenewDelegationTokenRequest,
    ) -> Result<Option<RenewDelegationTokenResponse>, Protest> {
        let refused = RenewDelegationTokenResponse {
            error_code: CODE,
            expiry_timestamp_ms: NONE,
            ..Default::default()
        };
        Ok(Some(refused))
    }
}

impl Handler for ExpireDelegationToken {
    type Request = ExpireDelegationTokenRequest;

    const ADVERTISED: RangeInclusive<i16> = 1..=2;

    async fn handle(
        _: Call,
        _: ExpireDelegationTokenRequest,
    ) -> Result<Option<ExpireDelegationTokenResponse>, Protest> {
        let refused = ExpireDelegationTokenResponse {
            error_code: CODE,
            expiry_timestamp_ms: NONE,
            ..Default::default()
        };
        Ok(Some(refused))
    }
}

impl Handler for DescribeDelegationToken {
    type Request = DescribeDelegationTokenRequest;

    const ADVERTISED: RangeInclusive<i16> = 1..=3;

    async fn handle(
        _: Call,
        _: DescribeDelegationTokenRequest,
    ) -> Result<Option<DescribeDelegationTokenResponse>, Protest> {
        Ok(Some(DescribeDelegationTokenResponse { error_code: CODE, ..Default::default() }))
    }
}
