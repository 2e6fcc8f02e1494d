//! What tools ask and do: list, describe, delete, and what goes away by itself.

use bytes::Bytes;
use coordinator::{Options, Reply, Request};
use protocol::ErrorCode;
use protocol::ErrorCode::{GroupIdNotFound, GroupSubscribedToTopic, InvalidGroupId, NonEmptyGroup};
use protocol::messages::describe_groups_response::DescribedGroup;
use protocol::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};

use crate::talk::{GROUP, Joining, Talk, commit_request, consumer, subscription};

const DAY_MS: u64 = 24 * 3_600_000;

fn list(talk: &mut Talk, states: &[&str], types: &[&str]) -> Vec<(String, String, String, String)> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).into()).collect();
    let ticket = talk.ask(5, "admin", Request::ListGroups { states: texts(states), types: texts(types) });
    let Some(Reply::ListGroups(groups)) = talk.answer(ticket) else { panic!() };
    let show = |group: &protocol::messages::list_groups_response::ListedGroup| {
        (
            group.group_id.to_string(),
            group.protocol_type.to_string(),
            group.group_state.to_string(),
            group.group_type.to_string(),
        )
    };
    groups.iter().map(show).collect()
}

fn describe(talk: &mut Talk, version: i16) -> DescribedGroup {
    let ticket = talk.ask(version, "admin", Request::DescribeGroup { group_id: GROUP.into() });
    let Some(Reply::DescribeGroup(group)) = talk.answer(ticket) else { panic!() };
    group.clone()
}

fn delete(talk: &mut Talk) -> ErrorCode {
    let ticket = talk.ask(3, "admin", Request::DeleteGroup { group_id: GROUP.into() });
    let Some(Reply::DeleteGroup(result)) = talk.answer(ticket) else { panic!() };
    assert_eq!(result.error_message.is_some(), result.error_code != 0);
    result.error_code.into()
}

/// The errors of the request, and of partition 0 of each topic.
fn delete_offsets(talk: &mut Talk, group: &str, topics: &[&str]) -> (ErrorCode, Vec<ErrorCode>) {
    let topics = topics.iter().map(|name| OffsetDeleteRequestTopic {
        name: (*name).into(),
        partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
    });
    let request = OffsetDeleteRequest { group_id: group.into(), topics: topics.collect() };
    let ticket = talk.ask(0, "admin", Request::OffsetDelete(request));
    let Some(Reply::OffsetDelete(response)) = talk.answer(ticket) else { panic!() };
    let errors = response.topics.iter().map(|topic| topic.partitions[0].error_code.into());
    (response.error_code.into(), errors.collect())
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut talk = Talk::new();
    assert_eq!(list(&mut talk, &[], &[]), []);
    talk.commit("", -1, "orders", 1);
    let row = |kind: &str, state: &str| {
        vec![(GROUP.to_owned(), kind.to_owned(), state.to_owned(), "classic".to_owned())]
    };
    assert_eq!(list(&mut talk, &[], &[]), row("", "Empty"));
    let (_, join) = talk.join_new(&consumer());
    assert_eq!(list(&mut talk, &[], &[]), row("consumer", "PreparingRebalance"));
    talk.pass(3_000);
    assert_eq!(list(&mut talk, &[], &[]), row("consumer", "CompletingRebalance"));
    let id = talk.join_answer(join).member_id.to_string();
    talk.sync(&id, 1, &[]);
    let stable = row("consumer", "Stable");
    for (states, types, expected) in [
        (&[][..], &[][..], stable.clone()),
        (&["Stable"], &[], stable.clone()),
        (&[" sTABLE "], &["Classic"], stable.clone()),
        (&["Empty", "Stable"], &["consumer", "classic"], stable),
        (&["Empty"], &[], vec![]),
        (&["nonsense"], &[], vec![]),
        (&[], &["consumer"], vec![]),
        (&[], &["nonsense"], vec![]),
    ] {
        assert_eq!(list(&mut talk, states, types), expected, "{states:?} {types:?}");
    }
    talk.leave(&[(&id, None)]);
    assert_eq!(list(&mut talk, &["empty"], &[]), row("consumer", "Empty"));
    talk.fail_over(Options::default());
    assert_eq!(list(&mut talk, &[], &[]), row("consumer", "Empty"));
}

