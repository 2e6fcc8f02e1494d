//! TxnOffsetCommit (28): how far a producer has read, which counts when its transaction does (KIP-98, KIP-447).

use std::ops::RangeInclusive;
use std::time::Duration;

use coordinator::{Producer, Reply, Request};
use protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use protocol::{ErrorCode, ProducerEpoch, ProducerId};
use storage::PartitionKey;

use super::groups::failure;
use super::offset_commit::{Answers, RECORDS_BYTES_MAX, records_bytes};
use super::{Call, Handler, Protest};
use crate::coordinators::{Groups, Kind, caller, partition_of};
use crate::transactions::{Asker, verify_offsets};
use crate::wait::within;

/// Up to this version clients take a coordinator that loads for a bug (KAFKA-7296).
const LOADING_UNKNOWN: i16 = 1;
/// From this version on a producer knows TRANSACTION_ABORTABLE (KIP-890).
const ABORTABLE: i16 = 4;
/// From this version on the group becomes part of the transaction with its first commit (KIP-890).
const ADDS_OFFSETS: i16 = 5;
/// Topics are named by id from this version on (KIP-1319).
const BY_ID: i16 = 6;

pub(crate) struct TxnOffsetCommit;

impl Handler for TxnOffsetCommit {
    type Request = TxnOffsetCommitRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=6;

    async fn handle(
        call: Call,
        mut request: TxnOffsetCommitRequest,
    ) -> Result<Option<TxnOffsetCommitResponse>, Protest> {
        let view = call.broker.metadata.view();
        let mut answers = Answers::default();
        let mut known = Vec::with_capacity(request.topics.len());
        for topic in std::mem::take(&mut request.topics) {
            known.extend(answers.sort(&view, plain(topic), call.version >= BY_ID));
        }
        if known.is_empty() {
            return Ok(Some(show(answers, call.version)));
        }
        let asked = known.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|part| part.partition_index);
            (topic.name.clone(), topic.topic_id, partitions.collect::<Vec<_>>())
        });
        let asked: Vec<_> = asked.collect();
        let is_too_large = records_bytes(&request.group_id, &known) > RECORDS_BYTES_MAX;
        request.topics = known.into_iter().map(pending).collect();
        let result = match is_too_large {
            true => Err(ErrorCode::InvalidCommitOffsetSize),
            false => commit(&call, request).await,
        };
        match result {
            Ok(response) => {
                for topic in response.topics {
                    for part in topic.partitions {
                        answers.add(&topic.name, topic.topic_id, part.partition_index, part.error_code);
                    }
                }
            }
            Err(code) => answers.add_all(asked, code),
        }
        Ok(Some(show(answers, call.version)))
    }
}

async fn commit(call: &Call, request: TxnOffsetCommitRequest) -> Result<TxnOffsetCommitResponse, ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let view = call.broker.metadata.view();
    let topic = view.image.topic(Groups::TOPIC).ok_or(ErrorCode::NotCoordinator)?;
    let partition = partition_of(&view, Groups::TOPIC, &request.group_id).ok_or(ErrorCode::NotCoordinator)?;
    let key = PartitionKey { topic_id: topic.id(), partition };
    let producer =
        Producer { id: ProducerId(request.producer_id), epoch: ProducerEpoch(request.producer_epoch) };
    let transactional_id = request.transactional_id.detached();
    let asker = Asker {
        transactional_id: &transactional_id,
        adds: call.version >= ADDS_OFFSETS,
        knows_abortable: call.version >= ABORTABLE,
    };
    let verified = verify_offsets(&call.broker, &asker, producer, key).await.map_err(of_group)?;
    let group_id = request.group_id.detached();
    let patience_ms = u64::try_from(view.config.groups.commit_timeout_ms).unwrap_or(0);
    let late = call.broker.host.clock.sleep(Duration::from_millis(patience_ms));
    let asked = Request::TxnOffsetCommit(request);
    let reply = call.broker.groups.ask_verified(&view, &group_id, caller(call), asked, verified);
    // What Kafka makes of a write that has not got through in time.
    match within(reply, late).await.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable)) {
        Ok(Reply::TxnOffsetCommit(response)) => Ok(response),
        other => Err(failure(other)),
    }
}

/// The partition of a group, in terms of its coordinator.
fn of_group(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::UnknownTopicOrPartition | ErrorCode::NotEnoughReplicas | ErrorCode::RequestTimedOut => {
            ErrorCode::CoordinatorNotAvailable
        }
        code => code,
    }
}

fn plain(topic: TxnOffsetCommitRequestTopic) -> OffsetCommitRequestTopic {
    let partition = |part: TxnOffsetCommitRequestPartition| OffsetCommitRequestPartition {
        partition_index: part.partition_index,
        committed_offset: part.committed_offset,
        committed_leader_epoch: part.committed_leader_epoch,
        committed_metadata: part.committed_metadata,
    };
    OffsetCommitRequestTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    }
}

fn pending(topic: OffsetCommitRequestTopic) -> TxnOffsetCommitRequestTopic {
    let partition = |part: OffsetCommitRequestPartition| TxnOffsetCommitRequestPartition {
        partition_index: part.partition_index,
        committed_offset: part.committed_offset,
        committed_leader_epoch: part.committed_leader_epoch,
        committed_metadata: part.committed_metadata,
    };
    TxnOffsetCommitRequestTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    }
}

fn show(answers: Answers, version: i16) -> TxnOffsetCommitResponse {
    let loading = ErrorCode::CoordinatorLoadInProgress.code();
    let code = |code: i16| match code {
        code if code == loading && version <= LOADING_UNKNOWN => ErrorCode::CoordinatorNotAvailable.code(),
        code => code,
    };
    let topics = answers.topics.into_iter().map(|topic| TxnOffsetCommitResponseTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: (topic.partitions.iter())
            .map(|part| TxnOffsetCommitResponsePartition {
                partition_index: part.partition_index,
                error_code: code(part.error_code),
            })
            .collect(),
    });
    TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}
