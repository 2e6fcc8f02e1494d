//! DeleteRecords (21): moves the start of a partition's log (KIP-107).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use protocol::ids::Offset;
use protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsRequest};
use protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use protocol::{ErrorCode, Str};

use super::{Call, Handler, Protest};
use crate::metadata_view::View;
use crate::shard::Refusal;
use crate::wait::within;

/// Kafka's leader deletes before it looks at the time that the client gives, which is for the followers.
const LEADER_PATIENCE: Duration = Duration::from_secs(30);
/// No low watermark.
const NONE: i64 = -1;

pub(crate) struct DeleteRecords;

impl Handler for DeleteRecords {
    type Request = DeleteRecordsRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=2;

    async fn handle(
        call: Call,
        request: DeleteRecordsRequest,
    ) -> Result<Option<DeleteRecordsResponse>, Protest> {
        let view = call.broker.metadata.view();
        let patience = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        let deadline = call.broker.host.now().after(patience.max(LEADER_PATIENCE));
        // Each partition once, as in Kafka; the offset that is named last counts.
        let mut topics: BTreeMap<Str, BTreeMap<i32, i64>> = BTreeMap::new();
        for topic in request.topics {
            let asked = topics.entry(topic.name).or_default();
            let offset = |asked: DeleteRecordsPartition| (asked.partition_index, asked.offset);
            asked.extend(topic.partitions.into_iter().map(offset));
        }
        let mut begun = Vec::with_capacity(topics.len());
        for (name, partitions) in topics {
            let partitions: Vec<_> = partitions
                .into_iter()
                .map(|(partition, offset)| {
                    (partition, delete(&call, &view, &name, partition, Offset(offset)))
                })
                .collect();
            begun.push((name, partitions));
        }
        let mut results = Vec::with_capacity(begun.len());
        for (name, deletions) in begun {
            let mut partitions = Vec::with_capacity(deletions.len());
            for (partition_index, deletion) in deletions {
                let late = call.broker.host.clock.sleep_until(deadline);
                let outcome = match deletion {
                    Ok(deletion) => {
                        within(deletion, late).await.unwrap_or_else(|| Err(ErrorCode::RequestTimedOut.into()))
                    }
                    Err(code) => Err(code.into()),
                };
                partitions.push(show(partition_index, outcome));
            }
            results.push(DeleteRecordsTopicResult { name, partitions });
        }
        Ok(Some(DeleteRecordsResponse { topics: results, ..Default::default() }))
    }
}

fn delete(
    call: &Call,
    view: &View,
    name: &str,
    partition: i32,
    offset: Offset,
) -> Result<impl Future<Output = Result<Offset, Refusal>> + use<>, ErrorCode> {
    let topic = view.image.topic(name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if topic.partition(partition).is_some() && topic.is_internal() {
        return Err(ErrorCode::InvalidTopic);
    }
    let key = call.broker.led_here(topic, partition)?;
    Ok(call.broker.shards.delete_records(key, offset))
}

fn show(partition_index: i32, outcome: Result<Offset, Refusal>) -> DeleteRecordsPartitionResult {
    let (low_watermark, code) = match outcome {
        Ok(start) => (start.0, ErrorCode::None),
        Err(refusal) => (NONE, refusal.code),
    };
    DeleteRecordsPartitionResult { partition_index, low_watermark, error_code: code.code() }
}
