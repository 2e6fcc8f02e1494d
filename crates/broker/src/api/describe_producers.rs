//! DescribeProducers (61): the producers that partitions remember, and their open transactions (KIP-664).

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use metadata::controller::is_valid_topic_name;
use protocol::messages::describe_producers_request::DescribeProducersRequest;
use protocol::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use protocol::{ErrorCode, Str};

use super::{Call, Handler, Protest};
use crate::metadata_view::View;
use crate::shard::{ProducerReport, Refusal};

pub(crate) struct DescribeProducers;

impl Handler for DescribeProducers {
    type Request = DescribeProducersRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=0;

    async fn handle(
        call: Call,
        request: DescribeProducersRequest,
    ) -> Result<Option<DescribeProducersResponse>, Protest> {
        let view = call.broker.metadata.view();
        let mut topics = Vec::with_capacity(request.topics.len());
        let mut seen: HashMap<Str, HashSet<i32>> = HashMap::new();
        for topic in request.topics {
            let mut indexes = topic.partition_indexes;
            // Each once: a partition may remember many producers.
            let seen = seen.entry(topic.name.clone()).or_default();
            indexes.retain(|index| seen.insert(*index));
            let mut partitions = Vec::with_capacity(indexes.len());
            for index in indexes {
                partitions.push(show(index, describe(&call, &view, &topic.name, index).await));
            }
            topics.push(TopicResponse { name: topic.name, partitions });
        }
        Ok(Some(DescribeProducersResponse { topics, ..Default::default() }))
    }
}

async fn describe(
    call: &Call,
    view: &View,
    name: &str,
    partition: i32,
) -> Result<Vec<ProducerReport>, Refusal> {
    if !is_valid_topic_name(name) {
        let message = Some(format!("{name:?} is not a legal name of a topic"));
        return Err(Refusal { code: ErrorCode::InvalidTopic, message });
    }
    let topic = view.image.topic(name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let key = call.broker.led_here(topic, partition)?;
    call.broker.shards.producers(key).await
}

fn show(partition_index: i32, described: Result<Vec<ProducerReport>, Refusal>) -> PartitionResponse {
    let producer = |producer: ProducerReport| ProducerState {
        producer_id: producer.producer_id.0,
        producer_epoch: i32::from(producer.epoch),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp_ms,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.transaction_start.0,
    };
    match described {
        Ok(producers) => PartitionResponse {
            partition_index,
            active_producers: producers.into_iter().map(producer).collect(),
            ..Default::default()
        },
        Err(refusal) => PartitionResponse {
            partition_index,
            error_code: refusal.code.code(),
            error_message: Some(Str::from(
                refusal.message.unwrap_or_else(|| refusal.code.message().to_owned()),
            )),
            ..Default::default()
        },
    }
}
