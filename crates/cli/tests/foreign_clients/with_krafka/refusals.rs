//! What the broker does not do, and how it says so.

use std::time::Duration;

use krafka::admin::{CreateTopicsOptions, NewTopic};
use krafka::consumer::AutoOffsetReset;
use krafka::error::ErrorCode;
use krafka::{Kafka, Record};

use super::{assigned, code, connect, create_topic, produce, read, run, take};
use crate::PATIENCE;
use crate::node::Node;
use crate::sample::{Sample, samples};

#[test]
fn impossible_topics_are_refused_and_not_created() {
    let node = Node::start();
    run(async {
        let kafka = connect(&node).await;
        let admin = kafka.admin();
        let topic = |name: &str, replicas| NewTopic::new(name, 1, replicas).unwrap();
        for (topic, expected) in [
            (topic("replicas", 3), ErrorCode::InvalidReplicationFactor),
            (topic("config", 1).with_config("retention.ms", "soon"), ErrorCode::InvalidConfig),
            (topic("unknown", 1).with_config("no.such.config", "1"), ErrorCode::InvalidConfig),
        ] {
            let name = topic.name.clone();
            let created = admin.create_topics([topic], Default::default()).await.unwrap();
            assert_eq!(code(&created[&name]), expected, "{name}");
        }
        let dry = CreateTopicsOptions::default().validate_only(true);
        assert!(admin.create_topics([topic("fine", 1)], dry).await.unwrap()["fine"].is_ok());
        assert_eq!(admin.list_topics(Default::default()).await.unwrap(), Vec::<String>::new());
    });
}

#[test]
fn a_topic_comes_into_being_when_the_client_asks_for_that() {
    let node = Node::start();
    let sample = Sample::of(None, Some(b"first"));
    run(async {
        let shy = connect(&node).await;
        let producer = shy.producer().max_block(PATIENCE / 60).build().await.unwrap();
        let refused = producer.send(Record::new("new", "lost")).await;
        assert_eq!(code(&refused), ErrorCode::UnknownTopicOrPartition);
        let bold = Kafka::builder(node.address()).allow_auto_create_topics(true).connect().await.unwrap();
        let written = produce(bold.producer(), "new", std::slice::from_ref(&sample)).await;
        assert_eq!(written[0].offset, 0);
    });
    assert_eq!(read(&node, "new", 0), [sample]);
}

#[test]
fn a_record_that_is_too_large_is_refused_alone() {
    let node = Node::start();
    let (small, large) = (Sample::of(None, Some(b"small")), vec![b'x'; 2000]);
    run(async {
        let kafka = connect(&node).await;
        let topic = NewTopic::new("t", 1, 1).unwrap().with_config("max.message.bytes", "1000");
        kafka.admin().create_topics([topic], Default::default()).await.unwrap()["t"].clone().unwrap();
        produce(kafka.producer(), "t", std::slice::from_ref(&small)).await;
        let producer = kafka.producer().build().await.unwrap();
        let refused = producer.send(Record::new("t", large).partition(0)).await;
        assert_eq!(code(&refused), ErrorCode::MessageTooLarge);
        producer.close().await.unwrap();
        produce(kafka.producer(), "t", std::slice::from_ref(&small)).await;
    });
    assert_eq!(read(&node, "t", 0), [small.clone(), small]);
}

/// krafka asks where the epoch of a position ends before it fetches (KIP-320), and goes there.
#[test]
fn a_position_behind_the_end_is_brought_back_to_it() {
    let node = Node::start();
    run(async {
        let kafka = connect(&node).await;
        create_topic(&kafka, "t", 1).await;
        produce(kafka.producer(), "t", &samples()).await;
        let consumer = assigned(&kafka, "t", 0, AutoOffsetReset::None).await;
        consumer.seek("t", 0, 100).await.unwrap();
        assert_eq!(consumer.poll(Duration::from_millis(1)).await.unwrap().len(), 0);
        produce(kafka.producer(), "t", &[Sample::of(None, Some(b"next"))]).await;
        assert_eq!(take(&consumer, 1).await[0].offset, 7);
        consumer.close().await.unwrap();
    });
}
