//! CreateTopics, DeleteTopics, CreatePartitions.

use protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest,
};
use protocol::messages::create_topics_response::CreatableTopicResult;
use protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use protocol::{ErrorCode, Str, Uuid};

use crate::support::requests::{CREATE, METADATA, batch, new_topic, produce};
use crate::support::{Client, SERVER, ms, run};

async fn create(client: &mut Client, version: i16, topics: Vec<CreatableTopic>) -> Vec<CreatableTopicResult> {
    let request = CreateTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() };
    client.call(version, &request).await.topics
}

async fn create_code(client: &mut Client, topic: CreatableTopic) -> ErrorCode {
    let result = create(client, CREATE, vec![topic]).await.remove(0);
    assert_eq!(result.error_code == 0, result.error_message.is_none(), "refusals say why");
    ErrorCode::from(result.error_code)
}

#[test]
fn every_version_creates_and_newer_ones_tell_what() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        for version in 2..=CREATE {
            let name = format!("t{version}");
            let results =
                create(&mut client, version, vec![new_topic(&name, 2, &[("retention.ms", "77")])]).await;
            let result = &results[0];
            assert_eq!((result.error_code, result.name.as_str()), (0, name.as_str()));
            assert_eq!(result.topic_id != Uuid::ZERO, version >= 7);
            if version >= 5 {
                assert_eq!((result.num_partitions, result.replication_factor), (2, 1));
                let configs = result.configs.as_ref().unwrap();
                let own = configs.iter().find(|config| config.name == "retention.ms").unwrap();
                assert_eq!((own.value.as_deref(), own.config_source), (Some("77"), 1));
                let default = configs.iter().find(|config| config.name == "cleanup.policy").unwrap();
                assert_eq!((default.value.as_deref(), default.config_source), (Some("delete"), 5));
            }
        }
    });
}

#[test]
fn validate_only_creates_nothing() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        for version in 2..=CREATE {
            let request = CreateTopicsRequest {
                topics: vec![new_topic("t", 1, &[]), new_topic("a b", 1, &[])],
                validate_only: true,
                ..Default::default()
            };
            let results = client.call(version, &request).await.topics;
            let codes: Vec<_> = results.iter().map(|result| ErrorCode::from(result.error_code)).collect();
            assert_eq!(codes, [ErrorCode::None, ErrorCode::InvalidTopic]);
            assert_eq!(client.describe(METADATA, "t", false).await.error_code, 3);
        }
    });
}

#[test]
fn names_are_checked() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        for bad in ["", ".", "..", "a b", "a/b", "../x", "ä", "a\0b", &"x".repeat(250), &"x".repeat(10_000)]
        {
            assert_eq!(
                create_code(&mut client, new_topic(bad, 1, &[])).await,
                ErrorCode::InvalidTopic,
                "{bad:?}"
            );
        }
        let longest = "x".repeat(249);
        let topic = client.create(&longest, 1, &[]).await;
        client.fill(&topic, &["a"]).await;
        world.restart().await;
        let mut client = world.connect().await;
        assert_eq!(client.read(&topic, 0).await.high_watermark, 1, "the longest name fits the disk");
        assert_eq!(
            create_code(&mut client, new_topic(&longest, 1, &[])).await,
            ErrorCode::TopicAlreadyExists
        );
    });
}

#[test]
fn names_that_differ_by_a_dot_collide() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        client.create("a.b_c", 1, &[]).await;
        for other in ["a_b_c", "a.b.c", "a_b.c"] {
            assert_eq!(create_code(&mut client, new_topic(other, 1, &[])).await, ErrorCode::InvalidTopic);
        }
        let twice = vec![new_topic("x.y", 1, &[]), new_topic("x_y", 1, &[])];
        let results = create(&mut client, CREATE, twice).await;
        let good = results.iter().filter(|result| result.error_code == 0).count();
        assert_eq!(good, 1, "within one request, too");
    });
}

