//! [`MetadataLog`]: opening, proposing, watching, stopping.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use host::{Host, Place};
use openraft::async_runtime::WatchReceiver;
use openraft::errors::Fatal;
use openraft::{Config, Raft, SnapshotPolicy};
use tokio::sync::{mpsc, watch};

use crate::checkpoint::Checkpoints;
use crate::directory::Directory;
use crate::error::{Error, ProposeError};
use crate::log::{self, LogStore};
use crate::machine::Machine;
use crate::network::Network;
use crate::options::{Bootstrap, Identity, Options};
use crate::proposal::{Intake, Proposal, Queued};
use crate::raft::{Batch, Member, TypeConfig};
use crate::state::StateMachine;
use crate::status::{self, Metrics, Status, Term};

/// A leader is given up after [`ELECTION_MS_MAX`] without a sign of it; ticks come at a fifth of this.
const HEARTBEAT_MS: u64 = 150;
const ELECTION_MS_MIN: u64 = 600;
const ELECTION_MS_MAX: u64 = 1200;

/// Entries that stay in the log behind a snapshot, for members that are a little late.
const ENTRIES_KEPT: u64 = 1000;

/// Purging removes whole files, so there is no hurry to do it for a few entries.
const PURGE_ENTRIES_MIN: u64 = 1000;

type Node = Raft<TypeConfig, Machine>;

/// The cluster's log of metadata, on this node. Cheap to clone.
#[derive(Clone)]
pub struct MetadataLog {
    inner: Arc<Inner>,
}

struct Inner {
    raft: Node,
    store: LogStore,
    dir: PathBuf,
    identity: Identity,
    intake: Intake,
    leadership: watch::Receiver<Option<Term>>,
}

impl std::fmt::Debug for MetadataLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetadataLog").field("identity", &self.inner.identity).finish_non_exhaustive()
    }
}

impl MetadataLog {
    /// Opens the metadata log of data directory `dir`, or makes a new one, and brings `state` up to date. The only
    /// voter of a cluster leads when this returns. Call it from a task of `host`; it blocks on the disk.
    ///
    /// # Errors
    /// When the directory belongs to somebody else, is in use, damaged or fails. Nothing is repaired but the torn
    /// end of a log.
    pub async fn open(
        host: &Host,
        dir: &Path,
        options: Options,
        state: impl StateMachine,
    ) -> Result<Self, Error> {
        open(host, dir, options, Box::new(state)).await
    }

    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// Appends `batch` to the log if this node leads, in whatever term.
    pub fn propose(&self, batch: Bytes) -> Proposal {
        self.inner.intake.propose(batch, None)
    }

    /// Appends `batch` if this node still leads in `term`: for decisions that were made on that term's state.
    pub fn propose_in(&self, term: Term, batch: Bytes) -> Proposal {
        self.inner.intake.propose(batch, Some(term))
    }

    /// The term in which this node leads and has applied everything before it; `None` while it does not.
    pub fn leadership(&self) -> watch::Receiver<Option<Term>> {
        self.inner.leadership.clone()
    }

    /// Resolves when this node has applied entry `index`, also as a follower.
    ///
    /// # Errors
    /// When the log ends before.
    pub async fn applied(&self, index: u64) -> Result<(), ProposeError> {
        let mut metrics = self.inner.raft.metrics();
        loop {
            let (applied, running) = {
                let metrics = metrics.borrow_and_update();
                (metrics.last_applied.map(|id| id.index), metrics.running_state.clone())
            };
            if applied >= Some(index) {
                return Ok(());
            }
            let ended = match running {
                Err(fatal) => Some(fatal),
                Ok(()) => metrics.changed().await.is_err().then_some(Fatal::Stopped),
            };
            if let Some(fatal) = ended {
                return Err(stop_reason(&self.inner.store, &fatal));
            }
        }
    }

    /// The quorum as it was a moment ago: a batch may be committed before it shows here.
    pub fn status(&self) -> Status {
        status::status(&self.inner.raft.metrics().borrow_watched())
    }

    /// Asks for a snapshot now; it is written in the background.
    ///
    /// # Errors
    /// When the log has stopped.
    pub async fn snapshot(&self) -> Result<(), ProposeError> {
        let Inner { raft, store, .. } = &*self.inner;
        raft.trigger().snapshot().await.map_err(|fatal| stop_reason(store, &fatal))
    }

