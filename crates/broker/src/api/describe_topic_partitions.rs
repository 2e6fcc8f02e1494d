//! DescribeTopicPartitions (75): topics page by page, so that an answer about many partitions stays small (KIP-966).

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use metadata::image::Topic;
use metadata::record::Partition;
use protocol::messages::describe_topic_partitions_request::DescribeTopicPartitionsRequest;
use protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};
use protocol::{ErrorCode, NodeId, Str};

use super::{Call, Handler, Protest, operations};
use crate::metadata_view::View;

pub(crate) struct DescribeTopicPartitions;

impl Handler for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=0;

    async fn handle(
        call: Call,
        request: DescribeTopicPartitionsRequest,
    ) -> Result<Option<DescribeTopicPartitionsResponse>, Protest> {
        let view = call.broker.metadata.view();
        let (first_topic, first_partition) = match &request.cursor {
            Some(cursor) => (cursor.topic_name.clone(), cursor.partition_index),
            None => (Str::default(), 0),
        };
        // All topics if none is named; in the order of names either way, since the cursor is one.
        let all = request.topics.is_empty().then(|| view.image.topics_from(&first_topic));
        let all = all.into_iter().flatten().map(|topic| (topic.name(), Some(topic)));
        let named = request.topics.into_iter().map(|topic| topic.name);
        let named: BTreeSet<Str> = named.filter(|name| *name >= first_topic).collect();
        let named = named.iter().map(|name| (name, view.image.topic(name)));
        let limit = usize::try_from(request.response_partition_limit).unwrap_or(0);
        let mut left = limit.clamp(1, call.broker.config.limits.describe_partitions_max);
        let mut topics = Vec::new();
        let mut next_cursor = None;
        for (name, topic) in all.chain(named) {
            let first = if *name == first_topic { first_partition } else { 0 };
            let Some(topic) = topic else {
                topics.push(unknown(name.clone()));
                continue;
            };
            if left == 0 {
                next_cursor = Some(cursor(name.clone(), 0));
                break;
            }
            let page = page(&view, topic, first, left);
            left -= page.len();
            let next = page.last().map_or(first, |partition| partition.partition_index.saturating_add(1));
            topics.push(described(topic, page));
            if next < topic.partition_count() {
                next_cursor = Some(cursor(name.clone(), next));
                break;
            }
        }
        Ok(Some(DescribeTopicPartitionsResponse { topics, next_cursor, ..Default::default() }))
    }
}

fn cursor(topic_name: Str, partition_index: i32) -> Cursor {
    Cursor { topic_name, partition_index }
}

fn page(
    view: &View,
    topic: &Topic,
    first: i32,
    limit: usize,
) -> Vec<DescribeTopicPartitionsResponsePartition> {
    let from_first = topic.partitions().skip_while(|(index, _)| *index < first);
    from_first.take(limit).map(|(index, partition)| describe(view, index, partition)).collect()
}

fn described(
    topic: &Arc<Topic>,
    partitions: Vec<DescribeTopicPartitionsResponsePartition>,
) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name().clone()),
        topic_id: topic.id().into(),
        is_internal: topic.is_internal(),
        partitions,
        // There is no flag to ask with; Kafka always tells.
        topic_authorized_operations: operations::TOPIC,
        ..Default::default()
    }
}

fn describe(view: &View, index: i32, partition: &Partition) -> DescribeTopicPartitionsResponsePartition {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
    let has_leader = view.image.is_active(partition.leader);
    let error_code = if has_leader { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
    DescribeTopicPartitionsResponsePartition {
        error_code: error_code.code(),
        partition_index: index,
        leader_id: if has_leader { partition.leader.0 } else { NodeId::NONE.0 },
        leader_epoch: partition.leader_epoch.0,
        replica_nodes: ids(&partition.replicas),
        isr_nodes: ids(&partition.isr),
        eligible_leader_replicas: Some(ids(&partition.elr)),
        last_known_elr: Some(ids(&partition.last_known_elr)),
        offline_replicas: ids(&view.image.offline_replicas(partition)),
    }
}

fn unknown(name: Str) -> DescribeTopicPartitionsResponseTopic {
    let code = if metadata::controller::is_valid_topic_name(&name) {
        ErrorCode::UnknownTopicOrPartition
    } else {
        ErrorCode::InvalidTopic
    };
    DescribeTopicPartitionsResponseTopic {
        error_code: code.code(),
        name: Some(name),
        topic_authorized_operations: operations::NOT_TOLD,
        ..Default::default()
    }
}
