//! Writing and reading.

use krafka::Compression;
use krafka::consumer::AutoOffsetReset;
use krafka::producer::Acks;

use super::{assigned, connect, create_topic, produce, read, read_so_many, run, sample_of, take};
use crate::node::Node;
use crate::sample::{Sample, samples};
use crate::with_rdkafka;

const CODECS: [(&str, Compression); 5] = [
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];

#[test]
fn every_kind_of_record_in_every_compression() {
    let node = Node::start();
    for (topic, codec) in CODECS {
        run(async {
            let kafka = connect(&node).await;
            create_topic(&kafka, topic, 1).await;
            let written = produce(kafka.producer().compression(codec), topic, &samples()).await;
            assert!(written.iter().map(|one| one.offset).eq(0..7), "{topic}: {written:?}");
        });
        assert!(read(&node, topic, 0).iter().eq(&samples()), "{topic}");
        // Another client finds the same in what this one has written.
        assert!(with_rdkafka::read(&node, topic, 0).iter().eq(&samples()), "{topic}");
    }
}

#[test]
fn records_are_written_with_each_acks() {
    let node = Node::start();
    let sample = |text: &str| Sample::of(None, Some(text.as_bytes()));
    let both = [sample("a"), sample("b")];
    for (topic, acks) in [("none", Acks::None), ("leader", Acks::Leader), ("all", Acks::All)] {
        let written = run(async {
            let kafka = connect(&node).await;
            create_topic(&kafka, topic, 1).await;
            produce(kafka.producer().idempotent(false).acks(acks), topic, &both).await
        });
        match acks {
            Acks::None => assert!(written.iter().all(krafka::producer::RecordMetadata::is_unacknowledged)),
            _ => assert!(written.iter().map(|one| one.offset).eq(0..2), "{topic}: {written:?}"),
        }
        assert_eq!(read_so_many(&node, topic, 0, 2), both, "{topic}");
    }
}

#[test]
fn an_idempotent_producer_writes_many_batches_in_order() {
    let node = Node::start();
    let many: Vec<Sample> =
        (0..5000).map(|number: i32| Sample::of(None, Some(&number.to_be_bytes()))).collect();
    run(async {
        let kafka = connect(&node).await;
        create_topic(&kafka, "t", 1).await;
        let written = produce(kafka.producer().idempotent(true).batch_size(1000), "t", &many).await;
        assert!(written.iter().map(|one| one.offset).eq(0..5000));
    });
    assert_eq!(read(&node, "t", 0), many);
}

#[test]
fn reading_begins_anywhere() {
    let node = Node::start();
    run(async {
        let kafka = connect(&node).await;
        create_topic(&kafka, "t", 1).await;
        produce(kafka.producer(), "t", &samples()).await;
        let consumer = assigned(&kafka, "t", 0, AutoOffsetReset::Earliest).await;
        for first in [3, 6, 0] {
            consumer.seek("t", 0, i64::try_from(first).unwrap()).await.unwrap();
            let read: Vec<Sample> = take(&consumer, 7 - first).await.iter().map(sample_of).collect();
            assert_eq!(read, samples()[first..]);
        }
        consumer.close().await.unwrap();
    });
}

#[test]
fn keyed_records_of_both_clients_meet_in_the_same_partition() {
    let node = Node::start();
    run(async {
        let kafka = connect(&node).await;
        create_topic(&kafka, "t", 5).await;
        let producer = kafka.producer().build().await.unwrap();
        for key in ["a", "b", "some longer key", "\u{e4}\u{f6}"] {
            let written = producer.send(krafka::Record::new("t", "v").key(key.to_owned())).await.unwrap();
            assert_eq!(with_rdkafka::partition_of(&node, "t", key), written.partition, "{key}");
        }
        producer.close().await.unwrap();
    });
}
