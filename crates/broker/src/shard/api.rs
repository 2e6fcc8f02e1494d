//! What the rest of the broker says to the shards, and what it hears back.
//!
//! A shard is the single writer of the state of its partitions. A request that concerns several shards is split
//! by [`super::Shards`]; replies arrive through one-shot channels. Errors are Kafka's error codes with a text
//! for the client, since that is all that a caller could do with them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use host::{Instant, Space};
use protocol::ids::{LeaderEpoch, Offset, ProducerId};
use protocol::records::ValidBatch;
use protocol::{ErrorCode, RecordSet, Uuid};
use storage::log::{Origin, Verified};
use storage::producers::AbortedTransaction;
use storage::{LogConfig, PartitionKey};
use tokio::sync::Notify;

/// Why a partition refused, in the client's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: Option<String>,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None }
    }
}

/// When an append is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// As soon as it has been given an offset. (`acks=0`: only a refusal is of interest.)
    None,
    /// When it is written to the journal.
    Leader,
    /// When the high watermark has passed it: on a `synced` topic, when it is on disk.
    All,
}

/// A partition to open or create on this broker, and to lead.
#[derive(Clone, Debug)]
pub struct PartitionSpec {
    pub key: PartitionKey,
    /// For directory names and for people.
    pub topic: Arc<str>,
    pub leader_epoch: LeaderEpoch,
    pub config: Arc<LogConfig>,
    /// The log directory that it is in, as far as is known; zero otherwise.
    pub directory: Uuid,
}

/// One partition's part of a Produce request.
#[derive(Debug)]
pub struct Append {
    pub key: PartitionKey,
    pub batch: ValidBatch,
    pub origin: Origin,
}

impl Append {
    /// What nobody has to be asked about.
    #[must_use]
    pub fn trusted(key: PartitionKey, batch: ValidBatch) -> Self {
        Self { key, batch, origin: Origin::Producer { verified: Verified::Trusted } }
    }
}

/// Where a batch went. For a duplicate of an idempotent producer: where the original is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: Offset,
    /// -1 unless the topic stamps records with the time of the append.
    pub log_append_time_ms: i64,
    pub log_start_offset: Offset,
}

/// One partition's part of a Fetch request.
#[derive(Clone, Debug)]
pub struct Read {
    pub key: PartitionKey,
    pub offset: Offset,
    pub bytes_max: usize,
    /// What the client believes (-1 or absent: not checked): FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH.
    pub current_leader_epoch: Option<LeaderEpoch>,
    /// Epoch of the last record the client has: a divergence is answered instead of records (KIP-595).
    pub last_fetched_epoch: Option<LeaderEpoch>,
    pub committed_only: bool,
    /// Out of the file, if it is written there: memory is short.
    pub from_file: bool,
}

/// What a partition answered to a [`Read`].
#[derive(Clone, Debug)]
pub struct ReadReply {
    pub key: PartitionKey,
    /// `NONE`, or the refusal; the offsets below are filled in where Kafka fills them in.
    pub error: ErrorCode,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start_offset: Offset,
    /// The end of the largest epoch that the client and this log share, when they diverged.
    pub diverging: Option<EpochEnd>,
    /// Whole batches from the one that holds the offset on.
    pub records: RecordSet,
    /// What of that was aborted, for readers of committed records.
    pub aborted: Vec<AbortedTransaction>,
    /// What it takes of the limits: all that it had if the next batch did not fit. Kafka sends a part of that batch then,
    /// and leaves to the partitions behind as little.
    pub taken_bytes: usize,
}

