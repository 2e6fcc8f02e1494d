//! Classic consumer groups through the whole broker: where they are coordinated, what survives, what is refused. The rules
//! of the groups themselves are tested in `coordinator`.

use bytes::Bytes;
use protocol::messages::delete_groups_request::DeleteGroupsRequest;
use protocol::messages::describe_groups_request::DescribeGroupsRequest;
use protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use protocol::messages::heartbeat_request::HeartbeatRequest;
use protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::messages::join_group_response::JoinGroupResponse;
use protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use protocol::messages::list_groups_request::ListGroupsRequest;
use protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use protocol::{ErrorCode, Str, Uuid};

use crate::alter_configs::{TOPIC, set, value_of};
use crate::support::requests::Topic;
use crate::support::{Client, ms, run};

const GROUP: &str = "readers";
const JOIN: i16 = 9;
const SYNC: i16 = 5;
const BEAT: i16 = 4;

/// Without the three seconds that a new group waits for more members.
const NO_DELAY: [(&str, &str); 1] = [("group.initial.rebalance.delay.ms", "0")];

pub(crate) fn join(member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: Str::from(GROUP),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        member_id: Str::from(member_id),
        protocol_type: Str::from("consumer"),
        protocols: vec![JoinGroupRequestProtocol {
            name: Str::from("range"),
            metadata: Bytes::from_static(b"subscription"),
        }],
        ..Default::default()
    }
}

pub(crate) async fn find(client: &mut Client) -> ErrorCode {
    let request = FindCoordinatorRequest { coordinator_keys: vec![Str::from(GROUP)], ..Default::default() };
    let answer = client.call(6, &request).await;
    ErrorCode::from(answer.coordinators.first().unwrap().error_code)
}

/// Joins alone and takes part: the member as it is known from then on, and its generation.
async fn member(client: &mut Client) -> JoinGroupResponse {
    assert_eq!(find(client).await, ErrorCode::None);
    let first = client.call(JOIN, &join("")).await;
    assert_eq!(ErrorCode::from(first.error_code), ErrorCode::MemberIdRequired);
    let joined = client.call(JOIN, &join(&first.member_id)).await;
    assert_eq!(ErrorCode::from(joined.error_code), ErrorCode::None);
    let synced = sync(client, &joined).await;
    assert_eq!(synced, Ok(Bytes::from_static(b"everything")));
    joined
}

async fn sync(client: &mut Client, joined: &JoinGroupResponse) -> Result<Bytes, ErrorCode> {
    let assignment = Bytes::from_static(b"everything");
    let member_id = joined.member_id.clone();
    let request = SyncGroupRequest {
        group_id: Str::from(GROUP),
        generation_id: joined.generation_id,
        member_id: member_id.clone(),
        protocol_type: Some(Str::from("consumer")),
        protocol_name: Some(Str::from("range")),
        assignments: vec![SyncGroupRequestAssignment { member_id, assignment }],
        ..Default::default()
    };
    let answer = client.call(SYNC, &request).await;
    match ErrorCode::from(answer.error_code) {
        ErrorCode::None => Ok(answer.assignment),
        code => Err(code),
    }
}

async fn beat(client: &mut Client, joined: &JoinGroupResponse) -> ErrorCode {
    let request = HeartbeatRequest {
        group_id: Str::from(GROUP),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        ..Default::default()
    };
    ErrorCode::from(client.call(BEAT, &request).await.error_code)
}

fn commit_of(topic: &Topic, partition: i32, offset: i64, by_id: bool) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: Str::from(GROUP),
        topics: vec![OffsetCommitRequestTopic {
            name: if by_id { Str::EMPTY } else { topic.name.clone() },
            topic_id: if by_id { topic.id } else { Uuid::ZERO },
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: partition,
                committed_offset: offset,
                committed_leader_epoch: -1,
                committed_metadata: Some(Str::from("where I am")),
            }],
        }],
        ..Default::default()
    }
}

