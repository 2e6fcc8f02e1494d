//! The way of every consumer: join, sync, heartbeat, commit, fetch, leave.

use protocol::ErrorCode;

use crate::talk::{Talk, consumer};

#[test]
fn one_consumer_joins_reads_commits_and_leaves() {
    let mut talk = Talk::new();
    let (id, join) = talk.join_new(&consumer());
    assert!(id.starts_with("app-") && id.len() == "app-".len() + 36, "{id}");
    talk.parked(join);
    talk.pass(3_000);

    let joined = talk.join_answer(join).clone();
    assert_eq!(joined.error_code, 0);
    assert_eq!((joined.generation_id, joined.leader.as_str(), joined.member_id.as_str()), (1, &*id, &*id));
    assert_eq!(joined.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(joined.members[0].metadata, consumer().protocols[0].1);

    let sync = talk.sync(&id, 1, &[(&id, "orders-0")]);
    assert_eq!(talk.sync_answer(sync).assignment, "orders-0");
    assert_eq!(talk.heartbeat(&id, 1), ErrorCode::None);
    assert_eq!(talk.commit(&id, 1, "orders", 42), ErrorCode::None);
    assert_eq!(talk.committed("orders"), 42);
    assert_eq!(talk.committed("bills"), -1);
    assert_eq!(talk.leave(&[(&id, None)]), [ErrorCode::None]);
    assert_eq!(talk.heartbeat(&id, 1), ErrorCode::UnknownMemberId);
    assert_eq!(talk.committed("orders"), 42);
}

#[test]
fn several_consumers_share_and_share_anew_when_one_leaves() {
    let mut talk = Talk::new();
    let ids = talk.stable(3);
    assert_eq!(talk.leave(&[(&ids[1], None)]), [ErrorCode::None]);
    assert_eq!(talk.heartbeat(&ids[0], 1), ErrorCode::RebalanceInProgress);
    assert_eq!(talk.heartbeat(&ids[2], 1), ErrorCode::RebalanceInProgress);
    // What was read before goes on being committed.
    assert_eq!(talk.commit(&ids[0], 1, "orders", 7), ErrorCode::None);

    let first = talk.join(&consumer().member(&ids[0]));
    talk.parked(first);
    let last = talk.join(&consumer().member(&ids[2]));
    assert_eq!(talk.join_answer(first).generation_id, 2);
    assert_eq!(talk.join_answer(first).members.len(), 2);
    assert_eq!(talk.join_answer(last).members.len(), 0);
    assert_eq!(talk.commit(&ids[2], 2, "orders", 8), ErrorCode::RebalanceInProgress);

    let follower = talk.sync(&ids[2], 2, &[]);
    talk.parked(follower);
    talk.sync(&ids[0], 2, &[(&ids[0], "a"), (&ids[2], "b")]);
    assert_eq!(talk.sync_answer(follower).assignment, "b");
    assert_eq!(talk.commit(&ids[2], 2, "orders", 8), ErrorCode::None);
    assert_eq!(talk.commit(&ids[2], 1, "orders", 9), ErrorCode::IllegalGeneration);
    assert_eq!(talk.committed("orders"), 8);
}

#[test]
fn a_member_that_is_silent_for_its_session_is_replaced() {
    let mut talk = Talk::new();
    let ids = talk.stable(2);
    for _ in 0..4 {
        talk.pass(4_000);
        let answer = talk.heartbeat(&ids[0], 1);
        assert!([ErrorCode::None, ErrorCode::RebalanceInProgress].contains(&answer), "{answer:?}");
    }
    assert_eq!(talk.heartbeat(&ids[0], 1), ErrorCode::RebalanceInProgress);
    assert_eq!(talk.heartbeat(&ids[1], 1), ErrorCode::UnknownMemberId);
    let join = talk.join(&consumer().member(&ids[0]));
    assert_eq!((talk.join_answer(join).generation_id, talk.join_answer(join).members.len()), (2, 1));
}

#[test]
fn another_coordinator_goes_on_where_the_first_was() {
    let mut talk = Talk::new();
    let ids = talk.stable(2);
    assert_eq!(talk.commit(&ids[1], 1, "orders", 5), ErrorCode::None);
    talk.fail_over(Default::default());
    assert_eq!(talk.heartbeat(&ids[0], 1), ErrorCode::None);
    assert_eq!(talk.committed("orders"), 5);
    let sync = talk.sync(&ids[1], 1, &[]);
    assert_eq!(talk.sync_answer(sync).assignment, "share 1");
    talk.pass(20_000);
    assert_eq!(talk.heartbeat(&ids[0], 1), ErrorCode::UnknownMemberId);
}
