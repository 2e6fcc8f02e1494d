//! How a metadata log is opened.

use protocol::Uuid;

use crate::raft::Endpoint;

#[derive(Clone, Debug)]
pub struct Options {
    /// `node.id`; `None` takes the directory's own, or 1 for a new directory.
    pub node_id: Option<i32>,
    /// The cluster to belong to; `None` takes the directory's own, or a new one's.
    pub cluster_id: Option<String>,
    pub bootstrap: Bootstrap,
    /// Where other members reach this one.
    pub endpoints: Vec<Endpoint>,
    pub snapshot_after: SnapshotAfter,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            node_id: None,
            cluster_id: None,
            bootstrap: Bootstrap::Create,
            endpoints: Vec::new(),
            snapshot_after: SnapshotAfter::default(),
        }
    }
}

/// What a directory without a log becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bootstrap {
    /// The only voter of a new cluster.
    Create,
    /// Nothing by itself: the leader of an existing cluster adds it.
    Join,
}

/// A snapshot is taken once either is reached, and the log before it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotAfter {
    pub entries: u64,
    pub bytes: u64,
}

impl Default for SnapshotAfter {
    /// Small enough to be read again in milliseconds.
    fn default() -> Self {
        Self { entries: 20_000, bytes: 8 << 20 }
    }
}

/// Who a data directory is, from its `meta.properties` and its quorum state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub cluster_id: String,
    pub node_id: i32,
    pub directory_id: Uuid,
    /// The name of this directory in the quorum, minted once and never used again.
    pub raft_id: u64,
}
