//! openraft's state machine: hands committed batches to the [`StateMachine`] and makes checkpoints of it.
//!
//! Invariants:
//! * The state lives in memory; after a restart it is the newest checkpoint plus the log behind it.
//! * A snapshot is asked for once enough was applied since the last one, so log and memory stay bounded.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_core::Stream;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use tokio::sync::watch;

use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::error::Error;
use crate::log::frame;
use crate::options::SnapshotAfter;
use crate::raft::{LogId, Payload, Snapshot, SnapshotMeta, StoredMembership, TypeConfig};
use crate::state::{Encode, StateMachine};

pub(crate) struct Machine {
    /// Never contended: openraft owns the machine, and only wants it shareable.
    state: Mutex<Box<dyn StateMachine>>,
    applied: Option<LogId>,
    membership: StoredMembership,
    checkpoints: Checkpoints,
    /// The checkpoint that was read at start, until openraft has asked for it.
    at_start: Option<Bytes>,
    since: Since,
    after: SnapshotAfter,
    wanted: Arc<watch::Sender<u64>>,
}

/// What was applied since the last snapshot.
#[derive(Clone, Copy, Debug, Default)]
struct Since {
    entries: u64,
    bytes: u64,
}

impl Machine {
    /// Brings `state` to the newest checkpoint of `dir`. Counts in `wanted` whenever a snapshot is due.
    pub(crate) fn open(
        mut state: Box<dyn StateMachine>,
        checkpoints: Checkpoints,
        newest: Option<Checkpoint>,
        after: SnapshotAfter,
        wanted: Arc<watch::Sender<u64>>,
    ) -> Result<Self, Error> {
        let (mut applied, mut membership, mut at_start) = (None, StoredMembership::default(), None);
        if let Some(Checkpoint { meta, state: bytes }) = newest {
            let bad = |reason| Error::BadSnapshot { file: checkpoints.path(&meta), reason };
            state.restore(&bytes).map_err(bad)?;
            applied = meta.last_log_id;
            membership = meta.last_membership;
            at_start = Some(bytes);
        }
        let (state, since) = (Mutex::new(state), Since::default());
        Ok(Self { state, applied, membership, checkpoints, at_start, since, after, wanted })
    }

    fn state(&mut self) -> &mut Box<dyn StateMachine> {
        self.state.get_mut().expect("the state machine does not panic")
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() }
    }

    fn count(&mut self, bytes: usize) {
        self.since.entries += 1;
        self.since.bytes += (bytes + frame::HEADER_BYTES) as u64;
        if self.since.entries >= self.after.entries || self.since.bytes >= self.after.bytes {
            self.since = Since::default();
            self.wanted.send_modify(|wanted| *wanted += 1);
        }
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        self.at_start = None;
        while let Some(next) = std::future::poll_fn(|cx| Pin::new(&mut entries).poll_next(cx)).await {
            let (entry, responder) = next?;
            let id = entry.log_id;
            let mut bytes = 0;
            match entry.payload {
                Payload::Blank => {}
                Payload::Normal(batch) => {
                    bytes = batch.0.len();
                    self.state().apply(id.index, id.leader_id.term, &batch.0);
                }
                Payload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(id), membership);
                }
            }
            self.applied = Some(id);
            self.count(bytes);
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let meta = self.meta();
        let encode = self.state().snapshot();
        self.since = Since::default();
        Builder { checkpoints: self.checkpoints.clone(), meta, encode: Mutex::new(Some(encode)) }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Bytes) -> io::Result<()> {
        self.state().restore(&snapshot).map_err(io::Error::other)?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.since = Since::default();
        self.checkpoints.write(meta.clone(), Box::new(move || snapshot)).await.map(drop)
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        match (&self.at_start, self.checkpoints.newest()) {
            (Some(snapshot), Some(meta)) => Ok(Some(Snapshot { meta, snapshot: snapshot.clone() })),
            _ => self.checkpoints.read_newest().await,
        }
    }
}

/// A frozen state on its way to a checkpoint.
pub(crate) struct Builder {
    checkpoints: Checkpoints,
    meta: SnapshotMeta,
    /// Shareable for openraft, which never shares it.
    encode: Mutex<Option<Encode>>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let encode = self.encode.get_mut().expect("nothing panics with this locked").take();
        let encode = encode.ok_or_else(|| io::Error::other("a snapshot is built once"))?;
        self.checkpoints.write(self.meta.clone(), encode).await
    }
}