#[test]
fn a_group_is_described_with_its_members() {
    let mut talk = Talk::new();
    let ids = talk.stable(2);
    let stable = describe(&mut talk, 6);
    assert_eq!((stable.group_state.as_str(), stable.protocol_type.as_str()), ("Stable", "consumer"));
    assert_eq!((stable.protocol_data.as_str(), stable.error_code), ("range", 0));
    let leader = stable.members.iter().find(|member| member.member_id == ids[0]).unwrap();
    assert_eq!((leader.client_id.as_str(), leader.client_host.as_str()), ("app", "/127.0.0.1"));
    assert_eq!(leader.member_metadata, subscription(&["orders"]));
    assert_eq!(leader.member_assignment, "share 0");
    assert_eq!(leader.group_instance_id, None);

    talk.join(&consumer().member(&ids[0]));
    let joining = describe(&mut talk, 6);
    assert_eq!((joining.group_state.as_str(), joining.protocol_data.as_str()), ("PreparingRebalance", ""));
    assert!(joining.members.iter().all(|member| member.member_metadata.is_empty()));

    talk.leave(&[(&ids[0], None), (&ids[1], None)]);
    let empty = describe(&mut talk, 6);
    assert_eq!((empty.group_state.as_str(), empty.protocol_type.as_str()), ("Empty", "consumer"));
    assert_eq!(empty.members, []);
}

#[test]
fn a_group_that_is_not_there_is_dead_or_not_found() {
    let mut talk = Talk::new();
    for (version, error) in [(0, ErrorCode::None), (5, ErrorCode::None), (6, GroupIdNotFound)] {
        let group = describe(&mut talk, version);
        assert_eq!((group.group_state.as_str(), group.group_id.as_str()), ("Dead", GROUP));
        assert_eq!(ErrorCode::from(group.error_code), error, "version {version}");
        assert_eq!(group.error_message.is_some(), version >= 6);
    }
}

#[test]
fn a_group_without_members_is_deleted_with_its_offsets() {
    let mut talk = Talk::new();
    assert_eq!(delete(&mut talk), GroupIdNotFound);
    let ids = talk.stable(1);
    talk.commit(&ids[0], 1, "orders", 1);
    talk.commit(&ids[0], 1, "bills", 2);
    assert_eq!(delete(&mut talk), NonEmptyGroup);
    talk.leave(&[(&ids[0], None)]);
    let before = talk.records.len();
    assert_eq!(delete(&mut talk), ErrorCode::None);
    let graves = &talk.records[before..];
    assert_eq!(graves.len(), 3);
    assert!(graves.iter().all(|record| record.value.is_none()));
    for _ in 0..2 {
        assert_eq!(talk.committed("orders"), -1);
        assert_eq!(delete(&mut talk), GroupIdNotFound);
        assert_eq!(list(&mut talk, &[], &[]), []);
        talk.fail_over(Options::default());
    }
    // Whoever was about to join begins anew.
    let first = talk.join(&consumer());
    let told = talk.join_answer(first).member_id.to_string();
    assert_eq!(delete(&mut talk), ErrorCode::None);
    let second = talk.join(&consumer().member(&told));
    assert_eq!(ErrorCode::from(talk.join_answer(second).error_code), ErrorCode::UnknownMemberId);
}

