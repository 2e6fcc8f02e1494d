//! Who is the producer: epochs, fencing, exhaustion, and retries of whoever did not hear (KIP-360, KIP-890).

use protocol::ErrorCode;

use crate::talk::{ID, TIMEOUT_MS, Talk, init_request, producer};

const LAST: i16 = i16::MAX - 1;

#[test]
fn a_new_producer_fences_the_one_before() {
    let mut talk = Talk::new();
    let old = talk.init(None).unwrap();
    let new = talk.init(None).unwrap();
    assert_eq!((old, new), (producer(1000, 0), producer(1000, 1)));
    for version in [0, 2] {
        assert_eq!(talk.add(old, &[("orders", 0)], version), Err(ErrorCode::ProducerFenced));
        assert_eq!(talk.end(old, true, version), Err(ErrorCode::ProducerFenced));
        assert_eq!(talk.end(old, false, version), Err(ErrorCode::ProducerFenced));
    }
    assert_eq!(talk.init(Some(old)), Err(ErrorCode::ProducerFenced));
    assert_eq!(talk.add(new, &[("orders", 0)], 0), Ok(()));
}

#[test]
fn ids_of_others_are_refused() {
    let mut talk = Talk::new();
    for id in [1000, 7] {
        let other = producer(id, 0);
        assert_eq!(talk.add(other, &[("orders", 0)], 0), Err(ErrorCode::InvalidProducerIdMapping));
        assert_eq!(talk.end(other, true, 0), Err(ErrorCode::InvalidProducerIdMapping));
        assert_eq!(talk.end(other, true, 2), Err(ErrorCode::InvalidProducerIdMapping));
    }
    talk.init(None).unwrap();
    let other = producer(7, 0);
    assert_eq!(talk.add(other, &[("orders", 0)], 0), Err(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(talk.end(other, true, 0), Err(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(talk.end(other, true, 2), Err(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(talk.init(Some(other)), Err(ErrorCode::ProducerFenced));
}

#[test]
fn timeouts_that_are_not_allowed_and_ids_that_are_empty_are_refused() {
    let mut talk = Talk::new();
    for timeout_ms in [0, -1, i32::MIN, 900_001, i32::MAX] {
        let refused = Err(ErrorCode::InvalidTransactionTimeout);
        assert_eq!(talk.init_with(ID, timeout_ms, None), refused, "{timeout_ms}");
    }
    assert_eq!(talk.init_with("", TIMEOUT_MS, None), Err(ErrorCode::InvalidRequest));
    assert!(talk.records.is_empty());
    assert!(talk.init_with(ID, 900_000, None).is_ok());
}

#[test]
fn a_producer_that_begins_anew_and_asks_twice_gets_the_same_epoch() {
    let mut talk = Talk::new();
    let first = talk.init(None).unwrap();
    let second = talk.init(Some(first)).unwrap();
    assert_eq!(second, producer(1000, 1));
    assert_eq!(talk.init(Some(first)), Ok(second), "the answer was lost");
    assert_eq!(talk.init(Some(second)), Ok(producer(1000, 2)));
    assert_eq!(talk.init(Some(first)), Err(ErrorCode::ProducerFenced));
    // After a stranger the answer that was lost is worth nothing.
    talk.init(None).unwrap();
    assert_eq!(talk.init(Some(producer(1000, 2))), Err(ErrorCode::ProducerFenced));
}

#[test]
fn the_last_epoch_but_one_takes_a_new_id() {
    let mut talk = Talk::new();
    let last = talk.at_epoch(LAST);
    // A retry of the one before still gets it.
    assert_eq!(talk.init(Some(producer(1000, LAST - 1))), Ok(last));
    assert_eq!(talk.init(Some(producer(1000, LAST - 2))), Err(ErrorCode::ProducerFenced));
    let next = talk.init(Some(last)).unwrap();
    assert_eq!(next, producer(1001, 0));
    assert_eq!(talk.init(Some(last)), Ok(next), "the answer was lost");
    assert_eq!(talk.add(last, &[("orders", 0)], 0), Err(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(talk.add(next, &[("orders", 0)], 0), Ok(()));
}

#[test]
fn the_last_transaction_of_an_id_ends_with_a_new_one() {
    let mut talk = Talk::new();
    let last = talk.at_epoch(LAST);
    talk.add(last, &[("orders", 0)], 2).unwrap();
    let next = talk.end(last, true, 2).unwrap();
    assert_eq!(next, producer(1001, 0));
    // The markers are the old id's, with the epoch that is left for them.
    assert_eq!(talk.markers[0].producer, producer(1000, i16::MAX));
    // Another coordinator completes it, and knows who comes next.
    talk.fail_over(Default::default());
    assert_eq!(talk.markers[0].producer, producer(1000, i16::MAX));
    talk.mark_all();
    let described = talk.describe(ID);
    assert_eq!((described.producer_id, described.producer_epoch), (1001, 0));
    assert_eq!(talk.end(last, true, 2), Ok(next), "the answer was lost");
    assert_eq!(talk.end(last, false, 2), Err(ErrorCode::InvalidTxnState));
    assert_eq!(talk.add(last, &[("orders", 0)], 2), Err(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(talk.add(next, &[("orders", 0)], 2), Ok(()));
}

#[test]
fn a_producer_at_its_last_epoch_can_still_be_fenced() {
    for version in [1, 2] {
        let options =
            coordinator::transactions::Options { transaction_version: version, ..Default::default() };
        let mut talk = Talk::with(options);
        let last = talk.at_epoch(LAST);
        talk.add(last, &[("orders", 0)], 0).unwrap();
        let request = |fresh| init_request(ID, TIMEOUT_MS, None, fresh);
        let init = talk.ask(request(None));
        assert!(talk.is_parked(init));
        assert_eq!(talk.markers[0].producer, producer(1000, i16::MAX));
        talk.mark_all();
        let next = talk.producer_answer(init, request).unwrap();
        assert_eq!(next, producer(1001, 0), "nobody gets the epoch of the fence");
        assert_eq!(talk.end(last, true, 0), Err(ErrorCode::InvalidProducerIdMapping));
    }
}

#[test]
fn whoever_was_fenced_at_its_last_epoch_and_begins_anew_gets_a_new_id() {
    let mut talk = Talk::new();
    let last = talk.at_epoch(LAST);
    talk.add(last, &[("orders", 0)], 0).unwrap();
    talk.pass(80_000);
    talk.mark_all();
    assert_eq!(talk.state(), "CompleteAbort");
    // It would get the epoch that nobody gets.
    assert_eq!(talk.end(last, false, 2), Err(ErrorCode::ProducerFenced));
    assert_eq!(talk.init(Some(last)), Ok(producer(1001, 0)));
}
