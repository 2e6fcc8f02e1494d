//! ListConfigResources (74): what has configs of its own (KIP-1142). Version 0 was ListClientMetricsResources.

use std::ops::RangeInclusive;

use metadata::record::{ConfigResource as Resource, ResourceKind};
use protocol::messages::list_config_resources_request::ListConfigResourcesRequest;
use protocol::messages::list_config_resources_response::{ConfigResource, ListConfigResourcesResponse};
use protocol::{ErrorCode, Str};

use super::{Call, Handler, Protest};
use crate::metadata_view::View;

/// Requests say which kinds from this version on; before, subscriptions of client metrics are meant.
const ASKS_KINDS: i16 = 1;

pub(crate) struct ListConfigResources;

impl Handler for ListConfigResources {
    type Request = ListConfigResourcesRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=1;

    async fn handle(
        call: Call,
        request: ListConfigResourcesRequest,
    ) -> Result<Option<ListConfigResourcesResponse>, Protest> {
        let kinds: Option<Vec<ResourceKind>> = if call.version < ASKS_KINDS {
            Some(vec![ResourceKind::ClientMetrics])
        } else if request.resource_types.is_empty() {
            Some(ResourceKind::ALL.to_vec())
        } else {
            request.resource_types.iter().map(|id| ResourceKind::from_id(*id)).collect()
        };
        let Some(kinds) = kinds else {
            let error_code = ErrorCode::UnsupportedVersion.code();
            return Ok(Some(ListConfigResourcesResponse { error_code, ..Default::default() }));
        };
        let view = call.broker.metadata.view();
        // Each kind once, however often it is named.
        let named = ResourceKind::ALL.into_iter().filter(|kind| kinds.contains(kind));
        let config_resources = named.flat_map(|kind| of_kind(&view, kind)).collect();
        Ok(Some(ListConfigResourcesResponse { config_resources, ..Default::default() }))
    }
}

/// Topics and brokers always have configs, the others when somebody has set some.
fn of_kind(view: &View, kind: ResourceKind) -> Vec<ConfigResource> {
    let resource = |resource_name: Str| ConfigResource { resource_name, resource_type: kind.id() };
    match kind {
        ResourceKind::Topic => view.image.topics().map(|topic| resource(topic.name().clone())).collect(),
        ResourceKind::Broker | ResourceKind::BrokerLogger => {
            view.image.brokers().map(|broker| resource(Str::from(broker.node_id.to_string()))).collect()
        }
        ResourceKind::ClientMetrics | ResourceKind::Group => {
            let of_kind = |of: &&Resource| of.kind == kind;
            let all = view.image.configs().map(|(of, _)| of).filter(of_kind);
            all.map(|of| resource(of.name.clone())).collect()
        }
    }
}
