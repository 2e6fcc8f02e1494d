//! What can go wrong, for people and for the server.

use std::io;
use std::path::PathBuf;

use protocol::Uuid;

/// Why the metadata log cannot be opened. Nothing on disk was changed because of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text of the cause names the file; it is no `source`, or chains would say it twice.
    #[error("cannot {doing}: {cause}")]
    Io { doing: &'static str, cause: io::Error },

    #[error(
        "{}: damaged at byte {position}: {reason}; restore this directory, or replace the node, as its data \
         cannot be trusted",
        file.display()
    )]
    Corrupt { file: PathBuf, position: u64, reason: String },

    #[error("{}: {reason}; restore it from a copy", file.display())]
    BadProperties { file: PathBuf, reason: String },

    #[error("{}: another process uses this directory", dir.display())]
    Locked { dir: PathBuf },

    #[error(
        "{}: this directory belongs to cluster {stored}, but cluster {expected} was asked for",
        file.display()
    )]
    WrongCluster { file: PathBuf, stored: String, expected: String },

    #[error("{}: this directory belongs to node {stored}, but node.id is {expected}", file.display())]
    WrongNode { file: PathBuf, stored: i32, expected: i32 },

    #[error(
        "{} says that this directory belongs to cluster {cluster_id}, but its metadata log {} is not there; \
         restore it, or empty the whole directory to start as a new node",
        file.display(),
        log.display()
    )]
    LogMissing { file: PathBuf, log: PathBuf, cluster_id: String },

    #[error("{} is missing, but there is a metadata log beside it; restore it", file.display())]
    IdentityMissing { file: PathBuf },

    #[error("a node that joins a cluster must know the cluster's id")]
    ClusterIdNeeded,

    /// The state machine could not read its own snapshot.
    #[error("{}: the snapshot cannot be used: {reason}; restore it from a copy", file.display())]
    BadSnapshot { file: PathBuf, reason: String },

    /// Nothing is damaged: the change waits for room, and a start does not.
    #[error("the disk of {} is full: {reason}; make room there", dir.display())]
    Full { dir: PathBuf, reason: String },

    #[error("the metadata quorum did not start: {reason}")]
    Start { reason: String },
}

/// Why a batch was not committed, as far as this node knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Nothing was written.
    #[error("this node does not lead the metadata quorum{}", leader_text(leader))]
    NotLeader { leader: Option<Leader> },

    /// Leadership was lost after the batch was appended: another leader may commit it or drop it.
    #[error("leadership was lost before the batch was committed; its outcome is unknown")]
    OutcomeUnknown { leader: Option<Leader> },

    /// More is in flight than fits the bound; nothing was written.
    #[error("{in_flight_bytes} bytes of proposals are in flight")]
    Overloaded { in_flight_bytes: usize },

    #[error("a batch of {bytes} bytes is larger than {bytes_max}")]
    TooLarge { bytes: usize, bytes_max: usize },

    /// The metadata directory has failed for good. The batch may be on disk or not.
    #[error("the metadata log has failed: {reason}")]
    StorageFailed { reason: String },

    #[error("the metadata log has stopped")]
    Stopped,
}

/// The leader of the quorum as another node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    pub raft_id: u64,
    /// `None` if the membership that names it has not arrived yet.
    pub node_id: Option<i32>,
    pub directory_id: Option<Uuid>,
}

fn leader_text(leader: &Option<Leader>) -> String {
    match leader.and_then(|leader| leader.node_id) {
        Some(node_id) => format!("; the leader is node {node_id}"),
        None => String::new(),
    }
}

/// Adds what was being done to an I/O error.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|cause| Error::Io { doing, cause })
    }
}
