//! UpdateFeatures and what ApiVersions tells of features.

use protocol::messages::api_versions_request::ApiVersionsRequest;
use protocol::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use protocol::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use protocol::{ErrorCode, Str};

use crate::groups::find;
use crate::support::{Client, run};

async fn update(client: &mut Client, version: i16, asked: &[(&str, i16, i8)]) -> (ErrorCode, Vec<ErrorCode>) {
    let key = |(feature, max_version_level, upgrade_type): &(&str, i16, i8)| FeatureUpdateKey {
        feature: Str::from(*feature),
        max_version_level: *max_version_level,
        allow_downgrade: version == 0 && *upgrade_type > 1,
        upgrade_type: if version == 0 { 1 } else { *upgrade_type },
    };
    let request = UpdateFeaturesRequest {
        timeout_ms: 30_000,
        feature_updates: asked.iter().map(key).collect(),
        validate_only: false,
    };
    let answer = client.call(version, &request).await;
    assert_eq!(answer.error_message.is_some(), answer.error_code != 0);
    let each = answer.results.iter().map(|result| ErrorCode::from(result.error_code)).collect();
    (ErrorCode::from(answer.error_code), each)
}

/// Features that do not work here cannot be finalized and are not told.
#[test]
fn features_that_do_not_work_here_are_neither_told_nor_finalized() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        for version in 0..=2 {
            for (asked, code) in [
                (&[("share.version", 1, 1)][..], ErrorCode::InvalidUpdateVersion),
                (&[("kraft.version", 1, 1), ("no.such.feature", 1, 1)], ErrorCode::InvalidUpdateVersion),
                (&[("share.version", -1, 1)], ErrorCode::InvalidUpdateVersion),
                // Taken back already.
                (&[("share.version", 0, 3)], ErrorCode::None),
                (&[("no.such.feature", 0, 3)], ErrorCode::InvalidUpdateVersion),
                (&[("no.such.feature", 0, 1)], ErrorCode::InvalidUpdateVersion),
                (&[], ErrorCode::None),
            ] {
                let each = if version < 2 { vec![code; asked.len()] } else { Vec::new() };
                assert_eq!(update(&mut client, version, asked).await, (code, each), "{version} {asked:?}");
            }
        }
        assert_eq!(update(&mut client, 1, &[("f", 0, 0)]).await.0, ErrorCode::InvalidUpdateVersion);
    });
}

fn asks(version: i16) -> ApiVersionsRequest {
    let named = version >= 3;
    ApiVersionsRequest {
        client_software_name: if named { "test".into() } else { Str::EMPTY },
        client_software_version: if named { "1".into() } else { Str::EMPTY },
        node_id: -1,
        ..Default::default()
    }
}

#[test]
fn a_new_cluster_has_the_newest_levels_and_can_take_them_back() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let told = client.call(4, &asks(4)).await;
        let supported = told
            .supported_features
            .iter()
            .map(|feature| (feature.name.to_string(), feature.min_version, feature.max_version));
        let of = |name: &str, min, max| (name.to_owned(), min, max);
        let (groups, transactions) = ("group.version", "transaction.version");
        assert_eq!(supported.collect::<Vec<_>>(), [of(groups, 0, 1), of(transactions, 0, 2)]);
        let finalized = told
            .finalized_features
            .iter()
            .map(|feature| (feature.name.to_string(), feature.min_version_level, feature.max_version_level));
        assert_eq!(finalized.collect::<Vec<_>>(), [of(groups, 1, 1), of(transactions, 2, 2)]);
        assert!(told.finalized_features_epoch >= 0);
        // Clients of before take a level of 0 for malformed.
        assert_eq!(client.call(3, &asks(3)).await.supported_features.len(), 0);
        assert_eq!(
            update(&mut client, 1, &[("group.version", 2, 1)]).await.0,
            ErrorCode::InvalidUpdateVersion
        );

        assert_eq!(joins(&mut client).await, ErrorCode::None);
        assert_eq!(update(&mut client, 1, &[("group.version", 0, 2)]).await.0, ErrorCode::None);
        assert_eq!(client.call(4, &asks(4)).await.finalized_features.len(), 1);
        assert_eq!(joins(&mut client).await, ErrorCode::UnsupportedVersion);
        let describe = ConsumerGroupDescribeRequest { group_ids: vec!["g".into()], ..Default::default() };
        let described = client.call(1, &describe).await.groups.remove(0);
        assert_eq!(described.error_code, ErrorCode::UnsupportedVersion.code());
        assert_eq!(update(&mut client, 1, &[("group.version", 1, 1)]).await.0, ErrorCode::None);
        assert_eq!(client.call(1, &describe).await.groups[0].members.len(), 1);
    });
}

async fn joins(client: &mut Client) -> ErrorCode {
    assert_eq!(find(client).await, ErrorCode::None);
    let request = ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: "m".into(),
        member_epoch: 0,
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(Vec::new()),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    ErrorCode::from(client.call(1, &request).await.error_code)
}

/// Groups of the consumer protocol may be left out.
#[test]
fn a_broker_may_serve_classic_groups_only() {
    run(&[("group.coordinator.rebalance.protocols", "classic")], async |world| {
        let mut client = world.connect().await;
        assert_eq!(joins(&mut client).await, ErrorCode::UnsupportedVersion);
    });
}
