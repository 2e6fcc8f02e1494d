//! JoinGroup: who comes in, who does not, and when the group goes on.

use bytes::Bytes;
use coordinator::Options;
use protocol::ErrorCode;
use protocol::ErrorCode::{
    GroupMaxSizeReached, InconsistentGroupProtocol, InvalidSessionTimeout, MemberIdRequired,
    RebalanceInProgress, UnknownMemberId,
};

use crate::talk::{Joining, Talk, consumer, subscription};

#[track_caller]
fn check_refused(talk: &mut Talk, joining: &Joining, error: ErrorCode, member_id: &str) {
    let join = talk.join(joining);
    let answer = talk.join_answer(join);
    assert_eq!(ErrorCode::from(answer.error_code), error);
    assert_eq!((answer.generation_id, answer.member_id.as_str()), (-1, member_id));
    assert_eq!((answer.leader.as_str(), answer.members.len()), ("", 0));
    assert_eq!(answer.protocol_name.as_deref(), Some(""), "old versions know no null");
}

#[test]
fn a_join_into_an_empty_group_is_checked() {
    let timeouts = |session_ms| Joining { session_ms, ..consumer() };
    for (joining, error) in [
        (timeouts(5_999), InvalidSessionTimeout),
        (timeouts(1_800_001), InvalidSessionTimeout),
        (Joining { protocol_type: "", ..consumer() }, InconsistentGroupProtocol),
        (consumer().protocols(&[]), InconsistentGroupProtocol),
        (consumer().protocols(&[]).version(6), InconsistentGroupProtocol),
        (consumer().version(3).protocols(&[]), InconsistentGroupProtocol),
    ] {
        let mut talk = Talk::new();
        check_refused(&mut talk, &joining, error, "");
        assert_eq!(talk.records, [], "a refused join leaves no group behind");
    }
    check_refused(&mut Talk::new(), &consumer().member("who"), UnknownMemberId, "who");
}

#[test]
fn a_join_into_a_stable_group_is_checked() {
    let mut talk = Talk::new();
    let ids = talk.stable(2);
    let other_type = Joining { protocol_type: "connect", ..consumer() };
    check_refused(&mut talk, &other_type, InconsistentGroupProtocol, "");
    check_refused(&mut talk, &consumer().protocols(&["sticky"]), InconsistentGroupProtocol, "");
    check_refused(&mut talk, &consumer().member("who"), UnknownMemberId, "who");
    check_refused(&mut talk, &consumer().member("who").instance("i"), UnknownMemberId, "who");
    check_refused(&mut talk, &consumer().member(&ids[0]).instance("i"), UnknownMemberId, &ids[0]);
    for id in &ids {
        assert_eq!(talk.heartbeat(id, 1), ErrorCode::None);
    }
}

#[test]
fn a_member_id_is_required_from_version_4() {
    for (version, error) in [(3, None), (4, Some(MemberIdRequired)), (9, Some(MemberIdRequired))] {
        let mut talk = Talk::new();
        let join = talk.join(&consumer().version(version));
        let answer = talk.answer(join).is_some().then(|| talk.join_answer(join).error_code.into());
        assert_eq!(answer, error, "version {version}");
        assert_eq!(talk.records.len(), 1, "the group is there from now on");
    }
}

#[test]
fn without_a_rebalance_timeout_the_session_timeout_counts() {
    let mut talk = Talk::new();
    let id = talk.stable(1).remove(0);
    let old = Joining { rebalance_ms: -1, session_ms: 30_000, ..consumer().version(0).member(&id) };
    let join = talk.join(&old);
    assert_eq!(talk.join_answer(join).generation_id, 2);
    talk.sync(&id, 2, &[]);
    // Another comes, and the first does not join again.
    let (_, other) = talk.join_new(&Joining { rebalance_ms: 1_000, ..consumer() });
    talk.pass(9_999);
    assert_eq!(talk.heartbeat(&id, 2), RebalanceInProgress);
    talk.pass(19_999);
    talk.parked(other);
    talk.pass(2);
    assert_eq!(talk.join_answer(other).members.len(), 1);
}

#[test]
fn the_first_members_wait_for_more_but_not_for_ever() {
    // delay, rebalance timeout, how many join one after the other every 2 s, when the group goes on
    for (delay_ms, rebalance_ms, joins, complete_ms) in [
        (3_000, 60_000, 1, 3_000),
        (3_000, 60_000, 2, 6_000),
        (3_000, 60_000, 3, 9_000),
        (3_000, 7_000, 9, 7_000),
        (0, 60_000, 1, 0),
    ] {
        let options = Options { group_initial_rebalance_delay_ms: delay_ms, ..Options::default() };
        let mut talk = Talk::with(options);
        let joining = Joining { rebalance_ms, ..consumer() };
        let (_, first) = talk.join_new(&joining);
        let mut joined = 1;
        let start_ms = talk.now_ms;
        talk.pass(0);
        while talk.answer(first).is_none() {
            assert!(talk.now_ms < start_ms + complete_ms, "{delay_ms} {rebalance_ms} {joins}");
            let until_ms = complete_ms.min(talk.now_ms - start_ms + 2_000) + start_ms;
            talk.pass(until_ms - talk.now_ms);
            if talk.answer(first).is_none() && joined < joins {
                talk.join_new(&joining);
                joined += 1;
            }
        }
        assert_eq!(talk.now_ms - start_ms, complete_ms, "{delay_ms} {rebalance_ms} {joins}");
    }
}

