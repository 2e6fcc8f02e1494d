//! WriteTxnMarkers: which ends of transactions are written.

use protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use protocol::{ErrorCode, Str};

use super::{MARKERS, ON_TRUST, marker, part};
use crate::support::run;

#[test]
fn late_and_strange_markers_are_refused() {
    run(ON_TRUST, async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        client.send_part(&topic, part(7, 5, 0, &["a"])).await;
        let plain = marker(&topic, 7, 5, true);
        let of = |topics: Vec<WritableTxnMarkerTopic>| WritableTxnMarker { topics, ..plain.clone() };
        let at = |name: &str, partition| {
            vec![WritableTxnMarkerTopic { name: Str::from(name), partition_indexes: vec![partition] }]
        };
        for (marker, code) in [
            (of(at("t", 1)), ErrorCode::UnknownTopicOrPartition),
            (of(at("u", 0)), ErrorCode::UnknownTopicOrPartition),
            (WritableTxnMarker { producer_epoch: 4, ..plain.clone() }, ErrorCode::InvalidProducerEpoch),
            // By version 2 of transactions the epoch has grown.
            (WritableTxnMarker { transaction_version: 2, ..plain.clone() }, ErrorCode::InvalidProducerEpoch),
            (WritableTxnMarker { coordinator_epoch: 3, ..plain.clone() }, ErrorCode::None),
            (
                WritableTxnMarker { coordinator_epoch: 2, ..plain.clone() },
                ErrorCode::TransactionCoordinatorFenced,
            ),
            // The same again is written again, as in Kafka.
            (WritableTxnMarker { coordinator_epoch: 3, ..plain.clone() }, ErrorCode::None),
            (
                WritableTxnMarker { coordinator_epoch: 3, transaction_version: 2, ..plain.clone() },
                ErrorCode::None,
            ),
            // Of a producer that nobody knows.
            (
                WritableTxnMarker { producer_id: 99, transaction_result: false, ..plain.clone() },
                ErrorCode::None,
            ),
        ] {
            assert_eq!(client.mark(marker.clone()).await, code, "{marker:?}");
        }
        let found = client.read_committed(&topic, 0).await;
        assert_eq!((found.values, found.last_stable_offset), (vec!["a".to_owned()], 5));
        assert_eq!(found.aborted, [], "what has no records is not aborted");
        let producers = client.producers(&topic).await;
        let known: Vec<_> = producers
            .iter()
            .map(|state| (state.producer_id, state.producer_epoch, state.coordinator_epoch))
            .collect();
        assert_eq!(known, [(7, 5, 3), (99, 5, 0)]);
    });
}

#[test]
fn several_markers_in_a_request_are_each_answered() {
    run(ON_TRUST, async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 2, &[]).await;
        client.send_part(&topic, part(7, 0, 0, &["a"])).await;
        client.send_part(&topic, part(8, 0, 0, &["b"])).await;
        let both = WritableTxnMarkerTopic { name: topic.name.clone(), partition_indexes: vec![1, 0, 2] };
        let markers = [7, 8].map(|producer| WritableTxnMarker {
            topics: vec![both.clone()],
            ..marker(&topic, producer, 0, producer == 7)
        });
        let request = WriteTxnMarkersRequest { markers: markers.to_vec() };
        for version in 1..=2 {
            let response = client.call(version, &request).await;
            for (answer, producer) in response.markers.iter().zip([7, 8]) {
                assert_eq!(answer.producer_id, producer);
                let codes: Vec<_> = answer.topics[0]
                    .partitions
                    .iter()
                    .map(|one| (one.partition_index, ErrorCode::from(one.error_code)))
                    .collect();
                let unknown = ErrorCode::UnknownTopicOrPartition;
                assert_eq!(codes, [(1, ErrorCode::None), (0, ErrorCode::None), (2, unknown)]);
            }
        }
        let found = client.read_committed(&topic, 0).await;
        assert_eq!((found.values, found.aborted), (vec!["a".to_owned()], vec![(8, 1)]));
        assert_eq!(client.call(MARKERS, &WriteTxnMarkersRequest::default()).await.markers, []);
    });
}
