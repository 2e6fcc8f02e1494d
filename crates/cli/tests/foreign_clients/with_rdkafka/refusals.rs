//! What the broker does not do, and how it says so.

use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::{
    admin, consume, consumer, create_topic, create_topic_with, options, produce, topics, try_produce, wait,
};
use crate::PATIENCE;
use crate::node::Node;
use crate::sample::Sample;

#[test]
fn impossible_topics_are_refused_and_not_created() {
    let node = Node::start();
    let topic =
        |name, partitions, replicas| NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
    let long = "x".repeat(250);
    for (topic, code) in [
        (topic("replicas", 1, 3), Code::InvalidReplicationFactor),
        (topic("a b", 1, 1), Code::InvalidTopic),
        (topic("..", 1, 1), Code::InvalidTopic),
        (topic(&long, 1, 1), Code::InvalidTopic),
        (topic("config", 1, 1).set("retention.ms", "soon"), Code::InvalidConfig),
        (topic("unknown", 1, 1).set("no.such.config", "1"), Code::InvalidConfig),
    ] {
        let created = wait(admin(&node).create_topics([&topic], &options())).unwrap();
        assert_eq!(created, [Err((topic.name.to_owned(), code))]);
    }
    let dry = options().validate_only(true);
    let created = wait(admin(&node).create_topics([&topic("fine", 1, 1)], &dry)).unwrap();
    assert_eq!(created, [Ok("fine".to_owned())]);
    assert_eq!(topics(&node), []);
}

#[test]
fn a_topic_comes_into_being_when_it_is_written_to() {
    let node = Node::with(&["num.partitions=2"]);
    let sample = Sample::of(None, Some(b"first"));
    assert_eq!(produce(&node, "new", &[], std::slice::from_ref(&sample)), [0]);
    assert_eq!(consume(&node, "new", 0, Offset::Beginning), [(0, sample)]);
    let metadata = consumer(&node, &[]).fetch_metadata(Some("new"), PATIENCE).unwrap();
    assert_eq!(metadata.topics()[0].partitions().len(), 2);
}

#[test]
fn no_topic_comes_into_being_where_that_is_switched_off() {
    let node = Node::with(&["auto.create.topics.enable=false"]);
    // How long librdkafka believes that the topic is about to appear.
    let settings =
        [("topic.metadata.propagation.max.ms", "1"), ("topic.metadata.refresh.fast.interval.ms", "1")];
    let results = try_produce(&node, "none", &settings, &[Sample::of(None, Some(b"lost"))]);
    assert_eq!(results, [Err(Code::UnknownTopicOrPartition)]);
    let consumer = consumer(&node, &settings);
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition_offset("none", 0, Offset::Beginning).unwrap();
    consumer.assign(&wanted).unwrap();
    let error = consumer.poll(PATIENCE).unwrap().map(|_| ()).unwrap_err();
    assert_eq!(error, KafkaError::MessageConsumption(Code::UnknownTopicOrPartition));
}

#[test]
fn a_record_that_is_too_large_is_refused_alone() {
    let node = Node::start();
    let topic = NewTopic::new("t", 1, TopicReplication::Fixed(1));
    create_topic_with(&node, topic.set("max.message.bytes", "1000"));
    let (small, large) = (Sample::of(None, Some(b"small")), Sample::of(None, Some(&[b'x'; 2000])));
    let settings = [("batch.num.messages", "1"), ("linger.ms", "0")];
    let results = try_produce(&node, "t", &settings, &[small.clone(), large, small.clone()]);
    assert_eq!(results, [Ok(0), Err(Code::MessageSizeTooLarge), Ok(1)]);
    assert_eq!(consume(&node, "t", 0, Offset::Beginning), [(0, small.clone()), (1, small)]);
}

#[test]
fn an_offset_that_is_not_there_is_answered_by_the_reset_policy() {
    let node = Node::start();
    create_topic(&node, "t", 1);
    produce(&node, "t", &[], &[Sample::of(None, Some(b"only"))]);
    let first = |policy| {
        let consumer = consumer(&node, &[("auto.offset.reset", policy)]);
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition_offset("t", 0, Offset::Offset(100)).unwrap();
        consumer.assign(&wanted).unwrap();
        consumer.poll(PATIENCE).unwrap().map(|message| rdkafka::Message::offset(&message))
    };
    assert_eq!(first("earliest"), Ok(0));
    assert_eq!(first("latest"), Err(KafkaError::PartitionEOF(0)));
    assert_eq!(first("error"), Err(KafkaError::MessageConsumption(Code::AutoOffsetReset)));
}
