//! librdkafka, by way of the `rdkafka` crate.

mod admin;
mod kill9;
mod offsets;
mod records;
mod refusals;
mod restart;

use std::sync::Mutex;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{ClientConfig, FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use crate::PATIENCE;
use crate::node::Node;
use crate::sample::Sample;

type Settings<'a> = &'a [(&'a str, &'a str)];

fn config(node: &Node, settings: Settings<'_>) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", node.address()).set("reconnect.backoff.max.ms", "100");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config
}

fn admin(node: &Node) -> AdminClient<DefaultClientContext> {
    AdminClient::from_config(&config(node, &[])).unwrap()
}

/// Waits for what an admin client promises.
fn wait<T>(promise: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(promise)
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

fn create_topic(node: &Node, name: &str, partitions: i32) {
    create_topic_with(node, NewTopic::new(name, partitions, TopicReplication::Fixed(1)));
}

fn create_topic_with(node: &Node, topic: NewTopic<'_>) {
    let created = wait(admin(node).create_topics([&topic], &options())).unwrap();
    assert_eq!(created, [Ok(topic.name.to_owned())]);
}

/// Where a record stands: partition and offset.
type Place = (i32, i64);

/// What became of each record, by its number among those that were sent.
#[derive(Default)]
struct Deliveries(Mutex<Vec<(usize, Result<Place, RDKafkaErrorCode>)>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let result = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap()),
        };
        self.0.lock().unwrap().push((number, result));
    }
}

fn producer(node: &Node, settings: Settings<'_>) -> BaseProducer<Deliveries> {
    BaseProducer::from_config_and_context(&config(node, settings), Deliveries::default()).unwrap()
}

fn send(producer: &BaseProducer<Deliveries>, record: BaseRecord<'_, [u8], [u8], usize>) {
    producer.send(record).map_err(|(error, _)| error).unwrap();
}

/// Writes to partition 0 and returns what became of each record.
fn try_produce(
    node: &Node,
    topic: &str,
    settings: Settings<'_>,
    samples: &[Sample],
) -> Vec<Result<i64, RDKafkaErrorCode>> {
    let producer = producer(node, settings);
    for (number, sample) in samples.iter().enumerate() {
        send(&producer, record(topic, number, sample));
    }
    producer.flush(PATIENCE).unwrap();
    let mut results = std::mem::take(&mut *producer.context().0.lock().unwrap());
    results.sort_by_key(|(number, _)| *number);
    assert!(results.iter().map(|(number, _)| *number).eq(0..samples.len()), "each has one result");
    results.into_iter().map(|(_, result)| result.map(|(_, offset)| offset)).collect()
}

/// Writes to partition 0 and returns the offsets.
fn produce(node: &Node, topic: &str, settings: Settings<'_>, samples: &[Sample]) -> Vec<i64> {
    try_produce(node, topic, settings, samples).into_iter().map(|result| result.unwrap()).collect()
}

fn record<'a>(topic: &'a str, number: usize, sample: &'a Sample) -> BaseRecord<'a, [u8], [u8], usize> {
    let mut record = BaseRecord::with_opaque_to(topic, number).partition(0).timestamp(sample.timestamp);
    record.key = sample.key.as_deref();
    record.payload = sample.value.as_deref();
    let header = |all: OwnedHeaders, (key, value): &(String, Option<Vec<u8>>)| {
        all.insert(Header { key, value: value.as_deref() })
    };
    match sample.headers.is_empty() {
        true => record,
        false => record.headers(sample.headers.iter().fold(OwnedHeaders::new(), header)),
    }
}

fn consumer(node: &Node, settings: Settings<'_>) -> BaseConsumer {
    // It reads without a group, but has to have the name of one.
    let mut config = config(node, &[("group.id", "none"), ("enable.auto.commit", "false")]);
    config.set("enable.partition.eof", "true").set("check.crcs", "true").set("fetch.wait.max.ms", "10");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    BaseConsumer::from_config(&config).unwrap()
}

/// Name and number of partitions of every topic but that of groups: a consumer looks for its coordinator, which makes it.
fn topics(node: &Node) -> Vec<(String, usize)> {
    let metadata = consumer(node, &[]).fetch_metadata(None, PATIENCE).unwrap();
    let topics = metadata.topics().iter().filter(|topic| topic.name() != "__consumer_offsets");
    let mut topics: Vec<(String, usize)> =
        topics.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect();
    topics.sort();
    topics
}

/// Reads a partition from an offset to its end.
fn consume(node: &Node, topic: &str, partition: i32, from: Offset) -> Vec<(i64, Sample)> {
    let consumer = consumer(node, &[]);
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition_offset(topic, partition, from).unwrap();
    consumer.assign(&wanted).unwrap();
    let mut records = Vec::new();
    loop {
        match consumer.poll(PATIENCE).expect("a record or the end") {
            Ok(message) => records.push((message.offset(), sample_of(&message))),
            Err(KafkaError::PartitionEOF(_)) => return records,
            Err(error) => panic!("{error}"),
        }
    }
}

fn sample_of(message: &impl Message) -> Sample {
    let header = |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
    Sample {
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: message.headers().map_or(Vec::new(), |headers| headers.iter().map(header).collect()),
        timestamp: message.timestamp().to_millis().unwrap(),
    }
}

/// All records of a partition.
pub(crate) fn read(node: &Node, topic: &str, partition: i32) -> Vec<Sample> {
    consume(node, topic, partition, Offset::Beginning).into_iter().map(|(_, sample)| sample).collect()
}

/// Which partition librdkafka chooses for a key as Java's client does.
pub(crate) fn partition_of(node: &Node, topic: &str, key: &str) -> i32 {
    let producer = producer(node, &[("partitioner", "murmur2_random")]);
    send(&producer, BaseRecord::with_opaque_to(topic, 0).key(key.as_bytes()).payload(b"v".as_slice()));
    producer.flush(PATIENCE).unwrap();
    let (_, written) = producer.context().0.lock().unwrap().remove(0);
    written.unwrap().0
}
