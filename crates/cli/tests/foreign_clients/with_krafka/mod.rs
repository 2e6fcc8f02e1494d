//! `krafka`, a client in Rust alone.

mod admin;
mod offsets;
mod records;
mod refusals;
mod restart;

use krafka::consumer::{AutoOffsetReset, Consumer};
use krafka::error::ErrorCode;
use krafka::producer::{ProducerBuilder, RecordMetadata};
use krafka::{ConsumerRecord, Kafka, KrafkaError, Record};

use crate::PATIENCE;
use crate::node::Node;
use crate::sample::Sample;

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.unwrap().block_on(test)
}

async fn connect(node: &Node) -> Kafka {
    let kafka = Kafka::builder(node.address()).request_timeout(PATIENCE / 2).connect_timeout(PATIENCE / 2);
    kafka.connect().await.unwrap()
}

async fn create_topic(kafka: &Kafka, name: &str, partitions: i32) {
    let topic = krafka::admin::NewTopic::new(name, partitions, 1).unwrap();
    let created = kafka.admin().create_topics([topic], Default::default()).await.unwrap();
    created[name].clone().unwrap();
}

/// What the broker has refused something with.
fn code<T: std::fmt::Debug>(result: &Result<T, KrafkaError>) -> ErrorCode {
    match result {
        Err(KrafkaError::Broker { code, .. }) => *code,
        other => panic!("not refused by a broker: {other:?}"),
    }
}

fn record(topic: &str, sample: &Sample) -> Record {
    let mut record = Record::new(topic, Vec::new()).partition(0).timestamp(sample.timestamp);
    record.key = sample.key.clone().map(Into::into);
    record.value = sample.value.clone().map(Into::into);
    let header = |(name, value): &(String, Option<Vec<u8>>)| (name.clone(), value.clone().map(Into::into));
    record.headers = sample.headers.iter().map(header).collect();
    record
}

/// Writes to partition 0.
async fn produce(producer: ProducerBuilder, topic: &str, samples: &[Sample]) -> Vec<RecordMetadata> {
    let producer = producer.build().await.unwrap();
    let mut handles = Vec::new();
    for sample in samples {
        handles.push(producer.enqueue(record(topic, sample)).await.unwrap());
    }
    let mut written = Vec::new();
    for handle in handles {
        written.push(handle.await.unwrap());
    }
    producer.close().await.unwrap();
    written
}

async fn assigned(kafka: &Kafka, topic: &str, partition: i32, reset: AutoOffsetReset) -> Consumer {
    let consumer = kafka.consumer_without_group().auto_offset_reset(reset);
    let consumer = consumer.fetch_max_wait(std::time::Duration::from_millis(10)).build().await.unwrap();
    consumer.assign(topic, vec![partition]).await.unwrap();
    consumer
}

async fn take(consumer: &Consumer, count: usize) -> Vec<ConsumerRecord> {
    let mut records = Vec::new();
    while records.len() < count {
        let more = consumer.poll(PATIENCE).await.unwrap();
        assert!(!more.is_empty(), "{} records came, {count} are there", records.len());
        records.extend(more);
    }
    records
}

fn sample_of(record: &ConsumerRecord) -> Sample {
    let header = |(name, value): &(String, Option<_>)| (name.clone(), value.as_ref().map(bytes_of));
    Sample {
        key: record.key.as_ref().map(bytes_of),
        value: record.value.as_ref().map(bytes_of),
        headers: record.headers.iter().map(header).collect(),
        timestamp: record.timestamp,
    }
}

fn bytes_of(bytes: &impl AsRef<[u8]>) -> Vec<u8> {
    bytes.as_ref().to_vec()
}

/// Reads a partition from its beginning to its end, which must come at the offsets 0, 1, ...
pub(crate) fn read(node: &Node, topic: &str, partition: i32) -> Vec<Sample> {
    run(async {
        let kafka = connect(node).await;
        let consumer = assigned(&kafka, topic, partition, AutoOffsetReset::Earliest).await;
        let (_, end) = consumer.fetch_watermarks(topic, partition).await.unwrap();
        read_to(&consumer, usize::try_from(end).unwrap()).await
    })
}

/// Waits for as many records.
pub(crate) fn read_so_many(node: &Node, topic: &str, partition: i32, count: usize) -> Vec<Sample> {
    run(async {
        let kafka = connect(node).await;
        let consumer = assigned(&kafka, topic, partition, AutoOffsetReset::Earliest).await;
        read_to(&consumer, count).await
    })
}

async fn read_to(consumer: &Consumer, count: usize) -> Vec<Sample> {
    let records = take(consumer, count).await;
    assert!(records.iter().zip(0..).all(|(record, offset)| record.offset == offset), "{records:?}");
    consumer.close().await.unwrap();
    records.iter().map(sample_of).collect()
}
