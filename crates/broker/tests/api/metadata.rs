//! Metadata, DescribeTopicPartitions, DescribeCluster: what clients learn of topics and brokers.

use protocol::messages::describe_cluster_request::DescribeClusterRequest;
use protocol::messages::describe_topic_partitions_request::{
    Cursor, DescribeTopicPartitionsRequest, TopicRequest,
};
use protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use protocol::{ErrorCode, Str, Uuid};

use crate::support::requests::{METADATA, batch};
use crate::support::{PORT, SERVER, run};

#[test]
fn a_created_topic_is_known_when_its_creation_is_answered() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        for number in 0..20 {
            let name = format!("t{number}");
            let topic = client.create(&name, 3, &[]).await;
            let found = client.describe(METADATA, &name, false).await;
            assert_eq!((found.error_code, found.topic_id, found.partitions.len()), (0, topic.id, 3));
            assert_eq!(client.append_code(&topic, batch(&["at once"])).await, ErrorCode::None);
        }
    });
}

#[test]
fn every_version_describes_topics_and_brokers() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 2, &[]).await;
        for version in 0..=METADATA {
            let asked = MetadataRequestTopic { name: Some(topic.name.clone()), ..Default::default() };
            let request = MetadataRequest { topics: Some(vec![asked]), ..Default::default() };
            let answer = client.call(version, &request).await;
            let [broker] = answer.brokers.as_slice() else { panic!("{answer:?}") };
            assert_eq!((broker.host.as_str(), broker.port), (SERVER, i32::from(PORT)));
            if version >= 1 {
                assert_eq!(answer.controller_id, broker.node_id);
            }
            if version >= 2 {
                assert!(answer.cluster_id.is_some());
            }
            let [found] = answer.topics.as_slice() else { panic!("{answer:?}") };
            assert_eq!((found.error_code, found.is_internal), (0, false));
            assert_eq!(found.topic_id == topic.id, version >= 10);
            for (index, part) in (0..).zip(&found.partitions) {
                assert_eq!(
                    (part.partition_index, part.leader_id, part.error_code),
                    (index, broker.node_id, 0)
                );
                assert_eq!(
                    (&part.replica_nodes, &part.isr_nodes),
                    (&vec![part.leader_id], &vec![part.leader_id])
                );
            }
            assert_eq!(found.topic_authorized_operations, i32::MIN, "only on request");
        }
    });
}

#[test]
fn all_topics_or_none_are_asked_for_differently_in_version_0() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        client.create("a", 1, &[]).await;
        client.create("b", 1, &[]).await;
        for version in 0..=METADATA {
            let empty = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
            let found = client.call(version, &empty).await.topics.len();
            assert_eq!(found, if version == 0 { 2 } else { 0 });
            if version > 0 {
                let null = MetadataRequest { topics: None, ..Default::default() };
                assert_eq!(client.call(version, &null).await.topics.len(), 2);
            }
        }
    });
}

#[test]
fn topics_are_created_when_asked_for_and_allowed_only() {
    run(&[("num.partitions", "4")], async |world| {
        let mut client = world.connect().await;
        for version in 4..=METADATA {
            let found = client.describe(version, "unasked", false).await;
            assert_eq!(ErrorCode::from(found.error_code), ErrorCode::UnknownTopicOrPartition);
        }
        for version in 0..=METADATA {
            let name = format!("asked-{version}");
            let first = client.describe(version, &name, true).await;
            assert_eq!(ErrorCode::from(first.error_code), ErrorCode::LeaderNotAvailable);
            let second = client.describe(version, &name, true).await;
            assert_eq!((second.error_code, second.partitions.len()), (0, 4));
        }
        for bad in ["", ".", "..", "a b", "ä", &"x".repeat(250)] {
            let found = client.describe(METADATA, bad, true).await;
            assert_eq!(ErrorCode::from(found.error_code), ErrorCode::InvalidTopic, "{bad:?}");
        }
    });
    run(&[("auto.create.topics.enable", "false")], async |world| {
        let mut client = world.connect().await;
        let found = client.describe(METADATA, "asked", true).await;
        assert_eq!(ErrorCode::from(found.error_code), ErrorCode::UnknownTopicOrPartition);
    });
}