#[test]
fn offsets_of_topics_that_are_read_are_not_deleted() {
    let mut talk = Talk::new();
    assert_eq!(delete_offsets(&mut talk, GROUP, &["orders"]).0, GroupIdNotFound);
    assert_eq!(delete_offsets(&mut talk, "", &["orders"]).0, InvalidGroupId);
    let ids = talk.stable(1);
    talk.commit(&ids[0], 1, "orders", 1);
    talk.commit(&ids[0], 1, "bills", 2);
    let before = talk.records.len();
    let got = delete_offsets(&mut talk, GROUP, &["orders", "bills", "unknown"]);
    assert_eq!(got, (ErrorCode::None, vec![GroupSubscribedToTopic, ErrorCode::None, ErrorCode::None]));
    assert_eq!(talk.records.len(), before + 1, "nothing is written for what was never committed");
    assert_eq!((talk.committed("orders"), talk.committed("bills")), (1, -1));
    talk.leave(&[(&ids[0], None)]);
    assert_eq!(delete_offsets(&mut talk, GROUP, &["orders"]), (ErrorCode::None, vec![ErrorCode::None]));
    assert_eq!(talk.committed("orders"), -1);
}

#[test]
fn nobody_knows_what_others_than_consumers_read() {
    // protocol type, metadata, the error of the request, the error of the topic
    for (kind, metadata, error, of_topic) in [
        ("connect", Bytes::from_static(b"url"), NonEmptyGroup, None),
        ("consumer", Bytes::from_static(b"?"), ErrorCode::None, Some(GroupSubscribedToTopic)),
        ("consumer", subscription(&["orders"]), ErrorCode::None, Some(ErrorCode::None)),
    ] {
        let mut talk = Talk::new();
        talk.commit("", -1, "bills", 2);
        let joining = Joining { protocol_type: kind, protocols: vec![("range", metadata)], ..consumer() };
        talk.join_new(&joining);
        talk.pass(3_000);
        let got = delete_offsets(&mut talk, GROUP, &["bills"]);
        assert_eq!((got.0, got.1.first().copied()), (error, of_topic), "{kind}");
    }
}

#[test]
fn what_was_committed_for_a_topic_goes_with_it() {
    let mut talk = Talk::new();
    let ids = talk.stable(1);
    talk.commit(&ids[0], 1, "orders", 1);
    talk.commit(&ids[0], 1, "bills", 2);
    let before = talk.records.len();
    let ticket = talk.ask(0, "", Request::ForgetTopics { topics: vec!["orders".into(), "never".into()] });
    assert_eq!(talk.answer(ticket), Some(&Reply::Done));
    assert_eq!(talk.records.len(), before + 1);
    assert_eq!((talk.committed("orders"), talk.committed("bills")), (-1, 2));
}

#[test]
fn many_offsets_of_a_topic_go_a_few_at_a_time() {
    let mut talk = Talk::new();
    for topic in ["orders", "bills"] {
        for group in 0..25 {
            let mut request = commit_request("", -1, topic, 1);
            request.group_id = format!("group {group:02}").into();
            let partition = request.topics[0].partitions[0].clone();
            request.topics[0].partitions = (0..1_000)
                .map(|partition_index| {
                    let mut partition = partition.clone();
                    partition.partition_index = partition_index;
                    partition
                })
                .collect();
            talk.commit_with(10, request);
        }
    }
    talk.pass(1);
    let before = talk.records.len();
    let first = talk.ask(0, "", Request::ForgetTopics { topics: vec!["orders".into()] });
    let second = talk.ask(0, "", Request::ForgetTopics { topics: vec!["bills".into()] });
    talk.parked(first);
    assert_eq!(talk.records.len() - before, 10_000);
    // The topic is there again, and a group that comes last commits for its successor.
    talk.now_ms += 1;
    let mut request = commit_request("", -1, "orders", 7);
    request.group_id = "group 24".into();
    talk.commit_with(10, request);
    talk.pass(0);
    for ticket in [first, second] {
        assert_eq!(talk.answer(ticket), Some(&Reply::Done));
    }
    assert_eq!(talk.records.len() - before, 50_000, "one commit more, one grave less");
    assert_eq!(list(&mut talk, &[], &[]).len(), 1);
}

