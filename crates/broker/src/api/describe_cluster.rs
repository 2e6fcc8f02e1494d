//! DescribeCluster (60): the brokers and the controller (KIP-700, KIP-919, KIP-1073).

use std::ops::RangeInclusive;

use protocol::ErrorCode;
use protocol::messages::describe_cluster_request::DescribeClusterRequest;
use protocol::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};

use super::{Call, Handler, Protest, operations};

/// Endpoint types: a broker listener answers for brokers only.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(crate) struct DescribeCluster;

impl Handler for DescribeCluster {
    type Request = DescribeClusterRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=2;

    async fn handle(
        call: Call,
        request: DescribeClusterRequest,
    ) -> Result<Option<DescribeClusterResponse>, Protest> {
        let refused = |code: ErrorCode, message: String| DescribeClusterResponse {
            error_code: code.code(),
            error_message: Some(message.into()),
            cluster_authorized_operations: operations::NOT_TOLD,
            endpoint_type: request.endpoint_type,
            ..Default::default()
        };
        match request.endpoint_type {
            BROKERS => {}
            CONTROLLERS => {
                let message = "this listener describes brokers; ask a controller listener for controllers";
                return Ok(Some(refused(ErrorCode::MismatchedEndpointType, message.to_owned())));
            }
            other => {
                let message = format!("endpoint type {other} is not known; 1 is brokers, 2 is controllers");
                return Ok(Some(refused(ErrorCode::UnsupportedEndpointType, message)));
            }
        }
        let view = call.broker.metadata.view();
        let brokers = view.image.brokers().filter(|broker| request.include_fenced_brokers || !broker.fenced);
        let brokers = brokers.filter_map(|broker| {
            let listener = broker.listener(&call.client.listener)?;
            Some(DescribeClusterBroker {
                broker_id: broker.node_id.0,
                host: listener.host.clone(),
                port: i32::from(listener.port),
                rack: broker.rack.clone(),
                is_fenced: broker.fenced,
            })
        });
        Ok(Some(DescribeClusterResponse {
            endpoint_type: BROKERS,
            cluster_id: view.image.cluster().map_or_else(Default::default, |cluster| cluster.id.clone()),
            controller_id: call.broker.node_id.0,
            brokers: brokers.collect(),
            cluster_authorized_operations: operations::told(
                request.include_cluster_authorized_operations,
                operations::CLUSTER,
            ),
            ..Default::default()
        }))
    }
}
