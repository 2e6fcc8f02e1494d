//! What tools ask: DescribeTransactions and ListTransactions.

use coordinator::transactions::Filter;
use protocol::ErrorCode;

use crate::talk::{ID, TIMEOUT_MS, Talk, producer};

const EVERY: i64 = -1;

/// Three ids: one without a transaction, one with, one that has committed; one second apart.
fn talk() -> Talk {
    let mut talk = Talk::new();
    talk.init_with("idle", TIMEOUT_MS, None).unwrap();
    let own = talk.init(None).unwrap();
    talk.add(own, &[("orders", 0)], 2).unwrap();
    let next = talk.end(own, true, 2).unwrap();
    talk.mark_all();
    talk.pass(1_000);
    talk.add(next, &[("orders", 0)], 2).unwrap();
    talk.init_with("other", TIMEOUT_MS, None).unwrap();
    talk.pass(1_000);
    talk
}

#[test]
fn ids_are_listed_by_state_producer_duration_and_name() {
    let mut talk = talk();
    let all = Filter { duration_ms: EVERY, ..Filter::default() };
    let listed = |talk: &mut Talk, filter: Filter| -> Vec<String> {
        let response = talk.list(filter);
        assert_eq!(response.error_code, 0);
        response.transaction_states.iter().map(|state| state.transactional_id.to_string()).collect()
    };
    let (idle, other) = ("idle", "other");
    for (filter, expected) in [
        (all.clone(), vec![idle, ID, other]),
        (Filter { states: vec!["Ongoing".into()], ..all.clone() }, vec![ID]),
        (Filter { states: vec!["Empty".into(), "Ongoing".into()], ..all.clone() }, vec![idle, ID, other]),
        (Filter { states: vec!["ongoing".into()], ..all.clone() }, vec![]),
        (Filter { producer_ids: vec![1000, 1002], ..all.clone() }, vec![idle, other]),
        (Filter { producer_ids: vec![7], ..all.clone() }, vec![]),
        (Filter { states: vec!["Ongoing".into()], duration_ms: 999, ..all.clone() }, vec![ID]),
        (Filter { states: vec!["Ongoing".into()], duration_ms: 1_000, ..all.clone() }, vec![]),
        (Filter { pattern: Some("".into()), ..all.clone() }, vec![idle, ID, other]),
        (Filter { pattern: Some("o.*".into()), ..all.clone() }, vec![ID, other]),
        (Filter { pattern: Some("o|i".into()), ..all.clone() }, vec![]),
        (Filter { pattern: Some("ther".into()), ..all.clone() }, vec![]),
        (Filter { pattern: Some("(?i)OTHER|idle".into()), ..all.clone() }, vec![idle, other]),
    ] {
        assert_eq!(listed(&mut talk, filter.clone()), expected, "{filter:?}");
    }
    let states = vec!["Ongoing".into(), "Undecided".into()];
    let response = talk.list(Filter { states, ..all });
    assert_eq!(response.unknown_state_filters, ["Undecided"]);
    let one = &response.transaction_states[0];
    assert_eq!((one.producer_id, one.transaction_state.as_str()), (1001, "Ongoing"));
}

#[test]
fn patterns_that_are_none_are_refused() {
    let mut talk = talk();
    for pattern in ["(", "a)(b", "[", "(?=x)", "\\1", "a{100000}{100000}"] {
        let filter = Filter { duration_ms: EVERY, pattern: Some(pattern.into()), ..Filter::default() };
        let response = talk.list(filter);
        assert_eq!(ErrorCode::from(response.error_code), ErrorCode::InvalidRegularExpression, "{pattern}");
        assert_eq!(response.transaction_states.len(), 0);
    }
}

#[test]
fn ids_that_there_are_not_are_described_as_such() {
    let mut talk = talk();
    for (id, error) in [("", ErrorCode::InvalidRequest), ("nobody", ErrorCode::TransactionalIdNotFound)] {
        let described = talk.describe(id);
        assert_eq!((ErrorCode::from(described.error_code), described.transactional_id.as_str()), (error, id));
    }
    assert_eq!(talk.describe("idle").producer_id, producer(1000, 0).id.0);
}
