//! What DescribeQuorum and metrics tell about the quorum.

use protocol::Uuid;

use crate::error::Leader;
use crate::raft::{Endpoint, StoredMembership, TypeConfig};

/// A term of the quorum. One leader a term, so it serves as controller epoch.
pub type Term = u64;

/// The quorum as this node sees it. Indexes are of entries; `None` before the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub raft_id: u64,
    pub term: Term,
    pub leader: Option<Leader>,
    /// The last entry in this node's log.
    pub last_index: Option<u64>,
    pub committed_index: Option<u64>,
    pub applied_index: Option<u64>,
    /// The last entry that the newest snapshot contains.
    pub snapshot_index: Option<u64>,
    /// The last entry that is gone from the log.
    pub purged_index: Option<u64>,
    pub voters: Vec<Replica>,
    pub learners: Vec<Replica>,
}

/// One member of the quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    pub raft_id: u64,
    pub node_id: i32,
    pub directory_id: Uuid,
    pub endpoints: Vec<Endpoint>,
    /// The last entry this member is known to hold; only the leader knows.
    pub matched_index: Option<u64>,
}

pub(crate) type Metrics = openraft::RaftMetrics<TypeConfig>;

pub(crate) fn leader(membership: &StoredMembership, raft_id: Option<u64>) -> Option<Leader> {
    let raft_id = raft_id?;
    let member = membership.get_node(&raft_id);
    let (node_id, directory_id) =
        (member.map(|member| member.node_id), member.map(|member| member.directory_id));
    Some(Leader { raft_id, node_id, directory_id })
}

/// The term this node leads in and is ready for: everything of earlier terms is applied.
pub(crate) fn leadership(metrics: &Metrics) -> Option<Term> {
    let applied_term = metrics.last_applied.map(|id| id.leader_id.term);
    let ready = metrics.running_state.is_ok()
        && metrics.state.is_leader()
        && metrics.current_leader == Some(metrics.id)
        && applied_term == Some(metrics.current_term);
    ready.then_some(metrics.current_term)
}

pub(crate) fn status(metrics: &Metrics) -> Status {
    let stored = &metrics.membership_config;
    let membership = stored.membership();
    let replica = |raft_id: u64| {
        let member = membership.get_node(&raft_id).cloned().unwrap_or_default();
        let matched = metrics.replication.as_ref().and_then(|all| all.get(&raft_id).copied().flatten());
        let matched_index =
            if raft_id == metrics.id { metrics.last_log_index } else { matched.map(|id| id.index) };
        Replica {
            raft_id,
            node_id: member.node_id,
            directory_id: member.directory_id,
            endpoints: member.endpoints,
            matched_index,
        }
    };
    Status {
        raft_id: metrics.id,
        term: metrics.current_term,
        leader: leader(stored, metrics.current_leader),
        last_index: metrics.last_log_index,
        committed_index: metrics.local_committed.map(|id| id.index),
        applied_index: metrics.last_applied.map(|id| id.index),
        snapshot_index: metrics.snapshot.map(|id| id.index),
        purged_index: metrics.purged.map(|id| id.index),
        voters: membership.voter_ids().map(replica).collect(),
        learners: membership.learner_ids().map(replica).collect(),
    }
}
