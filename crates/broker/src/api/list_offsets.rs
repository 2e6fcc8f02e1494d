//! ListOffsets (2): finds offsets by time (KIP-79, KIP-734, KIP-405).

use std::collections::HashSet;
use std::ops::RangeInclusive;

use protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use protocol::{ErrorCode, LeaderEpoch};

use super::{Call, Handler, Protest};
use crate::metadata_view::View;
use crate::shard::{OffsetFound, OffsetQuery, Refusal};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;
/// Readers before this version do not know OFFSET_NOT_AVAILABLE and storage errors (KIP-207).
const NEW_ERRORS: i16 = 5;
/// Answers have the leader epoch from this version on (KIP-320).
const LEADER_EPOCH: i16 = 4;
const READ_COMMITTED: i8 = 1;
/// Nothing was found: no offset, no timestamp.
const NONE: i64 = -1;

pub(crate) struct ListOffsets;

impl Handler for ListOffsets {
    type Request = ListOffsetsRequest;

    const ADVERTISED: RangeInclusive<i16> = 1..=11;

    async fn handle(call: Call, request: ListOffsetsRequest) -> Result<Option<ListOffsetsResponse>, Protest> {
        let view = call.broker.metadata.view();
        let committed_only = request.isolation_level == READ_COMMITTED;
        let mut seen = HashSet::new();
        let mut duplicates = HashSet::new();
        for topic in &request.topics {
            for partition in &topic.partitions {
                let key = (topic.name.clone(), partition.partition_index);
                if !seen.insert(key.clone()) {
                    duplicates.insert(key);
                }
            }
        }
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in topic.partitions {
                let answer = if duplicates.contains(&(topic.name.clone(), partition.partition_index)) {
                    Err(ErrorCode::InvalidRequest.into())
                } else {
                    find(&call, &view, &topic.name, &partition, committed_only).await
                };
                partitions.push(response(call.version, partition.partition_index, answer));
            }
            topics.push(ListOffsetsTopicResponse { name: topic.name, partitions });
        }
        Ok(Some(ListOffsetsResponse { topics, ..Default::default() }))
    }
}

async fn find(
    call: &Call,
    view: &View,
    topic: &str,
    partition: &ListOffsetsPartition,
    committed_only: bool,
) -> Result<OffsetFound, Refusal> {
    let topic = view.image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let key = call.broker.led_here(topic, partition.partition_index)?;
    let epoch = partition.current_leader_epoch;
    let epoch = (epoch >= 0).then_some(LeaderEpoch(epoch));
    match query(call.version, partition.timestamp, committed_only)? {
        Some(query) => call.broker.shards.offset(key, query, epoch).await,
        // Nothing is kept remotely, so nothing is found there, nor waits to go there.
        None => Ok(OffsetFound {
            offset: protocol::Offset(NONE),
            timestamp_ms: NONE,
            leader_epoch: LeaderEpoch(-1),
        }),
    }
}

fn query(version: i16, timestamp: i64, committed_only: bool) -> Result<Option<OffsetQuery>, ErrorCode> {
    let since =
        |needed: i16, query| if version >= needed { Ok(query) } else { Err(ErrorCode::UnsupportedVersion) };
    match timestamp {
        LATEST => Ok(Some(OffsetQuery::Latest { committed_only })),
        EARLIEST => Ok(Some(OffsetQuery::Earliest)),
        MAX_TIMESTAMP => since(7, Some(OffsetQuery::MaxTimestamp { committed_only })),
        EARLIEST_LOCAL => since(8, Some(OffsetQuery::Earliest)),
        LATEST_TIERED => since(9, None),
        EARLIEST_PENDING_UPLOAD => since(11, None),
        timestamp_ms if timestamp_ms >= 0 => {
            Ok(Some(OffsetQuery::AtTimestamp { timestamp_ms, committed_only }))
        }
        _ => Err(ErrorCode::UnsupportedVersion),
    }
}

fn response(
    version: i16,
    partition_index: i32,
    answer: Result<OffsetFound, Refusal>,
) -> ListOffsetsPartitionResponse {
    let nothing =
        ListOffsetsPartitionResponse { partition_index, timestamp: NONE, offset: NONE, ..Default::default() };
    match answer {
        Ok(found) => ListOffsetsPartitionResponse {
            timestamp: found.timestamp_ms,
            offset: found.offset.0,
            leader_epoch: if version >= LEADER_EPOCH { found.leader_epoch.0 } else { -1 },
            ..nothing
        },
        Err(refusal) => {
            let error_code = match refusal.code {
                ErrorCode::OffsetNotAvailable | ErrorCode::KafkaStorageError if version < NEW_ERRORS => {
                    ErrorCode::LeaderNotAvailable
                }
                code => code,
            };
            ListOffsetsPartitionResponse { error_code: error_code.code(), ..nothing }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_times_need_the_version_that_knows_them() {
        for (timestamp, first_version) in [(-3, 7), (-4, 8), (-5, 9), (-6, 11)] {
            assert_eq!(query(first_version - 1, timestamp, false), Err(ErrorCode::UnsupportedVersion));
            assert!(query(first_version, timestamp, false).is_ok());
        }
        assert_eq!(query(1, -2, false), Ok(Some(OffsetQuery::Earliest)));
        assert_eq!(query(11, -7, false), Err(ErrorCode::UnsupportedVersion));
        assert_eq!(
            query(1, 0, false),
            Ok(Some(OffsetQuery::AtTimestamp { timestamp_ms: 0, committed_only: false }))
        );
    }
}
