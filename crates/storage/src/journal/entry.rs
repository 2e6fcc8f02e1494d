//! What is written to the journal: one change to one partition.

use std::sync::Arc;

use bytes::Bytes;
use protocol::Uuid;
use protocol::ids::{LeaderEpoch, Offset};

use crate::PartitionKey;

/// A change to one partition. Entries of a partition are replayed in the order in which they were submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: PartitionKey,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// One record batch.
    Append {
        leader_epoch: LeaderEpoch,
        base_offset: Offset,
        /// The batch from its 16th byte (the magic) on; base offset, length and epoch in front of it are rebuilt. Its CRC is
        /// believed.
        batch: Bytes,
    },
    /// Everything from `end` on is gone; `leader_epoch` is the epoch on whose behalf.
    Truncate { end: Offset, leader_epoch: LeaderEpoch },
    /// Everything below `offset` is gone.
    LogStart { offset: Offset },
    /// A leader of this epoch appends from here on.
    EpochStart { leader_epoch: LeaderEpoch, start_offset: Offset },
    /// The partition begins in this directory, empty, at `start_offset`.
    Create { topic: Arc<str>, start_offset: Offset },
    /// The partition is gone from this directory.
    Delete,
    /// The partition's log now lives in another log directory (KIP-113), this one's copy is void.
    MovedAway { directory: Uuid },
}

/// Bytes an entry takes in a round beside its payload.
pub const ENTRY_HEAD_BYTES: usize = 44;

impl Entry {
    /// What the entry takes in a round.
    pub fn journal_bytes(&self) -> usize {
        ENTRY_HEAD_BYTES + self.body.payload_bytes()
    }
}

impl Body {
    pub fn payload_bytes(&self) -> usize {
        match self {
            Self::Append { batch, .. } => batch.len(),
            Self::Create { topic, .. } => topic.len(),
            Self::MovedAway { .. } => 16,
            Self::Truncate { .. } | Self::LogStart { .. } | Self::EpochStart { .. } | Self::Delete => 0,
        }
    }
}
