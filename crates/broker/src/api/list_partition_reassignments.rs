//! ListPartitionReassignments (46): which replicas are on their way to other brokers (KIP-455).

use std::ops::RangeInclusive;
use std::sync::Arc;

use metadata::image::Topic;
use metadata::record::Partition;
use protocol::NodeId;
use protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsRequest;
use protocol::messages::list_partition_reassignments_response::{
    ListPartitionReassignmentsResponse, OngoingPartitionReassignment, OngoingTopicReassignment,
};

use super::{Call, Handler, Protest};

pub(crate) struct ListPartitionReassignments;

impl Handler for ListPartitionReassignments {
    type Request = ListPartitionReassignmentsRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=0;

    async fn handle(
        call: Call,
        request: ListPartitionReassignmentsRequest,
    ) -> Result<Option<ListPartitionReassignmentsResponse>, Protest> {
        let view = call.broker.metadata.view();
        let topics = match request.topics {
            // Those that are not there are left out, as in Kafka.
            Some(topics) => topics
                .iter()
                .filter_map(|asked| {
                    let topic = view.image.topic(&asked.name)?;
                    ongoing(topic, |partition| asked.partition_indexes.contains(&partition))
                })
                .collect(),
            None => view.image.topics().filter_map(|topic| ongoing(topic, |_| true)).collect(),
        };
        Ok(Some(ListPartitionReassignmentsResponse { topics, ..Default::default() }))
    }
}

/// The wanted partitions of a topic that are being reassigned, if there are any.
fn ongoing(topic: &Topic, is_wanted: impl Fn(i32) -> bool) -> Option<OngoingTopicReassignment> {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
    let is_ongoing = |partition, state: &Partition| is_wanted(partition) && state.is_reassigning();
    let reassigning = topic.partitions().filter(|(partition, state)| is_ongoing(*partition, state));
    let show = |(partition_index, state): (i32, &Arc<Partition>)| OngoingPartitionReassignment {
        partition_index,
        replicas: ids(&state.replicas),
        adding_replicas: ids(&state.adding),
        removing_replicas: ids(&state.removing),
    };
    let partitions: Vec<_> = reassigning.map(show).collect();
    (!partitions.is_empty()).then(|| OngoingTopicReassignment { name: topic.name().clone(), partitions })
}
