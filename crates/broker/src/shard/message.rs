//! What a shard finds in its mailbox.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use host::Space;
use protocol::ids::{LeaderEpoch, Offset};
use storage::clean;
use storage::journal::Report;
use storage::log::{ColdRegion, DeletedFiles, Found, Scrubbed, SegmentSync, SegmentWrite};
use storage::producers::{AbortedTransaction, Guard, Question};
use storage::{LogConfig, PartitionKey};
use tokio::sync::oneshot;

use super::AppendResult;
use super::api::{
    Acks, Append, EpochEnd, OffsetFound, OffsetQuery, PartitionSpec, PartitionStatus, ProducerReport,
    ReadBatch, ReadReply, Refusal, ReplicaReport,
};
use super::compaction::{Begun, Candidate, CleaningEnd};
use super::queries::TimeQuery;
use super::scrub::ScrubbedSegment;

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
    /// Which partitions have been found and are none of these?
    Strays {
        known: Arc<BTreeSet<PartitionKey>>,
        reply: oneshot::Sender<Vec<PartitionKey>>,
    },
    DropStray {
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
    Append(AppendRequest),
    /// Before coordinators are asked about transactions: which of these batches need that?
    Ask {
        questions: Vec<(PartitionKey, Question)>,
        reply: oneshot::Sender<Vec<Result<Option<Guard>, Refusal>>>,
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
    DeleteRecords {
        key: PartitionKey,
        /// -1 is the high watermark.
        offset: Offset,
        reply: Reply<Offset>,
    },
    Producers {
        key: PartitionKey,
        reply: Reply<Vec<ProducerReport>>,
    },
    /// Which partitions are served, in which directory?
    Replicas {
        reply: oneshot::Sender<Vec<(usize, ReplicaReport)>>,
    },
    /// How much room is in a directory?
    Space {
        dir: usize,
        reply: oneshot::Sender<io::Result<Space>>,
    },
    Stop {
        reply: oneshot::Sender<()>,
    },
    /// From a cleaner: which log is to be compacted first?
    Dirtiest {
        reply: oneshot::Sender<Option<Candidate>>,
    },
    BeginCleaning {
        key: PartitionKey,
        options: clean::Options,
        reply: oneshot::Sender<Option<Begun>>,
    },
    /// A new segment, for the place of others.
    Replace {
        key: PartitionKey,
        replacement: clean::Replacement,
        reply: oneshot::Sender<bool>,
    },
    EndCleaning {
        key: PartitionKey,
        end: CleaningEnd,
    },
    /// From a committer.
    Report(Report),
    /// From a lane.
    Done(Done),
    /// Another shard is out of memory: drop what can be dropped.
    Evict,
}

#[derive(Debug)]
pub(super) struct AppendRequest {
    pub(super) acks: Acks,
    pub(super) appends: Vec<Append>,
    pub(super) frame_bytes: usize,
    pub(super) reply: oneshot::Sender<Vec<AppendResult>>,
}

/// A shard's part of a read.
#[derive(Debug)]
pub(super) struct ReadDone {
    pub(super) replies: Vec<ReadReply>,
}

/// What a lane has carried out.
#[derive(Debug)]
pub(super) enum Done {
    Made {
        key: PartitionKey,
        result: io::Result<()>,
    },
    Wrote {
        key: PartitionKey,
        write: Arc<SegmentWrite>,
        result: io::Result<()>,
    },
    Synced {
        key: PartitionKey,
        sync: Arc<SegmentSync>,
        result: io::Result<()>,
    },
    Swapped {
        key: PartitionKey,
        result: io::Result<DeletedFiles>,
    },
    BrokenDeleted {
        dir: usize,
        result: io::Result<PathBuf>,
    },
    Space {
        dir: usize,
        result: io::Result<u64>,
    },
    SegmentsDeleted {
        dir: usize,
        delay_ms: u64,
        result: io::Result<DeletedFiles>,
    },
    PartitionDeleted {
        key: PartitionKey,
        delay_ms: u64,
        result: io::Result<PathBuf>,
    },
    Scrubbed {
        segment: ScrubbedSegment,
        result: io::Result<(u64, Scrubbed)>,
    },
    Read {
        read: u64,
        result: io::Result<ColdRegion>,
    },
    Aborted {
        read: u64,
        result: io::Result<Vec<AbortedTransaction>>,
    },
    Found {
        key: PartitionKey,
        query: TimeQuery,
        /// How often segments had been replaced when the search was planned.
        swaps: u64,
        reply: Reply<OffsetFound>,
        result: io::Result<Option<Found>>,
    },
}
