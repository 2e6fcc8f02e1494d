//! AlterPartitionReassignments (45): other brokers for replicas (KIP-455). With one broker there are none.

use std::ops::RangeInclusive;

use metadata::controller::{self, Reassignment};
use protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignableTopic,
};
use protocol::messages::alter_partition_reassignments_response::{
    AlterPartitionReassignmentsResponse, ReassignablePartitionResponse, ReassignableTopicResponse,
};
use protocol::{NodeId, Str};

use super::{Call, Handler, Protest};
use crate::metadata_view::View;

pub(crate) struct AlterPartitionReassignments;

impl Handler for AlterPartitionReassignments {
    type Request = AlterPartitionReassignmentsRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=1;

    async fn handle(
        call: Call,
        request: AlterPartitionReassignmentsRequest,
    ) -> Result<Option<AlterPartitionReassignmentsResponse>, Protest> {
        let view = call.broker.metadata.view();
        let responses = request.topics.into_iter().map(|topic| reassign(&view, topic)).collect();
        Ok(Some(AlterPartitionReassignmentsResponse {
            allow_replication_factor_change: request.allow_replication_factor_change,
            responses,
            ..Default::default()
        }))
    }
}

fn reassign(view: &View, topic: ReassignableTopic) -> ReassignableTopicResponse {
    let partitions = topic.partitions.into_iter().map(|asked| {
        let reassignment = Reassignment {
            topic: topic.name.clone(),
            partition: asked.partition_index,
            replicas: asked.replicas.map(|replicas| replicas.into_iter().map(NodeId).collect()),
        };
        let refusal = controller::check_reassignment(&view.image, &reassignment).err();
        ReassignablePartitionResponse {
            partition_index: asked.partition_index,
            error_code: refusal.as_ref().map_or(0, |refusal| refusal.code.code()),
            error_message: refusal.map(|refusal| Str::from(refusal.message)),
        }
    });
    ReassignableTopicResponse { partitions: partitions.collect(), name: topic.name.clone() }
}
