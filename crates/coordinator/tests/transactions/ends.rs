//! How transactions end: retries, contradictions, who comes meanwhile, and coordinators that change in between.

use coordinator::transactions::{Options, Reply};
use protocol::ErrorCode;

use crate::talk::{ID, TIMEOUT_MS, Talk, init_request, producer};

const ORDERS: [(&str, i32); 1] = [("orders", 0)];

#[test]
fn an_end_that_is_asked_for_twice_is_decided_once() {
    for version in [0, 2] {
        for commit in [true, false] {
            let mut talk = Talk::new();
            let own = talk.init(None).unwrap();
            talk.add(own, &ORDERS, version).unwrap();
            let next = talk.end(own, commit, version).unwrap();
            let records = talk.records.len();
            let markers = std::mem::take(&mut talk.markers);
            // It waits for the completion, and has the same answer.
            let again = talk.ask(end_request(own, commit, version));
            assert!(talk.is_parked(again));
            assert_eq!(talk.end(own, !commit, version), Err(ErrorCode::InvalidTxnState));
            talk.markers = markers;
            talk.mark_all();
            assert_eq!(talk.answer(again), &Reply::Producer(Ok(next)));
            assert_eq!(talk.end(own, commit, version), Ok(next));
            assert_eq!(talk.end(own, !commit, version), Err(ErrorCode::InvalidTxnState));
            assert_eq!(talk.records.len(), records + 1, "the completion");
            assert!(talk.markers.is_empty());
        }
    }
}

fn end_request(
    producer: coordinator::Producer,
    commit: bool,
    client_version: i16,
) -> coordinator::transactions::Request {
    let transactional_id = ID.into();
    coordinator::transactions::Request::EndTxn {
        transactional_id,
        producer,
        commit,
        client_version,
        fresh: None,
    }
}

#[test]
fn an_old_epoch_ends_nothing_once_the_next_transaction_runs() {
    let mut talk = Talk::new();
    let first = talk.init(None).unwrap();
    talk.add(first, &ORDERS, 2).unwrap();
    let second = talk.end(first, true, 2).unwrap();
    talk.mark_all();
    talk.add(second, &ORDERS, 2).unwrap();
    // A late retry of the commit would have committed the second transaction, if it had the same epoch.
    assert_eq!(talk.end(first, true, 2), Err(ErrorCode::ProducerFenced));
    assert_eq!(talk.add(first, &[("bills", 3)], 2), Err(ErrorCode::ProducerFenced));
    assert_eq!(talk.state(), "Ongoing");
    assert_eq!(talk.describe(ID).topics.len(), 1);
}

#[test]
fn the_next_transaction_begins_when_the_one_before_is_complete() {
    let mut talk = Talk::new();
    let first = talk.init(None).unwrap();
    talk.add(first, &ORDERS, 2).unwrap();
    let second = talk.end(first, true, 2).unwrap();
    // The client has its answer and goes on; not every partition has heard.
    let adds = [("orders", 0), ("bills", 1)].map(|one| talk.ask(Talk::add_request(second, &[one], 2)));
    assert!(adds.iter().all(|add| talk.is_parked(*add)));
    assert_eq!(talk.state(), "PrepareCommit");
    talk.mark_all();
    for add in adds {
        assert_eq!(talk.answer(add), &Reply::Added(Ok(())));
    }
    assert_eq!(talk.state(), "Ongoing");
    assert_eq!(talk.describe(ID).topics.len(), 2);
}

#[test]
fn who_waits_too_long_for_a_completion_is_told() {
    let mut talk = Talk::new();
    let first = talk.init(None).unwrap();
    talk.add(first, &ORDERS, 2).unwrap();
    let second = talk.end(first, true, 2).unwrap();
    let add = talk.ask(Talk::add_request(second, &ORDERS, 2));
    talk.pass(50);
    let init = talk.ask(init_request(ID, TIMEOUT_MS, None, None));
    talk.pass(49);
    assert!(talk.is_parked(add));
    talk.pass(1);
    assert_eq!(talk.answer(add), &Reply::Added(Err(ErrorCode::ConcurrentTransactions)));
    assert!(talk.is_parked(init));
    talk.pass(50);
    assert_eq!(talk.answer(init), &Reply::Producer(Err(ErrorCode::ConcurrentTransactions)));
    talk.mark_all();
    assert_eq!(talk.add(second, &ORDERS, 2), Ok(()));
}

