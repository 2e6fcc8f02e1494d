//! Who may not: producers that were replaced, ids of others, partitions that are not part of a transaction; and the error code
//! for each, by version.

use protocol::ErrorCode;
use protocol::messages::add_offsets_to_txn_request::AddOffsetsToTxnRequest;
use protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};

use super::ends::settled;
use super::producer::{GROUP, Tx, VERSIONS, committed, find, init_request};
use crate::support::run;

#[test]
fn a_new_producer_fences_the_old_one_and_aborts_what_it_has_begun() {
    for version in VERSIONS {
        run(&[], async |world| {
            let mut client = world.connect().await;
            let topic = client.create("t", 1, &[]).await;
            let mut old = Tx::init(&mut client, "tx", version).await;
            old.send(&mut client, &topic, 0, &["zombie"]).await;
            let mut new = Tx::init(&mut client, "tx", version).await;
            assert_eq!((new.producer_id, new.epoch), (old.producer_id, 2), "one epoch is that of the fence");
            assert_eq!(new.send(&mut client, &topic, 0, &["new"]).await, ErrorCode::None);
            let sent = old.only_send(&mut client, &topic, 0, &["zombie"]).await;
            assert_eq!(sent, ErrorCode::InvalidProducerEpoch);
            assert_eq!(old.end(&mut client, true).await, ErrorCode::ProducerFenced);
            assert_eq!(old.end(&mut client, false).await, ErrorCode::ProducerFenced);
            assert_eq!(new.end(&mut client, true).await, ErrorCode::None);
            assert_eq!(settled(&mut client, &topic, 1).await, ["new"]);
        });
    }
}

#[test]
fn producers_that_are_fenced_are_told_so_in_terms_that_they_know() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let old = Tx::init(&mut client, "tx", 1).await;
        Tx::init(&mut client, "tx", 1).await;
        let (fenced, before) = (ErrorCode::ProducerFenced, ErrorCode::InvalidProducerEpoch);
        for version in 0..=5 {
            let expected = if version >= 2 { fenced } else { before };
            let answer = client.call(version, &old.end_request(true)).await;
            assert_eq!(ErrorCode::from(answer.error_code), expected, "EndTxn {version}");
        }
        for version in 0..=4 {
            let request = AddOffsetsToTxnRequest {
                transactional_id: old.id.clone(),
                producer_id: old.producer_id,
                producer_epoch: old.epoch,
                group_id: GROUP.into(),
            };
            let answer = client.call(version, &request).await;
            let expected = if version >= 2 { fenced } else { before };
            assert_eq!(ErrorCode::from(answer.error_code), expected, "AddOffsetsToTxn {version}");
        }
        for version in 0..=3 {
            let request = AddPartitionsToTxnRequest {
                v3_and_below_transactional_id: old.id.clone(),
                v3_and_below_producer_id: old.producer_id,
                v3_and_below_producer_epoch: old.epoch,
                v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                    name: topic.name.clone(),
                    partitions: vec![0],
                }],
                ..Default::default()
            };
            let answer = client.call(version, &request).await;
            let part = &answer.results_by_topic_v3_and_below[0].results_by_partition[0];
            let expected = if version >= 2 { fenced } else { before };
            assert_eq!(ErrorCode::from(part.partition_error_code), expected, "AddPartitionsToTxn {version}");
        }
        for version in 3..=5 {
            let current = Some((old.producer_id, old.epoch));
            let answer = client.call(version, &init_request("tx", 60_000, current)).await;
            let expected = if version >= 4 { fenced } else { before };
            assert_eq!(ErrorCode::from(answer.error_code), expected, "InitProducerId {version}");
            assert_eq!((answer.producer_id, answer.producer_epoch), (-1, -1));
        }
        assert_eq!(find(&mut client, 0, GROUP).await, ErrorCode::None);
        for version in 0..=6 {
            assert_eq!(old.commit_offset_in(&mut client, version, &topic, 3).await, before, "{version}");
        }
    });
}

#[test]
fn init_producer_id_refuses_what_makes_no_sense() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        // Nobody has looked for the coordinator yet.
        let answer = client.call(5, &init_request("tx", 60_000, None)).await;
        assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::NotCoordinator);
        assert_eq!(find(&mut client, 1, "tx").await, ErrorCode::None);
        for (request, code) in [
            (init_request("", 60_000, None), ErrorCode::InvalidRequest),
            (init_request("tx", 60_000, Some((7, -1))), ErrorCode::InvalidRequest),
            (init_request("tx", 60_000, Some((-1, 7))), ErrorCode::InvalidRequest),
            (init_request("tx", 0, None), ErrorCode::InvalidTransactionTimeout),
            (init_request("tx", 900_001, None), ErrorCode::InvalidTransactionTimeout),
            // Of an id that was forgotten: it begins anew.
            (init_request("tx", 60_000, Some((7, 3))), ErrorCode::None),
            (init_request("tx", 60_000, Some((7, 3))), ErrorCode::ProducerFenced),
        ] {
            let answer = client.call(5, &request).await;
            assert_eq!(ErrorCode::from(answer.error_code), code, "{request:?}");
        }
    });
}