#[test]
fn whoever_was_told_an_id_is_waited_for() {
    let mut talk = Talk::new();
    let ids = talk.stable(1);
    let first = talk.join(&consumer());
    let told = talk.join_answer(first).member_id.to_string();
    // The leader asks for a rebalance, which now lacks the one who only has an id.
    let leader = talk.join(&consumer().member(&ids[0]));
    talk.parked(leader);
    let second = talk.join(&consumer().member(&told));
    assert_eq!(talk.join_answer(leader).members.len(), 2);
    assert_eq!(talk.join_answer(second).generation_id, 2);
}

#[test]
fn an_id_that_nobody_joins_with_is_forgotten_after_the_session_timeout() {
    let mut talk = Talk::new();
    let ids = talk.stable(1);
    let first = talk.join(&consumer());
    let told = talk.join_answer(first).member_id.to_string();
    let leader = talk.join(&consumer().member(&ids[0]));
    talk.pass(9_999);
    talk.parked(leader);
    talk.pass(1);
    assert_eq!(talk.join_answer(leader).members.len(), 1);
    check_refused(&mut talk, &consumer().member(&told), UnknownMemberId, &told);

    // A heartbeat does not make a member of it, and it can be given back.
    let again = talk.join(&consumer());
    let told = talk.join_answer(again).member_id.to_string();
    assert_eq!(talk.heartbeat(&told, 2), UnknownMemberId);
    assert_eq!(talk.leave(&[(&told, None)]), [ErrorCode::None]);
    check_refused(&mut talk, &consumer().member(&told), UnknownMemberId, &told);
}

#[test]
fn a_group_is_full_at_its_limit() {
    let mut talk = Talk::with(Options { group_max_size: 2, ..Options::default() });
    let ids = talk.stable(2);
    check_refused(&mut talk, &consumer(), GroupMaxSizeReached, "");
    // Members may go on joining.
    let leader = talk.join(&consumer().member(&ids[0]));
    talk.parked(leader);
    let follower = talk.join(&consumer().member(&ids[1]));
    assert_eq!(talk.join_answer(follower).generation_id, 2);
}

#[test]
fn whoever_finds_the_group_full_is_not_waited_for() {
    let mut talk = Talk::with(Options { group_max_size: 2, ..Options::default() });
    let ids = talk.stable(1);
    let told: Vec<String> = (0..2)
        .map(|_| {
            let first = talk.join(&consumer());
            talk.join_answer(first).member_id.to_string()
        })
        .collect();
    let leader = talk.join(&consumer().member(&ids[0]));
    talk.join(&consumer().member(&told[0]));
    talk.parked(leader);
    check_refused(&mut talk, &consumer().member(&told[1]), GroupMaxSizeReached, "");
    assert_eq!(talk.join_answer(leader).members.len(), 2);
}

#[test]
fn a_lowered_limit_leaves_out_who_joins_last() {
    let mut talk = Talk::new();
    let ids = talk.stable(3);
    talk.fail_over(Options { group_max_size: 2, ..Options::default() });
    let joins: Vec<_> = ids.iter().map(|id| talk.join(&consumer().member(id))).collect();
    assert_eq!(talk.join_answer(joins[0]).members.len() + talk.join_answer(joins[1]).members.len(), 2);
    assert_eq!(ErrorCode::from(talk.join_answer(joins[2]).error_code), GroupMaxSizeReached);
    assert_eq!(talk.heartbeat(&ids[2], 2), UnknownMemberId);
}

#[test]
fn the_protocol_that_most_like_best_is_chosen_among_those_that_all_can_do() {
    for (votes, chosen) in [
        (vec![vec!["range", "sticky"], vec!["sticky", "range"], vec!["sticky", "range"]], "sticky"),
        (vec![vec!["sticky", "range"], vec!["sticky", "range"], vec!["range"]], "range"),
        (vec![vec!["range"], vec!["range", "range", "sticky"]], "range"),
    ] {
        let mut talk = Talk::new();
        let joins: Vec<_> = votes.iter().map(|names| talk.join_new(&consumer().protocols(names)).1).collect();
        talk.pass(10_000);
        for join in joins {
            assert_eq!(talk.join_answer(join).protocol_name.as_deref(), Some(chosen), "{votes:?}");
        }
    }
}

