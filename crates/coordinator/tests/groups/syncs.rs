//! SyncGroup, Heartbeat and LeaveGroup.

use coordinator::{Reply, Request};
use protocol::ErrorCode;
use protocol::ErrorCode::{
    IllegalGeneration, InconsistentGroupProtocol, InvalidGroupId, RebalanceInProgress, UnknownMemberId,
};
use protocol::messages::heartbeat_request::HeartbeatRequest;
use protocol::messages::join_group_request::JoinGroupRequest;
use protocol::messages::leave_group_request::LeaveGroupRequest;
use protocol::messages::sync_group_request::SyncGroupRequest;

use crate::talk::{GROUP, Joining, Talk, consumer};

#[test]
fn a_sync_is_checked() {
    let mut talk = Talk::new();
    let ids = talk.stable(2);
    let request = |member: &str, generation_id| SyncGroupRequest {
        group_id: GROUP.into(),
        member_id: member.into(),
        generation_id,
        ..Default::default()
    };
    let right = || request(&ids[1], 1);
    let name = |text: &str| Some(text.into());
    for (request, error) in [
        (right(), ErrorCode::None),
        (
            SyncGroupRequest { protocol_name: name("range"), protocol_type: name("consumer"), ..right() },
            ErrorCode::None,
        ),
        (SyncGroupRequest { protocol_name: name("sticky"), ..right() }, InconsistentGroupProtocol),
        (SyncGroupRequest { protocol_type: name("connect"), ..right() }, InconsistentGroupProtocol),
        (SyncGroupRequest { group_instance_id: name("i"), ..right() }, UnknownMemberId),
        (SyncGroupRequest { group_id: "".into(), ..right() }, InvalidGroupId),
        (SyncGroupRequest { group_id: "nobody".into(), ..right() }, UnknownMemberId),
        (request(&ids[1], 0), IllegalGeneration),
        (request(&ids[1], 2), IllegalGeneration),
        (request("who", 1), UnknownMemberId),
        (request("", 1), UnknownMemberId),
    ] {
        let shown = format!("{request:?}");
        let ticket = talk.ask(5, "app", Request::SyncGroup(request));
        let answer = talk.sync_answer(ticket);
        assert_eq!(ErrorCode::from(answer.error_code), error, "{shown}");
        assert_eq!(answer.assignment.is_empty(), error != ErrorCode::None, "{shown}");
    }
}

#[test]
fn a_sync_while_members_join_sends_back_to_join() {
    let mut talk = Talk::new();
    let ids = talk.stable(2);
    talk.join(&consumer().member(&ids[0]));
    let sync = talk.sync(&ids[1], 1, &[]);
    assert_eq!(talk.sync_answer(sync).error_code, RebalanceInProgress.code());
}

#[test]
fn whom_the_leader_does_not_mention_gets_nothing() {
    let mut talk = Talk::new();
    let ids = talk.stable(2);
    for id in &ids {
        talk.join(&consumer().member(id));
    }
    let waiting = talk.sync(&ids[1], 2, &[]);
    let leader = talk.sync(&ids[0], 2, &[(&ids[0], "all"), ("who", "some"), (&ids[0], "all of it")]);
    assert_eq!(talk.sync_answer(leader).assignment, "all of it");
    let answer = talk.sync_answer(waiting);
    assert_eq!((answer.error_code, answer.assignment.len()), (0, 0));
    assert_eq!(answer.protocol_name.as_deref(), Some("range"));
}

#[test]
fn whoever_joins_and_never_syncs_is_out_after_the_rebalance_timeout() {
    let mut talk = Talk::new();
    let ids = talk.stable(3);
    for id in &ids {
        talk.join(&Joining { session_ms: 100_000, rebalance_ms: 20_000, ..consumer().member(id) });
    }
    talk.sync(&ids[1], 2, &[]);
    let leader = talk.sync(&ids[0], 2, &[]);
    assert_eq!(talk.sync_answer(leader).error_code, 0);
    talk.pass(19_999);
    assert_eq!(talk.heartbeat(&ids[0], 2), ErrorCode::None);
    talk.pass(1);
    assert_eq!(talk.heartbeat(&ids[0], 2), RebalanceInProgress);
    assert_eq!(talk.heartbeat(&ids[2], 2), UnknownMemberId);
}