/// Commits without being a member, as tools do.
async fn commit(client: &mut Client, version: i16, topic: &Topic, partition: i32, offset: i64) -> ErrorCode {
    let answer = client.call(version, &commit_of(topic, partition, offset, version >= 10)).await;
    ErrorCode::from(answer.topics.first().unwrap().partitions.first().unwrap().error_code)
}

/// Commits as a member, for partition 0.
async fn commit_as(client: &mut Client, joined: &JoinGroupResponse, topic: &Topic, offset: i64) -> ErrorCode {
    let mut request = commit_of(topic, 0, offset, true);
    request.generation_id_or_member_epoch = joined.generation_id;
    request.member_id = joined.member_id.clone();
    let answer = client.call(10, &request).await;
    ErrorCode::from(answer.topics.first().unwrap().partitions.first().unwrap().error_code)
}

/// What is committed for partition 0.
async fn committed(client: &mut Client, version: i16, topic: &Topic) -> (ErrorCode, i64) {
    let by_id = version >= 10;
    let topics = vec![OffsetFetchRequestTopics {
        name: if by_id { Str::EMPTY } else { topic.name.clone() },
        topic_id: if by_id { topic.id } else { Uuid::ZERO },
        partition_indexes: vec![0],
    }];
    let group =
        OffsetFetchRequestGroup { group_id: Str::from(GROUP), topics: Some(topics), ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
    let answer = client.call(version, &request).await;
    let group = answer.groups.first().unwrap();
    let part = group.topics.first().unwrap().partitions.first().unwrap();
    (ErrorCode::from(part.error_code), part.committed_offset)
}

async fn state(client: &mut Client) -> (String, usize) {
    let request = DescribeGroupsRequest { groups: vec![Str::from(GROUP)], ..Default::default() };
    let answer = client.call(5, &request).await;
    let group = answer.groups.first().unwrap();
    (group.group_state.as_str().to_owned(), group.members.len())
}

#[test]
fn a_member_joins_takes_part_and_leaves() {
    run(&NO_DELAY, async |world| {
        let mut client = world.connect().await;
        let joined = member(&mut client).await;
        assert_eq!((joined.generation_id, &joined.leader), (1, &joined.member_id));
        assert_eq!(beat(&mut client, &joined).await, ErrorCode::None);
        assert_eq!(state(&mut client).await, ("Stable".to_owned(), 1));
        let members = vec![MemberIdentity { member_id: joined.member_id.clone(), ..Default::default() }];
        let leave = LeaveGroupRequest { group_id: Str::from(GROUP), members, ..Default::default() };
        let left = client.call(5, &leave).await;
        assert_eq!((left.error_code, left.members.first().unwrap().error_code), (0, 0));
        assert_eq!(beat(&mut client, &joined).await, ErrorCode::UnknownMemberId);
        assert_eq!(state(&mut client).await, ("Empty".to_owned(), 0));
    });
}

#[test]
fn a_second_member_has_the_first_one_join_again() {
    run(&NO_DELAY, async |world| {
        let mut first = world.connect().await;
        let joined = member(&mut first).await;
        let mut second = world.connect().await;
        let id = second.call(JOIN, &join("")).await.member_id;
        second.send(JOIN, &join(&id)).await;
        // The join is parked until the first member has heard of it.
        while beat(&mut first, &joined).await != ErrorCode::RebalanceInProgress {}
        let again = first.call(JOIN, &join(&joined.member_id)).await;
        let other = second.receive::<JoinGroupRequest>(JOIN).await;
        assert_eq!((again.generation_id, other.generation_id), (2, 2));
        assert_eq!((again.members.len(), other.members.len()), (2, 0), "the leader hears of all");
        assert_eq!(again.leader, other.leader);
    });
}

#[test]
fn a_silent_member_is_taken_out_when_its_session_ends() {
    run(&NO_DELAY, async |world| {
        let mut client = world.connect().await;
        let joined = member(&mut client).await;
        client.pause(ms(9_900)).await;
        assert_eq!(beat(&mut client, &joined).await, ErrorCode::None);
        client.pause(ms(10_100)).await;
        assert_eq!(beat(&mut client, &joined).await, ErrorCode::UnknownMemberId);
        assert_eq!(state(&mut client).await, ("Empty".to_owned(), 0));
    });
}

#[test]
fn groups_members_and_offsets_survive_restarts_and_crashes() {
    run(&NO_DELAY, async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let joined = member(&mut client).await;
        for round in 0..4 {
            assert_eq!(commit_as(&mut client, &joined, &topic, round).await, ErrorCode::None);
            if round % 2 == 0 {
                world.restart().await
            } else {
                world.crash().await
            }
            client = world.connect().await;
            assert_eq!(committed(&mut client, 10, &topic).await, (ErrorCode::None, round));
            assert_eq!(state(&mut client).await, ("Stable".to_owned(), 1));
            assert_eq!(beat(&mut client, &joined).await, ErrorCode::None);
        }
    });
}