#[test]
fn nobody_waits_if_so_configured() {
    let mut talk = Talk::with(Options { completion_patience_ms: 0, ..Options::default() });
    let own = talk.init(None).unwrap();
    talk.add(own, &ORDERS, 0).unwrap();
    talk.end(own, true, 0).unwrap();
    assert_eq!(talk.add(own, &ORDERS, 0), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(talk.init(None), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(talk.end(own, true, 0), Err(ErrorCode::ConcurrentTransactions));
}

#[test]
fn a_new_producer_aborts_what_the_one_before_has_begun() {
    for level in [0, 1, 2] {
        let mut talk = Talk::with(Options { transaction_version: level, ..Options::default() });
        let old = talk.init(None).unwrap();
        talk.add(old, &ORDERS, 0).unwrap();
        let init = talk.ask(init_request(ID, TIMEOUT_MS, None, None));
        assert!(talk.is_parked(init));
        assert_eq!(talk.state(), "PrepareAbort");
        assert!(!talk.markers[0].commit);
        assert_eq!(talk.markers[0].producer, producer(1000, 1), "its markers fence it");
        // The zombie wants to commit at the same time.
        assert_eq!(talk.end(old, true, 0), Err(ErrorCode::ProducerFenced));
        talk.mark_all();
        assert_eq!(talk.answer(init), &Reply::Producer(Ok(producer(1000, 2))));
        assert_eq!(talk.end(old, true, 0), Err(ErrorCode::ProducerFenced));
        assert_eq!(talk.state(), "Empty");
    }
}

#[test]
fn another_coordinator_completes_what_was_decided() {
    for commit in [true, false] {
        let mut talk = Talk::new();
        let own = talk.init(None).unwrap();
        talk.add(own, &ORDERS, 2).unwrap();
        let next = talk.end(own, commit, 2).unwrap();
        let late = talk.markers.clone();
        talk.fail_over(Options::default());
        assert_eq!(talk.markers, late, "the same markers again");
        talk.mark_all();
        let complete = talk.state();
        assert_eq!(complete, if commit { "CompleteCommit" } else { "CompleteAbort" });
        // Those of the coordinator before have arrived, too.
        let records = talk.records.len();
        talk.markers = late;
        talk.mark_all();
        assert_eq!(talk.records.len(), records);
        // The producer did not hear.
        assert_eq!(talk.end(own, commit, 2), Ok(next));
    }
}

#[test]
fn another_coordinator_goes_on_with_what_was_begun() {
    let mut talk = Talk::new();
    let own = talk.init(None).unwrap();
    talk.add(own, &ORDERS, 0).unwrap();
    talk.fail_over(Options::default());
    assert!(talk.markers.is_empty());
    assert_eq!(talk.add(own, &[("bills", 1)], 0), Ok(()));
    assert_eq!(talk.end(own, true, 0), Ok(own));
    assert_eq!(talk.markers[0].topics.len(), 2);
}

#[test]
fn markers_of_a_transaction_that_is_over_complete_nothing_else() {
    let mut talk = Talk::new();
    let first = talk.init(None).unwrap();
    talk.add(first, &ORDERS, 2).unwrap();
    let second = talk.end(first, true, 2).unwrap();
    let late = talk.markers.clone();
    talk.mark_all();
    talk.add(second, &ORDERS, 2).unwrap();
    talk.end(second, false, 2).unwrap();
    let own = std::mem::replace(&mut talk.markers, late);
    talk.mark_all();
    assert_eq!(talk.state(), "PrepareAbort");
    talk.markers = own;
    talk.mark_all();
    assert_eq!(talk.state(), "CompleteAbort");
}
