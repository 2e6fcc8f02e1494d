//! What one client knows of a cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use host::Instant;
use protocol::messages::metadata_response::{MetadataResponse, MetadataResponseTopic};
use protocol::{ErrorCode, LeaderEpoch, NodeId, Str, TopicId};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub cluster_id: Option<Str>,
    pub controller: Option<NodeId>,
    pub brokers: BTreeMap<i32, Broker>,
    /// The topics that were asked for, those that do not exist too: see [`Topic::error`].
    pub topics: BTreeMap<Str, Arc<Topic>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub id: NodeId,
    pub host: Str,
    pub port: u16,
    pub rack: Option<Str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: Str,
    /// Zero from brokers before Kafka 2.8.
    pub id: TopicId,
    pub error: ErrorCode,
    pub is_internal: bool,
    /// By index, without gaps.
    pub partitions: Vec<Partition>,
    pub fetched_at: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub index: i32,
    /// `None` while there is no leader.
    pub leader: Option<NodeId>,
    pub leader_epoch: LeaderEpoch,
    pub replicas: Vec<NodeId>,
    pub isr: Vec<NodeId>,
    pub offline: Vec<NodeId>,
}

impl Topic {
    pub fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    pub fn leader(&self, index: i32) -> Option<NodeId> {
        self.partition(index)?.leader
    }
}

impl Snapshot {
    /// This snapshot with an answer worked in.
    pub(super) fn updated(&self, response: &MetadataResponse, now: Instant) -> Self {
        let brokers = response.brokers.iter().filter_map(|broker| {
            let port = u16::try_from(broker.port).ok()?;
            let (host, rack) = (broker.host.detached(), broker.rack.as_ref().map(Str::detached));
            Some((broker.node_id, Broker { id: NodeId(broker.node_id), host, port, rack }))
        });
        let mut topics = self.topics.clone();
        for answer in &response.topics {
            let Some(name) = &answer.name else { continue };
            let topic = topic(answer, name, self.topics.get(name).map(|old| &**old), now);
            topics.insert(topic.name.clone(), Arc::new(topic));
        }
        Self {
            cluster_id: response.cluster_id.as_ref().map(Str::detached),
            controller: NodeId(response.controller_id).known(),
            brokers: brokers.collect(),
            topics,
        }
    }
}

pub(crate) fn topic(answer: &MetadataResponseTopic, name: &Str, old: Option<&Topic>, now: Instant) -> Topic {
    let id = TopicId(answer.topic_id);
    let mut error = ErrorCode::from(answer.error_code);
    let nodes = |ids: &[i32]| ids.iter().copied().map(NodeId).collect();
    let mut partitions: Vec<Partition> = answer
        .partitions
        .iter()
        .map(|partition| Partition {
            index: partition.partition_index,
            leader: NodeId(partition.leader_id).known(),
            leader_epoch: LeaderEpoch(partition.leader_epoch),
            replicas: nodes(&partition.replica_nodes),
            isr: nodes(&partition.isr_nodes),
            offline: nodes(&partition.offline_replicas),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.index);
    let whole = (0_i32..).zip(&partitions).all(|(index, partition)| partition.index == index);
    if error.is_none() && (!whole || partitions.is_empty()) {
        // Java's client takes such an answer for one of a topic that is being created, too.
        error = ErrorCode::LeaderNotAvailable;
    }
    if let Some(old) = old.filter(|old| old.id == id && old.error.is_none()) {
        for partition in &mut partitions {
            // A broker that lags behind: what another said is newer.
            if let Some(newer) = old.partition(partition.index)
                && newer.leader_epoch > partition.leader_epoch
                && !partition.leader_epoch.is_none()
            {
                *partition = newer.clone();
            }
        }
    }
    Topic { name: name.detached(), id, error, is_internal: answer.is_internal, partitions, fetched_at: now }
}

#[cfg(test)]
mod tests {
    use protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponsePartition};

    use super::*;

    fn answer(leader: i32, epoch: i32, indexes: &[i32]) -> MetadataResponse {
        let partition = |index: &i32| MetadataResponsePartition {
            partition_index: *index,
            leader_id: leader,
            leader_epoch: epoch,
            ..Default::default()
        };
        MetadataResponse {
            brokers: vec![MetadataResponseBroker {
                node_id: 1,
                host: Str::from("h"),
                port: 9092,
                ..Default::default()
            }],
            topics: vec![MetadataResponseTopic {
                name: Some(Str::from("t")),
                partitions: indexes.iter().map(partition).collect(),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn an_older_leader_epoch_does_not_win() {
        let first = Snapshot::default().updated(&answer(1, 5, &[1, 0]), Instant::ZERO);
        assert_eq!(first.topics["t"].leader(1), Some(NodeId(1)));
        let stale = first.updated(&answer(2, 4, &[0, 1]), Instant::ZERO);
        assert_eq!(stale.topics["t"].leader(0), Some(NodeId(1)));
        let newer = stale.updated(&answer(-1, 6, &[0, 1]), Instant::ZERO);
        assert_eq!(newer.topics["t"].leader(0), None);
        assert_eq!(newer.topics["t"].partition(0).unwrap().leader_epoch, LeaderEpoch(6));
    }

    #[test]
    fn partitions_with_gaps_are_a_topic_in_the_making() {
        for indexes in [&[][..], &[1], &[0, 2]] {
            let snapshot = Snapshot::default().updated(&answer(1, 0, indexes), Instant::ZERO);
            assert_eq!(snapshot.topics["t"].error, ErrorCode::LeaderNotAvailable, "{indexes:?}");
        }
    }
}
