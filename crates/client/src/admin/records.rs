//! Deleting records from the beginnings of partitions.

use std::collections::BTreeMap;

use protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use protocol::{ErrorCode, NodeId, Offset};

use super::Admin;
use crate::leaders::{self, Answered, Asked, Question};
use crate::{Cluster, Error, TopicPartition};

/// Stands for the high watermark: everything goes.
const ALL: Offset = Offset(-1);

impl Admin {
    /// Deletes what lies below the offset of each partition; all records where there is `None`. The answers are the
    /// new first offsets.
    pub async fn delete_records(
        &self,
        partitions: impl IntoIterator<Item = (TopicPartition, Option<Offset>)>,
    ) -> Result<BTreeMap<TopicPartition, Result<Offset, Error>>, Error> {
        let question = DeleteRecords { timeout_ms: self.timeout_ms(), timeout: self.timeout };
        let before = partitions.into_iter().map(|(key, before)| (key, before.unwrap_or(ALL)));
        leaders::ask(&self.cluster, &question, before).await
    }
}

struct DeleteRecords {
    timeout_ms: i32,
    timeout: std::time::Duration,
}

impl Question for DeleteRecords {
    type About = Offset;
    type Answer = Offset;

    const NAME: &'static str = "DeleteRecords";

    async fn put(
        &self,
        cluster: &Cluster,
        leader: NodeId,
        asked: &Asked<Offset>,
    ) -> Result<Answered<Offset>, Error> {
        let mut topics: Vec<DeleteRecordsTopic> = Vec::new();
        for (key, before, _) in asked {
            let partition = DeleteRecordsPartition { partition_index: key.partition, offset: before.get() };
            match topics.last_mut().filter(|last| last.name == key.topic) {
                Some(last) => last.partitions.push(partition),
                None => {
                    topics.push(DeleteRecordsTopic { name: key.topic.clone(), partitions: vec![partition] });
                }
            }
        }
        let request = DeleteRecordsRequest { topics, timeout_ms: self.timeout_ms };
        let connection = cluster.connection(leader).await?;
        let version = connection.newest::<DeleteRecordsRequest>()?;
        let response = connection.call_in(version, &request, self.timeout).await?;
        let mut answered = Answered::new();
        for topic in &response.topics {
            for part in &topic.partitions {
                let key = TopicPartition { topic: topic.name.detached(), partition: part.partition_index };
                answered.push((
                    key,
                    match ErrorCode::from(part.error_code) {
                        ErrorCode::None => Ok(Offset(part.low_watermark)),
                        code => Err(code),
                    },
                ));
            }
        }
        Ok(answered)
    }
}
