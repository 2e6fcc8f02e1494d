//! Short ways to say what tests say often.

use bytes::{Bytes, BytesMut};
use protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use protocol::messages::fetch_response::{FetchResponse, PartitionData};
use protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use protocol::messages::metadata_response::MetadataResponseTopic;
use protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::messages::produce_response::{PartitionProduceResponse, ProduceResponse};
use protocol::records::{
    BatchBuilder, BatchHeader, BatchOptions, Batches, Limits, NewRecord, Record, Records, Scratch, crc32c,
};
use protocol::{ErrorCode, ProducerEpoch, ProducerId, RecordSet, Str, Uuid};

use super::Client;

/// The newest versions here.
pub(crate) const PRODUCE: i16 = 13;
pub(crate) const FETCH: i16 = 18;
pub(crate) const METADATA: i16 = 13;
pub(crate) const CREATE: i16 = 7;
pub(crate) const LIST: i16 = 11;

/// A topic's name and id.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) name: Str,
    pub(crate) id: Uuid,
}

/// A batch with records of these values, at time 1000, 1001, …
pub(crate) fn batch(values: &[&str]) -> Bytes {
    batch_with(BatchOptions::default(), values)
}

pub(crate) fn batch_with(options: BatchOptions, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for (timestamp, value) in (1000..).zip(values) {
        builder
            .append(&NewRecord { timestamp, value: Some(value.as_bytes()), ..NewRecord::default() })
            .unwrap();
    }
    builder.build().unwrap()
}

/// A batch of one record at that time.
pub(crate) fn batch_at(timestamp: i64, value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(&NewRecord { timestamp, value: Some(value.as_bytes()), ..NewRecord::default() }).unwrap();
    builder.build().unwrap()
}

/// A batch of an idempotent producer.
pub(crate) fn sequenced(producer_id: i64, epoch: i16, base_sequence: i32, values: &[&str]) -> Bytes {
    let options = BatchOptions {
        producer_id: ProducerId(producer_id),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence,
        ..BatchOptions::default()
    };
    batch_with(options, values)
}

pub(crate) fn new_topic(name: &str, num_partitions: i32, configs: &[(&str, &str)]) -> CreatableTopic {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: Str::from(*name),
        value: Some(Str::from(*value)),
    };
    CreatableTopic {
        name: Str::from(name),
        num_partitions,
        replication_factor: 1,
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    }
}

pub(crate) fn produce(version: i16, acks: i16, topic: &Topic, parts: &[(i32, Bytes)]) -> ProduceRequest {
    let by_id = version >= 13;
    let part = |(index, records): &(i32, Bytes)| PartitionProduceData {
        index: *index,
        records: Some(RecordSet::from(records.clone())),
    };
    let topic_data = TopicProduceData {
        name: if by_id { Str::default() } else { topic.name.clone() },
        topic_id: if by_id { topic.id } else { Uuid::ZERO },
        partition_data: parts.iter().map(part).collect(),
    };
    ProduceRequest { acks, timeout_ms: 30_000, topic_data: vec![topic_data], ..Default::default() }
}

/// A partition of a Fetch request.
pub(crate) fn from_offset(partition: i32, fetch_offset: i64) -> FetchPartition {
    FetchPartition {
        partition,
        fetch_offset,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        log_start_offset: -1,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    }
}

/// A Fetch that does not wait and has no session.
pub(crate) fn fetch(version: i16, topic: &Topic, partitions: Vec<FetchPartition>) -> FetchRequest {
    let by_id = version >= 13;
    let topic = FetchTopic {
        topic: if by_id { Str::default() } else { topic.name.clone() },
        topic_id: if by_id { topic.id } else { Uuid::ZERO },
        partitions,
    };
    FetchRequest {
        replica_id: -1,
        max_bytes: 50 << 20,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    }
}

/// The records of a part of a Fetch answer.
pub(crate) fn records(data: &PartitionData) -> Vec<Record> {
    let bytes = data.records.as_ref().map_or_else(Bytes::new, |records| records.to_bytes().unwrap());
    let mut all = Vec::new();
    for batch in Batches::new(bytes) {
        let batch = batch.unwrap();
        let records = Records::open(&batch, &mut Scratch::new(), &Limits::default()).unwrap();
        all.extend(records.map(Result::unwrap));
    }
    all
}

