//! [`Tx`]: a transactional producer that speaks raw protocol, in either transaction version.

use bytes::Bytes;
use protocol::messages::add_offsets_to_txn_request::AddOffsetsToTxnRequest;
use protocol::messages::add_partitions_to_txn_request::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic};
use protocol::messages::end_txn_request::EndTxnRequest;
use protocol::messages::fetch_request::FetchRequest;
use protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use protocol::messages::init_producer_id_request::InitProducerIdRequest;
use protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use protocol::messages::produce_request::ProduceRequest;
use protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use protocol::records::Batches;
use protocol::{ErrorCode, Str};

use crate::support::Client;
use crate::support::requests::{FETCH, Topic, fetch, from_offset, only, only_produced, produce};
use crate::transactions::part;

pub(super) const GROUP: &str = "readers";

/// Transaction versions.
pub(super) const VERSIONS: [i16; 2] = [1, 2];

#[derive(Clone, Debug)]
pub(super) struct Tx {
    pub(super) id: Str,
    pub(super) version: i16,
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) sequences: std::collections::BTreeMap<(Str, i32), i32>,
}

pub(super) async fn find(client: &mut Client, key_type: i8, key: &str) -> ErrorCode {
    let keys = vec![Str::from(key)];
    let request = FindCoordinatorRequest { key_type, coordinator_keys: keys, ..Default::default() };
    let found = client.call(6, &request).await;
    ErrorCode::from(found.coordinators[0].error_code)
}

pub(super) fn init_request(id: &str, timeout_ms: i32, current: Option<(i64, i16)>) -> InitProducerIdRequest {
    let (producer_id, producer_epoch) = current.unwrap_or((-1, -1));
    InitProducerIdRequest {
        transactional_id: Some(Str::from(id)),
        transaction_timeout_ms: timeout_ms,
        producer_id,
        producer_epoch,
        ..Default::default()
    }
}

impl Tx {
    /// Becomes the producer of an id.
    pub(super) async fn init(client: &mut Client, id: &str, version: i16) -> Self {
        Self::init_for(client, id, version, 60_000).await
    }

    pub(super) async fn init_for(client: &mut Client, id: &str, version: i16, timeout_ms: i32) -> Self {
        assert_eq!(find(client, 1, id).await, ErrorCode::None);
        let answer = client.call(5, &init_request(id, timeout_ms, None)).await;
        assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::None);
        Self {
            id: Str::from(id),
            version,
            producer_id: answer.producer_id,
            epoch: answer.producer_epoch,
            sequences: Default::default(),
        }
    }

    fn is_new(&self) -> bool {
        self.version >= 2
    }

    fn batch(&mut self, topic: &Topic, partition: i32, values: &[&str]) -> Bytes {
        let sequence = self.sequences.entry((topic.name.clone(), partition)).or_default();
        let batch = part(self.producer_id, self.epoch, *sequence, values);
        *sequence += i32::try_from(values.len()).unwrap();
        batch
    }

    pub(super) async fn add(&self, client: &mut Client, topic: &Topic, partitions: &[i32]) -> Vec<ErrorCode> {
        let topics =
            vec![AddPartitionsToTxnTopic { name: topic.name.clone(), partitions: partitions.to_vec() }];
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.clone(),
            v3_and_below_producer_id: self.producer_id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: topics,
            ..Default::default()
        };
        let answer = client.call(3, &request).await;
        let of_topic = &answer.results_by_topic_v3_and_below[0].results_by_partition;
        of_topic.iter().map(|part| ErrorCode::from(part.partition_error_code)).collect()
    }

    /// Sends records without adding their partition by a request.
    pub(super) async fn only_send(
        &mut self,
        client: &mut Client,
        topic: &Topic,
        partition: i32,
        values: &[&str],
    ) -> ErrorCode {
        let version = if self.is_new() { 13 } else { 11 };
        let batch = self.batch(topic, partition, values);
        let request = ProduceRequest {
            transactional_id: Some(self.id.clone()),
            ..produce(version, -1, topic, &[(partition, batch)])
        };
        ErrorCode::from(only_produced(&client.call(version, &request).await).error_code)
    }

    pub(super) async fn send(
        &mut self,
        client: &mut Client,
        topic: &Topic,
        partition: i32,
        values: &[&str],
    ) -> ErrorCode {
        if !self.is_new() {
            let added = self.add(client, topic, &[partition]).await[0];
            if added != ErrorCode::None {
                return added;
            }
        }
        self.only_send(client, topic, partition, values).await
    }

    pub(super) async fn add_group(&self, client: &mut Client) -> ErrorCode {
        let request = AddOffsetsToTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            group_id: GROUP.into(),
        };
        ErrorCode::from(client.call(4, &request).await.error_code)
    }

    pub(super) fn offsets(&self, version: i16, topic: &Topic, offset: i64) -> TxnOffsetCommitRequest {
        let by_id = version >= 6;
        let partition = TxnOffsetCommitRequestPartition {
            partition_index: 0,
            committed_offset: offset,
            committed_leader_epoch: -1,
            committed_metadata: None,
        };
        let topic = TxnOffsetCommitRequestTopic {
            name: if by_id { Str::EMPTY } else { topic.name.clone() },
            topic_id: if by_id { topic.id } else { protocol::Uuid::ZERO },
            partitions: vec![partition],
        };
        TxnOffsetCommitRequest {
            transactional_id: self.id.clone(),
            group_id: GROUP.into(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            generation_id_or_member_epoch: -1,
            topics: vec![topic],
            ..Default::default()
        }
    }

    /// Commits an offset of partition 0 for the group.
    pub(super) async fn commit_offset(&self, client: &mut Client, topic: &Topic, offset: i64) -> ErrorCode {
        if !self.is_new() {
            let added = self.add_group(client).await;
            if added != ErrorCode::None {
                return added;
            }
        }
        assert_eq!(find(client, 0, GROUP).await, ErrorCode::None);
        let version = if self.is_new() { 6 } else { 4 };
        self.commit_offset_in(client, version, topic, offset).await
    }

    pub(super) async fn commit_offset_in(
        &self,
        client: &mut Client,
        version: i16,
        topic: &Topic,
        offset: i64,
    ) -> ErrorCode {
        let answer = client.call(version, &self.offsets(version, topic, offset)).await;
        ErrorCode::from(answer.topics[0].partitions[0].error_code)
    }

    pub(super) fn end_request(&self, commit: bool) -> EndTxnRequest {
        EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            committed: commit,
        }
    }

    pub(super) async fn end(&mut self, client: &mut Client, commit: bool) -> ErrorCode {
        let version = if self.is_new() { 5 } else { 4 };
        let answer = client.call(version, &self.end_request(commit)).await;
        if answer.error_code == 0 && self.is_new() {
            (self.producer_id, self.epoch) = (answer.producer_id, answer.producer_epoch);
            self.sequences.clear();
        }
        ErrorCode::from(answer.error_code)
    }
}

