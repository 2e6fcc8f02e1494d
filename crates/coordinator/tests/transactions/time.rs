//! What happens when nobody does anything: transactions that run for too long, ids that nobody uses.

use coordinator::transactions::Options;
use protocol::ErrorCode;

use crate::talk::{ID, TIMEOUT_MS, Talk, producer};

const ORDERS: [(&str, i32); 1] = [("orders", 0)];
const WEEK_MS: u64 = 7 * 24 * 3_600_000;

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    for level in [0, 2] {
        let mut talk = Talk::with(Options { transaction_version: level, ..Options::default() });
        let own = talk.init(None).unwrap();
        talk.pass(3_000);
        talk.add(own, &ORDERS, 0).unwrap();
        talk.pass(61_000);
        assert_eq!(talk.state(), "Ongoing", "looks are 10 s apart");
        talk.pass(10_000);
        assert_eq!(talk.state(), "PrepareAbort");
        assert_eq!(talk.markers[0].producer, producer(1000, 1));
        assert_eq!(talk.end(own, true, 0), Err(ErrorCode::ProducerFenced));
        talk.mark_all();
        assert_eq!(talk.state(), "CompleteAbort");
        assert_eq!(talk.add(own, &ORDERS, 0), Err(ErrorCode::ProducerFenced));
        assert_eq!(talk.init(None), Ok(producer(1000, 2)));
    }
}

#[test]
fn a_producer_of_version_2_goes_on_after_its_transaction_was_aborted() {
    let mut talk = Talk::new();
    let own = talk.init(None).unwrap();
    talk.add(own, &ORDERS, 2).unwrap();
    talk.pass(80_000);
    talk.mark_all();
    // It knows the epoch before the fence, and asks for the next.
    let next = talk.init(Some(own)).unwrap();
    assert_eq!(next, producer(1000, 1));
    assert_eq!(talk.add(next, &ORDERS, 2), Ok(()));
}

#[test]
fn time_goes_on_where_another_coordinator_takes_over() {
    let mut talk = Talk::new();
    let own = talk.init(None).unwrap();
    talk.add(own, &ORDERS, 0).unwrap();
    talk.pass(50_000);
    talk.fail_over(Options::default());
    talk.pass(9_000);
    assert_eq!(talk.state(), "Ongoing");
    talk.pass(12_000);
    assert_eq!(talk.state(), "PrepareAbort");
}

#[test]
fn a_transaction_that_has_ended_does_not_time_out() {
    let mut talk = Talk::new();
    let own = talk.init(None).unwrap();
    talk.add(own, &ORDERS, 2).unwrap();
    let next = talk.end(own, true, 2).unwrap();
    // Its markers take longer than the timeout.
    talk.pass(200_000);
    assert_eq!(talk.state(), "PrepareCommit");
    talk.mark_all();
    // The next one has all of its time.
    talk.add(next, &ORDERS, 2).unwrap();
    talk.pass(u64::try_from(TIMEOUT_MS).unwrap() - 1);
    assert_eq!(talk.end(next, true, 2), Ok(producer(1000, 2)));
}

#[test]
fn thousands_that_time_out_together_are_aborted_in_pieces() {
    let mut talk = Talk::new();
    for number in 0..1_200 {
        let id = format!("app-{number}");
        let own = talk.init_with(&id, TIMEOUT_MS, None).unwrap();
        talk.ask(coordinator::transactions::Request::AddPartitions {
            transactional_id: id.as_str().into(),
            producer: own,
            topics: crate::talk::topics(&ORDERS),
            client_version: 0,
        });
    }
    talk.pass(80_000);
    assert_eq!(talk.markers.len(), 1_200);
}

#[test]
fn an_id_that_nobody_uses_is_forgotten() {
    let mut talk = Talk::new();
    talk.init(None).unwrap();
    talk.pass(WEEK_MS - 1);
    assert_eq!(talk.state(), "Empty");
    talk.pass(3_600_000);
    assert_eq!(ErrorCode::from(talk.describe(ID).error_code), ErrorCode::TransactionalIdNotFound);
    assert!(talk.records.last().unwrap().value.is_none());
    assert_eq!(talk.init(None), Ok(producer(1001, 0)));
}

#[test]
fn an_id_with_a_transaction_is_not_forgotten() {
    let mut talk = Talk::with(Options { transaction_max_timeout_ms: i32::MAX, ..Options::default() });
    let own = talk.init_with(ID, i32::MAX, None).unwrap();
    talk.add(own, &ORDERS, 0).unwrap();
    talk.pass(WEEK_MS + 7_200_000);
    assert_eq!(talk.state(), "Ongoing");
    talk.end(own, true, 0).unwrap();
    talk.pass(WEEK_MS + 7_200_000);
    assert_eq!(talk.state(), "PrepareCommit");
    talk.mark_all();
    talk.pass(WEEK_MS + 7_200_000);
    assert_eq!(ErrorCode::from(talk.describe(ID).error_code), ErrorCode::TransactionalIdNotFound);
}

#[test]
fn many_ids_expire_in_pieces() {
    let mut talk = Talk::new();
    for number in 0..25_000 {
        talk.init_with(&format!("app-{number}"), TIMEOUT_MS, None).unwrap();
    }
    talk.pass(WEEK_MS + 3_600_000);
    assert!(talk.list(Default::default()).transaction_states.is_empty());
}
