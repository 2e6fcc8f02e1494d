//! [`Directory`]: one log directory as one shard sees it: what it has submitted to the journal there and not heard of
//! yet, the lanes to its segments, and whether it still works.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use host::{Files, LaneRef, Op};
use protocol::ids::{LeaderEpoch, Offset};
use storage::journal::{Body, Entry, Submit, ToCommitter};
use storage::segment::OpenFiles;
use storage::{PartitionKey, Position};

/// How a shard reaches the committer of a directory.
pub(super) type SendToCommitter = Arc<dyn Fn(ToCommitter) + Send + Sync>;

/// What all shards share of a directory.
#[derive(Clone)]
pub(super) struct DirectoryParts {
    pub(super) path: PathBuf,
    pub(super) committer: SendToCommitter,
    /// Paced writes to segments, and what else changes their files.
    pub(super) writes: LaneRef,
    /// Where files and directories go that have their last name: thousands of them must not hold anything up.
    pub(super) removals: LaneRef,
    /// Several, since most of a sync is waiting and concurrent ones share a commit of the file system.
    pub(super) syncs: Arc<[LaneRef]>,
    pub(super) open: Arc<OpenFiles>,
}

impl fmt::Debug for DirectoryParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryParts").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What an entry meant, for when the journal has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Batches up to here.
    Append {
        end: Offset,
    },
    /// An old batch once more; the last of several says up to where they reach.
    Again {
        end: Option<Offset>,
    },
    /// An entry of a partition that cannot be served, once more.
    BrokenAgain {
        is_last: bool,
    },
    LogStart {
        offset: Offset,
    },
    /// The partition may be used from here on.
    Opened {
        epoch: LeaderEpoch,
    },
    Create,
    Delete,
    /// A copy goes of what is in another directory.
    Forget,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Submitted {
    pub(super) seq: u64,
    pub(super) key: PartitionKey,
    pub(super) meaning: Meaning,
    /// Once it is written.
    pub(super) position: Position,
}

#[derive(Debug)]
pub(super) struct Directory {
    pub(super) parts: DirectoryParts,
    shard: usize,
    seq: u64,
    /// Not synced yet, by number; the first `written` of them are written.
    submitted: VecDeque<Submitted>,
    written: usize,
    /// What is on its way to the journal will end behind this.
    written_at: Position,
    /// A write to a segment is under way: one at a time paces them.
    pub(super) writing: bool,
    /// Free space, as it was measured last.
    pub(super) available_bytes: Option<u64>,
    /// Its free space is being measured.
    pub(super) measuring: bool,
    /// Syncs of segments begun so far.
    syncs: usize,
    /// Partitions that wait for a write.
    pub(super) to_write: VecDeque<PartitionKey>,
    /// The journal wants everything up to here out of it.
    pub(super) pressure: Option<Position>,
    /// Partitions that still have something there.
    pub(super) pressed: BTreeSet<PartitionKey>,
    /// What was told last as the oldest position needed.
    pub(super) released: Option<Option<Position>>,
    /// Deleted since the last checkpoint part.
    pub(super) removed: Vec<PartitionKey>,
    /// Why it is offline.
    pub(super) failed: Option<Arc<str>>,
    /// Set while the last write to a segment failed because the disk is full.
    pub(super) full: bool,
}

impl Directory {
    pub(super) fn new(parts: DirectoryParts, shard: usize) -> Self {
        Self {
            parts,
            shard,
            seq: 0,
            submitted: VecDeque::new(),
            written: 0,
            written_at: Position::default(),
            writing: false,
            syncs: 0,
            measuring: false,
            available_bytes: None,
            to_write: VecDeque::new(),
            pressure: None,
            pressed: BTreeSet::new(),
            released: None,
            removed: Vec::new(),
            failed: None,
            full: false,
        }
    }

