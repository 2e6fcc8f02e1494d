//! [`Member`]: one member of a classic group.

use std::collections::BTreeSet;

use bytes::Bytes;
use protocol::Str;
use protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::messages::join_group_response::JoinGroupResponseMember;

use crate::record::MemberMetadata;
use crate::{Caller, Ticket};

/// What a member can do, best first, each name once, with what it tells the leader.
pub(crate) type Protocols = Vec<(Str, Bytes)>;

/// A JoinGroup request, with nothing left in it that holds on to its frame.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub to: Ticket,
    pub version: i16,
    /// Empty: the first join.
    pub member_id: Str,
    pub instance_id: Option<Str>,
    pub client_id: Str,
    pub client_host: Str,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub protocol_type: Str,
    pub protocols: Protocols,
}

impl Join {
    pub(crate) fn new(ticket: Ticket, caller: &Caller, request: &JoinGroupRequest) -> Self {
        // Version 0 has no rebalance timeout.
        let rebalance_timeout_ms = match request.rebalance_timeout_ms {
            timeout if timeout < 0 => request.session_timeout_ms,
            timeout => timeout,
        };
        Self {
            to: ticket,
            version: caller.version,
            member_id: request.member_id.detached(),
            instance_id: request.group_instance_id.as_ref().map(Str::detached),
            client_id: caller.client_id.detached(),
            client_host: caller.client_host.detached(),
            rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocol_type: request.protocol_type.detached(),
            protocols: detached_protocols(&request.protocols),
        }
    }
}

fn detached_protocols(protocols: &[JoinGroupRequestProtocol]) -> Protocols {
    let mut names = BTreeSet::new();
    protocols
        .iter()
        .filter(|protocol| names.insert(&protocol.name))
        .map(|protocol| (protocol.name.detached(), Bytes::copy_from_slice(&protocol.metadata)))
        .collect()
}

/// When a member is given up. The entry among the timers may be earlier, and then looks here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Session {
    pub deadline_ms: u64,
    pub scheduled_ms: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub id: Str,
    /// Of a static member (KIP-345).
    pub instance_id: Option<Str>,
    pub client_id: Str,
    pub client_host: Str,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub protocols: Protocols,
    pub assignment: Bytes,
    /// It has never been answered, so it cannot heartbeat.
    pub is_new: bool,
    pub join: Option<Ticket>,
    pub sync: Option<Ticket>,
    pub session: Session,
}

impl Member {
    pub(crate) fn new(id: Str, join: Join) -> Self {
        Self {
            id,
            instance_id: join.instance_id,
            client_id: join.client_id,
            client_host: join.client_host,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            session_timeout_ms: join.session_timeout_ms,
            protocols: join.protocols,
            assignment: Bytes::new(),
            is_new: true,
            join: Some(join.to),
            sync: None,
            session: Session::default(),
        }
    }

    /// As the log remembers it: with the one protocol that the group went by.
    pub(super) fn load(metadata: &MemberMetadata, protocol: &Str) -> Self {
        let rebalance_timeout_ms = match metadata.rebalance_timeout_ms {
            -1 => metadata.session_timeout_ms,
            timeout => timeout,
        };
        Self {
            id: metadata.member_id.clone(),
            instance_id: metadata.instance_id.clone(),
            client_id: metadata.client_id.clone(),
            client_host: metadata.client_host.clone(),
            rebalance_timeout_ms,
            session_timeout_ms: metadata.session_timeout_ms,
            protocols: vec![(protocol.clone(), metadata.subscription.clone())],
            assignment: metadata.assignment.clone(),
            is_new: false,
            join: None,
            sync: None,
            session: Session::default(),
        }
    }

    pub(super) fn logged(&self, protocol: &str) -> MemberMetadata {
        MemberMetadata {
            member_id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment: self.assignment.clone(),
        }
    }

    /// What it tells the leader under a protocol.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    pub(super) fn for_leader(&self, protocol: &str) -> JoinGroupResponseMember {
        JoinGroupResponseMember {
            member_id: self.id.clone(),
            group_instance_id: self.instance_id.clone(),
            metadata: self.metadata(protocol),
        }
    }

    /// It waits for the group, which is as good as a heartbeat. A new one may be gone while its join is parked.
    pub(super) fn is_excused(&self) -> bool {
        !self.is_new && (self.join.is_some() || self.sync.is_some())
    }
}
