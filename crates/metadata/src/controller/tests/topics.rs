//! CreateTopics.

use protocol::{ErrorCode, LeaderEpoch, NodeId, Str};

use super::super::testing::{Fixture, id, new_topic};
use super::*;
use crate::record::ConfigResource;

fn create(fixture: &Fixture, topic: NewTopic) -> (Vec<Record>, Result<CreatedTopic, Refusal>) {
    let (records, mut results) = create_topics(&fixture.context(), &[topic], false, 0);
    assert_eq!(results.len(), 1);
    (records, results.remove(0).result)
}

fn assigned(assignments: &[(i32, &[i32])]) -> NewTopic {
    let assignments = assignments.iter().map(|(partition, replicas)| (*partition, nodes(replicas))).collect();
    NewTopic { assignments, ..new_topic("t", 9, -1, -1) }
}

fn configured(configs: &[(&str, Option<&str>)]) -> NewTopic {
    let configs = configs.iter().map(|(key, value)| (Str::from(*key), value.map(Str::from))).collect();
    NewTopic { configs, ..new_topic("t", 9, 1, 1) }
}

type Table = Vec<(NewTopic, ErrorCode, &'static str)>;

/// Every topic is refused with that code and that message, and nothing is written.
fn refused(fixture: &Fixture, table: Table) {
    for (topic, code, message) in table {
        let (records, result) = create(fixture, topic);
        assert_eq!(records, []);
        assert_eq!(result, Err(Refusal::new(code, message)));
    }
}

#[test]
fn names_and_numbers_that_cannot_be_are_refused_with_the_code_of_kafka() {
    let mut fixture = Fixture::new();
    fixture.create("taken", 1, 1);
    fixture.create("a.b", 2, 1);
    let table = vec![
        (new_topic("", 9, 1, 1), ErrorCode::InvalidTopic, "the topic name is not valid: it is empty"),
        (
            new_topic("..", 9, 1, 1),
            ErrorCode::InvalidTopic,
            "the topic name is not valid: '..' stands for a directory",
        ),
        (
            new_topic("__cluster_metadata", 9, 1, 1),
            ErrorCode::InvalidRequest,
            "__cluster_metadata is not for clients to create",
        ),
        (new_topic("taken", 9, 1, 1), ErrorCode::TopicAlreadyExists, "topic 'taken' already exists"),
        (
            new_topic("a_b", 9, 1, 1),
            ErrorCode::InvalidTopic,
            "topic 'a_b' collides with topic 'a.b': '.' and '_' are one in the names of metrics",
        ),
        (
            new_topic("t", 9, 0, 1),
            ErrorCode::InvalidPartitions,
            "the number of partitions, 0, is neither positive nor -1 for the default",
        ),
        (
            new_topic("t", 9, -2, 1),
            ErrorCode::InvalidPartitions,
            "the number of partitions, -2, is neither positive nor -1 for the default",
        ),
        (
            new_topic("t", 9, 1, 0),
            ErrorCode::InvalidReplicationFactor,
            "replication factor 0 is neither positive nor -1 for the default",
        ),
        (
            new_topic("t", 9, 1, 2),
            ErrorCode::InvalidReplicationFactor,
            "replication factor 2 cannot be met: 1 broker(s) are registered",
        ),
        (
            new_topic("t", 9, 10_001, 1),
            ErrorCode::PolicyViolation,
            "a request may create at most 10000 partitions",
        ),
        (
            new_topic("t", 1, 1, 1),
            ErrorCode::UnknownServerError,
            "topic id AQEBAQEBAQEBAQEBAQEBAQ cannot be given to a new topic; try again",
        ),
    ];
    refused(&fixture, table);
}

#[test]
fn assignments_that_cannot_be_are_refused() {
    let table = vec![
        (
            NewTopic { replication_factor: 1, ..assigned(&[(0, &[1])]) },
            ErrorCode::InvalidRequest,
            "with an assignment the replication factor must be -1",
        ),
        (
            NewTopic { num_partitions: 1, ..assigned(&[(0, &[1])]) },
            ErrorCode::InvalidRequest,
            "with an assignment the number of partitions must be -1",
        ),
        (
            assigned(&[(0, &[1]), (0, &[1])]),
            ErrorCode::InvalidReplicaAssignment,
            "partition 0 is assigned twice",
        ),
        (
            assigned(&[(1, &[1])]),
            ErrorCode::InvalidReplicaAssignment,
            "the assigned partitions must be numbered from 0 without a gap",
        ),
        (assigned(&[(0, &[])]), ErrorCode::InvalidReplicaAssignment, "partition 0 is assigned to no broker"),
        (
            assigned(&[(0, &[2])]),
            ErrorCode::InvalidReplicaAssignment,
            "partition 0 is assigned to broker 2, which is not registered",
        ),
        (
            assigned(&[(0, &[1, 1])]),
            ErrorCode::InvalidReplicaAssignment,
            "partition 0 is assigned to broker 1 twice",
        ),
    ];
    refused(&Fixture::new(), table);
}

#[test]
fn configs_that_cannot_be_are_refused() {
    let table = vec![
        (
            configured(&[("segment.bytes", None)]),
            ErrorCode::InvalidConfig,
            "segment.bytes: a value is needed",
        ),
        (
            configured(&[("segment.bytes", Some("100"))]),
            ErrorCode::InvalidConfig,
            "segment.bytes: 100 is below the minimum 1048576",
        ),
        (
            configured(&[("segment.byte", Some("100"))]),
            ErrorCode::InvalidConfig,
            "segment.byte is not a topic config; did you mean segment.bytes?",
        ),
    ];
    refused(&Fixture::new(), table);
}

#[test]
fn a_created_topic_is_all_there() {
    let mut fixture = Fixture::with("num.partitions=3\nlog.retention.hours=1");
    let topic =
        NewTopic { num_partitions: -1, replication_factor: -1, ..configured(&[("segment.ms", Some("5"))]) };
    let (records, result) = create(&fixture, topic);
    let created = result.unwrap();
    assert_eq!((created.topic_id, created.num_partitions, created.replication_factor), (id(9), 3, 1));
    let shown = |name: &str| created.configs.iter().find(|config| config.name == name).unwrap().value.clone();
    assert_eq!((shown("segment.ms"), shown("retention.ms")), (Some("5".into()), Some("3600000".into())));
    fixture.apply(&records);
    let topic = fixture.image.topic("t").unwrap();
    assert_eq!(fixture.image.config(&ConfigResource::topic("t"), "segment.ms").unwrap(), "5");
    for (_, partition) in topic.partitions() {
        assert_eq!((partition.leader, partition.leader_epoch), (NodeId(1), LeaderEpoch(0)));
        assert_eq!(partition.directories, fixture.image.broker(NodeId(1)).unwrap().log_directories);
    }
}

#[test]
fn a_name_twice_and_names_that_collide_within_a_request_are_refused() {
    let fixture = Fixture::new();
    let topics = [
        new_topic("a", 1, 1, 1),
        new_topic("b.c", 2, 1, 1),
        new_topic("a", 3, 1, 1),
        new_topic("b_c", 4, 1, 1),
    ];
    let (records, results) = create_topics(&fixture.context(), &topics, false, 0);
    let codes: Vec<_> = results.iter().map(|topic| (topic.name.as_str(), code(&topic.result))).collect();
    let expected =
        [("a", ErrorCode::InvalidRequest), ("b.c", ErrorCode::None), ("b_c", ErrorCode::InvalidTopic)];
    assert_eq!(codes, expected);
    assert_eq!(records.len(), 2);
    let (records, results) = create_topics(&fixture.context(), &topics[1..2], true, 0);
    assert_eq!((records.len(), code(&results[0].result)), (0, ErrorCode::None));
}
