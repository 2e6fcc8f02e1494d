//! DescribeQuorum (55): who votes about the metadata, and how far each is (KIP-595, KIP-836, KIP-853).

use std::ops::RangeInclusive;

use protocol::messages::describe_quorum_request::DescribeQuorumRequest;
use protocol::messages::describe_quorum_response::{
    DescribeQuorumResponse, Listener, Node, PartitionData, ReplicaState, TopicData,
};
use protocol::{ErrorCode, Str, Uuid};
use quorum::{Replica, Status};

use super::{Call, Handler, Protest};

/// The log of the metadata, by the name that it has in Kafka.
const TOPIC: &str = "__cluster_metadata";

/// From this version on voters are told with their directory and with where they listen (KIP-853).
const TELLS_NODES: i16 = 2;

/// Not known.
const NONE: i64 = -1;

pub(crate) struct DescribeQuorum;

impl Handler for DescribeQuorum {
    type Request = DescribeQuorumRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=2;

    async fn handle(
        call: Call,
        request: DescribeQuorumRequest,
    ) -> Result<Option<DescribeQuorumResponse>, Protest> {
        let is_the_log = match request.topics.as_slice() {
            [topic] => {
                let only = topic.partitions.iter().map(|partition| partition.partition_index);
                topic.topic_name == TOPIC && only.eq([0])
            }
            _ => false,
        };
        if !is_the_log {
            return Ok(Some(unknown(request)));
        }
        let tells_nodes = call.version >= TELLS_NODES;
        let status = call.broker.quorum.status();
        let now_ms = call.broker.host.clock.wall_ms();
        let (partition, nodes) = match show(&status, now_ms, tells_nodes) {
            Some(shown) if tells_nodes => (shown, status.voters.iter().map(node).collect()),
            Some(shown) => (shown, Vec::new()),
            None => (failed(0, ErrorCode::NotLeaderOrFollower), Vec::new()),
        };
        let topics = vec![TopicData { topic_name: Str::from(TOPIC), partitions: vec![partition] }];
        Ok(Some(DescribeQuorumResponse { topics, nodes, ..Default::default() }))
    }
}

/// Only the leader knows how far the others are.
fn show(status: &Status, now_ms: i64, tells_directory: bool) -> Option<PartitionData> {
    let leader = status.leader.as_ref().filter(|leader| leader.raft_id == status.raft_id)?;
    let end = |index: Option<u64>| {
        index.map_or(NONE, |index| i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1))
    };
    let replica = |replica: &Replica| {
        // The leader is never behind itself. When the others have asked last is not kept.
        let seen_ms = if replica.raft_id == status.raft_id { now_ms } else { NONE };
        ReplicaState {
            replica_id: replica.node_id,
            replica_directory_id: if tells_directory { replica.directory_id } else { Uuid::ZERO },
            log_end_offset: end(replica.matched_index),
            last_fetch_timestamp: seen_ms,
            last_caught_up_timestamp: seen_ms,
        }
    };
    Some(PartitionData {
        partition_index: 0,
        error_code: ErrorCode::None.code(),
        error_message: None,
        leader_id: leader.node_id.unwrap_or(-1),
        leader_epoch: i32::try_from(status.term).unwrap_or(i32::MAX),
        high_watermark: end(status.committed_index),
        current_voters: status.voters.iter().map(replica).collect(),
        observers: status.learners.iter().map(replica).collect(),
    })
}

fn node(voter: &Replica) -> Node {
    let listener = |endpoint: &quorum::Endpoint| Listener {
        name: Str::from(endpoint.name.as_str()),
        host: Str::from(endpoint.host.as_str()),
        port: endpoint.port,
    };
    Node { node_id: voter.node_id, listeners: voter.endpoints.iter().map(listener).collect() }
}

fn unknown(request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let topics = request.topics.into_iter().map(|topic| TopicData {
        partitions: topic
            .partitions
            .iter()
            .map(|partition| failed(partition.partition_index, ErrorCode::UnknownTopicOrPartition))
            .collect(),
        topic_name: topic.topic_name,
    });
    DescribeQuorumResponse { topics: topics.collect(), ..Default::default() }
}

fn failed(partition_index: i32, code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index,
        error_code: code.code(),
        error_message: Some(Str::from(code.message())),
        ..Default::default()
    }
}