#[test]
fn groups_need_not_be_of_consumers() {
    let mut talk = Talk::new();
    let worker = |text: &'static [u8]| Joining {
        protocol_type: "connect",
        protocols: vec![("sessioned", Bytes::from_static(text))],
        ..consumer()
    };
    let (_, a) = talk.join_new(&worker(b"url a"));
    let (_, b) = talk.join_new(&worker(b"url b"));
    talk.pass(10_000);
    assert_eq!(talk.join_answer(a).protocol_type.as_deref(), Some("connect"));
    let leader = if talk.join_answer(a).members.is_empty() { b } else { a };
    let told: Vec<&[u8]> =
        talk.join_answer(leader).members.iter().map(|member| &member.metadata[..]).collect();
    assert_eq!(told.len(), 2);
    assert!(told.contains(&&b"url a"[..]) && told.contains(&&b"url b"[..]));
}

#[test]
fn a_member_that_joins_again_unchanged_gets_the_same_answer_again() {
    let mut talk = Talk::new();
    let ids = talk.stable(2);
    // Stable, a follower: nothing to do.
    let again = talk.join(&consumer().member(&ids[1]));
    let answer = talk.join_answer(again);
    assert_eq!((answer.generation_id, answer.members.len(), answer.leader.as_str()), (1, 0, &*ids[0]));
    assert_eq!(talk.heartbeat(&ids[0], 1), ErrorCode::None);

    // The leader: it wants new assignments.
    let leader = talk.join(&consumer().member(&ids[0]));
    talk.parked(leader);
    talk.join(&consumer().member(&ids[1]));
    assert_eq!(talk.join_answer(leader).generation_id, 2);

    // Before the assignments are there: the answer was lost.
    for (id, members) in [(&ids[0], 2), (&ids[1], 0)] {
        let again = talk.join(&consumer().member(id));
        let answer = talk.join_answer(again);
        assert_eq!((answer.generation_id, answer.members.len()), (2, members));
    }
}

#[test]
fn new_metadata_of_a_member_begins_a_rebalance_and_sends_the_waiting_back() {
    let changed =
        |id: &str| Joining { protocols: vec![("range", subscription(&["bills"]))], ..consumer().member(id) };
    let mut talk = Talk::new();
    let ids = talk.stable(2);
    let follower = talk.join(&changed(&ids[1]));
    talk.parked(follower);
    talk.join(&consumer().member(&ids[0]));
    assert_eq!(talk.join_answer(follower).generation_id, 2);

    let waiting = talk.sync(&ids[1], 2, &[]);
    talk.parked(waiting);
    let leader = talk.join(&changed(&ids[0]));
    assert_eq!(talk.sync_answer(waiting).error_code, RebalanceInProgress.code());
    talk.parked(leader);
    talk.join(&changed(&ids[1]));
    assert_eq!(talk.join_answer(leader).generation_id, 3);
}

#[test]
fn a_join_that_is_sent_again_supersedes_the_first() {
    let mut talk = Talk::new();
    let (id, first) = talk.join_new(&consumer());
    let second = talk.join(&consumer().member(&id));
    assert_eq!(ErrorCode::from(talk.join_answer(first).error_code), RebalanceInProgress);
    talk.pass(3_000);
    assert_eq!(talk.join_answer(second).members.len(), 1);
}

#[test]
fn members_that_do_not_join_in_time_are_out_and_another_leads() {
    let mut talk = Talk::new();
    let ids = talk.stable(3);
    let long = |id: &str| Joining { session_ms: 300_000, ..consumer().member(id) };
    for id in &ids {
        talk.join(&long(id));
    }
    for id in &ids {
        talk.sync(id, 2, &[]);
    }
    talk.leave(&[(&ids[2], None)]);
    let join = talk.join(&long(&ids[1]));
    talk.pass(59_999);
    talk.parked(join);
    talk.pass(1);
    let answer = talk.join_answer(join);
    assert_eq!((answer.generation_id, answer.leader.as_str(), answer.members.len()), (3, &*ids[1], 1));
    assert_eq!(talk.heartbeat(&ids[0], 2), UnknownMemberId);
}

#[test]
fn a_new_member_that_never_comes_back_is_dropped_after_five_minutes() {
    let mut talk = Talk::new();
    let ids = talk.stable(1);
    let lasting = Joining { session_ms: 1_000_000, rebalance_ms: 1_000_000, ..consumer().member(&ids[0]) };
    talk.join(&lasting);
    talk.sync(&ids[0], 2, &[]);
    // One that joins without an id, as old clients do, and whose connection is lost.
    let lost = talk.join(&consumer().version(3));
    talk.parked(lost);
    talk.pass(299_999);
    talk.parked(lost);
    talk.pass(1);
    assert_eq!(ErrorCode::from(talk.join_answer(lost).error_code), UnknownMemberId);
    assert_eq!(talk.join_answer(lost).member_id, "");
}

#[test]
fn a_very_long_client_name_still_makes_a_member_id() {
    let mut talk = Talk::new();
    let name: &'static str = "ü".repeat(16_000).leak();
    let join = talk.join(&Joining { client: name, ..consumer() });
    let id = &talk.join_answer(join).member_id;
    assert!(id.starts_with("üü") && id.len() <= 1024 + 37, "{} bytes", id.len());
}
