//! Static members (KIP-345): who comes back under the same instance id takes its old place.

use coordinator::{Options, Reply};
use protocol::ErrorCode;

use crate::talk::{Joining, Talk, consumer};

/// A stable group of the static members "a" (the leader) and "b"; their member ids.
fn stable(talk: &mut Talk) -> (String, String) {
    let a = talk.join(&consumer().instance("a"));
    let b = talk.join(&consumer().instance("b"));
    talk.pass(10_000);
    let ids = (talk.join_answer(a).member_id.to_string(), talk.join_answer(b).member_id.to_string());
    assert_eq!(talk.join_answer(a).leader, ids.0);
    let b = talk.sync_as(&ids.1, Some("b"), 1, &[]);
    talk.sync_as(&ids.0, Some("a"), 1, &[(&ids.0, "for a"), (&ids.1, "for b")]);
    assert_eq!(talk.sync_answer(b).assignment, "for b");
    ids
}

#[test]
fn a_static_member_needs_no_id_to_join() {
    let mut talk = Talk::new();
    let (a, _) = stable(&mut talk);
    assert!(a.starts_with("a-"), "{a}");
}

#[test]
fn a_follower_that_restarts_gets_its_share_without_a_rebalance() {
    let mut talk = Talk::new();
    let (a, b) = stable(&mut talk);
    let written = talk.records.len();
    let back = talk.join(&consumer().instance("b"));
    let joined = talk.join_answer(back).clone();
    assert_eq!((joined.error_code, joined.generation_id, joined.leader.as_str()), (0, 1, &*a));
    assert!(joined.member_id != *b && !joined.skip_assignment && joined.members.is_empty());
    assert_eq!(talk.records.len(), written + 1, "the new id is written down");

    // The old process is told that it was replaced.
    assert_eq!(talk.heartbeat_as(&b, Some("b"), 1), ErrorCode::FencedInstanceId);
    let fenced = talk.join(&consumer().instance("b").member(&b));
    assert_eq!(talk.join_answer(fenced).error_code, ErrorCode::FencedInstanceId.code());
    let fenced = talk.sync_as(&b, Some("b"), 1, &[]);
    assert_eq!(talk.sync_answer(fenced).error_code, ErrorCode::FencedInstanceId.code());

    talk.fail_over(Options::default());
    let sync = talk.sync_as(&joined.member_id, Some("b"), 1, &[]);
    assert_eq!(talk.sync_answer(sync).assignment, "for b");
    assert_eq!(talk.heartbeat_as(&a, Some("a"), 1), ErrorCode::None);
}

#[test]
fn a_leader_that_restarts_is_told_that_there_is_nothing_to_assign() {
    // version, the leader that it is told of, whether it knows all members, and whether it is to skip the assignment
    for (version, is_itself, members, skips) in
        [(9, true, 2, true), (8, false, 0, false), (5, false, 0, false)]
    {
        let mut talk = Talk::new();
        let (a, _) = stable(&mut talk);
        let back = talk.join(&consumer().instance("a").version(version));
        let joined = talk.join_answer(back);
        assert_eq!(joined.generation_id, 1, "version {version}");
        assert_eq!(joined.leader == joined.member_id, is_itself, "version {version}");
        assert_eq!(joined.leader == *a, !is_itself, "version {version}");
        assert_eq!((joined.members.len(), joined.skip_assignment), (members, skips), "version {version}");
    }
}

