//! OffsetCommit and OffsetFetch: who may commit, and what is remembered.

use coordinator::{Reply, Request};
use protocol::ErrorCode;
use protocol::ErrorCode::{
    GroupIdNotFound, IllegalGeneration, OffsetMetadataTooLarge, RebalanceInProgress, UnknownMemberId,
};
use protocol::Uuid;
use protocol::messages::offset_commit_request::OffsetCommitRequest;
use protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;

use crate::talk::{GROUP, Talk, commit_request, consumer};

/// A commit, and what becomes of it in a group in some state.
struct Case {
    member: &'static str,
    instance: Option<&'static str>,
    generation: i32,
    version: i16,
    error: ErrorCode,
}

const fn case(member: &'static str, generation: i32, error: ErrorCode) -> Case {
    Case { member, instance: None, generation, version: 10, error }
}

/// "me" stands for a member.
#[track_caller]
fn check(talk: &mut Talk, me: &str, cases: &[Case]) {
    for Case { member, instance, generation, version, error } in cases {
        let before = talk.records.len();
        let id = if *member == "me" { me } else { member };
        let request = OffsetCommitRequest {
            group_instance_id: instance.map(Into::into),
            ..commit_request(id, *generation, "orders", 5)
        };
        let got = talk.commit_with(*version, request);
        assert_eq!(got, *error, "{member} {instance:?} {generation} in version {version}");
        assert_eq!(talk.records.len() - before, usize::from(*error == ErrorCode::None));
    }
}

#[test]
fn who_is_no_member_commits_where_there_are_none() {
    let mut talk = Talk::new();
    check(
        &mut talk,
        "",
        &[
            case("", 0, GroupIdNotFound),
            case("who", 3, GroupIdNotFound),
            Case { version: 8, ..case("who", 3, IllegalGeneration) },
            case("", -1, ErrorCode::None),
            // Now there is a group, without members.
            case("", 0, UnknownMemberId),
            case("who", 3, UnknownMemberId),
            Case { version: 2, ..case("", -1, ErrorCode::None) },
        ],
    );
}

#[test]
fn members_commit_in_their_generation() {
    let mut talk = Talk::new();
    let ids = talk.stable(2);
    let stable = [
        case("me", 1, ErrorCode::None),
        case("me", 0, IllegalGeneration),
        case("me", 2, IllegalGeneration),
        case("me", -1, IllegalGeneration),
        case("who", 1, UnknownMemberId),
        case("", -1, UnknownMemberId),
        case("", 1, UnknownMemberId),
        Case { instance: Some("i"), ..case("me", 1, UnknownMemberId) },
        Case { instance: Some("i"), ..case("", -1, UnknownMemberId) },
    ];
    check(&mut talk, &ids[1], &stable);
    // While all join again, the last offsets of the old generation are still welcome.
    talk.join(&consumer().member(&ids[0]));
    check(&mut talk, &ids[1], &stable);
    talk.join(&consumer().member(&ids[1]));
    check(
        &mut talk,
        &ids[1],
        &[
            case("me", 1, IllegalGeneration),
            case("me", 2, RebalanceInProgress),
            case("who", 2, UnknownMemberId),
            case("", -1, UnknownMemberId),
        ],
    );
    talk.leave(&[(&ids[0], None), (&ids[1], None)]);
    check(&mut talk, &ids[1], &[case("", -1, ErrorCode::None), case("me", 2, UnknownMemberId)]);
}

#[test]
fn another_process_with_the_same_instance_id_may_not_commit() {
    let mut talk = Talk::new();
    let join = talk.join(&consumer().instance("i"));
    talk.pass(3_000);
    let id = talk.join_answer(join).member_id.to_string();
    talk.sync_as(&id, Some("i"), 1, &[]);
    check(
        &mut talk,
        &id,
        &[
            Case { instance: Some("i"), ..case("me", 1, ErrorCode::None) },
            Case { instance: Some("i"), ..case("who", 1, ErrorCode::FencedInstanceId) },
            Case { instance: Some("i"), ..case("", -1, ErrorCode::FencedInstanceId) },
        ],
    );
}

#[test]
fn a_commit_keeps_its_member_in_the_group() {
    let mut talk = Talk::new();
    let ids = talk.stable(2);
    for _ in 0..5 {
        talk.pass(9_000);
        talk.commit(&ids[0], 1, "orders", 1);
    }
    assert_eq!(talk.heartbeat(&ids[0], 1), RebalanceInProgress);
    assert_eq!(talk.heartbeat(&ids[1], 1), UnknownMemberId);
}

