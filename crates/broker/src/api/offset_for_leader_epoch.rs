//! OffsetForLeaderEpoch (23): where a leader epoch ended (KIP-101, KIP-320).

use std::ops::RangeInclusive;

use protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition,
};
use protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use protocol::{ErrorCode, LeaderEpoch};

use super::{Call, Handler, Protest};
use crate::metadata_view::View;
use crate::shard::{EpochEnd, Refusal};

pub(crate) struct OffsetForLeaderEpoch;

impl Handler for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;

    const ADVERTISED: RangeInclusive<i16> = 2..=4;

    async fn handle(
        call: Call,
        request: OffsetForLeaderEpochRequest,
    ) -> Result<Option<OffsetForLeaderEpochResponse>, Protest> {
        let view = call.broker.metadata.view();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for asked in topic.partitions {
                let partition = asked.partition;
                partitions.push(match find(&call, &view, &topic.topic, &asked).await {
                    Ok(end) => EpochEndOffset {
                        partition,
                        leader_epoch: end.leader_epoch.0,
                        end_offset: end.end_offset.0,
                        ..Default::default()
                    },
                    Err(refusal) => EpochEndOffset {
                        partition,
                        error_code: refusal.code.code(),
                        leader_epoch: -1,
                        end_offset: -1,
                    },
                });
            }
            topics.push(OffsetForLeaderTopicResult { topic: topic.topic, partitions });
        }
        Ok(Some(OffsetForLeaderEpochResponse { topics, ..Default::default() }))
    }
}

async fn find(
    call: &Call,
    view: &View,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<EpochEnd, Refusal> {
    let topic = view.image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let key = call.broker.led_here(topic, asked.partition)?;
    let current = asked.current_leader_epoch;
    let current = (current >= 0).then_some(LeaderEpoch(current));
    call.broker.shards.epoch_end(key, LeaderEpoch(asked.leader_epoch), current).await
}