#[test]
fn followers_go_on_when_the_leader_never_assigns() {
    let mut talk = Talk::new();
    let ids = talk.stable(2);
    let patient = |id: &str| Joining { session_ms: 6_000, rebalance_ms: 20_000, ..consumer().member(id) };
    for id in &ids {
        talk.join(&patient(id));
    }
    let waiting = talk.sync(&ids[1], 2, &[]);
    // The session of the leader ends; that of the follower, which waits, does not.
    talk.pass(6_000);
    assert_eq!(talk.sync_answer(waiting).error_code, RebalanceInProgress.code());
    assert_eq!(talk.heartbeat(&ids[0], 2), UnknownMemberId);
    let join = talk.join(&patient(&ids[1]));
    assert_eq!(talk.join_answer(join).leader, ids[1]);
}

#[test]
fn a_heartbeat_is_checked() {
    let mut talk = Talk::new();
    let ids = talk.stable(1);
    for (member, instance, generation, error) in [
        (ids[0].as_str(), None, 1, ErrorCode::None),
        (&ids[0], None, 0, IllegalGeneration),
        (&ids[0], None, 2, IllegalGeneration),
        (&ids[0], Some("i"), 1, UnknownMemberId),
        ("who", None, 1, UnknownMemberId),
        ("", None, -1, UnknownMemberId),
    ] {
        assert_eq!(
            talk.heartbeat_as(member, instance, generation),
            error,
            "{member} {instance:?} {generation}"
        );
    }
}

#[test]
fn requests_without_a_group_id_are_refused() {
    let mut talk = Talk::new();
    let requests = [
        Request::JoinGroup(JoinGroupRequest { session_timeout_ms: 10_000, ..Default::default() }),
        Request::Heartbeat(HeartbeatRequest::default()),
        Request::LeaveGroup(LeaveGroupRequest::default()),
    ];
    for request in requests {
        let ticket = talk.ask(4, "app", request);
        let error = match talk.answer(ticket) {
            Some(Reply::JoinGroup(response)) => response.error_code,
            Some(Reply::Heartbeat(response)) => response.error_code,
            Some(Reply::LeaveGroup(response)) => response.error_code,
            other => panic!("{other:?}"),
        };
        assert_eq!(ErrorCode::from(error), InvalidGroupId);
    }
}

#[test]
fn old_clients_leave_one_by_one_and_are_told_so() {
    for version in 0..=2 {
        let mut talk = Talk::new();
        let ids = talk.stable(1);
        for (member, error) in [(ids[0].as_str(), ErrorCode::None), (&ids[0], UnknownMemberId)] {
            let request =
                LeaveGroupRequest { group_id: GROUP.into(), member_id: member.into(), ..Default::default() };
            let ticket = talk.ask(version, "app", Request::LeaveGroup(request));
            let Some(Reply::LeaveGroup(response)) = talk.answer(ticket) else { panic!() };
            assert_eq!((ErrorCode::from(response.error_code), response.members.len()), (error, 0));
        }
    }
}

#[test]
fn a_group_of_which_nobody_knows_has_no_members_to_leave() {
    let mut talk = Talk::new();
    assert_eq!(talk.leave(&[("a", None), ("", Some("i"))]), [UnknownMemberId, UnknownMemberId]);
    assert_eq!(talk.records, []);
}

#[test]
fn who_leaves_while_it_waits_is_answered() {
    let mut talk = Talk::new();
    let ids = talk.stable(3);
    let join = talk.join(&consumer().member(&ids[1]));
    // Leaving needs no new generation yet: the third has not joined.
    talk.join(&consumer().member(&ids[0]));
    talk.leave(&[(&ids[1], None)]);
    if talk
        .answer(join)
        .is_some_and(|reply| matches!(reply, Reply::JoinGroup(answer) if answer.error_code == 0))
    {
        return;
    }
    assert_eq!(ErrorCode::from(talk.join_answer(join).error_code), UnknownMemberId);
}