    /// Resolves when the log has ended: by [`Self::shutdown`], or for the reason it returns.
    pub async fn ended(&self) -> ProposeError {
        let mut metrics = self.inner.raft.metrics();
        loop {
            let running = metrics.borrow_and_update().running_state.clone();
            if let Err(fatal) = running {
                return stop_reason(&self.inner.store, &fatal);
            }
            if metrics.changed().await.is_err() {
                return stop_reason(&self.inner.store, &Fatal::Stopped);
            }
        }
    }

    /// Resolves while the disk is full and a change waits for room, with what to tell people. A start that needs the change
    /// gives up.
    pub async fn without_room(&self) -> Error {
        let Inner { store, dir, .. } = &*self.inner;
        Error::Full { dir: dir.clone(), reason: store.without_room().await }
    }

    /// Stops taking part and writes down how far the log is. What is in flight is answered "stopped".
    pub async fn shutdown(&self) {
        let Inner { raft, store, .. } = &*self.inner;
        store.give_up();
        if let Err(error) = raft.shutdown().await {
            tracing::warn!(%error, "the metadata quorum did not stop cleanly");
        }
        store.stop().await;
    }
}

fn stop_reason(store: &LogStore, fatal: &Fatal<TypeConfig>) -> ProposeError {
    match (store.failure(), fatal) {
        (Some(reason), _) => ProposeError::StorageFailed { reason },
        (None, Fatal::StorageError(error)) => ProposeError::StorageFailed { reason: error.to_string() },
        (None, Fatal::Panicked | Fatal::Stopped) => ProposeError::Stopped,
    }
}

async fn open(
    host: &Host,
    dir: &Path,
    options: Options,
    state: Box<dyn StateMachine>,
) -> Result<MetadataLog, Error> {
    let directory = Directory::open(host, dir, &options)?;
    let (checkpoints, newest) = Checkpoints::open(host, &directory.log_dir())?;
    directory.log.check_checkpoint(newest.as_ref().and_then(|newest| newest.meta.last_log_id))?;
    let (wanted, snapshot_wanted) = watch::channel(0);
    let machine = Machine::open(state, checkpoints, newest, options.snapshot_after, Arc::new(wanted))?;
    let Directory { lock, identity, log } = directory;
    let store = log::start(host, log, lock);
    let (mut open, mut full) = (
        pin!(lead(host, &store, identity, options, machine, snapshot_wanted, dir)),
        pin!(store.without_room()),
    );
    let outcome = std::future::poll_fn(|cx| match open.as_mut().poll(cx) {
        Poll::Ready(opened) => Poll::Ready(opened),
        Poll::Pending => {
            full.as_mut().poll(cx).map(|reason| Err(Error::Full { dir: dir.to_owned(), reason }))
        }
    });
    outcome.await.inspect_err(|_| store.give_up())
}

/// Starts openraft on what was opened, and leads if there is nobody else.
async fn lead(
    host: &Host,
    store: &LogStore,
    identity: Identity,
    options: Options,
    machine: Machine,
    snapshot_wanted: watch::Receiver<u64>,
    dir: &Path,
) -> Result<MetadataLog, Error> {
    let config = config(&identity.cluster_id).map_err(start_error)?;
    let raft = Node::new(identity.raft_id, config, Network, store.clone(), machine).await;
    let raft = raft.map_err(start_error)?;
    let leads = start(&raft, store, &identity, &options).await?;
    let leadership = spawn_tasks(host, &raft, snapshot_wanted);
    let (intake, queue) = {
        let (raft, store) = (raft.clone(), store.clone());
        Intake::new(move || {
            let running = raft.metrics().borrow_watched().running_state.clone();
            stop_reason(&store, &running.err().unwrap_or(Fatal::Stopped))
        })
    };
    host.spawn(Place::Control, "metadata-proposals", forward(raft.clone(), queue));
    let (store, dir) = (store.clone(), dir.to_owned());
    let inner = Inner { raft, store, dir, identity, intake, leadership };
    let log = MetadataLog { inner: Arc::new(inner) };
    if leads {
        log.wait_to_lead().await?;
    }
    Ok(log)
}

