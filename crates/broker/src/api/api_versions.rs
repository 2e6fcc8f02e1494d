//! ApiVersions (18): what this broker speaks (KIP-35, KIP-511, KIP-584, KIP-1242).

use std::ops::RangeInclusive;

use metadata::Image;
use metadata::record::ResourceKind;
use protocol::messages::api_versions_request::ApiVersionsRequest;
use protocol::messages::api_versions_response::{
    ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use protocol::{ApiKey, ErrorCode};

use super::handler::Api;
use super::{Call, Handler, Protest, routes};

/// The client names itself from this version on (KIP-511).
const NAMED: i16 = 3;
/// From this version on a feature may be supported at level 0.
const LEVEL_ZERO: i16 = 4;
/// The client says which cluster and node it expects from this version on (KIP-1242).
const EXPECTED_NODE: i16 = 5;
const CLIENT_NAME_BYTES_MAX: usize = 255;

pub(crate) struct ApiVersions;

impl Handler for ApiVersions {
    type Request = ApiVersionsRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=5;

    async fn handle(call: Call, request: ApiVersionsRequest) -> Result<Option<ApiVersionsResponse>, Protest> {
        let name = |name: &str| is_client_name(name);
        if call.version >= NAMED
            && !(name(&request.client_software_name) && name(&request.client_software_version))
        {
            return Ok(Some(refused(ErrorCode::InvalidRequest)));
        }
        if call.version >= NAMED {
            // Said once a connection; a second time changes nothing.
            let _ = call.client.named.set((request.client_software_name, request.client_software_version));
        }
        let view = call.broker.metadata.view();
        if call.version >= EXPECTED_NODE {
            let cluster = view.image.cluster().map(|cluster| &cluster.id);
            let other_cluster = request.cluster_id.as_ref().is_some_and(|expected| Some(expected) != cluster);
            let other_node = request.node_id >= 0 && request.node_id != call.broker.node_id.0;
            if other_cluster || other_node {
                return Ok(Some(refused(ErrorCode::RebootstrapRequired)));
            }
        }
        let finalized = |(name, level): (&protocol::Str, i16)| FinalizedFeatureKey {
            name: name.clone(),
            max_version_level: level,
            min_version_level: level,
        };
        let supported = |feature: &metadata::record::BrokerFeature| SupportedFeatureKey {
            name: feature.name.clone(),
            min_version: feature.min_level,
            max_version: feature.max_level,
        };
        let me = view.image.broker(call.broker.node_id);
        let supported_features = me.into_iter().flat_map(|me| &me.features);
        // Older clients take 0 for malformed (KAFKA-17492).
        let supported_features =
            supported_features.filter(|feature| call.version >= LEVEL_ZERO || feature.min_level > 0);
        Ok(Some(ApiVersionsResponse {
            api_keys: advertised(&view.image),
            supported_features: supported_features.map(supported).collect(),
            finalized_features_epoch: i64::try_from(view.index).unwrap_or(i64::MAX),
            finalized_features: view.image.features().map(finalized).collect(),
            ..Default::default()
        }))
    }
}

/// The answer to a version that is not known: version 0, with the range of ApiVersions so that the client can ask again.
pub(super) fn unsupported() -> ApiVersionsResponse {
    let only = routes().iter().filter(|api| api.key == ApiKey::ApiVersions).map(range);
    ApiVersionsResponse { api_keys: only.collect(), ..refused(ErrorCode::UnsupportedVersion) }
}

fn refused(error_code: ErrorCode) -> ApiVersionsResponse {
    ApiVersionsResponse { error_code: error_code.code(), ..Default::default() }
}

/// Clients push metrics to whoever lets them, so they are not let before somebody has subscribed to some (KIP-714).
fn advertised(image: &Image) -> Vec<ApiVersion> {
    let subscribed = image.configs_of_kind(ResourceKind::ClientMetrics).next().is_some();
    let hidden =
        |key| !subscribed && matches!(key, ApiKey::GetTelemetrySubscriptions | ApiKey::PushTelemetry);
    routes().iter().filter(|api| !hidden(api.key)).map(range).collect()
}

fn range(api: &Api) -> ApiVersion {
    ApiVersion {
        api_key: api.key.code(),
        min_version: *api.advertised.start(),
        max_version: *api.advertised.end(),
    }
}

/// Letters, digits, `-` and `.`, beginning and ending with a letter or digit (KIP-511).
fn is_client_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let bytes = name.as_bytes();
    bytes.len() <= CLIENT_NAME_BYTES_MAX
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| inner(*byte))
}

#[cfg(test)]
mod tests {
    use super::is_client_name;

    #[test]
    fn client_names_are_those_of_kip_511() {
        for good in ["apache-kafka-java", "4.4.0", "a", "librdkafka"] {
            assert!(is_client_name(good), "{good}");
        }
        for bad in ["", "-a", "a.", "a b", "a_b", "ä"] {
            assert!(!is_client_name(bad), "{bad}");
        }
    }
}