#[test]
fn topics_are_found_by_id_too() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        for version in 12..=METADATA {
            let by_id = |topic_id| MetadataRequestTopic { topic_id, name: None };
            let topics = Some(vec![by_id(topic.id), by_id(Uuid::from([9; 16]))]);
            let answer = client.call(version, &MetadataRequest { topics, ..Default::default() }).await;
            assert_eq!(answer.topics[0].name, Some(topic.name.clone()));
            assert_eq!(ErrorCode::from(answer.topics[1].error_code), ErrorCode::UnknownTopicId);
            assert_eq!(answer.topics[1].topic_id, Uuid::from([9; 16]));
        }
    });
}

#[test]
fn a_topic_that_was_deleted_and_created_again_is_another() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let old = client.create("t", 1, &[]).await;
        client.fill(&old, &["old"]).await;
        client.delete("t").await;
        let found = client.describe(METADATA, "t", false).await;
        assert_eq!(ErrorCode::from(found.error_code), ErrorCode::UnknownTopicOrPartition);
        let new = client.create("t", 1, &[]).await;
        assert_ne!(old.id, new.id);
        assert_eq!(client.append_code(&old, batch(&["late"])).await, ErrorCode::UnknownTopicId);
        let data = client.read(&old, 0).await;
        assert_eq!(ErrorCode::from(data.error_code), ErrorCode::UnknownTopicId);
        let data = client.read(&new, 0).await;
        assert_eq!((data.error_code, data.high_watermark), (0, 0));
        world.crash().await;
        let mut client = world.connect().await;
        assert_eq!(client.read(&new, 0).await.high_watermark, 0, "what was deleted does not come back");
    });
}

#[test]
fn leader_epochs_grow_at_every_start() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        client.create("t", 1, &[]).await;
        let mut last = client.describe(METADATA, "t", false).await.partitions[0].leader_epoch;
        assert_eq!(last, 0);
        for round in 0..4 {
            if round % 2 == 0 {
                world.restart().await
            } else {
                world.crash().await
            }
            let mut client = world.connect().await;
            let epoch = client.describe(METADATA, "t", false).await.partitions[0].leader_epoch;
            assert!(epoch > last, "a write of the last life must not share an epoch with one of this");
            last = epoch;
        }
    });
}

fn page(names: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> DescribeTopicPartitionsRequest {
    let topic = |name: &&str| TopicRequest { name: Str::from(*name) };
    let cursor =
        cursor.map(|(name, partition_index)| Cursor { topic_name: Str::from(name), partition_index });
    DescribeTopicPartitionsRequest {
        topics: names.iter().map(topic).collect(),
        response_partition_limit: limit,
        cursor,
    }
}

#[test]
fn partitions_are_described_page_by_page() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        for (name, partitions) in [("b", 3), ("a", 2), ("c", 2)] {
            client.create(name, partitions, &[]).await;
        }
        let mut cursor: Option<(String, i32)> = None;
        let mut found = Vec::new();
        for _ in 0..4 {
            let at = cursor.as_ref().map(|(name, partition)| (name.as_str(), *partition));
            let answer = client.call(0, &page(&[], 2, at)).await;
            for topic in &answer.topics {
                let name = topic.name.as_ref().unwrap().to_string();
                found.extend(topic.partitions.iter().map(|part| (name.clone(), part.partition_index)));
            }
            cursor = answer.next_cursor.map(|next| (next.topic_name.to_string(), next.partition_index));
        }
        assert_eq!(cursor, None);
        let expected = [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2), ("c", 0), ("c", 1)];
        assert_eq!(found, expected.map(|(name, partition)| (name.to_owned(), partition)));
        let answer = client.call(0, &page(&["nobody", "b", "a b"], 100, None)).await;
        let codes: Vec<_> = answer.topics.iter().map(|topic| ErrorCode::from(topic.error_code)).collect();
        assert_eq!(codes, [ErrorCode::InvalidTopic, ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
        assert_eq!(answer.topics[1].partitions[0].eligible_leader_replicas, Some(Vec::new()));
    });
}

