//! Topics and configs.

use rdkafka::admin::{ConfigSource, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode as Code;

use super::{admin, consumer, create_topic, create_topic_with, options, topics, wait};
use crate::PATIENCE;
use crate::node::Node;

#[test]
fn topics_are_created_and_deleted() {
    let node = Node::start();
    let (one, two) = (
        NewTopic::new("one", 3, TopicReplication::Fixed(1)),
        NewTopic::new("two", 1, TopicReplication::Fixed(1)),
    );
    let created = wait(admin(&node).create_topics([&one, &two], &options())).unwrap();
    assert_eq!(created, [Ok("one".to_owned()), Ok("two".to_owned())]);
    assert_eq!(topics(&node), [("one".to_owned(), 3), ("two".to_owned(), 1)]);
    let again = wait(admin(&node).create_topics([&one], &options())).unwrap();
    assert_eq!(again, [Err(("one".to_owned(), Code::TopicAlreadyExists))]);
    let deleted = wait(admin(&node).delete_topics(&["one", "three"], &options())).unwrap();
    assert_eq!(deleted, [Ok("one".to_owned()), Err(("three".to_owned(), Code::UnknownTopicOrPartition))]);
    assert_eq!(topics(&node), [("two".to_owned(), 1)]);
}

#[test]
fn partitions_are_added_and_never_taken_away() {
    let node = Node::start();
    create_topic(&node, "t", 2);
    let grow = |count| wait(admin(&node).create_partitions([&NewPartitions::new("t", count)], &options()));
    assert_eq!(grow(5).unwrap(), [Ok("t".to_owned())]);
    assert_eq!(topics(&node), [("t".to_owned(), 5)]);
    assert_eq!(grow(4).unwrap(), [Err(("t".to_owned(), Code::InvalidPartitions))]);
    assert_eq!(topics(&node), [("t".to_owned(), 5)]);
}

#[test]
fn the_leader_of_each_partition_is_told() {
    let node = Node::start();
    create_topic(&node, "t", 2);
    let metadata = consumer(&node, &[]).fetch_metadata(Some("t"), PATIENCE).unwrap();
    let broker = &metadata.brokers()[0];
    assert_eq!(format!("{}:{}", broker.host(), broker.port()), node.address());
    for partition in metadata.topics()[0].partitions() {
        let (leader, nodes) = (partition.leader(), &[broker.id()][..]);
        assert_eq!((leader, partition.replicas(), partition.isr()), (broker.id(), nodes, nodes));
    }
}

#[test]
fn configs_tell_where_they_come_from() {
    let node = Node::with(&["message.max.bytes=2000000"]);
    let topic = NewTopic::new("t", 1, TopicReplication::Fixed(1));
    create_topic_with(&node, topic.set("retention.ms", "3600000").set("cleanup.policy", "delete"));
    let wanted = [ResourceSpecifier::Topic("t")];
    let configs = wait(admin(&node).describe_configs(&wanted, &options())).unwrap().remove(0).unwrap();
    let config = |name: &str| {
        let entry = configs.get(name).unwrap();
        (entry.value.as_deref().unwrap(), &entry.source, entry.is_default)
    };
    assert_eq!(config("retention.ms"), ("3600000", &ConfigSource::DynamicTopic, false));
    assert_eq!(config("max.message.bytes"), ("2000000", &ConfigSource::StaticBroker, false));
    assert_eq!(config("segment.bytes"), ("1073741824", &ConfigSource::Default, true));
    let broker = consumer(&node, &[]).fetch_metadata(None, PATIENCE).unwrap().brokers()[0].id();
    let wanted = [ResourceSpecifier::Broker(broker)];
    let described = wait(admin(&node).describe_configs(&wanted, &options())).unwrap().remove(0).unwrap();
    let entry = described.get("message.max.bytes").unwrap();
    assert_eq!((entry.value.as_deref(), &entry.source), (Some("2000000"), &ConfigSource::StaticBroker));
}
