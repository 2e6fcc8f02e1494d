//! Produce requests: built from batches, and their answers found again.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::messages::produce_response::{PartitionProduceResponse, ProduceResponse};
use protocol::{NodeId, Str, TopicId};

use super::batch::Batch;
use crate::cluster::Topic;

/// From here on topics go by their ids.
pub(super) const VERSION_WITH_IDS: i16 = 13;

/// A batch with where it goes.
#[derive(Debug)]
pub(super) struct Addressed {
    pub(super) topic: Arc<Topic>,
    pub(super) partition: i32,
    pub(super) batch: Batch,
}

/// A request whose answer is still to come.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) node: NodeId,
    pub(super) batches: Vec<Addressed>,
}

/// The newest version in which all these topics can be named.
pub(super) fn version(newest: i16, batches: &[Addressed]) -> i16 {
    let all_have_ids = batches.iter().all(|batch| !batch.topic.id.is_zero());
    if all_have_ids { newest } else { newest.min(VERSION_WITH_IDS - 1) }
}

/// `batches` are sorted by topic.
pub(super) fn request(batches: &[Addressed], version: i16, acks: i16, timeout_ms: i32) -> ProduceRequest {
    let mut topic_data: Vec<TopicProduceData> = Vec::new();
    for addressed in batches {
        let (name, id) = key(&addressed.topic, version);
        let data = PartitionProduceData {
            index: addressed.partition,
            records: Some(addressed.batch.bytes().into()),
        };
        match topic_data.last_mut().filter(|last| last.name == name && last.topic_id == id.0) {
            Some(last) => last.partition_data.push(data),
            None => topic_data.push(TopicProduceData { name, topic_id: id.0, partition_data: vec![data] }),
        }
    }
    ProduceRequest { transactional_id: None, acks, timeout_ms, topic_data }
}

fn key(topic: &Topic, version: i16) -> (Str, TopicId) {
    if version >= VERSION_WITH_IDS { (Str::EMPTY, topic.id) } else { (topic.name.clone(), TopicId::ZERO) }
}

/// The parts of an answer by topic and partition.
pub(super) struct Answers {
    version: i16,
    parts: BTreeMap<(Str, TopicId, i32), PartitionProduceResponse>,
}

impl Answers {
    pub(super) fn new(version: i16, response: ProduceResponse) -> Self {
        let mut parts = BTreeMap::new();
        for topic in response.responses {
            for part in topic.partition_responses {
                parts.insert((topic.name.clone(), TopicId(topic.topic_id), part.index), part);
            }
        }
        Self { version, parts }
    }

    pub(super) fn take(&mut self, addressed: &Addressed) -> Option<PartitionProduceResponse> {
        let (name, id) = key(&addressed.topic, self.version);
        self.parts.remove(&(name, id, addressed.partition))
    }
}