#[test]
fn counts_factors_configs_and_assignments_are_checked() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let me = client.describe(METADATA, "t", false).await;
        assert_eq!(me.error_code, 3);
        client.create("probe", 1, &[]).await;
        let me = client.describe(METADATA, "probe", false).await.partitions[0].leader_id;
        let assigned = |partitions: &[(i32, &[i32])]| CreatableTopic {
            num_partitions: -1,
            replication_factor: -1,
            assignments: partitions
                .iter()
                .map(|(partition_index, nodes)| CreatableReplicaAssignment {
                    partition_index: *partition_index,
                    broker_ids: nodes.to_vec(),
                })
                .collect(),
            ..new_topic("t", 1, &[])
        };
        let bad: &[(&str, &str)] = &[("retention.ms", "soon")];
        let factor = |replication_factor| CreatableTopic { replication_factor, ..new_topic("t", 1, &[]) };
        for (topic, code) in [
            (new_topic("t", 0, &[]), ErrorCode::InvalidPartitions),
            (new_topic("t", -2, &[]), ErrorCode::InvalidPartitions),
            (new_topic("t", i32::MAX, &[]), ErrorCode::PolicyViolation),
            (factor(0), ErrorCode::InvalidReplicationFactor),
            (factor(2), ErrorCode::InvalidReplicationFactor),
            (new_topic("t", 1, &[("no.such.config", "1")]), ErrorCode::InvalidConfig),
            (new_topic("t", 1, &[("retention.ms", "soon")]), ErrorCode::InvalidConfig),
            (assigned(&[(0, &[me + 1])]), ErrorCode::InvalidReplicaAssignment),
            (assigned(&[(0, &[me, me])]), ErrorCode::InvalidReplicaAssignment),
            (assigned(&[(1, &[me])]), ErrorCode::InvalidReplicaAssignment),
            (assigned(&[(0, &[])]), ErrorCode::InvalidReplicaAssignment),
            (assigned(&[(0, &[me]), (0, &[me])]), ErrorCode::InvalidReplicaAssignment),
            (CreatableTopic { num_partitions: 1, ..assigned(&[(0, &[me])]) }, ErrorCode::InvalidRequest),
            (CreatableTopic { replication_factor: 1, ..assigned(&[(0, &[me])]) }, ErrorCode::InvalidRequest),
            (new_topic("__cluster_metadata", 1, &[]), ErrorCode::InvalidRequest),
            // What is wrong in two ways is told as Kafka does: name, existence, configs, factor, count.
            (new_topic("a b", 0, &[("no.such.config", "1")]), ErrorCode::InvalidTopic),
            (new_topic("probe", 0, &[("no.such.config", "1")]), ErrorCode::TopicAlreadyExists),
            (CreatableTopic { replication_factor: 0, ..new_topic("t", 0, bad) }, ErrorCode::InvalidConfig),
            (CreatableTopic { num_partitions: 0, ..factor(0) }, ErrorCode::InvalidReplicationFactor),
            (CreatableTopic { num_partitions: 0, ..factor(2) }, ErrorCode::InvalidPartitions),
            (assigned(&[(0, &[me]), (1, &[me])]), ErrorCode::None),
        ] {
            assert_eq!(create_code(&mut client, topic.clone()).await, code, "{topic:?}");
        }
        assert_eq!(client.describe(METADATA, "t", false).await.partitions.len(), 2);
    });
}

#[test]
fn one_bad_topic_does_not_fail_the_others_and_none_may_be_named_twice() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topics = ["good", "bad one", "twice", "twice"].map(|name| new_topic(name, 1, &[]));
        let mut results: Vec<_> = create(&mut client, CREATE, topics.to_vec())
            .await
            .into_iter()
            .map(|result| (result.name.to_string(), ErrorCode::from(result.error_code)))
            .collect();
        results.sort_by(|one, other| one.0.cmp(&other.0));
        let expected = [
            ("bad one", ErrorCode::InvalidTopic),
            ("good", ErrorCode::None),
            ("twice", ErrorCode::InvalidRequest),
        ];
        assert_eq!(results, expected.map(|(name, code)| (name.to_owned(), code)));
    });
}

#[test]
fn topics_are_deleted_by_name_or_id() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        for version in 1..=5 {
            client.create("t", 1, &[]).await;
            let names = vec![Str::from("t"), Str::from("nobody")];
            let request = DeleteTopicsRequest { topic_names: names, ..Default::default() };
            let mut results = client.call(version, &request).await.responses;
            results.sort_by_key(|result| result.error_code);
            assert_eq!((results[0].error_code, results[0].name.as_deref()), (0, Some("t")));
            let code = ErrorCode::from(results[1].error_code);
            assert_eq!(code, ErrorCode::UnknownTopicOrPartition);
        }
        let topic = client.create("t", 1, &[]).await;
        let by_id = |topic_id| DeleteTopicState { name: None, topic_id };
        let both = DeleteTopicState { name: Some("t".into()), topic_id: topic.id };
        for (asked, code) in [
            (by_id(Uuid::from([9; 16])), ErrorCode::UnknownTopicId),
            (both, ErrorCode::InvalidRequest),
            (by_id(Uuid::ZERO), ErrorCode::InvalidRequest),
            (by_id(topic.id), ErrorCode::None),
            (by_id(topic.id), ErrorCode::UnknownTopicId),
        ] {
            let request = DeleteTopicsRequest { topics: vec![asked], ..Default::default() };
            let result = client.call(6, &request).await.responses.remove(0);
            assert_eq!(ErrorCode::from(result.error_code), code);
        }
    });
    run(&[("delete.topic.enable", "false")], async |world| {
        let mut client = world.connect().await;
        client.create("t", 1, &[]).await;
        for version in 1..=5 {
            let request = DeleteTopicsRequest { topic_names: vec!["t".into()], ..Default::default() };
            let result = client.call(version, &request).await.responses.remove(0);
            let code = if version < 3 { ErrorCode::InvalidRequest } else { ErrorCode::TopicDeletionDisabled };
            assert_eq!(ErrorCode::from(result.error_code), code);
        }
    });
}