#[test]
fn a_new_protocol_of_a_restarted_member_begins_a_rebalance() {
    let mut talk = Talk::new();
    let both = |instance| consumer().instance(instance).protocols(&["range", "roundrobin"]);
    let a = talk.join(&both("a"));
    let b = talk.join(&both("b"));
    talk.pass(10_000);
    let (a, b) = (talk.join_answer(a).clone(), talk.join_answer(b).clone());
    talk.sync_as(&a.member_id, Some("a"), 1, &[]);
    talk.sync_as(&b.member_id, Some("b"), 1, &[]);
    let chosen = a.protocol_name.unwrap();
    let other = if chosen == "range" { "roundrobin" } else { "range" };
    let back = talk.join(&consumer().instance("b").protocols(&[other]));
    talk.parked(back);
    assert_eq!(talk.heartbeat_as(&a.member_id, Some("a"), 1), ErrorCode::RebalanceInProgress);
    talk.join(&Joining { protocols: both("a").protocols, ..consumer().instance("a").member(&a.member_id) });
    assert_eq!(talk.join_answer(back).protocol_name.as_deref(), Some(other));
}

#[test]
fn a_member_replaced_while_it_waits_is_answered() {
    let mut talk = Talk::new();
    let first = talk.join(&consumer().instance("a"));
    let second = talk.join(&consumer().instance("a"));
    assert_eq!(talk.join_answer(first).error_code, ErrorCode::FencedInstanceId.code());
    talk.pass(3_000);
    assert_eq!(talk.join_answer(second).members.len(), 1);

    // The same while the leader has not assigned yet: the new member would get nothing, so all join again.
    let id = talk.join_answer(second).member_id.to_string();
    let third = talk.join(&consumer().instance("a"));
    assert_eq!(talk.join_answer(third).generation_id, 2);
    assert_eq!(talk.heartbeat_as(&id, Some("a"), 1), ErrorCode::FencedInstanceId);
}

#[test]
fn who_does_not_join_again_stays_for_its_session() {
    let mut talk = Talk::new();
    let (a, b) = stable(&mut talk);
    let slow =
        |instance| Joining { session_ms: 300_000, rebalance_ms: 20_000, ..consumer().instance(instance) };
    let again = talk.join(&slow("a").member(&a));
    talk.parked(again);
    let again_b = talk.join(&slow("b").member(&b));
    assert_eq!(talk.join_answer(again_b).generation_id, 2);
    for id in [(&a, "a"), (&b, "b")] {
        talk.sync_as(id.0, Some(id.1), 2, &[(&a, "for a"), (&b, "for b")]);
    }
    // "b" is away, "a" asks for new assignments: after the rebalance timeout it goes on, and "b" is still a member.
    let again = talk.join(&slow("a").member(&a));
    talk.parked(again);
    talk.pass(20_000);
    assert_eq!(talk.join_answer(again).members.len(), 2);
    assert_eq!(talk.join_answer(again).generation_id, 3);
}

#[test]
fn static_members_leave_by_instance_id() {
    let mut talk = Talk::new();
    let (a, b) = stable(&mut talk);
    let left = talk.leave(&[
        ("", Some("b")),
        ("", Some("c")),
        ("", None),
        ("wrong", Some("a")),
        (&b, Some("b")),
        ("nobody", None),
    ]);
    let unknown = ErrorCode::UnknownMemberId;
    assert_eq!(left, [ErrorCode::None, unknown, unknown, ErrorCode::FencedInstanceId, unknown, unknown]);
    assert_eq!(talk.heartbeat_as(&a, Some("a"), 1), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_group_of_static_members_that_all_went_away_goes_with_their_sessions() {
    let mut talk = Talk::new();
    let (_, b) = stable(&mut talk);
    talk.leave(&[("", Some("a"))]);
    // Nobody joins: the rebalance is put off until the last session ends.
    talk.pass(5_000);
    assert_eq!(talk.heartbeat_as(&b, Some("b"), 1), ErrorCode::RebalanceInProgress);
    talk.pass(200_000);
    assert_eq!(talk.heartbeat_as(&b, Some("b"), 1), ErrorCode::UnknownMemberId);
    let list = talk.ask(5, "app", coordinator::Request::ListGroups { states: vec![], types: vec![] });
    let Some(Reply::ListGroups(groups)) = talk.answer(list) else { panic!() };
    assert_eq!(groups[0].group_state, "Empty");
}