fn is_there(talk: &mut Talk) -> bool {
    !list(talk, &[], &[]).is_empty()
}

#[test]
fn offsets_of_a_group_without_members_expire_after_it_became_empty() {
    let mut talk = Talk::new();
    let ids = talk.stable(1);
    talk.commit(&ids[0], 1, "orders", 1);
    for _ in 0..20_000 {
        talk.pass(8_000);
        assert_eq!(talk.heartbeat(&ids[0], 1), ErrorCode::None);
    }
    // Now the commit is almost two days old, and the retention begins.
    talk.leave(&[(&ids[0], None)]);
    talk.pass(7 * DAY_MS - 1);
    assert_eq!(talk.committed("orders"), 1);
    talk.pass(600_000);
    assert_eq!(talk.committed("orders"), -1);
    assert!(!is_there(&mut talk));
    talk.fail_over(Options::default());
    assert!(!is_there(&mut talk));
}

#[test]
fn offsets_of_who_is_no_member_expire_after_their_commit() {
    let mut talk = Talk::new();
    talk.commit("", -1, "orders", 1);
    talk.pass(4 * DAY_MS);
    talk.commit("", -1, "bills", 2);
    talk.pass(3 * DAY_MS + 600_000);
    assert_eq!((talk.committed("orders"), talk.committed("bills")), (-1, 2));
    talk.pass(4 * DAY_MS);
    assert!(!is_there(&mut talk));
}

#[test]
fn old_clients_say_themselves_how_long_a_commit_is_kept() {
    let mut talk = Talk::new();
    for (topic, retention_time_ms) in [("orders", 3_600_000), ("bills", -1)] {
        let request = protocol::messages::offset_commit_request::OffsetCommitRequest {
            retention_time_ms,
            ..commit_request("", -1, topic, 1)
        };
        assert_eq!(talk.commit_with(4, request), ErrorCode::None);
    }
    talk.fail_over(Options::default());
    talk.pass(3_600_000 - 1);
    assert_eq!((talk.committed("orders"), talk.committed("bills")), (1, 1));
    talk.pass(600_000);
    assert_eq!((talk.committed("orders"), talk.committed("bills")), (-1, 1));
}

#[test]
fn members_keep_the_offsets_of_what_they_read() {
    // protocol type, what they read, what is left of "orders" and "bills" when all of it is old
    for (kind, topics, left) in
        [("consumer", &["orders"][..], (1, -1)), ("consumer", &[], (-1, -1)), ("connect", &[], (1, 2))]
    {
        let mut talk = Talk::with(Options { offsets_retention_ms: 60_000, ..Options::default() });
        talk.commit("", -1, "orders", 1);
        talk.commit("", -1, "bills", 2);
        let protocols = vec![("range", subscription(topics))];
        let (id, _) =
            talk.join_new(&Joining { protocol_type: kind, protocols, session_ms: 1_000_000, ..consumer() });
        talk.pass(3_000);
        let sync = protocol::messages::sync_group_request::SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id: 1,
            member_id: id.as_str().into(),
            ..Default::default()
        };
        talk.ask(5, "app", Request::SyncGroup(sync));
        talk.pass(660_000);
        assert_eq!(describe(&mut talk, 6).group_state, "Stable");
        assert_eq!((talk.committed("orders"), talk.committed("bills")), left, "{kind} {topics:?}");
    }
}

#[test]
fn an_empty_group_without_offsets_is_forgotten() {
    let mut talk = Talk::new();
    let ids = talk.stable(1);
    talk.leave(&[(&ids[0], None)]);
    assert!(is_there(&mut talk));
    talk.pass(600_000);
    assert!(!is_there(&mut talk));
    assert!(talk.records.last().unwrap().value.is_none());
}
