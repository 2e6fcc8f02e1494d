//! What a shard finds in its mailbox.

use std::sync::Arc;

use protocol::ids::LeaderEpoch;
use storage::{LogConfig, PartitionKey};
use tokio::sync::oneshot;

use super::AppendResult;
use super::api::{
    Acks, Append, EpochEnd, OffsetFound, OffsetQuery, PartitionSpec, PartitionStatus, ReadBatch, ReadReply,
    Refusal,
};

pub(super) type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

#[derive(Debug)]
pub(super) enum Message {
    Open {
        spec: PartitionSpec,
        reply: Reply<()>,
    },
    Delete {
        key: PartitionKey,
        reply: Reply<()>,
    },
    Configure {
        key: PartitionKey,
        config: Arc<LogConfig>,
        reply: Reply<()>,
    },
    Lead {
        key: PartitionKey,
        leader_epoch: LeaderEpoch,
        reply: Reply<()>,
    },
    Append {
        acks: Acks,
        appends: Vec<Append>,
        frame_bytes: usize,
        reply: oneshot::Sender<Vec<AppendResult>>,
    },
    Read {
        batch: ReadBatch,
        reply: oneshot::Sender<ReadDone>,
    },
    Offset {
        key: PartitionKey,
        query: OffsetQuery,
        current_leader_epoch: Option<LeaderEpoch>,
        reply: Reply<OffsetFound>,
    },
    EpochEnd {
        key: PartitionKey,
        leader_epoch: LeaderEpoch,
        current_leader_epoch: Option<LeaderEpoch>,
        reply: Reply<EpochEnd>,
    },
    Status {
        key: PartitionKey,
        reply: Reply<PartitionStatus>,
    },
    Stop {
        reply: oneshot::Sender<()>,
    },
}

/// A shard's part of a read.
#[derive(Debug)]
pub(super) struct ReadDone {
    pub(super) replies: Vec<ReadReply>,
}