#[test]
fn what_a_caller_may_do_is_told_when_it_asks() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        client.create("t", 1, &[]).await;
        let named = |name| MetadataRequestTopic { name: Some(Str::from(name)), ..Default::default() };
        for (version, cluster) in [(8, 0x1fa0), (10, 0x1fa0), (METADATA, i32::MIN)] {
            let request = MetadataRequest {
                topics: Some(vec![named("t"), named("nobody")]),
                allow_auto_topic_creation: false,
                include_topic_authorized_operations: true,
                // Version 11 moved it to DescribeCluster.
                include_cluster_authorized_operations: version <= 10,
            };
            let answer = client.call(version, &request).await;
            assert_eq!(answer.cluster_authorized_operations, cluster);
            let told = |name| {
                let topic = answer.topics.iter().find(|topic| topic.name == Some(Str::from(name)));
                topic.map(|topic| topic.topic_authorized_operations)
            };
            assert_eq!((told("t"), told("nobody")), (Some(0x0df8), Some(i32::MIN)));
        }
        let request = DescribeClusterRequest {
            endpoint_type: 1,
            include_cluster_authorized_operations: true,
            ..Default::default()
        };
        assert_eq!(client.call(1, &request).await.cluster_authorized_operations, 0x1fa0);
        let answer = client.call(0, &page(&["t"], 10, None)).await;
        assert_eq!(answer.topics[0].topic_authorized_operations, 0x0df8);
    });
}

#[test]
fn the_cluster_is_described_in_every_version() {
    run(&[("broker.rack", "r1")], async |world| {
        let mut client = world.connect().await;
        for version in 0..=2 {
            let request = DescribeClusterRequest { endpoint_type: 1, ..Default::default() };
            let answer = client.call(version, &request).await;
            assert_eq!((answer.error_code, answer.cluster_id.is_empty()), (0, false));
            let [broker] = answer.brokers.as_slice() else { panic!("{answer:?}") };
            assert_eq!((broker.host.as_str(), broker.port), (SERVER, i32::from(PORT)));
            assert_eq!(broker.rack, Some(Str::from("r1")));
            assert_eq!(answer.controller_id, broker.broker_id);
            assert_eq!(answer.cluster_authorized_operations, i32::MIN);
        }
        for (endpoint_type, code) in
            [(2, ErrorCode::MismatchedEndpointType), (7, ErrorCode::UnsupportedEndpointType)]
        {
            let answer =
                client.call(1, &DescribeClusterRequest { endpoint_type, ..Default::default() }).await;
            assert_eq!(ErrorCode::from(answer.error_code), code);
        }
    });
}

#[test]
fn names_that_are_missing_and_ids_that_come_too_early_are_refused() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        // Versions 10 and 11 have ids in the schema, and Kafka refuses them there.
        for version in 10..=METADATA {
            let by_id = MetadataRequestTopic { topic_id: topic.id, name: None };
            let nothing = MetadataRequestTopic::default();
            for (asked, known) in [(by_id, version >= 12), (nothing, false)] {
                let topics = Some(vec![MetadataRequestTopic { name: None, ..asked }]);
                let answer = client.call(version, &MetadataRequest { topics, ..Default::default() }).await;
                let code = ErrorCode::from(answer.topics[0].error_code);
                assert_eq!(code, if known { ErrorCode::None } else { ErrorCode::InvalidRequest });
            }
        }
    });
}

#[test]
fn a_topic_named_many_times_is_told_once() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 2, &[]).await;
        let named = |name: &str| MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
        let by_id = MetadataRequestTopic { topic_id: topic.id, ..Default::default() };
        let asked = vec![[named("t"), named("missing"), by_id]; 1000].concat();
        let request = MetadataRequest { topics: Some(asked), ..Default::default() };
        let told = client.call(METADATA, &request).await.topics;
        let names: Vec<_> =
            told.iter().map(|topic| (topic.name.as_deref(), topic.partitions.len())).collect();
        assert_eq!(names, [(Some("t"), 2), (Some("missing"), 0), (Some("t"), 2)]);
    });
}
