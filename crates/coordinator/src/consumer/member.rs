//! [`Member`]: one member of a consumer group, as two records say it: what it told of itself, and what it has.

use bytes::Bytes;
use protocol::Str;

use super::partitions::Owned;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Member {
    pub metadata: Metadata,
    pub current: Current,
}

/// What a member told of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Of a static member.
    pub instance_id: Option<Str>,
    pub rack_id: Option<Str>,
    pub client_id: Str,
    pub client_host: Str,
    /// Ascending, none twice.
    pub topics: Vec<Str>,
    /// Empty: none. Kafka tells of "none" by null in old records, and we read it so.
    pub pattern: Str,
    pub rebalance_timeout_ms: i32,
    /// `None`: whatever the group prefers.
    pub assignor: Option<Str>,
    /// Of a member that uses the classic protocol.
    pub classic: Option<Box<ClassicMetadata>>,
}

/// What only members that use the classic protocol tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClassicMetadata {
    pub session_timeout_ms: i32,
    /// Best first. The first is what the group goes by as far as this member can see.
    pub protocols: Vec<(Str, Bytes)>,
}

/// What a member has, and how far it is on the way to its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Current {
    /// -1 after its record was deleted; [`AWAY`] of a static member that will come back.
    pub epoch: i32,
    /// What the member still says when the answer that told it of its epoch was lost.
    pub previous_epoch: i32,
    pub state: State,
    pub assigned: Owned,
    /// What it has still and must give up before it gets more.
    pub revoking: Owned,
}

/// The epoch by which a static member says that it will come back.
pub(crate) const AWAY: i32 = -2;
/// The epoch by which a member leaves.
pub(crate) const LEAVING: i32 = -1;

/// The numbers are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has all that it can have at its epoch.
    Stable,
    /// It must give something up.
    UnrevokedPartitions,
    /// It waits for what others have not given up yet.
    UnreleasedPartitions,
    /// Of a record that a newer version has written.
    Unknown,
}

impl State {
    pub(crate) const fn id(self) -> i8 {
        match self {
            State::Stable => 0,
            State::UnrevokedPartitions => 1,
            State::UnreleasedPartitions => 2,
            State::Unknown => 127,
        }
    }

    pub(crate) const fn from_id(id: i8) -> Self {
        match id {
            0 => State::Stable,
            1 => State::UnrevokedPartitions,
            2 => State::UnreleasedPartitions,
            _ => State::Unknown,
        }
    }
}

impl Member {
    pub(crate) fn uses_classic_protocol(&self) -> bool {
        self.metadata.classic.is_some()
    }

    /// Nothing more is to be done for it at this epoch of the assignment.
    pub(crate) fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.current.state == State::Stable && self.current.epoch == epoch
    }
}

impl Metadata {
    pub(crate) fn has_pattern(&self) -> bool {
        !self.pattern.is_empty()
    }
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            instance_id: None,
            rack_id: None,
            client_id: Str::EMPTY,
            client_host: Str::EMPTY,
            topics: Vec::new(),
            pattern: Str::EMPTY,
            rebalance_timeout_ms: -1,
            assignor: None,
            classic: None,
        }
    }
}

impl Default for Current {
    fn default() -> Self {
        Self {
            epoch: 0,
            previous_epoch: -1,
            state: State::Stable,
            assigned: Owned::default(),
            revoking: Owned::default(),
        }
    }
}