/// The values of a part of a Fetch answer.
pub(crate) fn values(data: &PartitionData) -> Vec<String> {
    let value = |record: Record| String::from_utf8(record.value.unwrap().to_vec()).unwrap();
    records(data).into_iter().map(value).collect()
}

/// The only partition of an answer.
pub(crate) fn only(response: &FetchResponse) -> &PartitionData {
    assert_eq!(response.error_code, 0);
    let [topic] = response.responses.as_slice() else { panic!("one topic: {response:?}") };
    let [partition] = topic.partitions.as_slice() else { panic!("one partition: {response:?}") };
    partition
}

pub(crate) fn only_produced(response: &ProduceResponse) -> &PartitionProduceResponse {
    let [topic] = response.responses.as_slice() else { panic!("one topic: {response:?}") };
    let [partition] = topic.partition_responses.as_slice() else { panic!("one partition: {response:?}") };
    partition
}

impl Client {
    pub(crate) async fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Topic {
        let topics = vec![new_topic(name, partitions, configs)];
        let request = CreateTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() };
        let response = self.call(CREATE, &request).await;
        let created = response.topics.first().unwrap();
        assert_eq!(ErrorCode::from(created.error_code), ErrorCode::None, "{:?}", created.error_message);
        Topic { name: created.name.clone(), id: created.topic_id }
    }

    pub(crate) async fn delete(&mut self, name: &str) {
        let topics = vec![DeleteTopicState { name: Some(Str::from(name)), ..Default::default() }];
        let request = DeleteTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() };
        let response = self.call(6, &request).await;
        assert_eq!(response.responses.first().unwrap().error_code, 0);
    }

    /// Appends to partition 0 with acks=all.
    pub(crate) async fn append(&mut self, topic: &Topic, batch: Bytes) -> PartitionProduceResponse {
        let response = self.call(PRODUCE, &produce(PRODUCE, -1, topic, &[(0, batch)])).await;
        only_produced(&response).clone()
    }

    /// Appends these values one batch each and asserts that it worked.
    pub(crate) async fn fill(&mut self, topic: &Topic, values: &[&str]) {
        for value in values {
            let answer = self.append(topic, batch(&[value])).await;
            assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::None, "{answer:?}");
        }
    }

    /// The code of an append to partition 0.
    pub(crate) async fn append_code(&mut self, topic: &Topic, batch: Bytes) -> ErrorCode {
        ErrorCode::from(self.append(topic, batch).await.error_code)
    }

    /// Partition 0 from an offset on.
    pub(crate) async fn read(&mut self, topic: &Topic, offset: i64) -> PartitionData {
        let response = self.call(FETCH, &fetch(FETCH, topic, vec![from_offset(0, offset)])).await;
        only(&response).clone()
    }

    pub(crate) async fn describe(&mut self, version: i16, name: &str, create: bool) -> MetadataResponseTopic {
        let asked = MetadataRequestTopic { name: Some(Str::from(name)), ..Default::default() };
        let request = MetadataRequest {
            topics: Some(vec![asked]),
            allow_auto_topic_creation: create,
            ..Default::default()
        };
        self.call(version, &request).await.topics.remove(0)
    }

    /// ListOffsets of partition 0.
    pub(crate) async fn offset_at(
        &mut self,
        version: i16,
        topic: &Topic,
        timestamp: i64,
    ) -> ListOffsetsPartitionResponse {
        let partition = ListOffsetsPartition { timestamp, current_leader_epoch: -1, ..Default::default() };
        self.list_offset(version, topic, partition).await
    }

    pub(crate) async fn list_offset(
        &mut self,
        version: i16,
        topic: &Topic,
        partition: ListOffsetsPartition,
    ) -> ListOffsetsPartitionResponse {
        let topic = ListOffsetsTopic { name: topic.name.clone(), partitions: vec![partition] };
        let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        self.call(version, &request).await.topics.remove(0).partitions.remove(0)
    }
}

/// Changes a batch and makes its CRC right again.
pub(crate) fn edited(batch: &Bytes, edit: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = BatchHeader::parse(batch).unwrap();
    edit(&mut header);
    let mut bytes = BytesMut::from(header.to_bytes().as_slice());
    bytes.extend_from_slice(&batch[bytes.len()..]);
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.freeze()
}
