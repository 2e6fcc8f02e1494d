//! Metadata (3): brokers, topics and who leads them; may create topics on the way.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use metadata::image::Topic;
use metadata::record::Partition;
use protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use protocol::{ErrorCode, NodeId, Str, TopicId};

use super::{Call, Handler, Protest, create_topics, operations};
use crate::metadata_view::View;

/// Topics may be named by id from this version on; version 10 and 11 have the field but Kafka refuses its use.
const BY_ID: i16 = 12;
/// An empty list means no topics from this version on; before, all.
const EMPTY_IS_NONE: i16 = 1;
/// Requests say whether topics may be created from this version on; before, they always may.
const ASKS_CREATION: i16 = 4;
/// Readers before this version do not know LISTENER_NOT_FOUND.
const LISTENER_ERROR: i16 = 6;

pub(crate) struct Metadata;

impl Handler for Metadata {
    type Request = MetadataRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=13;

    async fn handle(call: Call, request: MetadataRequest) -> Result<Option<MetadataResponse>, Protest> {
        let view = call.broker.metadata.view();
        let asked = match request.topics {
            Some(topics) if topics.is_empty() && call.version < EMPTY_IS_NONE => None,
            topics => topics,
        };
        let may_create = call.version < ASKS_CREATION || request.allow_auto_topic_creation;
        let mut topics = match asked {
            None => view.image.topics().map(|topic| describe(&call, &view, topic)).collect(),
            Some(topics) => named(&call, &view, topics, may_create).await,
        };
        if request.include_topic_authorized_operations {
            for topic in topics.iter_mut().filter(|topic| topic.error_code == ErrorCode::None.code()) {
                topic.topic_authorized_operations = operations::TOPIC;
            }
        }
        Ok(Some(MetadataResponse {
            brokers: brokers(&call, &view),
            cluster_id: view.image.cluster().map(|cluster| cluster.id.clone()),
            controller_id: call.broker.node_id.0,
            topics,
            cluster_authorized_operations: operations::told(
                request.include_cluster_authorized_operations,
                operations::CLUSTER,
            ),
            ..Default::default()
        }))
    }
}

fn brokers(call: &Call, view: &View) -> Vec<MetadataResponseBroker> {
    let broker = |(node_id, host, port, rack)| MetadataResponseBroker { node_id, host, port, rack };
    view.endpoints(&call.client.listener).map(broker).collect()
}

async fn named(
    call: &Call,
    view: &View,
    topics: Vec<MetadataRequestTopic>,
    may_create: bool,
) -> Vec<MetadataResponseTopic> {
    let mut answers = Vec::with_capacity(topics.len());
    let mut missing = Vec::new();
    let mut seen = HashSet::with_capacity(topics.len());
    for asked in topics {
        // One answer a topic, as in Kafka: a short request could ask for a large topic a million times.
        if !seen.insert((asked.name.clone(), asked.topic_id)) {
            continue;
        }
        let topic_id = TopicId(asked.topic_id);
        let by_id = !asked.topic_id.is_zero();
        let answer = match (&asked.name, by_id) {
            // No answer before that version may be without a name.
            (name, _) if call.version < BY_ID && (by_id || name.is_none()) => {
                unknown(Some(name.clone().unwrap_or_default()), topic_id, ErrorCode::InvalidRequest)
            }
            (None, false) => unknown(None, topic_id, ErrorCode::InvalidRequest),
            (_, true) => match view.image.topic_by_id(topic_id) {
                Some(topic) => describe(call, view, topic),
                None => unknown(None, topic_id, ErrorCode::UnknownTopicId),
            },
            (Some(name), false) => match view.image.topic(name) {
                Some(topic) => describe(call, view, topic),
                None => {
                    missing.push((answers.len(), name.clone()));
                    unknown(Some(name.clone()), TopicId::default(), ErrorCode::UnknownTopicOrPartition)
                }
            },
        };
        answers.push(answer);
    }
    let may_create = may_create && call.broker.config.auto_create_topics;
    let names: Vec<Str> = missing.iter().map(|(_, name)| name.clone()).collect();
    let codes = if names.is_empty() {
        Vec::new()
    } else {
        create_topics::automatically(call, &names, may_create).await
    };
    for ((place, _), code) in missing.into_iter().zip(codes) {
        if let Some(answer) = answers.get_mut(place) {
            answer.error_code = code.code();
        }
    }
    answers
}

fn describe(call: &Call, view: &View, topic: &Arc<Topic>) -> MetadataResponseTopic {
    MetadataResponseTopic {
        name: Some(topic.name().clone()),
        topic_id: topic.id().0,
        is_internal: topic.is_internal(),
        partitions: topic
            .partitions()
            .map(|(index, partition)| describe_partition(call, view, index, partition))
            .collect(),
        topic_authorized_operations: operations::NOT_TOLD,
        ..Default::default()
    }
}

fn describe_partition(
    call: &Call,
    view: &View,
    partition_index: i32,
    partition: &Partition,
) -> MetadataResponsePartition {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
    let listening = |node: NodeId| {
        let broker = view.image.broker(node).filter(|broker| !broker.fenced);
        broker.map(|broker| broker.listener(&call.client.listener).is_some())
    };
    let error_code = match listening(partition.leader) {
        Some(true) => ErrorCode::None,
        Some(false) if call.version >= LISTENER_ERROR => ErrorCode::ListenerNotFound,
        Some(false) | None => ErrorCode::LeaderNotAvailable,
    };
    MetadataResponsePartition {
        error_code: error_code.code(),
        partition_index,
        leader_id: if error_code == ErrorCode::None { partition.leader.0 } else { NodeId::NONE.0 },
        leader_epoch: partition.leader_epoch.0,
        replica_nodes: ids(&partition.replicas),
        isr_nodes: ids(&partition.isr),
        offline_replicas: ids(&view.image.offline_replicas(partition)),
    }
}

fn unknown(name: Option<Str>, topic_id: TopicId, error_code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: error_code.code(),
        name,
        topic_id: topic_id.0,
        topic_authorized_operations: operations::NOT_TOLD,
        ..Default::default()
    }
}