impl ReadReply {
    /// An answer without records.
    pub fn refused(key: PartitionKey, error: ErrorCode) -> Self {
        Self {
            key,
            error,
            high_watermark: Offset::NONE,
            last_stable_offset: Offset::NONE,
            log_start_offset: Offset::NONE,
            diverging: None,
            records: RecordSet::new(),
            aborted: Vec::new(),
            taken_bytes: 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    pub leader_epoch: LeaderEpoch,
    pub end_offset: Offset,
}

/// The partitions of one Fetch that one shard owns, in the order in which they share the budget.
#[derive(Debug)]
pub struct ReadBatch {
    pub reads: Vec<Read>,
    /// Bytes left of the request's `max_bytes`.
    pub bytes_max: usize,
    /// Answer the first batch found even if it is larger than every limit (KIP-74).
    pub at_least_one: bool,
    /// Registered with every partition read, in the same turn, if given: what is appended after the read is never missed.
    pub waiter: Option<Arc<ReadWaiter>>,
}

/// A Fetch that waits until its partitions, on whatever shards, have gained enough bytes.
///
/// It is registered with the read itself, before anybody knows how much is missing, so that nothing appended
/// after the read is overlooked; [`Self::arm`] then says how much would do.
#[derive(Debug)]
pub struct ReadWaiter {
    missing_bytes: AtomicI64,
    notify: Notify,
}

/// More than can be gained before the waiter is armed.
const UNARMED: i64 = i64::MAX / 2;

impl ReadWaiter {
    #[must_use]
    pub fn unarmed() -> Arc<Self> {
        Arc::new(Self { missing_bytes: AtomicI64::new(UNARMED), notify: Notify::new() })
    }

    /// From now on, `missing_bytes` gained since the registering read are enough.
    pub fn arm(&self, missing_bytes: usize) {
        let missing = i64::try_from(missing_bytes).unwrap_or(UNARMED).clamp(1, UNARMED);
        let drop_by = UNARMED - missing;
        if self.missing_bytes.fetch_sub(drop_by, Ordering::Relaxed) <= drop_by {
            self.notify.notify_one();
        }
    }

    /// A partition has `bytes` more for readers. True once the waiter is satisfied and may be forgotten.
    pub fn gained(&self, bytes: usize) -> bool {
        let bytes = i64::try_from(bytes).unwrap_or(UNARMED);
        let satisfied = self.missing_bytes.fetch_sub(bytes, Ordering::Relaxed) <= bytes;
        if satisfied {
            self.notify.notify_one();
        }
        satisfied
    }

    /// A partition changed in a way the reader must hear of (deleted, new leader epoch): answer now.
    pub fn wake(&self) {
        self.notify.notify_one();
    }

    pub async fn satisfied(&self) {
        self.notify.notified().await;
    }
}

/// What ListOffsets asks (KIP-734, KIP-405: timestamps -1 to -5, or milliseconds).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetQuery {
    /// -2, and -4 as long as nothing is remote.
    Earliest,
    /// -1: the high watermark, or the last stable offset for committed readers.
    Latest { committed_only: bool },
    /// -3.
    MaxTimestamp { committed_only: bool },
    /// The first record at or after this time.
    AtTimestamp { timestamp_ms: i64, committed_only: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetFound {
    /// -1 offset and timestamp when there is no such record.
    pub offset: Offset,
    pub timestamp_ms: i64,
    pub leader_epoch: LeaderEpoch,
}

/// The state of one partition as admin APIs and tests see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    pub leader_epoch: LeaderEpoch,
    pub log_start_offset: Offset,
    /// Synced end on disk.
    pub synced_end: Offset,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_end_offset: Offset,
    pub size_bytes: u64,
    /// Segments that the background check, a read or a search by time has found damaged.
    pub damaged_segments: usize,
    /// It is no longer compacted, because of damage.
    pub is_uncleanable: bool,
}

/// What a partition remembers of a producer; -1 for what it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerReport {
    pub producer_id: ProducerId,
    pub epoch: i16,
    pub last_sequence: i32,
    pub last_timestamp_ms: i64,
    /// Of the newest marker.
    pub coordinator_epoch: i32,
    /// Where its open transaction began.
    pub transaction_start: Offset,
}

/// A partition in a log directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaReport {
    pub key: PartitionKey,
    pub topic: Arc<str>,
    pub size_bytes: u64,
}

/// A log directory.
#[derive(Clone, Debug)]
pub struct DirectoryReport {
    pub path: PathBuf,
    /// Why it is offline, if it is.
    pub error: Option<String>,
    /// Known while it works.
    pub space: Option<Space>,
    /// It gets no new partitions.
    pub cordoned: bool,
    pub replicas: Vec<ReplicaReport>,
}

/// A deadline for requests that wait.
pub type Deadline = Instant;
