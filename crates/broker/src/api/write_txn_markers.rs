//! WriteTxnMarkers (27): the ends of transactions, as their coordinators decide them, or an operator who ends one that hangs
//! (KIP-98, KIP-664).

use std::ops::RangeInclusive;

use protocol::messages::write_txn_markers_request::{WritableTxnMarker, WriteTxnMarkersRequest};
use protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
    WriteTxnMarkersResponse,
};
use protocol::{ErrorCode, ProducerEpoch, ProducerId, Str};

use super::{Call, Handler, Protest};
use crate::transactions::{Marker, write_markers};

pub(crate) struct WriteTxnMarkers;

impl Handler for WriteTxnMarkers {
    type Request = WriteTxnMarkersRequest;

    const ADVERTISED: RangeInclusive<i16> = 1..=2;

    async fn handle(
        call: Call,
        request: WriteTxnMarkersRequest,
    ) -> Result<Option<WriteTxnMarkersResponse>, Protest> {
        let mut begun = Vec::with_capacity(request.markers.len());
        for marker in request.markers {
            let partitions = partitions(&marker);
            let write = write_markers(&call.broker, &decided(&marker), &partitions);
            begun.push((marker, write));
        }
        let mut markers = Vec::with_capacity(begun.len());
        for (marker, write) in begun {
            markers.push(show(marker, write.await));
        }
        Ok(Some(WriteTxnMarkersResponse { markers }))
    }
}

fn decided(marker: &WritableTxnMarker) -> Marker {
    Marker {
        producer_id: ProducerId(marker.producer_id),
        producer_epoch: ProducerEpoch(marker.producer_epoch),
        commit: marker.transaction_result,
        coordinator_epoch: marker.coordinator_epoch,
        transaction_version: marker.transaction_version,
    }
}

fn partitions(marker: &WritableTxnMarker) -> Vec<(Str, i32)> {
    let of_topic = |topic: &protocol::messages::write_txn_markers_request::WritableTxnMarkerTopic| {
        let name = topic.name.detached();
        topic.partition_indexes.iter().map(move |partition| (name.clone(), *partition)).collect::<Vec<_>>()
    };
    marker.topics.iter().flat_map(of_topic).collect()
}

fn show(marker: WritableTxnMarker, codes: Vec<ErrorCode>) -> WritableTxnMarkerResult {
    let mut codes = codes.into_iter();
    let mut result = |partition_index| WritableTxnMarkerPartitionResult {
        partition_index,
        error_code: codes.next().unwrap_or(ErrorCode::UnknownServerError).code(),
    };
    let topics = marker.topics.into_iter().map(|topic| WritableTxnMarkerTopicResult {
        name: topic.name,
        partitions: topic.partition_indexes.into_iter().map(&mut result).collect(),
    });
    WritableTxnMarkerResult { producer_id: marker.producer_id, topics: topics.collect() }
}
