//! AddPartitionsToTxn (24): partitions become part of a transaction. Up to version 3 producers ask, for one transaction; from
//! version 4 on brokers do, for several, and may ask only whether the partitions are part of it (KIP-890).

use std::ops::RangeInclusive;

use coordinator::Producer;
use coordinator::transactions::{Reply, Request, Topics};
use metadata::image::is_internal_topic;
use protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResponse, AddPartitionsToTxnResult,
    AddPartitionsToTxnTopicResult,
};
use protocol::{ErrorCode, ProducerEpoch, ProducerId, Str};

use super::transactions::{ask, fenced};
use super::{Call, Handler, Protest};

/// PRODUCER_FENCED is told from this version on (KIP-588).
const FENCED: i16 = 2;
/// Several transactions come in one request from this version on, and brokers ask.
const BATCHED: i16 = 4;

pub(crate) struct AddPartitionsToTxn;

impl Handler for AddPartitionsToTxn {
    type Request = AddPartitionsToTxnRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=5;

    async fn handle(
        call: Call,
        request: AddPartitionsToTxnRequest,
    ) -> Result<Option<AddPartitionsToTxnResponse>, Protest> {
        if call.version < BATCHED {
            let transaction = AddPartitionsToTxnTransaction {
                transactional_id: request.v3_and_below_transactional_id,
                producer_id: request.v3_and_below_producer_id,
                producer_epoch: request.v3_and_below_producer_epoch,
                verify_only: false,
                topics: request.v3_and_below_topics,
            };
            let results_by_topic_v3_and_below = add(&call, transaction).await;
            return Ok(Some(AddPartitionsToTxnResponse {
                results_by_topic_v3_and_below,
                ..Default::default()
            }));
        }
        let mut results_by_transaction = Vec::with_capacity(request.transactions.len());
        for transaction in request.transactions {
            let transactional_id = transaction.transactional_id.clone();
            let topic_results = add(&call, transaction).await;
            results_by_transaction.push(AddPartitionsToTxnResult { transactional_id, topic_results });
        }
        Ok(Some(AddPartitionsToTxnResponse { results_by_transaction, ..Default::default() }))
    }
}

async fn add(call: &Call, transaction: AddPartitionsToTxnTransaction) -> Vec<AddPartitionsToTxnTopicResult> {
    let AddPartitionsToTxnTransaction { transactional_id, producer_id, producer_epoch, verify_only, topics } =
        transaction;
    if let Some(refused) = refuse_unknown(call, &topics) {
        return refused;
    }
    let producer = Producer { id: ProducerId(producer_id), epoch: ProducerEpoch(producer_epoch) };
    let named: Topics =
        topics.iter().map(|topic| (topic.name.detached(), topic.partitions.clone())).collect();
    let transactional_id = transactional_id.detached();
    let id = transactional_id.clone();
    let request = match verify_only {
        true => Request::VerifyPartitions { transactional_id, producer, topics: named },
        false => {
            let client_version = if call.version >= BATCHED { 2 } else { 0 };
            Request::AddPartitions { transactional_id, producer, topics: named, client_version }
        }
    };
    let missing = match ask(call, &id, request).await {
        Ok(Reply::Added(result)) => result.map(|()| Topics::new()),
        Ok(Reply::Verified(result)) => result,
        // A coordinator answers a request with the reply of its kind.
        Ok(_) => Err(ErrorCode::UnknownServerError),
        Err(code) => Err(code),
    };
    let missing = missing.map_err(|code| fenced(code, call.version, FENCED));
    show(topics, |topic, partition| match &missing {
        Err(code) => *code,
        Ok(missing) => {
            let is_it = |(name, ids): &(Str, Vec<i32>)| name == topic && ids.contains(&partition);
            if missing.iter().any(is_it) { ErrorCode::TransactionAbortable } else { ErrorCode::None }
        }
    })
}

/// One partition that cannot be added keeps all others out.
fn refuse_unknown(
    call: &Call,
    topics: &[AddPartitionsToTxnTopic],
) -> Option<Vec<AddPartitionsToTxnTopicResult>> {
    let view = call.broker.metadata.view();
    let judge = |topic: &Str, partition| match view.image.topic(topic) {
        // Producers have no business there; offsets have a request of their own.
        _ if call.version < BATCHED && is_internal_topic(topic) => ErrorCode::TopicAuthorizationFailed,
        Some(found) if found.partition(partition).is_some() => ErrorCode::None,
        _ => ErrorCode::UnknownTopicOrPartition,
    };
    let each = |topic: &AddPartitionsToTxnTopic| {
        topic.partitions.iter().all(|partition| judge(&topic.name, *partition) == ErrorCode::None)
    };
    if topics.iter().all(each) {
        return None;
    }
    Some(show(topics.to_vec(), |topic, partition| match judge(topic, partition) {
        ErrorCode::None => ErrorCode::OperationNotAttempted,
        code => code,
    }))
}

fn show(
    topics: Vec<AddPartitionsToTxnTopic>,
    code: impl Fn(&Str, i32) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let of_topic = |topic: AddPartitionsToTxnTopic| {
        let result = |&partition_index: &i32| AddPartitionsToTxnPartitionResult {
            partition_index,
            partition_error_code: code(&topic.name, partition_index).code(),
        };
        let results_by_partition = topic.partitions.iter().map(result).collect();
        AddPartitionsToTxnTopicResult { name: topic.name, results_by_partition }
    };
    topics.into_iter().map(of_topic).collect()
}