#[test]
fn one_partition_that_cannot_be_added_keeps_the_others_out() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 2, &[]).await;
        let tx = Tx::init(&mut client, "tx", 1).await;
        let (unknown, not_attempted) = (ErrorCode::UnknownTopicOrPartition, ErrorCode::OperationNotAttempted);
        assert_eq!(tx.add(&mut client, &topic, &[0, 7, 1]).await, [not_attempted, unknown, not_attempted]);
        let internal =
            crate::support::requests::Topic { name: "__transaction_state".into(), id: protocol::Uuid::ZERO };
        assert_eq!(tx.add(&mut client, &internal, &[0]).await, [ErrorCode::TopicAuthorizationFailed]);
        assert_eq!(tx.add(&mut client, &topic, &[1, 0]).await, [ErrorCode::None; 2]);
    });
}

#[test]
fn a_partition_that_was_not_added_is_not_written_to() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 2, &[]).await;
        let mut tx = Tx::init(&mut client, "tx", 1).await;
        assert_eq!(tx.add(&mut client, &topic, &[0]).await, [ErrorCode::None]);
        // In the versions that know TRANSACTION_ABORTABLE, and before.
        let refused = tx.only_send(&mut client, &topic, 1, &["stray"]).await;
        assert_eq!(refused, ErrorCode::TransactionAbortable);
        let batch = crate::transactions::part(tx.producer_id, tx.epoch, 0, &["stray"]);
        let request = protocol::messages::produce_request::ProduceRequest {
            transactional_id: Some(tx.id.clone()),
            ..crate::support::requests::produce(10, -1, &topic, &[(1, batch)])
        };
        let response = client.call(10, &request).await;
        let code = crate::support::requests::only_produced(&response).error_code;
        assert_eq!(ErrorCode::from(code), ErrorCode::InvalidTxnState);
        assert_eq!(find(&mut client, 0, GROUP).await, ErrorCode::None);
        for (version, code) in [(3, ErrorCode::InvalidTxnState), (4, ErrorCode::TransactionAbortable)] {
            assert_eq!(tx.commit_offset_in(&mut client, version, &topic, 3).await, code, "{version}");
        }
        assert_eq!(tx.only_send(&mut client, &topic, 0, &["a"]).await, ErrorCode::None);
        assert_eq!(tx.end(&mut client, true).await, ErrorCode::None);
        assert_eq!(settled(&mut client, &topic, 1).await, ["a"]);
        assert_eq!(committed(&mut client, &topic, 1).await.len(), 0);
    });
}

#[test]
fn brokers_add_and_verify_partitions_of_several_transactions() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 2, &[]).await;
        let one = Tx::init(&mut client, "one", 1).await;
        let two = Tx::init(&mut client, "two", 1).await;
        let ask = |tx: &Tx, verify_only, partitions: &[i32]| AddPartitionsToTxnTransaction {
            transactional_id: tx.id.clone(),
            producer_id: tx.producer_id,
            producer_epoch: tx.epoch,
            verify_only,
            topics: vec![AddPartitionsToTxnTopic {
                name: topic.name.clone(),
                partitions: partitions.to_vec(),
            }],
        };
        let stranger = Tx { epoch: 9, ..two.clone() };
        for version in 4..=5 {
            let transactions =
                vec![ask(&one, false, &[0]), ask(&two, true, &[0]), ask(&stranger, true, &[1])];
            let request = AddPartitionsToTxnRequest { transactions, ..Default::default() };
            let answer = client.call(version, &request).await;
            let codes: Vec<_> = answer
                .results_by_transaction
                .iter()
                .map(|result| {
                    let part = &result.topic_results[0].results_by_partition[0];
                    (result.transactional_id.to_string(), ErrorCode::from(part.partition_error_code))
                })
                .collect();
            let of = |id: &str, code| (id.to_owned(), code);
            assert_eq!(
                codes,
                [
                    of("one", ErrorCode::None),
                    of("two", ErrorCode::TransactionAbortable),
                    of("two", ErrorCode::ProducerFenced)
                ]
            );
        }
    });
}

/// What belongs to another transactional id cannot be touched.
#[test]
fn a_transactional_id_of_another_is_refused() {
    for version in VERSIONS {
        run(&[], async |world| {
            let mut client = world.connect().await;
            let topic = client.create("t", 1, &[]).await;
            let mut mine = Tx::init(&mut client, "mine", version).await;
            let theirs = Tx::init(&mut client, "theirs", version).await;
            mine.send(&mut client, &topic, 0, &["a"]).await;
            let mut mixed = Tx { id: theirs.id.clone(), ..mine.clone() };
            assert_eq!(mixed.end(&mut client, false).await, ErrorCode::InvalidProducerIdMapping);
            assert_eq!(mixed.add(&mut client, &topic, &[0]).await, [ErrorCode::InvalidProducerIdMapping]);
            let mut unknown = Tx { id: "nobody".into(), ..mine.clone() };
            assert_eq!(unknown.end(&mut client, true).await, ErrorCode::InvalidProducerIdMapping);
            assert_eq!(mine.end(&mut client, true).await, ErrorCode::None);
            assert_eq!(settled(&mut client, &topic, 1).await, ["a"]);
        });
    }
}
