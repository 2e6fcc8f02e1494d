//! The way of every transaction: init, add, end, markers; in both versions.

use protocol::ErrorCode;

use crate::talk::{EPOCH_MS, TIMEOUT_MS, Talk, producer, topics};

const PARTITIONS: [(&str, i32); 3] = [("orders", 0), ("orders", 1), ("bills", 0)];

#[test]
fn a_transaction_of_version_1_keeps_its_epoch() {
    let mut talk = Talk::new();
    let own = talk.init(None).unwrap();
    assert_eq!(own, producer(1000, 0));
    assert_eq!(talk.state(), "Empty");
    for commit in [true, false] {
        assert_eq!(talk.add(own, &PARTITIONS[..1], 0), Ok(()));
        assert_eq!(talk.add(own, &PARTITIONS[1..], 0), Ok(()));
        assert_eq!(talk.state(), "Ongoing");
        assert_eq!(talk.end(own, commit, 0), Ok(own));
        assert_eq!(talk.state(), if commit { "PrepareCommit" } else { "PrepareAbort" });
        let markers = talk.markers[0].clone();
        assert_eq!((markers.producer, markers.commit, markers.version), (own, commit, 0));
        let mut sorted = topics(&PARTITIONS);
        sorted.sort();
        assert_eq!(markers.topics, sorted);
        talk.mark_all();
        assert_eq!(talk.state(), if commit { "CompleteCommit" } else { "CompleteAbort" });
        assert_eq!(talk.describe(crate::talk::ID).topics, []);
    }
}

#[test]
fn a_transaction_of_version_2_ends_with_the_next_epoch() {
    let mut talk = Talk::new();
    let mut own = talk.init(None).unwrap();
    for (turn, commit) in [true, false, true].into_iter().enumerate() {
        assert_eq!(talk.add(own, &PARTITIONS, 2), Ok(()));
        let next = talk.end(own, commit, 2).unwrap();
        assert_eq!(next, producer(1000, i16::try_from(turn).unwrap() + 1));
        // Markers are told from what was written before them by their epoch.
        assert_eq!((talk.markers[0].producer, talk.markers[0].version), (next, 2));
        talk.mark_all();
        assert_eq!(talk.state(), if commit { "CompleteCommit" } else { "CompleteAbort" });
        own = next;
    }
}

#[test]
fn a_transaction_is_described_as_it_goes() {
    let mut talk = Talk::new();
    let own = talk.init(None).unwrap();
    talk.pass(5);
    talk.add(own, &PARTITIONS, 2).unwrap();
    talk.pass(5);
    let described = talk.describe(crate::talk::ID);
    assert_eq!(described.transaction_start_time_ms, EPOCH_MS + 5);
    assert_eq!(described.transaction_timeout_ms, TIMEOUT_MS);
    assert_eq!((described.producer_id, described.producer_epoch), (1000, 0));
    let shown: Vec<_> =
        described.topics.iter().map(|topic| (topic.topic.as_str(), topic.partitions.clone())).collect();
    assert_eq!(shown, [("bills", vec![0]), ("orders", vec![0, 1])]);

    // While it completes: what is left.
    talk.end(own, true, 2).unwrap();
    let marked = talk.markers[0].clone();
    let some = topics(&[("orders", 1), ("bills", 0)]);
    talk.ask(coordinator::transactions::Request::Marked {
        transactional_id: marked.transactional_id,
        producer: marked.producer,
        topics: some,
    });
    let described = talk.describe(crate::talk::ID);
    assert_eq!(described.transaction_state, "PrepareCommit");
    assert_eq!(described.topics.len(), 1);
    assert_eq!((described.topics[0].topic.as_str(), &*described.topics[0].partitions), ("orders", &[0][..]));
    talk.mark_all();
    assert_eq!(talk.state(), "CompleteCommit");
}

#[test]
fn a_transaction_that_wrote_nothing_can_be_aborted_in_version_2_only() {
    let mut talk = Talk::new();
    let own = talk.init(None).unwrap();
    for version in [0, 2] {
        assert_eq!(talk.end(own, true, version), Err(ErrorCode::InvalidTxnState));
    }
    assert_eq!(talk.end(own, false, 0), Err(ErrorCode::InvalidTxnState));
    let next = talk.end(own, false, 2).unwrap();
    assert_eq!(next, producer(1000, 1));
    assert!(talk.markers.is_empty());
    assert_eq!(talk.state(), "CompleteAbort");
    // And again: its producer cannot know.
    let next = talk.end(next, false, 2).unwrap();
    assert_eq!((next, talk.state()), (producer(1000, 2), "CompleteAbort".to_owned()));
    assert_eq!(talk.end(next, true, 2), Err(ErrorCode::InvalidTxnState));
}

#[test]
fn partitions_are_verified_without_being_added() {
    let mut talk = Talk::new();
    assert_eq!(talk.verify(producer(1000, 0), &PARTITIONS), Err(ErrorCode::InvalidProducerIdMapping));
    let own = talk.init(None).unwrap();
    assert_eq!(talk.verify(own, &PARTITIONS[..1]), Ok(topics(&PARTITIONS[..1])));
    talk.add(own, &PARTITIONS[..2], 0).unwrap();
    let records = talk.records.len();
    assert_eq!(talk.verify(own, &PARTITIONS[..2]), Ok(topics(&[])));
    assert_eq!(talk.verify(own, &PARTITIONS), Ok(topics(&PARTITIONS[2..])));
    assert_eq!(talk.verify(producer(7, 0), &PARTITIONS), Err(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(talk.verify(producer(1000, 1), &PARTITIONS), Err(ErrorCode::ProducerFenced));
    talk.end(own, true, 0).unwrap();
    assert_eq!(talk.verify(own, &PARTITIONS[..1]), Err(ErrorCode::ConcurrentTransactions));
    talk.mark_all();
    assert_eq!(talk.verify(own, &PARTITIONS[..1]), Ok(topics(&PARTITIONS[..1])));
    // It has asked for nothing to be written but the end.
    assert_eq!(talk.records.len(), records + 2);
}

#[test]
fn a_partition_that_is_there_already_is_not_written_again() {
    let mut talk = Talk::new();
    let own = talk.init(None).unwrap();
    talk.add(own, &PARTITIONS, 2).unwrap();
    let records = talk.records.len();
    talk.add(own, &PARTITIONS[1..], 2).unwrap();
    assert_eq!(talk.records.len(), records);
}

#[test]
fn more_partitions_than_a_record_can_hold_are_refused() {
    let mut talk = Talk::new();
    let own = talk.init(None).unwrap();
    let many: Vec<i32> = (0..300_000).collect();
    let request = coordinator::transactions::Request::AddPartitions {
        transactional_id: crate::talk::ID.into(),
        producer: own,
        topics: vec![("orders".into(), many)],
        client_version: 0,
    };
    let ticket = talk.ask(request);
    let refused = coordinator::transactions::Reply::Added(Err(ErrorCode::UnknownServerError));
    assert_eq!(talk.answer(ticket), &refused);
    assert_eq!(talk.state(), "Empty");
}
