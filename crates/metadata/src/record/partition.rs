//! Partitions as the log knows them.

use protocol::{LeaderEpoch, NodeId, Uuid};

/// Whether the leader may have lost records in an unclean election and has not finished recovering (KIP-704).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeaderRecovery {
    #[default]
    Recovered = 0,
    Recovering = 1,
}

impl LeaderRecovery {
    pub const fn id(self) -> u8 {
        self as u8
    }

    pub const fn from_id(id: u8) -> Option<LeaderRecovery> {
        match id {
            0 => Some(LeaderRecovery::Recovered),
            1 => Some(LeaderRecovery::Recovering),
            _ => None,
        }
    }
}

/// A partition: where it is and who leads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The preferred leader comes first.
    pub replicas: Vec<NodeId>,
    /// The log directory of each replica, in the order of `replicas`; zero where the broker has not chosen yet.
    pub directories: Vec<Uuid>,
    pub isr: Vec<NodeId>,
    /// Eligible leaders outside the in-sync set (KIP-966).
    pub elr: Vec<NodeId>,
    pub last_known_elr: Vec<NodeId>,
    /// Replicas that a reassignment adds.
    pub adding: Vec<NodeId>,
    /// Replicas that a reassignment takes away.
    pub removing: Vec<NodeId>,
    /// [`NodeId::NONE`] when nobody can lead.
    pub leader: NodeId,
    pub leader_epoch: LeaderEpoch,
    /// Grows with every change of the partition.
    pub partition_epoch: i32,
    pub recovery: LeaderRecovery,
}

impl Partition {
    /// A new partition led by the first of `isr`.
    pub fn new(replicas: Vec<NodeId>, directories: Vec<Uuid>, isr: Vec<NodeId>) -> Partition {
        let leader = isr.first().copied().unwrap_or(NodeId::NONE);
        Partition {
            replicas,
            directories,
            isr,
            elr: Vec::new(),
            last_known_elr: Vec::new(),
            adding: Vec::new(),
            removing: Vec::new(),
            leader,
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
            recovery: LeaderRecovery::Recovered,
        }
    }

    pub fn is_reassigning(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// The directory that `node_id` keeps its replica in; zero while it has not chosen.
    pub fn directory_of(&self, node_id: NodeId) -> Option<Uuid> {
        let place = self.replicas.iter().position(|replica| *replica == node_id)?;
        Some(self.directories.get(place).copied().unwrap_or(Uuid::ZERO))
    }

    /// The partition after `change`. Both epochs grow by themselves: the partition epoch always, the leader epoch
    /// whenever a leader is named, even if it is the old one.
    pub fn changed(&self, change: &PartitionChange) -> Partition {
        let mut next = self.clone();
        let replace = |to: &mut Vec<NodeId>, from: &Option<Vec<NodeId>>| {
            if let Some(from) = from {
                to.clone_from(from);
            }
        };
        replace(&mut next.replicas, &change.replicas);
        replace(&mut next.isr, &change.isr);
        replace(&mut next.elr, &change.elr);
        replace(&mut next.last_known_elr, &change.last_known_elr);
        replace(&mut next.adding, &change.adding);
        replace(&mut next.removing, &change.removing);
        if let Some(directories) = &change.directories {
            next.directories.clone_from(directories);
        }
        next.directories.resize(next.replicas.len(), Uuid::ZERO);
        if let Some(recovery) = change.recovery {
            next.recovery = recovery;
        }
        if let Some(leader) = change.leader {
            next.leader = leader;
            next.leader_epoch = LeaderEpoch(self.leader_epoch.0.saturating_add(1));
        }
        next.partition_epoch = self.partition_epoch.saturating_add(1);
        next
    }
}

/// What changed of a partition; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionChange {
    pub replicas: Option<Vec<NodeId>>,
    pub directories: Option<Vec<Uuid>>,
    pub isr: Option<Vec<NodeId>>,
    pub elr: Option<Vec<NodeId>>,
    pub last_known_elr: Option<Vec<NodeId>>,
    pub adding: Option<Vec<NodeId>>,
    pub removing: Option<Vec<NodeId>>,
    /// Naming a leader, be it the old one or none, starts a new leader epoch.
    pub leader: Option<NodeId>,
    pub recovery: Option<LeaderRecovery>,
}

impl PartitionChange {
    pub fn is_empty(&self) -> bool {
        *self == PartitionChange::default()
    }
}
