//! CreateTopics.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{ErrorCode, NodeId, Str, TopicId};

use super::assignment;
use super::names::{CLUSTER_METADATA, check_topic_name};
use super::placement::place;
use super::{Context, Decision, PARTITIONS_PER_REQUEST_MAX, Refusal};
use crate::Image;
use crate::config::{Described, check_topic_configs, describe_topic};
use crate::image::Configs;
use crate::record::{ConfigResource, Partition, Record};

/// A topic to create.
#[derive(Clone, Debug)]
pub struct NewTopic {
    pub name: Str,
    /// Drawn by the caller, at random.
    pub topic_id: TopicId,
    /// -1 for the default.
    pub num_partitions: i32,
    /// -1 for the default.
    pub replication_factor: i16,
    /// Chosen replicas by partition; empty to have them chosen.
    pub assignments: Vec<(i32, Vec<NodeId>)>,
    pub configs: Vec<(Str, Option<Str>)>,
}

/// A topic as it was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    pub topic_id: TopicId,
    pub num_partitions: i32,
    pub replication_factor: i16,
    /// All its configs, those not set on it too.
    pub configs: Vec<Described>,
}

/// What became of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicResult {
    pub name: Str,
    pub result: Result<CreatedTopic, Refusal>,
}

/// Creates topics, or with `validate_only` says what would become of them. `start` is a random number that says on
/// which broker to begin.
pub fn create_topics(
    context: &Context<'_>,
    topics: &[NewTopic],
    validate_only: bool,
    start: usize,
) -> Decision<Vec<TopicResult>> {
    let mut seen = BTreeMap::new();
    for topic in topics {
        *seen.entry(&topic.name).or_insert(0) += 1;
    }
    if partitions_asked(context, topics) > PARTITIONS_PER_REQUEST_MAX {
        let why = format!("a request may create at most {PARTITIONS_PER_REQUEST_MAX} partitions");
        let refusal = Refusal::new(ErrorCode::PolicyViolation, why);
        let refused = |name: &Str| TopicResult { name: name.clone(), result: Err(refusal.clone()) };
        return (Vec::new(), seen.keys().map(|name| refused(name)).collect());
    }
    let mut all = Vec::new();
    let mut results = Vec::new();
    let mut image = context.image.clone();
    let mut answered = BTreeSet::new();
    for (place, topic) in topics.iter().enumerate() {
        if !answered.insert(&topic.name) {
            continue;
        }
        let decided = match seen.get(&topic.name) {
            Some(1) => create_topic(&Context { image: &image, ..*context }, topic, start.wrapping_add(place)),
            _ => Err(Refusal::new(ErrorCode::InvalidRequest, "the topic is there twice in the request")),
        };
        let result = decided.map(|(records, created)| {
            for record in &records {
                image.apply(record).expect("records of a new topic fit the image they were decided on");
            }
            all.extend(records);
            created
        });
        results.push(TopicResult { name: topic.name.clone(), result });
    }
    (if validate_only { Vec::new() } else { all }, results)
}

fn partitions_asked(context: &Context<'_>, topics: &[NewTopic]) -> usize {
    let of = |topic: &NewTopic| match (topic.assignments.len(), topic.num_partitions) {
        (0, -1) => usize::try_from(context.config.num_partitions).unwrap_or(1),
        (0, count) => usize::try_from(count).unwrap_or(0),
        (assigned, _) => assigned,
    };
    topics.iter().map(of).fold(0, usize::saturating_add)
}

fn create_topic(
    context: &Context<'_>,
    topic: &NewTopic,
    start: usize,
) -> Result<Decision<CreatedTopic>, Refusal> {
    check_name(context.image, &topic.name)?;
    let configs = check_configs(context, topic)?;
    let partitions = partitions(context, topic, start)?;
    if context.image.topic_by_id(topic.topic_id).is_some() || topic.topic_id.is_zero() {
        let message = format!("topic id {} cannot be given to a new topic; try again", topic.topic_id);
        return Err(Refusal::new(ErrorCode::UnknownServerError, message));
    }
    let created = CreatedTopic {
        topic_id: topic.topic_id,
        num_partitions: i32::try_from(partitions.len()).unwrap_or(i32::MAX),
        replication_factor: partitions
            .first()
            .map_or(0, |partition| i16::try_from(partition.replicas.len()).unwrap_or(i16::MAX)),
        configs: describe_topic(&context.layers().with_own(&configs), |_| true),
    };
    let mut records = vec![Record::Topic { topic_id: topic.topic_id, name: topic.name.detached() }];
    let resource = ConfigResource::topic(topic.name.detached());
    records.extend(configs.iter().map(|(key, value)| Record::Config {
        resource: resource.clone(),
        key: key.clone(),
        value: Some(value.clone()),
    }));
    records.extend((0..).zip(partitions).map(|(partition, state)| Record::Partition {
        topic_id: topic.topic_id,
        partition,
        state,
    }));
    Ok((records, created))
}