fn start_error(error: impl std::fmt::Display) -> Error {
    Error::Start { reason: error.to_string() }
}

fn config(cluster_id: &str) -> Result<Arc<Config>, openraft::ConfigError> {
    let config = Config {
        cluster_name: cluster_id.to_owned(),
        heartbeat_interval: HEARTBEAT_MS,
        election_timeout_min: ELECTION_MS_MIN,
        election_timeout_max: ELECTION_MS_MAX,
        // The machine asks for snapshots, by bytes too.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: ENTRIES_KEPT,
        purge_batch_size: PURGE_ENTRIES_MIN,
        enable_pre_vote: Some(true),
        // A leader that comes back has forgotten its unsynced entries and may not go on in the same term.
        enable_leader_restore: Some(false),
        ..Config::default()
    };
    config.validate().map(Arc::new)
}

/// Founds the cluster on a new directory, and has a lone voter elect itself instead of waiting for a timeout.
/// Returns whether this node is about to lead.
async fn start(raft: &Node, store: &LogStore, identity: &Identity, options: &Options) -> Result<bool, Error> {
    if store.is_pristine() {
        if options.bootstrap == Bootstrap::Join {
            return Ok(false);
        }
        let member = Member {
            node_id: identity.node_id,
            directory_id: identity.directory_id,
            endpoints: options.endpoints.clone(),
        };
        let members = BTreeMap::from([(identity.raft_id, member)]);
        raft.initialize(members).await.map_err(start_error)?;
        return Ok(true);
    }
    let own = identity.raft_id;
    let is_alone = move |state: &openraft::RaftState<TypeConfig>| {
        state.membership_state.effective().voter_ids().eq([own])
    };
    let alone = raft.with_raft_state(is_alone).await.map_err(start_error)?;
    if alone {
        raft.trigger().elect(false).await.map_err(start_error)?;
    }
    Ok(alone)
}

impl MetadataLog {
    async fn wait_to_lead(&self) -> Result<(), Error> {
        let mut leadership = self.inner.leadership.clone();
        let leads = leadership.wait_for(Option::is_some).await.is_ok();
        if leads { Ok(()) } else { Err(start_error(self.ended().await)) }
    }
}

/// Whether this node has nobody to send a sign of life to, nor to wait for one from: then time does not matter.
fn is_alone(metrics: &Metrics) -> bool {
    metrics.state.is_leader() && metrics.membership_config.nodes().count() == 1
}

/// Starts the tasks that watch openraft: who leads, and when a snapshot is due.
fn spawn_tasks(
    host: &Host,
    raft: &Node,
    mut snapshot_wanted: watch::Receiver<u64>,
) -> watch::Receiver<Option<Term>> {
    let mut metrics = raft.metrics();
    let (sender, leadership) = watch::channel(status::leadership(&metrics.borrow_watched()));
    let watched = raft.clone();
    let watching = async move {
        loop {
            let (now, alone) = {
                let metrics = metrics.borrow_and_update();
                (status::leadership(&metrics), is_alone(&metrics))
            };
            sender.send_if_modified(|term| std::mem::replace(term, now) != now);
            watched.runtime_config().tick(!alone);
            if metrics.changed().await.is_err() {
                sender.send_replace(None);
                return;
            }
        }
    };
    host.spawn(Place::Control, "metadata-leadership", watching);
    let raft = raft.clone();
    let snapshots = async move {
        while snapshot_wanted.changed().await.is_ok() {
            if raft.trigger().snapshot().await.is_err() {
                return;
            }
        }
    };
    host.spawn(Place::Control, "metadata-snapshots", snapshots);
    leadership
}

/// Hands proposals to openraft in the order they were made.
async fn forward(raft: Node, mut queue: mpsc::UnboundedReceiver<Queued>) {
    while let Some(Queued { batch, term, responder }) = queue.recv().await {
        let mut write = raft.write(Batch(batch)).responder(responder);
        if let Some(term) = term {
            write = write.with_leader(term);
        }
        // A failure has dropped the responder, and so told the proposer.
        if write.await.is_err() {
            return;
        }
    }
}