/// What readers of committed records see of a partition, to its end.
pub(super) async fn committed(client: &mut Client, topic: &Topic, partition: i32) -> Vec<String> {
    let (mut values, mut next) = (Vec::new(), 0);
    loop {
        let request =
            FetchRequest { isolation_level: 1, ..fetch(FETCH, topic, vec![from_offset(partition, next)]) };
        let response = client.call(FETCH, &request).await;
        let data = only(&response);
        assert_eq!(data.error_code, 0);
        let mut aborted: Vec<_> = data.aborted_transactions.iter().flatten().collect();
        aborted.sort_by_key(|one| one.first_offset);
        let (mut aborted, mut gone) = (aborted.into_iter().peekable(), Vec::new());
        let from = next;
        for batch in Batches::new(data.records.as_ref().unwrap().to_bytes().unwrap()) {
            let batch = batch.unwrap();
            let header = batch.header();
            next = header.next_offset().0;
            while let Some(one) = aborted.next_if(|one| one.first_offset <= header.last_offset().0) {
                gone.push(one.producer_id);
            }
            if header.attributes.is_control() {
                gone.retain(|id| *id != header.producer_id.0);
            } else if !header.attributes.is_transactional() || !gone.contains(&header.producer_id.0) {
                let mut scratch = protocol::records::Scratch::new();
                let records = batch.records(&mut scratch, &protocol::records::Limits::default()).unwrap();
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let records = records.map(Result::unwrap).filter(|record| record.offset.0 >= from);
                values.extend(records.map(|record| text(record.value.unwrap())));
            }
        }
        if next == from {
            return values;
        }
    }
}

/// The offset of partition 0 that the group has committed, for readers of stable or of any offsets.
pub(super) async fn group_offset(
    client: &mut Client,
    topic: &Topic,
    require_stable: bool,
) -> Result<i64, ErrorCode> {
    let topics = vec![OffsetFetchRequestTopics {
        name: topic.name.clone(),
        partition_indexes: vec![0],
        ..Default::default()
    }];
    let group =
        OffsetFetchRequestGroup { group_id: GROUP.into(), topics: Some(topics), ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group], require_stable, ..Default::default() };
    let answer = client.call(9, &request).await;
    let group = &answer.groups[0];
    let part = group.topics.first().map(|topic| &topic.partitions[0]);
    let code = part.map_or(group.error_code, |part| part.error_code);
    match ErrorCode::from(code) {
        ErrorCode::None => Ok(part.unwrap().committed_offset),
        code => Err(code),
    }
}
