//! What a broker without security answers to those who ask for it: what Kafka's does.

use bytes::Bytes;
use protocol::messages::create_acls_request::{AclCreation, CreateAclsRequest};
use protocol::messages::create_delegation_token_request::CreateDelegationTokenRequest;
use protocol::messages::delete_acls_request::{DeleteAclsFilter, DeleteAclsRequest};
use protocol::messages::describe_acls_request::DescribeAclsRequest;
use protocol::messages::describe_delegation_token_request::DescribeDelegationTokenRequest;
use protocol::messages::expire_delegation_token_request::ExpireDelegationTokenRequest;
use protocol::messages::renew_delegation_token_request::RenewDelegationTokenRequest;
use protocol::{ErrorCode, Str};

use crate::support::run;

#[test]
fn without_an_authorizer_there_are_no_acls() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let disabled = ErrorCode::SecurityDisabled.code();
        for version in 1..=3 {
            let told = client.call(version, &DescribeAclsRequest::default()).await;
            assert_eq!((told.error_code, told.resources.len()), (disabled, 0));
            assert!(told.error_message.unwrap().contains("no authorizer"));
            let creations = vec![AclCreation::default(); 2];
            let created = client.call(version, &CreateAclsRequest { creations }).await;
            assert_eq!(
                created.results.iter().map(|result| result.error_code).collect::<Vec<_>>(),
                [disabled; 2]
            );
            let filters = vec![DeleteAclsFilter::default(); 3];
            let deleted = client.call(version, &DeleteAclsRequest { filters }).await;
            let codes: Vec<_> = deleted.filter_results.iter().map(|result| result.error_code).collect();
            assert_eq!(codes, [disabled; 3]);
        }
    });
}

#[test]
fn delegation_tokens_are_not_given_out_over_plaintext() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let refused = ErrorCode::DelegationTokenRequestNotAllowed.code();
        for version in 1..=3 {
            let mut request = CreateDelegationTokenRequest::default();
            if version == 3 {
                request.owner_principal_name = Some(Str::from("alice"));
            }
            let created = client.call(version, &request).await;
            assert_eq!((created.error_code, created.hmac.len()), (refused, 0));
            let expected = if version == 3 { "alice" } else { "ANONYMOUS" };
            assert_eq!(created.principal_name, expected);
            let told = client.call(version, &DescribeDelegationTokenRequest { owners: None }).await;
            assert_eq!((told.error_code, told.tokens.len()), (refused, 0));
        }
        let hmac = Bytes::from_static(b"h");
        for version in 1..=2 {
            let renew = RenewDelegationTokenRequest { hmac: hmac.clone(), renew_period_ms: 1 };
            assert_eq!(client.call(version, &renew).await.error_code, refused);
            let expire = ExpireDelegationTokenRequest { hmac: hmac.clone(), expiry_time_period_ms: 1 };
            assert_eq!(client.call(version, &expire).await.error_code, refused);
        }
    });
}
