//! UpdateFeatures and what ApiVersions tells of features.

use protocol::messages::api_versions_request::ApiVersionsRequest;
use protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use protocol::{ErrorCode, Str};

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

/// No feature works here yet at a level of its own, so none can be finalized and none is told.
#[test]
fn features_that_do_not_work_here_are_neither_told_nor_finalized() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        for version in 0..=2 {
            for (asked, code) in [
                (&[("transaction.version", 2, 1)][..], ErrorCode::InvalidUpdateVersion),
                (&[("kraft.version", 1, 1), ("no.such.feature", 1, 1)], ErrorCode::InvalidUpdateVersion),
                (&[("transaction.version", -1, 1)], ErrorCode::InvalidUpdateVersion),
                // Taken back already.
                (&[("transaction.version", 0, 3)], ErrorCode::None),
                (&[("no.such.feature", 0, 3)], ErrorCode::InvalidUpdateVersion),
                (&[("no.such.feature", 0, 1)], ErrorCode::InvalidUpdateVersion),
                (&[], ErrorCode::None),
            ] {
                let each = if version < 2 { vec![code; asked.len()] } else { Vec::new() };
                assert_eq!(update(&mut client, version, asked).await, (code, each), "{version} {asked:?}");
            }
        }
        assert_eq!(update(&mut client, 1, &[("f", 0, 0)]).await.0, ErrorCode::InvalidUpdateVersion);
        let named = ApiVersionsRequest {
            client_software_name: Str::from("test"),
            client_software_version: Str::from("1"),
            node_id: -1,
            ..Default::default()
        };
        let told = client.call(4, &named).await;
        assert_eq!((told.supported_features.len(), told.finalized_features.len()), (0, 0));
        assert!(told.finalized_features_epoch >= 0);
    });
}