#[test]
fn offsets_of_topics_in_every_version_and_of_topics_that_are_not_there() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        assert_eq!(find(&mut client).await, ErrorCode::None);
        for version in 2..=10 {
            assert_eq!(commit(&mut client, version, &topic, 0, i64::from(version)).await, ErrorCode::None);
            let code = commit(&mut client, version, &topic, 1, 1).await;
            assert_eq!(code, ErrorCode::UnknownTopicOrPartition);
            for read in 8..=10 {
                let found = committed(&mut client, read, &topic).await;
                assert_eq!(found, (ErrorCode::None, i64::from(version)), "{version} {read}");
            }
        }
        let missing = Topic { name: Str::from("missing"), id: Uuid::from_random([9; 16]).unwrap() };
        let unknown = commit(&mut client, 9, &missing, 0, 1).await;
        assert_eq!(unknown, ErrorCode::UnknownTopicOrPartition);
        assert_eq!(commit(&mut client, 10, &missing, 0, 1).await, ErrorCode::UnknownTopicId);
        assert_eq!(committed(&mut client, 10, &missing).await, (ErrorCode::UnknownTopicId, -1));
        assert_eq!(committed(&mut client, 9, &missing).await, (ErrorCode::None, -1));
    });
}

#[test]
fn what_was_committed_for_a_deleted_topic_means_nothing_for_a_new_one() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        assert_eq!(find(&mut client).await, ErrorCode::None);
        assert_eq!(commit(&mut client, 9, &topic, 0, 5).await, ErrorCode::None);
        client.delete("t").await;
        let topic = client.create("t", 1, &[]).await;
        // At once: the coordinator may not have heard of the deletion yet.
        for version in 8..=10 {
            let all = OffsetFetchRequestGroup { group_id: Str::from(GROUP), ..Default::default() };
            let all = OffsetFetchRequest { groups: vec![all], ..Default::default() };
            assert_eq!(client.call(version, &all).await.groups[0].topics, []);
            assert_eq!(committed(&mut client, version, &topic).await, (ErrorCode::None, -1));
        }
        world.crash().await;
        let mut client = world.connect().await;
        assert_eq!(committed(&mut client, 9, &topic).await, (ErrorCode::None, -1));
    });
}

