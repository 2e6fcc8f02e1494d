//! What tools ask of groups of the consumer protocol: lists, descriptions, deletions, and what is forgotten by itself.

use coordinator::{Options, Reply, Request};
use protocol::ErrorCode;
use protocol::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};

use crate::consumers::two;
use crate::steps::{beat, joins, topic_id};
use crate::talk::{GROUP, Talk, commit_request};

const ORDERS: &[(&str, i32)] = &[("orders", 4), ("users", 1)];
const DAY_MS: u64 = 24 * 3_600_000;

fn listed(talk: &mut Talk, states: &[&str], types: &[&str]) -> Vec<String> {
    let of = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
    let ticket = talk.ask(5, "app", Request::ListGroups { states: of(states), types: of(types) });
    let Some(Reply::ListGroups(groups)) = talk.answer(ticket) else { panic!() };
    groups
        .iter()
        .map(|group| format!("{} {} {}", group.group_id, group.group_type, group.group_state))
        .collect()
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut talk = Talk::about(ORDERS);
    two(&mut talk);
    let mut other = joins("x", &["orders"]);
    other.request.group_id = "other".into();
    talk.beats(&other);
    other.request.member_epoch = -1;
    talk.beats(&other);
    let mut simple = commit_request("", -1, "orders", 1);
    simple.group_id = "simple".into();
    assert_eq!(talk.commit_with(9, simple), ErrorCode::None);
    let all = ["other consumer Empty", "readers consumer Stable", "simple classic Empty"];
    assert_eq!(listed(&mut talk, &[], &[]), all);
    assert_eq!(listed(&mut talk, &[], &["Consumer"]), all[..2]);
    assert_eq!(listed(&mut talk, &[], &["classic"]), all[2..]);
    assert_eq!(listed(&mut talk, &[], &["share"]), [""; 0]);
    assert_eq!(listed(&mut talk, &["empty"], &[]), [all[0], all[2]]);
    assert_eq!(listed(&mut talk, &[" Stable"], &["consumer", "classic"]), all[1..2]);
    // What is not a classic group is none to who asks for classic groups.
    for (version, error) in [(5, ErrorCode::None), (6, ErrorCode::GroupIdNotFound)] {
        let ticket = talk.ask(version, "app", Request::DescribeGroup { group_id: GROUP.into() });
        let Some(Reply::DescribeGroup(group)) = talk.answer(ticket) else { panic!() };
        assert_eq!((ErrorCode::from(group.error_code), group.group_state.as_str()), (error, "Dead"));
    }
    for name in ["simple", "missing"] {
        let ticket = talk.ask(1, "app", Request::ConsumerGroupDescribe { group_id: name.into() });
        let Some(Reply::ConsumerGroupDescribe(group)) = talk.answer(ticket) else { panic!() };
        assert_eq!(ErrorCode::from(group.error_code), ErrorCode::GroupIdNotFound);
        assert!(group.error_message.is_some());
    }
}

#[test]
fn members_are_described_with_what_they_have_and_are_to_have() {
    let mut talk = Talk::about(ORDERS);
    let mut first = joins("a", &["users", "orders", "users"]).instance("ia").assignor("range");
    first.request.rack_id = Some("r1".into());
    talk.beats(&first);
    talk.pass(1_000);
    talk.beats(&joins("b", &["orders"]));
    talk.hears(&beat("a", 2), (2, Some("orders:0,1 users:0")));
    let described = talk.described();
    assert_eq!((described.group_epoch, described.assignment_epoch), (3, 3));
    assert_eq!((described.group_state.as_str(), described.assignor_name.as_str()), ("Reconciling", "range"));
    let a = &described.members[0];
    assert_eq!((a.instance_id.as_deref(), a.rack_id.as_deref(), a.member_epoch), (Some("ia"), Some("r1"), 2));
    assert_eq!((a.client_id.as_str(), a.client_host.as_str(), a.member_type), ("app", "/127.0.0.1", 1));
    assert_eq!(a.subscribed_topic_names, ["orders", "users"]);
    let partitions = |assignment: &protocol::messages::consumer_group_describe_response::Assignment| {
        let topics = assignment.topic_partitions.iter();
        topics.map(|topic| (topic.topic_name.to_string(), topic.partitions.clone())).collect::<Vec<_>>()
    };
    let of = |name: &str, partitions: &[i32]| (name.to_owned(), partitions.to_vec());
    // What it is still to give up it has.
    assert_eq!(partitions(&a.assignment), [of("orders", &[0, 1, 2, 3]), of("users", &[0])]);
    assert_eq!(partitions(&a.target_assignment), [of("orders", &[0, 1]), of("users", &[0])]);
    let b = &described.members[1];
    assert_eq!((partitions(&b.assignment), b.member_epoch), (vec![], 3));
    assert_eq!(partitions(&b.target_assignment), [of("orders", &[2, 3])]);
}