#[test]
fn metadata_has_a_limit_that_counts_as_java_does() {
    for (metadata, error) in [
        ("x".repeat(4096), ErrorCode::None),
        ("x".repeat(4097), OffsetMetadataTooLarge),
        // Two bytes in UTF-8, one unit in Java.
        ("ü".repeat(4096), ErrorCode::None),
        // Four bytes, two units.
        ("🦀".repeat(2048), ErrorCode::None),
        ("🦀".repeat(2049), OffsetMetadataTooLarge),
    ] {
        let mut talk = Talk::new();
        let mut request = commit_request("", -1, "orders", 1);
        request.topics[0].partitions[0].committed_metadata = Some(metadata.as_str().into());
        let mut good = request.topics[0].partitions[0].clone();
        good.partition_index = 1;
        good.committed_metadata = None;
        request.topics[0].partitions.push(good);
        assert_eq!(talk.commit_with(10, request), error);
        // One that is too long does not spoil the others.
        assert_eq!(talk.records.len(), 1 + usize::from(error == ErrorCode::None));
    }
}

fn fetch(talk: &mut Talk, topics: Option<Vec<OffsetFetchRequestTopics>>) -> OffsetFetchResponseGroup {
    let group = OffsetFetchRequestGroup { group_id: GROUP.into(), topics, ..Default::default() };
    let ticket = talk.ask(10, "app", Request::OffsetFetch { group, require_stable: true });
    match talk.answer(ticket) {
        Some(Reply::OffsetFetch(response)) => response.clone(),
        other => panic!("no answer to a fetch: {other:?}"),
    }
}

fn topic(name: &str, id: Uuid, partitions: &[i32]) -> OffsetFetchRequestTopics {
    OffsetFetchRequestTopics { name: name.into(), topic_id: id, partition_indexes: partitions.to_vec() }
}

#[test]
fn what_was_committed_is_fetched_with_epoch_and_metadata() {
    let mut talk = Talk::new();
    talk.commit("", -1, "orders", 42);
    let asked = vec![topic("orders", Uuid::ZERO, &[0, 1]), topic("bills", Uuid::ZERO, &[0])];
    let got = fetch(&mut talk, Some(asked.clone()));
    let shown: Vec<(&str, i32, i64, i32, &str, i16)> = (got.topics.iter())
        .flat_map(|topic| {
            topic.partitions.iter().map(|partition| {
                (
                    topic.name.as_str(),
                    partition.partition_index,
                    partition.committed_offset,
                    partition.committed_leader_epoch,
                    partition.metadata.as_deref().unwrap(),
                    partition.error_code,
                )
            })
        })
        .collect();
    let nothing = |topic, partition| (topic, partition, -1, -1, "", 0);
    assert_eq!(shown, [("orders", 0, 42, 3, "note", 0), nothing("orders", 1), nothing("bills", 0)]);

    talk.fail_over(Default::default());
    assert_eq!(fetch(&mut talk, Some(asked)), got);
    let all = fetch(&mut talk, None);
    assert_eq!(
        (all.topics.len(), all.topics[0].name.as_str(), all.topics[0].partitions.len()),
        (1, "orders", 1)
    );
}

#[test]
fn a_group_that_is_not_there_has_committed_nothing() {
    let mut talk = Talk::new();
    assert_eq!(fetch(&mut talk, None).topics, []);
    let got = fetch(&mut talk, Some(vec![topic("orders", Uuid::ZERO, &[0])]));
    assert_eq!((got.error_code, got.topics[0].partitions[0].committed_offset), (0, -1));
}

#[test]
fn a_topic_of_the_same_name_does_not_inherit_offsets() {
    let (old, new) = (Uuid::from_bytes([1; 16]), Uuid::from_bytes([2; 16]));
    let mut talk = Talk::new();
    let mut request = commit_request("", -1, "orders", 42);
    request.topics[0].topic_id = old;
    talk.commit_with(10, request);
    for (id, offset) in [(old, 42), (new, -1), (Uuid::ZERO, 42)] {
        let got = fetch(&mut talk, Some(vec![topic("orders", id, &[0])]));
        assert_eq!(got.topics[0].partitions[0].committed_offset, offset, "{id}");
        assert_eq!(got.topics[0].topic_id, id);
    }
}