#[test]
fn groups_are_listed_and_deleted_once_nobody_is_in_them() {
    run(&NO_DELAY, async |world| {
        let mut client = world.connect().await;
        let joined = member(&mut client).await;
        let listed = client.call(5, &ListGroupsRequest::default()).await;
        let [group] = listed.groups.as_slice() else { panic!("{listed:?}") };
        let told = [&group.group_id, &group.protocol_type, &group.group_state, &group.group_type];
        assert_eq!(told.map(|text| text.as_str()), [GROUP, "consumer", "Stable", "classic"]);
        let delete = DeleteGroupsRequest { groups_names: vec![Str::from(GROUP), Str::from("missing")] };
        let codes = async |client: &mut Client| {
            let answer = client.call(2, &delete).await;
            let mut results = answer.results;
            results.sort_by(|a, b| a.group_id.cmp(&b.group_id));
            results.iter().map(|result| ErrorCode::from(result.error_code)).collect::<Vec<_>>()
        };
        assert_eq!(codes(&mut client).await, [ErrorCode::GroupIdNotFound, ErrorCode::NonEmptyGroup]);
        client.pause(ms(11_000)).await;
        assert_eq!(beat(&mut client, &joined).await, ErrorCode::UnknownMemberId);
        assert_eq!(codes(&mut client).await, [ErrorCode::GroupIdNotFound, ErrorCode::None]);
        assert_eq!(client.call(5, &ListGroupsRequest::default()).await.groups, []);
        world.crash().await;
        let mut client = world.connect().await;
        assert_eq!(client.call(5, &ListGroupsRequest::default()).await.groups, []);
    });
}

#[test]
fn the_topic_of_groups_is_made_when_a_coordinator_is_looked_for() {
    run(&[("offsets.topic.num.partitions", "7")], async |world| {
        let mut client = world.connect().await;
        let before = client.describe(12, "__consumer_offsets", false).await;
        assert_eq!(ErrorCode::from(before.error_code), ErrorCode::UnknownTopicOrPartition);
        for version in 0..=6 {
            let request = if version < 4 {
                FindCoordinatorRequest { key: Str::from(GROUP), ..Default::default() }
            } else {
                FindCoordinatorRequest { coordinator_keys: vec![Str::from(GROUP)], ..Default::default() }
            };
            let answer = client.call(version, &request).await;
            let found = answer.coordinators.first();
            let found =
                found.map_or((answer.error_code, answer.port), |found| (found.error_code, found.port));
            assert_eq!(found, (0, i32::from(crate::support::PORT)), "version {version}");
        }
        let topic = client.describe(12, "__consumer_offsets", false).await;
        assert_eq!((topic.is_internal, topic.partitions.len()), (true, 7));
        let (policy, _) = value_of(&mut client, (TOPIC, "__consumer_offsets"), "cleanup.policy").await;
        assert_eq!(policy.as_deref(), Some("compact"));
    });
}

#[test]
fn a_stop_does_not_wait_for_members_that_wait_for_others() {
    run(&[("group.initial.rebalance.delay.ms", "3000000")], async |world| {
        let mut client = world.connect().await;
        assert_eq!(find(&mut client).await, ErrorCode::None);
        let id = client.call(JOIN, &join("")).await.member_id;
        client.send(JOIN, &join(&id)).await;
        let mut other = world.connect().await;
        while state(&mut other).await.0 != "PreparingRebalance" {}
        let began = world.wall_ms();
        world.stop().await;
        let refused = client.receive::<JoinGroupRequest>(JOIN).await;
        assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::NotCoordinator);
        assert!(world.wall_ms() - began < 5_000, "{} ms", world.wall_ms() - began);
    });
}

#[test]
fn a_commit_that_cannot_be_written_is_refused_and_forgotten() {
    run(&NO_DELAY, async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let joined = member(&mut client).await;
        assert_eq!(commit_as(&mut client, &joined, &topic, 5).await, ErrorCode::None);
        let groups = (TOPIC, "__consumer_offsets");
        set(&mut client, groups, "min.insync.replicas", "2").await;
        let refused = commit_as(&mut client, &joined, &topic, 6).await;
        assert_eq!(refused, ErrorCode::CoordinatorNotAvailable);
        assert_eq!(committed(&mut client, 9, &topic).await, (ErrorCode::None, 5));
        // The member is who it was: the log says so.
        assert_eq!(beat(&mut client, &joined).await, ErrorCode::None);
        set(&mut client, groups, "min.insync.replicas", "1").await;
        assert_eq!(commit_as(&mut client, &joined, &topic, 7).await, ErrorCode::None);
        assert_eq!(committed(&mut client, 9, &topic).await, (ErrorCode::None, 7));
    });
}