fn delete(talk: &mut Talk) -> ErrorCode {
    let ticket = talk.ask(2, "app", Request::DeleteGroup { group_id: GROUP.into() });
    match talk.answer(ticket) {
        Some(Reply::DeleteGroup(result)) => ErrorCode::from(result.error_code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_group_is_deleted_when_nobody_is_in_it() {
    let mut talk = Talk::about(ORDERS);
    talk.hears(&joins("a", &[]).matching("orders"), (1, Some("")));
    let search = talk.searches.pop().unwrap();
    talk.ask(0, "", Request::Found(search.run()));
    talk.hears(&beat("a", 1), (2, Some("orders:0,1,2,3")));
    assert_eq!(talk.commit_with(9, commit_request("a", 2, "orders", 5)), ErrorCode::None);
    assert_eq!(delete(&mut talk), ErrorCode::NonEmptyGroup);
    talk.hears(&beat("a", -1), (-1, None));
    assert_eq!(talk.committed("orders"), 5);
    assert_eq!(delete(&mut talk), ErrorCode::None);
    assert_eq!(talk.committed("orders"), -1);
    assert_eq!(delete(&mut talk), ErrorCode::GroupIdNotFound);
    // Nothing of it is left in a compacted log.
    let mut kept = std::collections::BTreeMap::new();
    for record in &talk.records {
        kept.insert(record.key.clone(), record.value.clone());
    }
    assert!(kept.values().all(Option::is_none), "{kept:?}");
    talk.fail_over(Options::default());
    assert_eq!(listed(&mut talk, &[], &[]), [""; 0]);
}

#[test]
fn offsets_of_topics_that_are_read_are_not_deleted() {
    let mut talk = Talk::about(ORDERS);
    two(&mut talk);
    for topic in ["orders", "users"] {
        assert_eq!(talk.commit_with(9, commit_request("a", 3, topic, 5)), ErrorCode::None);
    }
    let topic = |name: &str| OffsetDeleteRequestTopic {
        name: name.into(),
        partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
    };
    let request =
        OffsetDeleteRequest { group_id: GROUP.into(), topics: vec![topic("orders"), topic("users")] };
    let ticket = talk.ask(0, "app", Request::OffsetDelete(request));
    let Some(Reply::OffsetDelete(response)) = talk.answer(ticket) else { panic!() };
    let errors = response.topics.iter().map(|topic| ErrorCode::from(topic.partitions[0].error_code));
    assert!(errors.eq([ErrorCode::GroupSubscribedToTopic, ErrorCode::None]));
    assert_eq!((talk.committed("orders"), talk.committed("users")), (5, -1));
}

#[test]
fn what_nobody_reads_expires() {
    let mut talk = Talk::about(ORDERS);
    two(&mut talk);
    for topic in ["orders", "users"] {
        let mut commit = commit_request("a", 3, topic, 5);
        commit.topics[0].topic_id = topic_id(topic);
        assert_eq!(talk.commit_with(9, commit), ErrorCode::None);
    }
    for _ in 0..(8 * DAY_MS / 30_000) {
        talk.pass(30_000);
        talk.beats(&beat("a", 3));
        talk.beats(&beat("b", 3));
    }
    assert_eq!((talk.committed("orders"), talk.committed("users")), (5, -1));
    talk.is("Stable", 3);
    talk.hears(&beat("a", -1), (-1, None));
    talk.hears(&beat("b", -1), (-1, None));
    talk.pass(DAY_MS);
    assert_eq!(talk.committed("orders"), -1, "it was committed eight days ago, which is what counts");
    assert_eq!(listed(&mut talk, &[], &[]), [""; 0]);
}
