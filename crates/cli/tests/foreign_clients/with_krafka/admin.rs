//! Topics, configs, the cluster.

use krafka::admin::{ConfigResource, ConfigValue, DescribeConfigsOptions, NewTopic};
use krafka::error::ErrorCode;

use super::{code, connect, create_topic, run};
use crate::node::Node;

#[test]
fn topics_are_created_grown_described_and_deleted() {
    let node = Node::start();
    run(async {
        let kafka = connect(&node).await;
        let admin = kafka.admin();
        create_topic(&kafka, "one", 3).await;
        create_topic(&kafka, "two", 1).await;
        assert_eq!(admin.list_topics(Default::default()).await.unwrap(), ["one", "two"]);
        let again = NewTopic::new("one", 3, 1).unwrap();
        let again = admin.create_topics([again], Default::default()).await.unwrap();
        assert_eq!(code(&again["one"]), ErrorCode::TopicAlreadyExists);
        let grown = admin.create_partitions([("two", 4), ("three", 2)], Default::default()).await.unwrap();
        assert!(grown["two"].is_ok());
        assert_eq!(code(&grown["three"]), ErrorCode::UnknownTopicOrPartition);
        let described = admin.describe_topics(["two", "three"], Default::default()).await.unwrap();
        assert_eq!(code(&described["three"]), ErrorCode::UnknownTopicOrPartition);
        let two = described["two"].as_ref().unwrap();
        assert_ne!(two.topic_id, [0; 16]);
        let partitions: Vec<(i32, bool)> = two
            .partitions
            .iter()
            .map(|one| (one.partition, one.leader.is_some_and(|leader| one.isr == [leader])))
            .collect();
        assert_eq!(partitions, [(0, true), (1, true), (2, true), (3, true)]);
        let deleted = admin.delete_topics(["two", "three"], Default::default()).await.unwrap();
        assert!(deleted["two"].is_ok());
        assert_eq!(code(&deleted["three"]), ErrorCode::UnknownTopicOrPartition);
        assert_eq!(admin.list_topics(Default::default()).await.unwrap(), ["one"]);
        admin.close().await.unwrap();
    });
}

#[test]
fn configs_come_with_synonyms_and_documentation() {
    let node = Node::with(&["message.max.bytes=2000000"]);
    run(async {
        let kafka = connect(&node).await;
        let topic = NewTopic::new("t", 1, 1).unwrap().with_config("retention.ms", "3600000");
        let created = kafka.admin().create_topics([topic], Default::default()).await.unwrap();
        created["t"].clone().unwrap();
        let (resource, missing) = (ConfigResource::topic("t"), ConfigResource::topic("none"));
        let options = DescribeConfigsOptions::default().include_synonyms(true).include_documentation(true);
        let described =
            kafka.admin().describe_configs([resource.clone(), missing.clone()], options).await.unwrap();
        assert_eq!(code(&described[&missing]), ErrorCode::UnknownTopicOrPartition);
        let configs = described[&resource].as_ref().unwrap();
        let config = |name: &str| configs.iter().find(|entry| entry.name == name).unwrap();
        let (retention, size) = (config("retention.ms"), config("max.message.bytes"));
        assert_eq!(retention.config_value(), ConfigValue::Value("3600000".to_owned()));
        assert_eq!(size.config_value(), ConfigValue::Value("2000000".to_owned()));
        assert!(
            configs.iter().all(|entry| entry.documentation.as_ref().is_some_and(|text| !text.is_empty()))
        );
        let synonyms: Vec<(&str, Option<&str>)> =
            size.synonyms.iter().map(|one| (one.name.as_str(), one.value.as_deref())).collect();
        assert_eq!(
            synonyms,
            [("message.max.bytes", Some("2000000")), ("message.max.bytes", Some("1048588"))],
            "what was set, then the default"
        );
    });
}

#[test]
fn the_cluster_describes_itself() {
    let node = Node::start();
    run(async {
        let kafka = connect(&node).await;
        let cluster = kafka.admin().describe_cluster(Default::default()).await.unwrap();
        let brokers: Vec<String> =
            cluster.brokers.iter().map(|broker| format!("{}:{}", broker.host, broker.port)).collect();
        assert_eq!(brokers, [node.address()]);
        assert_eq!(cluster.controller_id, cluster.brokers[0].id);
        assert!(!cluster.cluster_id.is_empty());
    });
}
