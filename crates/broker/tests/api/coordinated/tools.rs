//! What tools ask and do: DescribeTransactions, ListTransactions, and an end by force.

use protocol::ErrorCode;
use protocol::messages::describe_transactions_request::DescribeTransactionsRequest;
use protocol::messages::describe_transactions_response::TransactionState;
use protocol::messages::list_transactions_request::ListTransactionsRequest;
use protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};

use super::ends::settled;
use super::producer::{GROUP, Tx, find, group_offset};
use crate::support::{Client, ms, run};

async fn describe(client: &mut Client, id: &str) -> TransactionState {
    let request = DescribeTransactionsRequest { transactional_ids: vec![id.into(), id.into()] };
    let mut states = client.call(0, &request).await.transaction_states;
    assert_eq!(states.len(), 1, "each once");
    states.remove(0)
}

async fn list(client: &mut Client, request: ListTransactionsRequest) -> Vec<(String, String)> {
    let answer = client.call(2, &request).await;
    assert_eq!(answer.error_code, 0);
    let shown = answer
        .transaction_states
        .iter()
        .map(|state| (state.transactional_id.to_string(), state.transaction_state.to_string()));
    let mut shown: Vec<_> = shown.collect();
    shown.sort();
    shown
}

fn all() -> ListTransactionsRequest {
    ListTransactionsRequest { duration_filter: -1, ..Default::default() }
}

#[test]
fn transactions_are_described_and_listed() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 3, &[]).await;
        assert_eq!(list(&mut client, all()).await, []);
        assert_eq!(ErrorCode::from(describe(&mut client, "tx").await.error_code), ErrorCode::NotCoordinator);
        let mut tx = Tx::init(&mut client, "tx", 1).await;
        Tx::init(&mut client, "idle", 1).await;
        tx.send(&mut client, &topic, 2, &["a"]).await;
        tx.send(&mut client, &topic, 0, &["a"]).await;
        let begun = describe(&mut client, "tx").await;
        assert_eq!((begun.producer_id, begun.producer_epoch), (tx.producer_id, 0));
        assert_eq!((begun.transaction_state.as_str(), begun.transaction_timeout_ms), ("Ongoing", 60_000));
        assert!(begun.transaction_start_time_ms > 0 && begun.transaction_start_time_ms <= world.wall_ms());
        assert_eq!((begun.topics[0].topic.as_str(), &*begun.topics[0].partitions), ("t", &[0, 2][..]));
        let of = |id: &str, state: &str| (id.to_owned(), state.to_owned());
        assert_eq!(list(&mut client, all()).await, [of("idle", "Empty"), of("tx", "Ongoing")]);
        let pattern = Some("t.".into());
        let listed =
            list(&mut client, ListTransactionsRequest { transactional_id_pattern: pattern, ..all() });
        assert_eq!(listed.await, [of("tx", "Ongoing")]);
        let answer = client
            .call(2, &ListTransactionsRequest { transactional_id_pattern: Some("(".into()), ..all() })
            .await;
        assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::InvalidRegularExpression);
        tx.end(&mut client, true).await;
        settled(&mut client, &topic, 1).await;
        client.pause(ms(100)).await;
        assert_eq!(describe(&mut client, "tx").await.transaction_state, "CompleteCommit");
        assert_eq!(ErrorCode::from(describe(&mut client, "").await.error_code), ErrorCode::InvalidRequest);
        let code = describe(&mut client, "nobody").await.error_code;
        assert_eq!(ErrorCode::from(code), ErrorCode::TransactionalIdNotFound);
    });
}

/// An operator ends in a partition what its producer does not.
#[test]
fn a_transaction_is_ended_by_force() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let mut tx = Tx::init(&mut client, "tx", 1).await;
        tx.send(&mut client, &topic, 0, &["hangs"]).await;
        assert_eq!(tx.commit_offset(&mut client, &topic, 5).await, ErrorCode::None);
        client.fill(&topic, &["plain"]).await;
        let offsets = partition_of_group(&mut client).await;
        let end = |name: &str, partition, epoch, coordinator_epoch| WriteTxnMarkersRequest {
            markers: vec![WritableTxnMarker {
                producer_id: tx.producer_id,
                producer_epoch: epoch,
                transaction_result: false,
                topics: vec![WritableTxnMarkerTopic {
                    name: name.into(),
                    partition_indexes: vec![partition],
                }],
                coordinator_epoch,
                transaction_version: 0,
            }],
        };
        for (name, partition) in [("t", 0), ("__consumer_offsets", offsets)] {
            let answer = client.call(2, &end(name, partition, 0, 0)).await;
            let code = ErrorCode::from(answer.markers[0].topics[0].partitions[0].error_code);
            assert_eq!(code, ErrorCode::None, "{name}");
        }
        assert_eq!(settled(&mut client, &topic, 1).await, ["plain"]);
        assert_eq!(group_offset(&mut client, &topic, true).await, Ok(-1));
        // The producer does not know, and is told when it goes on.
        let refused = tx.only_send(&mut client, &topic, 0, &["goes on"]).await;
        assert_eq!(refused, ErrorCode::None, "its coordinator still has the transaction");
        assert_eq!(tx.end(&mut client, false).await, ErrorCode::None);
        client.pause(ms(100)).await;
        assert_eq!(settled(&mut client, &topic, 1).await, ["plain"]);
    });
}

/// Epochs of markers that come from elsewhere are checked in the partition of a group, too, and nobody else suffers.
#[test]
fn a_marker_that_comes_too_late_does_not_end_anything() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        Tx::init(&mut client, "tx", 1).await;
        let mut tx = Tx::init(&mut client, "tx", 1).await;
        assert_eq!(tx.commit_offset(&mut client, &topic, 5).await, ErrorCode::None);
        let partition = partition_of_group(&mut client).await;
        let late = WriteTxnMarkersRequest {
            markers: vec![WritableTxnMarker {
                producer_id: tx.producer_id,
                producer_epoch: tx.epoch - 1,
                transaction_result: true,
                topics: vec![WritableTxnMarkerTopic {
                    name: "__consumer_offsets".into(),
                    partition_indexes: vec![partition],
                }],
                ..Default::default()
            }],
        };
        let answer = client.call(2, &late).await;
        let code = ErrorCode::from(answer.markers[0].topics[0].partitions[0].error_code);
        assert_eq!(code, ErrorCode::InvalidProducerEpoch);
        assert_eq!(group_offset(&mut client, &topic, true).await, Err(ErrorCode::UnstableOffsetCommit));
        assert_eq!(tx.end(&mut client, true).await, ErrorCode::None);
        client.pause(ms(200)).await;
        assert_eq!(group_offset(&mut client, &topic, true).await, Ok(5));
    });
}

/// The partition that keeps the group: the one that its transaction has.
async fn partition_of_group(client: &mut Client) -> i32 {
    assert_eq!(find(client, 0, GROUP).await, ErrorCode::None);
    let described = describe(client, "tx").await;
    let topic = described.topics.iter().find(|topic| topic.topic == "__consumer_offsets");
    topic.unwrap().partitions[0]
}
