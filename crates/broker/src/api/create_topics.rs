//! CreateTopics (19), and the automatic creation that Metadata may ask for.

use std::ops::RangeInclusive;

use metadata::config::Described;
use metadata::controller::{self, CreatedTopic, NewTopic, TopicResult};
use metadata::image::is_internal_topic;
use protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use protocol::{ErrorCode, NodeId, Str, TopicId, Uuid};

use super::{Call, Handler, Protest};
use crate::random;

/// How long whoever asks for metadata waits for the topics that are made for it.
const AUTOMATIC_MS: i32 = 2000;

/// Take the broker's default.
const DEFAULT: i32 = -1;

pub(crate) struct CreateTopics;

impl Handler for CreateTopics {
    type Request = CreateTopicsRequest;

    const ADVERTISED: RangeInclusive<i16> = 2..=7;

    async fn handle(
        call: Call,
        request: CreateTopicsRequest,
    ) -> Result<Option<CreateTopicsResponse>, Protest> {
        let names: Vec<Str> = request.topics.iter().map(|topic| topic.name.detached()).collect();
        let topics = request.topics.into_iter().map(|topic| new_topic(&call, topic)).collect();
        let validate_only = request.validate_only;
        let topics = match create(&call, topics, validate_only, request.timeout_ms).await {
            Ok(results) => results.into_iter().map(|result| show(result, validate_only)).collect(),
            Err(code) => names.into_iter().map(|name| failed(name, code, None)).collect(),
        };
        Ok(Some(CreateTopicsResponse { topics, ..Default::default() }))
    }
}

/// Creates topics that somebody asked about, if that is allowed, and says what to tell them.
pub(super) async fn automatically(call: &Call, names: &[Str], allowed: bool) -> Vec<ErrorCode> {
    let refused = |name: &Str| {
        if !controller::is_valid_topic_name(name) {
            Some(ErrorCode::InvalidTopic)
        } else if !allowed || is_internal_topic(name) {
            Some(ErrorCode::UnknownTopicOrPartition)
        } else {
            None
        }
    };
    let mut codes: Vec<Option<ErrorCode>> = names.iter().map(refused).collect();
    let wanted = names.iter().zip(&codes).filter(|(_, code)| code.is_none()).map(|(name, _)| NewTopic {
        name: name.detached(),
        topic_id: TopicId(random::uuid(&call.broker.host)),
        num_partitions: DEFAULT,
        replication_factor: -1,
        assignments: Vec::new(),
        configs: Vec::new(),
    });
    let wanted: Vec<NewTopic> = wanted.collect();
    let results =
        if wanted.is_empty() { Ok(Vec::new()) } else { create(call, wanted, false, AUTOMATIC_MS).await };
    let mut outcomes = results.unwrap_or_default().into_iter();
    for code in codes.iter_mut().filter(|code| code.is_none()) {
        *code = Some(match outcomes.next().map(|outcome| outcome.result) {
            // The next request finds it; that is what clients expect of a topic that is being created.
            Some(Ok(_)) | None => ErrorCode::LeaderNotAvailable,
            Some(Err(refusal)) if refusal.code == ErrorCode::TopicAlreadyExists => {
                ErrorCode::LeaderNotAvailable
            }
            Some(Err(refusal)) => refusal.code,
        });
    }
    codes.into_iter().map(|code| code.unwrap_or(ErrorCode::LeaderNotAvailable)).collect()
}

async fn create(
    call: &Call,
    topics: Vec<NewTopic>,
    validate_only: bool,
    timeout_ms: i32,
) -> Result<Vec<TopicResult>, ErrorCode> {
    let start = random::start(&call.broker.host);
    let broker = &call.broker;
    broker
        .decide(timeout_ms, move |context| controller::create_topics(context, &topics, validate_only, start))
        .await
}

fn new_topic(call: &Call, topic: CreatableTopic) -> NewTopic {
    let nodes = |ids: Vec<i32>| ids.into_iter().map(NodeId).collect();
    NewTopic {
        name: topic.name.detached(),
        topic_id: TopicId(random::uuid(&call.broker.host)),
        num_partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .into_iter()
            .map(|assignment| (assignment.partition_index, nodes(assignment.broker_ids)))
            .collect(),
        configs: topic
            .configs
            .into_iter()
            .map(|config| (config.name.detached(), config.value.map(|value| value.detached())))
            .collect(),
    }
}

fn show(result: TopicResult, validate_only: bool) -> CreatableTopicResult {
    match result.result {
        Ok(created) => described(result.name, created, validate_only),
        Err(refusal) => failed(result.name, refusal.code, Some(refusal.message)),
    }
}

fn described(name: Str, created: CreatedTopic, validate_only: bool) -> CreatableTopicResult {
    let config = |config: Described| CreatableTopicConfigs {
        name: config.name.into(),
        value: config.value.map(Str::from),
        read_only: config.read_only,
        config_source: config.source.id(),
        is_sensitive: config.sensitive,
    };
    CreatableTopicResult {
        name,
        topic_id: if validate_only { Uuid::ZERO } else { created.topic_id.0 },
        error_message: None,
        num_partitions: created.num_partitions,
        replication_factor: created.replication_factor,
        configs: Some(created.configs.into_iter().map(config).collect()),
        ..Default::default()
    }
}

fn failed(name: Str, code: ErrorCode, message: Option<String>) -> CreatableTopicResult {
    CreatableTopicResult {
        name,
        error_code: code.code(),
        error_message: message.map(Str::from),
        num_partitions: -1,
        replication_factor: -1,
        ..Default::default()
    }
}
