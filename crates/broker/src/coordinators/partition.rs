//! [`PartitionTask`]: one coordinator, from its start to its end. It loads its partition and serves until it cannot.
//!
//! Invariant: when an append fails, the state is no longer what the log says: whoever waits is refused, and it is loaded
//! again.

use std::sync::Arc;
use std::time::Duration;

use coordinator::Caller;
use host::{Host, LaneRef};
use protocol::ErrorCode;
use storage::PartitionKey;
use tokio::sync::{mpsc, oneshot};

use super::kind::{Kind, Led, Reply, Request};
use super::load::load;
use super::serving::{End, Serving};
use crate::metadata_view::MetadataView;
use crate::shard::{Shards, Verified};
use crate::transactions::Marker;
use crate::wait::within;

/// Between two attempts to load what could not be loaded.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);

/// What comes to a coordinator.
#[derive(Debug)]
pub(crate) enum Message<K: Kind> {
    Ask(Ask<K>),
    Mark(Mark),
}

/// What a coordinator is asked.
#[derive(Debug)]
pub(crate) struct Ask<K: Kind> {
    pub(super) caller: Caller,
    pub(super) request: Request<K>,
    /// Whether the coordinator of its transaction knows of what it may write.
    pub(super) verified: Verified,
    pub(super) reply: oneshot::Sender<Result<Reply<K>, ErrorCode>>,
}

/// The end of a transaction that has written to the partition: the coordinator writes it, for it goes by it, too.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(super) marker: Marker,
    pub(super) reply: oneshot::Sender<ErrorCode>,
}

impl<K: Kind> Message<K> {
    /// The question, and where its answer comes.
    pub(super) fn ask(
        caller: Caller,
        request: Request<K>,
    ) -> (Self, oneshot::Receiver<Result<Reply<K>, ErrorCode>>) {
        let (reply, replied) = oneshot::channel();
        (Self::Ask(Ask { caller, request, verified: Verified::Trusted, reply }), replied)
    }

    /// For a request that writes to a transaction.
    pub(super) fn verified(self, verified: Verified) -> Self {
        match self {
            Self::Ask(ask) => Self::Ask(Ask { verified, ..ask }),
            Self::Mark(mark) => Self::Mark(mark),
        }
    }

    fn refuse(self, code: ErrorCode) {
        // The asker may be gone.
        match self {
            Self::Ask(ask) => drop(ask.reply.send(Err(code))),
            Self::Mark(mark) => drop(mark.reply.send(code)),
        }
    }
}

/// The task.
pub(super) struct PartitionTask<K: Kind> {
    pub(super) kind: K,
    pub(super) host: Host,
    pub(super) shards: Shards,
    pub(super) view: Arc<MetadataView>,
    /// Reads what is in files when the partition is loaded.
    pub(super) lane: LaneRef,
    pub(super) key: PartitionKey,
    pub(super) led: Led<K>,
    /// Ends when this broker no longer leads the partition.
    pub(super) inbox: mpsc::UnboundedReceiver<Message<K>>,
}

impl<K: Kind> PartitionTask<K> {
    pub(super) async fn run(mut self) {
        while let Some(coordinator) = self.loaded().await {
            let mut serving = Serving::new(&mut self, coordinator);
            let end = serving.run().await;
            let code = match end {
                End::Left => ErrorCode::NotCoordinator,
                End::Failed(code) => code,
            };
            serving.refuse_all(code);
            if matches!(end, End::Left) {
                return;
            }
        }
    }

    /// The state as the log has it; `None` when nobody asks any more.
    async fn loaded(&mut self) -> Option<K::Coordinator> {
        loop {
            let began = self.host.now();
            let view = self.view.view();
            let mut coordinator = self.kind.coordinator(&view);
            let buffer = K::load_buffer_bytes(&view);
            match load(&self.shards, &self.lane, self.key, buffer, &mut coordinator).await {
                Ok(loaded) => {
                    if loaded.records > 0 {
                        let elapsed_ms = self.host.now().since(began).as_millis();
                        tracing::info!(
                            partition = self.key.partition,
                            records = loaded.records,
                            bytes = loaded.bytes,
                            elapsed_ms = u64::try_from(elapsed_ms).unwrap_or(u64::MAX),
                            "loaded {}",
                            K::CONTENT
                        );
                    }
                    return Some(coordinator);
                }
                Err(refusal) => {
                    let partition = self.key.partition;
                    tracing::warn!(partition, code = refusal.code.name(), "could not load {}", K::CONTENT);
                    if !self.refuse_for_a_while().await {
                        return None;
                    }
                }
            }
        }
    }

    /// Clients look for the coordinator again. False when nobody can ask any more.
    async fn refuse_for_a_while(&mut self) -> bool {
        let end = self.host.now().after(RELOAD_PAUSE);
        loop {
            match within(self.inbox.recv(), self.host.clock.sleep_until(end)).await {
                Some(Some(message)) => message.refuse(ErrorCode::NotCoordinator),
                Some(None) => return false,
                None => return true,
            }
        }
    }
}
