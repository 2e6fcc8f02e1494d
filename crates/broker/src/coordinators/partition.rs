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

use super::kind::{Kind, Reply, Request};
use super::load::load;
use super::serving::{End, Serving};
use crate::metadata_view::MetadataView;
use crate::shard::Shards;
use crate::wait::within;

/// Between two attempts to load what could not be loaded.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);

/// What a coordinator is asked.
#[derive(Debug)]
pub(crate) struct Message<K: Kind> {
    pub(super) caller: Caller,
    pub(super) request: Request<K>,
    pub(super) reply: oneshot::Sender<Result<Reply<K>, ErrorCode>>,
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
                Some(Some(message)) => drop(message.reply.send(Err(ErrorCode::NotCoordinator))),
                Some(None) => return false,
                None => return true,
            }
        }
    }
}
