//! DeleteTopics (20): by name, or by id from version 6 on.

use std::ops::RangeInclusive;

use metadata::controller::{self, DeletedTopic, TopicRef};
use protocol::messages::delete_topics_request::DeleteTopicsRequest;
use protocol::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use protocol::{ErrorCode, Str, TopicId};

use super::{Call, Handler, Protest};

/// Topics may be named by id from this version on (KIP-516).
const BY_ID: i16 = 6;
/// Answers have a message from this version on.
const TOPIC_DELETION_DISABLED: i16 = 3;

pub(crate) struct DeleteTopics;

impl Handler for DeleteTopics {
    type Request = DeleteTopicsRequest;

    const ADVERTISED: RangeInclusive<i16> = 1..=6;

    async fn handle(
        call: Call,
        request: DeleteTopicsRequest,
    ) -> Result<Option<DeleteTopicsResponse>, Protest> {
        let topics: Vec<TopicRef> = if call.version >= BY_ID {
            let topic = |topic: protocol::messages::delete_topics_request::DeleteTopicState| TopicRef {
                name: topic.name.map(|name| name.detached()),
                topic_id: TopicId(topic.topic_id),
            };
            request.topics.into_iter().map(topic).collect()
        } else {
            request.topic_names.iter().map(|name| TopicRef::by_name(name.detached())).collect()
        };
        let asked = topics.clone();
        let decided = call
            .broker
            .decide(request.timeout_ms, move |context| controller::delete_topics(context, &topics))
            .await;
        let responses = match decided {
            Ok(deleted) => deleted.into_iter().map(|deleted| show(&call, deleted)).collect(),
            Err(code) => asked.into_iter().map(|topic| failed(topic, code)).collect(),
        };
        Ok(Some(DeleteTopicsResponse { responses, ..Default::default() }))
    }
}

fn show(call: &Call, deleted: DeletedTopic) -> DeletableTopicResult {
    let result = DeletableTopicResult {
        name: deleted.name,
        topic_id: deleted.topic_id.0,
        error_message: None,
        ..Default::default()
    };
    match deleted.result {
        Ok(()) => result,
        Err(refusal) => {
            let code = match refusal.code {
                ErrorCode::TopicDeletionDisabled if call.version < TOPIC_DELETION_DISABLED => {
                    ErrorCode::InvalidRequest
                }
                code => code,
            };
            DeletableTopicResult {
                error_code: code.code(),
                error_message: Some(Str::from(refusal.message)),
                ..result
            }
        }
    }
}

fn failed(topic: TopicRef, code: ErrorCode) -> DeletableTopicResult {
    DeletableTopicResult {
        name: topic.name,
        topic_id: topic.topic_id.0,
        error_code: code.code(),
        error_message: None,
    }
}