fn check_name(image: &Image, name: &Str) -> Result<(), Refusal> {
    if name == CLUSTER_METADATA {
        let message = format!("{CLUSTER_METADATA} is not for clients to create");
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    check_topic_name(name)?;
    if image.topic(name).is_some() {
        return Err(Refusal::new(ErrorCode::TopicAlreadyExists, format!("topic '{name}' already exists")));
    }
    match image.colliding_topic(name) {
        None => Ok(()),
        Some(other) => {
            let message = format!(
                "topic '{name}' collides with topic '{other}': '.' and '_' are one in the names of metrics"
            );
            Err(Refusal::new(ErrorCode::InvalidTopic, message))
        }
    }
}

fn check_configs(context: &Context<'_>, topic: &NewTopic) -> Result<Configs, Refusal> {
    let refuse = |message: String| Refusal::new(ErrorCode::InvalidConfig, message);
    let mut configs = Configs::new();
    for (name, value) in &topic.configs {
        let value = value.as_ref().ok_or_else(|| refuse(format!("{name}: a value is needed")))?;
        configs.insert(name.detached(), value.detached());
    }
    let pairs = configs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    check_topic_configs(pairs, &context.config.topic_defaults).map_err(|error| refuse(error.to_string()))?;
    Ok(configs)
}

fn partitions(context: &Context<'_>, topic: &NewTopic, start: usize) -> Result<Vec<Partition>, Refusal> {
    if !topic.assignments.is_empty() {
        return assigned_partitions(context.image, topic);
    }
    let replication_factor = match topic.replication_factor {
        -1 => context.config.default_replication_factor,
        factor => factor,
    };
    let replication_factor =
        usize::try_from(replication_factor).ok().filter(|factor| *factor > 0).ok_or_else(|| {
            let message = format!(
                "replication factor {} is neither positive nor -1 for the default",
                topic.replication_factor
            );
            Refusal::new(ErrorCode::InvalidReplicationFactor, message)
        })?;
    let count = match topic.num_partitions {
        -1 => context.config.num_partitions,
        count => count,
    };
    let count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or_else(|| {
        let message = format!(
            "the number of partitions, {}, is neither positive nor -1 for the default",
            topic.num_partitions
        );
        Refusal::new(ErrorCode::InvalidPartitions, message)
    })?;
    let placed = place(context.image, context.cordoned(), 0, count, replication_factor, start)?;
    placed
        .into_iter()
        .enumerate()
        .map(|(place, replicas)| {
            assignment::partition(context.image, replicas).ok_or_else(|| assignment::nobody_active(place))
        })
        .collect()
}

fn assigned_partitions(image: &Image, topic: &NewTopic) -> Result<Vec<Partition>, Refusal> {
    let refuse = |code, message: &str| Err(Refusal::new(code, message));
    if topic.replication_factor != -1 {
        return refuse(ErrorCode::InvalidRequest, "with an assignment the replication factor must be -1");
    }
    if topic.num_partitions != -1 {
        return refuse(ErrorCode::InvalidRequest, "with an assignment the number of partitions must be -1");
    }
    let mut by_partition = BTreeMap::new();
    for (partition, replicas) in &topic.assignments {
        if by_partition.insert(*partition, replicas).is_some() {
            let message = format!("partition {partition} is assigned twice");
            return refuse(ErrorCode::InvalidReplicaAssignment, &message);
        }
    }
    let consecutive = (0..).zip(by_partition.keys()).all(|(expected, partition)| expected == *partition);
    if !consecutive {
        let message = "the assigned partitions must be numbered from 0 without a gap";
        return refuse(ErrorCode::InvalidReplicaAssignment, message);
    }
    let replication_factor = by_partition.values().next().map(|replicas| replicas.len());
    by_partition
        .into_values()
        .enumerate()
        .map(|(place, replicas)| {
            assignment::check(image, place, replicas, replication_factor)?;
            assignment::partition(image, replicas.clone()).ok_or_else(|| assignment::nobody_active(place))
        })
        .collect()
}
