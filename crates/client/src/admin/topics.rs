//! Topics: making, deleting, listing, describing, adding partitions.

use std::collections::BTreeMap;

use protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use protocol::messages::describe_topic_partitions_request::{
    Cursor, DescribeTopicPartitionsRequest, TopicRequest,
};
use protocol::messages::describe_topic_partitions_response::{
    DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
};
use protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use protocol::{ErrorCode, LeaderEpoch, NodeId, Str, TopicId};

use super::{Admin, Results, in_order, outcome};
use crate::Error;
use crate::cluster::{self, refused};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    pub name: Str,
    /// The broker's default if there is none.
    pub partitions: Option<i32>,
    /// The broker's default if there is none.
    pub replication_factor: Option<i16>,
    /// The replicas of each partition, instead of the two numbers.
    pub assignments: Vec<Vec<NodeId>>,
    pub configs: Vec<(Str, Str)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    pub id: TopicId,
    /// `None` where the broker does not tell.
    pub partitions: Option<i32>,
    pub replication_factor: Option<i16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicListing {
    pub name: Str,
    pub id: TopicId,
    pub is_internal: bool,
    pub partitions: usize,
    /// Of the first partition, as Kafka's tools show it.
    pub replication_factor: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    pub name: Str,
    pub id: TopicId,
    pub is_internal: bool,
    pub partitions: Vec<PartitionDescription>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionDescription {
    pub index: i32,
    pub leader: Option<NodeId>,
    pub leader_epoch: LeaderEpoch,
    pub replicas: Vec<NodeId>,
    pub isr: Vec<NodeId>,
    pub offline: Vec<NodeId>,
    /// Eligible leader replicas (KIP-966); `None` from brokers that do not tell.
    pub elr: Option<Vec<NodeId>>,
    pub last_known_elr: Option<Vec<NodeId>>,
}

impl Admin {
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Results<CreatedTopic>, Error> {
        let request = CreateTopicsRequest {
            topics: topics.iter().map(creatable).collect(),
            timeout_ms: self.timeout_ms(),
            validate_only,
        };
        let response = self.cluster.call_for(&request, self.timeout).await?;
        let answers = response.topics.iter().map(|topic| {
            let created = CreatedTopic {
                id: TopicId(topic.topic_id),
                partitions: Some(topic.num_partitions).filter(|count| *count > 0),
                replication_factor: Some(topic.replication_factor).filter(|count| *count > 0),
            };
            let result = outcome(&topic.name, topic.error_code, topic.error_message.as_ref(), created);
            (topic.name.detached(), result)
        });
        Ok(in_order(topics.iter().map(|topic| topic.name.clone()), answers.collect()))
    }

    pub async fn delete_topics(&self, names: &[Str]) -> Result<Results<()>, Error> {
        /// From here on topics can be given by id, and names stand elsewhere.
        const WITH_STATES: i16 = 6;
        let states = names
            .iter()
            .map(|name| DeleteTopicState { name: Some(name.clone()), ..DeleteTopicState::default() });
        let by_state = DeleteTopicsRequest {
            topics: states.collect(),
            timeout_ms: self.timeout_ms(),
            ..DeleteTopicsRequest::default()
        };
        let by_name = DeleteTopicsRequest {
            topic_names: names.to_vec(),
            timeout_ms: self.timeout_ms(),
            ..DeleteTopicsRequest::default()
        };
        let connection = self.cluster.any().await?;
        let version = connection.newest::<DeleteTopicsRequest>()?;
        let request = if version >= WITH_STATES { by_state } else { by_name };
        let response = connection.call_in(version, &request, self.timeout).await?;
        let answers = response.responses.iter().filter_map(|topic| {
            let name = topic.name.as_ref()?;
            let result = outcome(name, topic.error_code, topic.error_message.as_ref(), ());
            Some((name.detached(), result))
        });
        Ok(in_order(names.iter().cloned(), answers.collect()))
    }

    /// Raises the number of partitions to the one given with each topic.
    pub async fn create_partitions(
        &self,
        counts: &[(Str, i32)],
        validate_only: bool,
    ) -> Result<Results<()>, Error> {
        let topics = counts.iter().map(|(name, count)| CreatePartitionsTopic {
            name: name.clone(),
            count: *count,
            assignments: None,
        });
        let request = CreatePartitionsRequest {
            topics: topics.collect(),
            timeout_ms: self.timeout_ms(),
            validate_only,
        };
        let response = self.cluster.call_for(&request, self.timeout).await?;
        let answers = response.results.iter().map(|topic| {
            let result = outcome(&topic.name, topic.error_code, topic.error_message.as_ref(), ());
            (topic.name.detached(), result)
        });
        Ok(in_order(counts.iter().map(|(name, _)| name.clone()), answers.collect()))
    }

    /// All topics that the user may see, by name.
    pub async fn list_topics(&self) -> Result<Vec<TopicListing>, Error> {
        let request =
            MetadataRequest { topics: None, allow_auto_topic_creation: false, ..MetadataRequest::default() };
        let response = self.cluster.call(&request).await?;
        let listing = |topic: &protocol::messages::metadata_response::MetadataResponseTopic| {
            let first = topic.partitions.first();
            Some(TopicListing {
                name: topic.name.as_ref()?.detached(),
                id: TopicId(topic.topic_id),
                is_internal: topic.is_internal,
                partitions: topic.partitions.len(),
                replication_factor: first.map_or(0, |partition| partition.replica_nodes.len()),
            })
        };
        let mut topics: Vec<TopicListing> = response.topics.iter().filter_map(listing).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    pub async fn describe_topics(&self, names: &[Str]) -> Result<Results<TopicDescription>, Error> {
        match self.describe_in_pages(names).await {
            Err(Error::Unsupported { .. }) => self.describe_by_metadata(names).await,
            result => result,
        }
    }

    /// KIP-966's request, which answers in pages.
    async fn describe_in_pages(&self, names: &[Str]) -> Result<Results<TopicDescription>, Error> {
        let mut sorted: Vec<&Str> = names.iter().collect();
        sorted.sort();
        sorted.dedup();
        let mut request = DescribeTopicPartitionsRequest {
            topics: sorted.into_iter().map(|name| TopicRequest { name: name.clone() }).collect(),
            ..DescribeTopicPartitionsRequest::default()
        };
        let mut answers: BTreeMap<Str, Result<TopicDescription, Error>> = BTreeMap::new();
        loop {
            let response = self.cluster.call(&request).await?;
            take_page(&response, &mut answers);
            let Some(next) = response.next_cursor else { break };
            let before = request.cursor.as_ref().map(|cursor| (&cursor.topic_name, cursor.partition_index));
            if before.is_some_and(|before| before >= (&next.topic_name, next.partition_index)) {
                return Err(Error::Invalid("the broker answers the same page for ever".to_owned()));
            }
            request.topics.retain(|topic| topic.name >= next.topic_name);
            let cursor =
                Cursor { topic_name: next.topic_name.detached(), partition_index: next.partition_index };
            request.cursor = Some(cursor);
        }
        Ok(in_order(names.iter().cloned(), answers))
    }

    async fn describe_by_metadata(&self, names: &[Str]) -> Result<Results<TopicDescription>, Error> {
        let topic = |name: &Str| MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
        let request = MetadataRequest {
            topics: Some(names.iter().map(topic).collect()),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        let response = self.cluster.call(&request).await?;
        let now = self.cluster.host().now();
        let answers = response.topics.iter().filter_map(|answer| {
            let name = answer.name.as_ref()?;
            let topic = cluster::snapshot_topic(answer, name, None, now);
            let partitions = topic.partitions.into_iter().map(|partition| PartitionDescription {
                index: partition.index,
                leader: partition.leader,
                leader_epoch: partition.leader_epoch,
                replicas: partition.replicas,
                isr: partition.isr,
                offline: partition.offline,
                elr: None,
                last_known_elr: None,
            });
            let description = TopicDescription {
                name: topic.name.clone(),
                id: topic.id,
                is_internal: topic.is_internal,
                partitions: partitions.collect(),
            };
            Some((topic.name, outcome(name, answer.error_code, None, description)))
        });
        Ok(in_order(names.iter().cloned(), answers.collect()))
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let assigned = !topic.assignments.is_empty();
    let assignments = (0_i32..).zip(&topic.assignments).map(|(index, nodes)| CreatableReplicaAssignment {
        partition_index: index,
        broker_ids: nodes.iter().map(|node| node.get()).collect(),
    });
    let config =
        |(name, value): &(Str, Str)| CreatableTopicConfig { name: name.clone(), value: Some(value.clone()) };
    CreatableTopic {
        name: topic.name.clone(),
        num_partitions: topic.partitions.filter(|_| !assigned).unwrap_or(-1),
        replication_factor: topic.replication_factor.filter(|_| !assigned).unwrap_or(-1),
        assignments: assignments.collect(),
        configs: topic.configs.iter().map(config).collect(),
    }
}

/// A topic may be spread over several pages.
fn take_page(
    response: &DescribeTopicPartitionsResponse,
    answers: &mut BTreeMap<Str, Result<TopicDescription, Error>>,
) {
    for topic in &response.topics {
        let Some(name) = topic.name.as_ref().map(Str::detached) else { continue };
        let code = ErrorCode::from(topic.error_code);
        if code.is_error() {
            answers.insert(name.clone(), Err(refused(name.as_str(), code, None)));
            continue;
        }
        let entry = answers.entry(name.clone()).or_insert_with(|| {
            Ok(TopicDescription {
                name,
                id: TopicId(topic.topic_id),
                is_internal: topic.is_internal,
                partitions: Vec::new(),
            })
        });
        if let Ok(description) = entry {
            description.partitions.extend(topic.partitions.iter().map(described));
        }
    }
}

fn described(partition: &DescribeTopicPartitionsResponsePartition) -> PartitionDescription {
    let nodes = |ids: &[i32]| -> Vec<NodeId> { ids.iter().copied().map(NodeId).collect() };
    PartitionDescription {
        index: partition.partition_index,
        leader: NodeId(partition.leader_id).known(),
        leader_epoch: LeaderEpoch(partition.leader_epoch),
        replicas: nodes(&partition.replica_nodes),
        isr: nodes(&partition.isr_nodes),
        offline: nodes(&partition.offline_replicas),
        elr: partition.eligible_leader_replicas.as_deref().map(nodes),
        last_known_elr: partition.last_known_elr.as_deref().map(nodes),
    }
}
