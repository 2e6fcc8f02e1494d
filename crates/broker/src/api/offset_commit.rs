//! OffsetCommit (8): how far a group has read.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use coordinator::{Reply, Request};
use protocol::messages::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestTopic};
use protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use protocol::{ErrorCode, Str, Uuid};

use super::groups::{ask, failure};
use super::{Call, Handler, Protest};
use crate::metadata_view::View;
use crate::wait::within;

/// Topics are named by id from this version on (KIP-848).
const BY_ID: i16 = 10;
/// Bytes of records that one commit may come to; with a long name of a group, few bytes that are asked make many. Kafka
/// takes what fits one batch, a mebibyte.
pub(super) const RECORDS_BYTES_MAX: usize = 16 << 20;
/// A record without names and metadata.
const RECORD_BYTES: usize = 64;

pub(crate) struct OffsetCommit;

impl Handler for OffsetCommit {
    type Request = OffsetCommitRequest;

    const ADVERTISED: RangeInclusive<i16> = 2..=10;

    async fn handle(
        call: Call,
        mut request: OffsetCommitRequest,
    ) -> Result<Option<OffsetCommitResponse>, Protest> {
        let view = call.broker.metadata.view();
        let mut answers = Answers::default();
        let mut known = Vec::with_capacity(request.topics.len());
        for topic in std::mem::take(&mut request.topics) {
            known.extend(answers.sort(&view, topic, call.version >= BY_ID));
        }
        if known.is_empty() {
            return Ok(Some(answers.into()));
        }
        request.topics = known;
        let named = |topic: &OffsetCommitRequestTopic| {
            let partitions = topic.partitions.iter().map(|part| part.partition_index);
            (topic.name.clone(), topic.topic_id, partitions.collect::<Vec<_>>())
        };
        let asked: Vec<_> = request.topics.iter().map(named).collect();
        if records_bytes(&request.group_id, &request.topics) > RECORDS_BYTES_MAX {
            answers.add_all(asked, ErrorCode::InvalidCommitOffsetSize);
            return Ok(Some(answers.into()));
        }
        let group_id = request.group_id.clone();
        let patience_ms = u64::try_from(view.config.groups.commit_timeout_ms).unwrap_or(0);
        let late = call.broker.host.clock.sleep(Duration::from_millis(patience_ms));
        let reply = within(ask(&call, &group_id, Request::OffsetCommit(request)), late).await;
        // What Kafka makes of a write that has not got through in time.
        match reply.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable)) {
            Ok(Reply::OffsetCommit(response)) => {
                for topic in response.topics {
                    for part in topic.partitions {
                        answers.add(&topic.name, topic.topic_id, part.partition_index, part.error_code);
                    }
                }
            }
            other => answers.add_all(asked, failure(other)),
        }
        Ok(Some(answers.into()))
    }
}

/// What the records of a commit come to, about: each of them names the group and the topic.
pub(super) fn records_bytes(group_id: &str, topics: &[OffsetCommitRequestTopic]) -> usize {
    let of_topic = |topic: &OffsetCommitRequestTopic| {
        let metadata = topic
            .partitions
            .iter()
            .filter_map(|part| part.committed_metadata.as_ref())
            .map(|text| text.len());
        let each = RECORD_BYTES + group_id.len() + topic.name.len();
        metadata.fold(each.saturating_mul(topic.partitions.len()), usize::saturating_add)
    };
    topics.iter().map(of_topic).fold(0, usize::saturating_add)
}

/// The answer so far, topic by topic.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) topics: Vec<OffsetCommitResponseTopic>,
    places: HashMap<(Str, Uuid), usize>,
}

impl Answers {
    pub(super) fn add(&mut self, name: &Str, topic_id: Uuid, partition_index: i32, error_code: i16) {
        let next = self.topics.len();
        let place = *self.places.entry((name.clone(), topic_id)).or_insert(next);
        if place == next {
            let name = name.clone();
            self.topics.push(OffsetCommitResponseTopic { name, topic_id, partitions: Vec::new() });
        }
        if let Some(topic) = self.topics.get_mut(place) {
            topic.partitions.push(OffsetCommitResponsePartition { partition_index, error_code });
        }
    }

    pub(super) fn add_all(&mut self, asked: Vec<(Str, Uuid, Vec<i32>)>, code: ErrorCode) {
        for (name, topic_id, partitions) in asked {
            for partition in partitions {
                self.add(&name, topic_id, partition, code.code());
            }
        }
    }

    /// Refuses what there is not; the rest is for the coordinator, by name and id.
    pub(super) fn sort(
        &mut self,
        view: &View,
        mut topic: OffsetCommitRequestTopic,
        by_id: bool,
    ) -> Option<OffsetCommitRequestTopic> {
        match view.topic(&topic.name, topic.topic_id.into(), by_id) {
            Ok(found) => {
                let (there, missing) = std::mem::take(&mut topic.partitions)
                    .into_iter()
                    .partition::<Vec<_>, _>(|part| found.partition(part.partition_index).is_some());
                topic.name = found.name().clone();
                topic.topic_id = found.id().0;
                for part in missing {
                    let code = ErrorCode::UnknownTopicOrPartition.code();
                    self.add(&topic.name, topic.topic_id, part.partition_index, code);
                }
                topic.partitions = there;
                (!topic.partitions.is_empty()).then_some(topic)
            }
            Err(code) => {
                for part in &topic.partitions {
                    self.add(&topic.name, topic.topic_id, part.partition_index, code.code());
                }
                None
            }
        }
    }
}

impl From<Answers> for OffsetCommitResponse {
    fn from(answers: Answers) -> Self {
        OffsetCommitResponse { topics: answers.topics, ..Default::default() }
    }
}