    /// The number of the last entry submitted.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    pub(super) fn submit(&mut self, entry: Entry, meaning: Meaning) {
        self.seq += 1;
        let (seq, key) = (self.seq, entry.key);
        self.submitted.push_back(Submitted { seq, key, meaning, position: Position::default() });
        let awaited = !matches!(meaning, Meaning::Append { .. } | Meaning::Again { .. });
        (self.parts.committer)(ToCommitter::Submit(Submit { shard: self.shard, seq, entry, awaited }));
    }

    /// Takes a partition out of the journal that is in another directory.
    pub(super) fn forget(&mut self, key: PartitionKey) {
        self.submit(Entry { key, body: Body::Delete }, Meaning::Forget);
        self.removed.push(key);
    }

    /// The next entry up to number `up_to_seq` that is now written, at `position`.
    pub(super) fn next_written(&mut self, up_to_seq: u64, position: Position) -> Option<Submitted> {
        let next = self.submitted.get_mut(self.written).filter(|next| next.seq <= up_to_seq)?;
        next.position = position;
        self.written_at = self.written_at.max(position);
        self.written += 1;
        Some(*next)
    }

    /// The journal wants everything up to `free_up_to` out of it. It has told of all rounds before, so what is on its way
    /// does not count.
    pub(super) fn press(&mut self, free_up_to: Position) {
        self.pressure = Some(free_up_to);
        self.written_at = self.written_at.max(free_up_to);
    }

    /// The next entry up to number `up_to_seq` that is now synced.
    pub(super) fn next_synced(&mut self, up_to_seq: u64) -> Option<Submitted> {
        self.submitted.front().filter(|next| next.seq <= up_to_seq)?;
        self.written = self.written.saturating_sub(1);
        self.submitted.pop_front()
    }

    /// A position before all batches that are on their way to the journal, if there are any.
    pub(super) fn oldest_on_its_way(&self) -> Option<Position> {
        let waits =
            |entry: &&Submitted| matches!(entry.meaning, Meaning::Append { .. } | Meaning::Again { .. });
        let any = self.submitted.range(self.written..).find(waits).is_some();
        any.then(|| Position(self.written_at.0.saturating_add(1)))
    }

    /// Whether the journal has synced everything.
    pub(super) fn is_quiet(&self) -> bool {
        self.submitted.is_empty()
    }

    /// The lane for the next sync.
    pub(super) fn sync_lane(&mut self) -> Lane {
        self.syncs = self.syncs.wrapping_add(1);
        Lane::Syncs { turn: self.syncs }
    }

    /// Hands `work` to a lane; `done` gets its result on the lane's driver.
    pub(super) fn call<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce(&dyn Files, &OpenFiles) -> std::io::Result<T> + Send + 'static,
        done: impl FnOnce(std::io::Result<T>) + Send + 'static,
    ) {
        let lane = match lane {
            Lane::Writes => &self.parts.writes,
            Lane::Removals => &self.parts.removals,
            Lane::Syncs { turn } => {
                let lanes = &self.parts.syncs;
                lanes.get(turn % lanes.len().max(1)).unwrap_or(&self.parts.writes)
            }
        };
        call(lane, self.parts.open.clone(), work, done);
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Lane {
    Writes,
    Removals,
    /// One of several, in turn.
    Syncs {
        turn: usize,
    },
}

/// Hands `work` to a lane; `done` gets its result on the lane's driver.
pub(super) fn call<T: Send + 'static>(
    lane: &LaneRef,
    open: Arc<OpenFiles>,
    work: impl FnOnce(&dyn Files, &OpenFiles) -> std::io::Result<T> + Send + 'static,
    done: impl FnOnce(std::io::Result<T>) + Send + 'static,
) {
    let (send, receive) = std::sync::mpsc::channel();
    let op = Op::Call(Box::new(move |files| {
        // The other end lives until the completion has run.
        let _ = send.send(work(files, &open)?);
        Ok(bytes::Bytes::new())
    }));
    lane.submit(
        op,
        Box::new(move |result| {
            let lost = || std::io::Error::other("the lane has lost a result");
            done(result.and_then(|_| receive.try_recv().map_err(|_| lost())));
        }),
    );
}