#[test]
fn partitions_are_added_and_never_taken_away() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 2, &[]).await;
        let me = client.describe(METADATA, "t", false).await.partitions[0].leader_id;
        let to = |name: &str, count, assignments: Option<Vec<Vec<i32>>>| {
            let assigned = |broker_ids| CreatePartitionsAssignment { broker_ids };
            CreatePartitionsTopic {
                name: Str::from(name),
                count,
                assignments: assignments.map(|all| all.into_iter().map(assigned).collect()),
            }
        };
        for (version, asked, code) in [
            (0, to("t", 3, None), ErrorCode::None),
            (1, to("t", 3, None), ErrorCode::InvalidPartitions),
            (2, to("t", 2, None), ErrorCode::InvalidPartitions),
            (3, to("t", 0, None), ErrorCode::InvalidPartitions),
            (3, to("t", i32::MAX, None), ErrorCode::PolicyViolation),
            (3, to("t", i32::MAX, Some(vec![])), ErrorCode::InvalidReplicaAssignment),
            (3, to("nobody", 0, Some(vec![])), ErrorCode::UnknownTopicOrPartition),
            (3, to("nobody", 3, None), ErrorCode::UnknownTopicOrPartition),
            (3, to("t", 4, Some(vec![vec![me + 1]])), ErrorCode::InvalidReplicaAssignment),
            (3, to("t", 5, Some(vec![vec![me]])), ErrorCode::InvalidReplicaAssignment),
            (3, to("t", 4, Some(vec![vec![me]])), ErrorCode::None),
        ] {
            let request = CreatePartitionsRequest { topics: vec![asked.clone()], ..Default::default() };
            let result = client.call(version, &request).await.results.remove(0);
            assert_eq!(ErrorCode::from(result.error_code), code, "{asked:?}");
        }
        let only_checked = CreatePartitionsRequest {
            topics: vec![to("t", 9, None)],
            validate_only: true,
            ..Default::default()
        };
        assert_eq!(client.call(3, &only_checked).await.results[0].error_code, 0);
        assert_eq!(client.describe(METADATA, "t", false).await.partitions.len(), 4);
        let answer = client.call(13, &produce(13, -1, &topic, &[(3, batch(&["a"]))])).await;
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    });
}

#[test]
fn a_topic_named_twice_is_neither_deleted_nor_extended() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        client.create("t", 1, &[]).await;
        let names = vec![Str::from("t"), Str::from("t")];
        let request = DeleteTopicsRequest { topic_names: names, ..Default::default() };
        let results = client.call(5, &request).await.responses;
        assert!(results.iter().all(|result| result.error_code == ErrorCode::InvalidRequest.code()));
        let more = CreatePartitionsTopic { name: Str::from("t"), count: 2, assignments: None };
        let request = CreatePartitionsRequest { topics: vec![more.clone(), more], ..Default::default() };
        let results = client.call(3, &request).await.results;
        assert!(results.iter().all(|result| result.error_code == ErrorCode::InvalidRequest.code()));
        assert_eq!(client.describe(METADATA, "t", false).await.partitions.len(), 1);
    });
}

#[test]
fn many_partitions_come_and_go_without_a_sync_for_each() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        world.sim.disk(SERVER).faults(|faults| faults.sync_time = ms(20)..=ms(20));
        let began = world.sim.now();
        let topic = client.create("many", 1_000, &[]).await;
        // Nor do writes to other topics wait behind the new directories.
        let answer = client.call(13, &produce(13, -1, &topic, &[(999, batch(&["a"]))])).await;
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
        client.delete("many").await;
        let elapsed = world.sim.now().since(began);
        assert!(elapsed < ms(2_000), "{elapsed:?}");
    });
}
