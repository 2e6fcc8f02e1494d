//! Offsets by time, earliest and latest, asked from the leaders of partitions.

use std::collections::BTreeMap;

use protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsResponse};
use protocol::{ErrorCode, LeaderEpoch, NodeId, Offset, Str};

use crate::cluster::{Retry, refused};
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

type Answers = BTreeMap<TopicPartition, Result<ListedOffset, Error>>;

/// One offset a partition. Waits for leaders as long as the cluster's options say.
pub(crate) async fn list(
    cluster: &Cluster,
    partitions: impl IntoIterator<Item = (TopicPartition, OffsetSpec)>,
    isolation: Isolation,
) -> Result<Answers, Error> {
    let mut open: BTreeMap<TopicPartition, OffsetSpec> = partitions.into_iter().collect();
    let mut answers = Answers::new();
    let mut retry = Retry::new(cluster);
    loop {
        let mut last = None;
        for (leader, asked) in by_leader(cluster, &mut open, &mut answers, &mut last).await? {
            match ask(cluster, leader, &asked, isolation).await {
                Ok(response) => sort_out(&response, &mut open, &mut answers, &mut last),
                Err(error) if error.is_retriable() => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        if open.is_empty() {
            return Ok(answers);
        }
        let unanswered = || refused("ListOffsets", ErrorCode::LeaderNotAvailable, None);
        let error = last.unwrap_or_else(unanswered);
        if let Err(error) = retry.pause(error).await {
            answers.extend(open.into_keys().map(|partition| (partition, Err(error.clone()))));
            return Ok(answers);
        }
        let topics: std::collections::BTreeSet<Str> =
            open.keys().map(|partition| partition.topic.clone()).collect();
        if let Err(error) = cluster.refresh(topics.into_iter().collect(), false).await
            && !error.is_retriable()
        {
            return Err(error);
        }
    }
}

type Asked = Vec<(TopicPartition, OffsetSpec, LeaderEpoch)>;

/// Groups what is still open by leader; what can never be answered gets its answer.
async fn by_leader(
    cluster: &Cluster,
    open: &mut BTreeMap<TopicPartition, OffsetSpec>,
    answers: &mut Answers,
    last: &mut Option<Error>,
) -> Result<BTreeMap<NodeId, Asked>, Error> {
    let mut groups: BTreeMap<NodeId, Asked> = BTreeMap::new();
    let all: Vec<(TopicPartition, OffsetSpec)> =
        open.iter().map(|(key, spec)| (key.clone(), *spec)).collect();
    for (key, spec) in all {
        let found = match cluster.topic(&key.topic, false).await {
            Ok(topic) => topic
                .partition(key.partition)
                .cloned()
                .ok_or_else(|| refused(key.to_string(), ErrorCode::UnknownTopicOrPartition, None)),
            Err(error) if error.code().is_some() => Err(error),
            Err(error) => return Err(error),
        };
        match found {
            Ok(partition) => match partition.leader {
                Some(leader) => groups.entry(leader).or_default().push((key, spec, partition.leader_epoch)),
                None => *last = Some(refused(key.to_string(), ErrorCode::LeaderNotAvailable, None)),
            },
            Err(error) => {
                open.remove(&key);
                answers.insert(key, Err(error));
            }
        }
    }
    Ok(groups)
}

async fn ask(
    cluster: &Cluster,
    leader: NodeId,
    asked: &Asked,
    isolation: Isolation,
) -> Result<ListOffsetsResponse, Error> {
    let mut topics: Vec<ListOffsetsTopic> = Vec::new();
    for (key, spec, leader_epoch) in asked {
        let partition = ListOffsetsPartition {
            partition_index: key.partition,
            current_leader_epoch: leader_epoch.get(),
            timestamp: spec.code(),
        };
        match topics.last_mut().filter(|last| last.name == key.topic) {
            Some(last) => last.partitions.push(partition),
            None => topics.push(ListOffsetsTopic { name: key.topic.clone(), partitions: vec![partition] }),
        }
    }
    let timeout = cluster.options().connection.request_timeout;
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: isolation.code(),
        topics,
        timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
    };
    cluster.connection(leader).await?.call(&request).await
}

fn sort_out(
    response: &ListOffsetsResponse,
    open: &mut BTreeMap<TopicPartition, OffsetSpec>,
    answers: &mut Answers,
    last: &mut Option<Error>,
) {
    for topic in &response.topics {
        for part in &topic.partitions {
            let key = TopicPartition { topic: topic.name.detached(), partition: part.partition_index };
            let answer = match ErrorCode::from(part.error_code) {
                ErrorCode::None => Ok(listed(part)),
                code if code.is_retriable() || code == ErrorCode::FencedLeaderEpoch => {
                    *last = Some(refused(key.to_string(), code, None));
                    continue;
                }
                code => Err(refused(key.to_string(), code, None)),
            };
            if open.remove(&key).is_some() {
                answers.insert(key, answer);
            }
        }
    }
}

fn listed(part: &ListOffsetsPartitionResponse) -> ListedOffset {
    ListedOffset {
        offset: Offset(part.offset).known(),
        timestamp: Some(part.timestamp).filter(|ms| *ms >= 0),
        leader_epoch: LeaderEpoch(part.leader_epoch).known(),
    }
}
