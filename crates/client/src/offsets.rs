//! Offsets by time, earliest and latest, asked from the leaders of partitions.

use protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsResponse};
use protocol::{ErrorCode, LeaderEpoch, NodeId, Offset};

use crate::leaders::{self, Answered, Answers, Asked, Question};
use crate::{Cluster, Error, TopicPartition};

/// Which offset of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    Earliest,
    /// The end: what the next record gets.
    Latest,
    /// The record with the largest timestamp (KIP-734).
    MaxTimestamp,
    /// The first record at or after this time.
    Timestamp(i64),
}

impl OffsetSpec {
    fn code(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::Timestamp(ms) => ms.max(0),
        }
    }
}

/// Which records a reader sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    #[default]
    Uncommitted,
    /// Up to the first open transaction, without aborted ones.
    Committed,
}

impl Isolation {
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::Uncommitted => 0,
            Self::Committed => 1,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// `None` if no record is that late.
    pub offset: Option<Offset>,
    pub timestamp: Option<i64>,
    pub leader_epoch: Option<LeaderEpoch>,
}

/// One offset a partition. Waits for leaders as long as the cluster's options say.
pub(crate) async fn list(
    cluster: &Cluster,
    partitions: impl IntoIterator<Item = (TopicPartition, OffsetSpec)>,
    isolation: Isolation,
) -> Result<Answers<ListedOffset>, Error> {
    leaders::ask(cluster, &ListOffsets { isolation }, partitions).await
}

struct ListOffsets {
    isolation: Isolation,
}

impl Question for ListOffsets {
    type About = OffsetSpec;
    type Answer = ListedOffset;

    const NAME: &'static str = "ListOffsets";

    async fn put(
        &self,
        cluster: &Cluster,
        leader: NodeId,
        asked: &Asked<OffsetSpec>,
    ) -> Result<Answered<ListedOffset>, Error> {
        let mut topics: Vec<ListOffsetsTopic> = Vec::new();
        for (key, spec, leader_epoch) in asked {
            let partition = ListOffsetsPartition {
                partition_index: key.partition,
                current_leader_epoch: leader_epoch.get(),
                timestamp: spec.code(),
            };
            match topics.last_mut().filter(|last| last.name == key.topic) {
                Some(last) => last.partitions.push(partition),
                None => {
                    topics.push(ListOffsetsTopic { name: key.topic.clone(), partitions: vec![partition] })
                }
            }
        }
        let timeout = cluster.options().connection.request_timeout;
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: self.isolation.code(),
            topics,
            timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
        };
        let response = cluster.connection(leader).await?.call(&request).await?;
        Ok(answered(&response))
    }
}

fn answered(response: &ListOffsetsResponse) -> Answered<ListedOffset> {
    let mut answered = Answered::new();
    for topic in &response.topics {
        for part in &topic.partitions {
            let key = TopicPartition { topic: topic.name.detached(), partition: part.partition_index };
            let result = match ErrorCode::from(part.error_code) {
                ErrorCode::None => Ok(listed(part)),
                code => Err(code),
            };
            answered.push((key, result));
        }
    }
    answered
}

fn listed(part: &ListOffsetsPartitionResponse) -> ListedOffset {
    ListedOffset {
        offset: Offset(part.offset).known(),
        timestamp: Some(part.timestamp).filter(|ms| *ms >= 0),
        leader_epoch: LeaderEpoch(part.leader_epoch).known(),
    }
}
