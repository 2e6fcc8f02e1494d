//! The types openraft is instantiated with.
//!
//! Invariants:
//! * One leader a term (standard raft), so a term can serve as controller epoch.
//! * A raft id names one data directory for ever; `node.id` is a label that the membership carries.

use std::fmt;

use bytes::Bytes;
use openraft::vote::RaftLeaderId;
use openraft::{OptionalSend, RaftTypeConfig};
use protocol::Uuid;

use crate::runtime::HostRuntime;

/// Type parameters of openraft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TypeConfig;

impl RaftTypeConfig for TypeConfig {
    type D = Batch;
    type R = ();
    type NodeId = u64;
    type Node = Member;
    type Term = u64;
    type LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>;
    type Vote = openraft::Vote<Self::LeaderId>;
    type Payload = openraft::EntryPayload<Batch, u64, Member>;
    type Entry = openraft::Entry<<Self::LeaderId as RaftLeaderId>::Committed, Self::Payload>;
    type AsyncRuntime = HostRuntime;
    type Responder<T: OptionalSend + 'static> = openraft::impls::OneshotResponder<Self, T>;
    type Batch<T: OptionalSend + 'static> = openraft::impls::InlineBatch<T>;
    type ErrorSource = openraft::AnyError;
}

pub(crate) type CommittedLeaderId = <<TypeConfig as RaftTypeConfig>::LeaderId as RaftLeaderId>::Committed;
pub(crate) type LogId = openraft::LogId<CommittedLeaderId>;
pub(crate) type Vote = <TypeConfig as RaftTypeConfig>::Vote;
pub(crate) type Entry = <TypeConfig as RaftTypeConfig>::Entry;
pub(crate) type Payload = <TypeConfig as RaftTypeConfig>::Payload;
pub(crate) type Membership = openraft::Membership<u64, Member>;
pub(crate) type StoredMembership = openraft::StoredMembership<CommittedLeaderId, u64, Member>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<CommittedLeaderId, u64, Member>;
pub(crate) type Snapshot = openraft::Snapshot<CommittedLeaderId, u64, Member, Bytes>;

pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(term.into(), index)
}

/// What was proposed: opaque bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch(pub Bytes);

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What the membership says about one raft id: whose it is and where it is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// `node.id`, the name people use.
    pub node_id: i32,
    /// The data directory that holds this member's log.
    pub directory_id: Uuid,
    /// Controller listeners. A lone voter may have none.
    pub endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name.
    pub name: String,
    pub host: String,
    pub port: u16,
}
