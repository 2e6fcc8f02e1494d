//! Producer ids: handed out from a block that the metadata log has given to this broker.
//!
//! Invariants:
//! * An id is never given twice: a block is committed before its first id is used, and what is left of it is
//!   thrown away when the broker stops.

use std::ops::Range;

use protocol::{ErrorCode, NodeId, ProducerId};
use tokio::sync::{mpsc, oneshot};

use crate::controller::Controller;

/// Requests waiting for an id.
const WAITING_MAX: usize = 1024;

/// Cheap handle to the task that holds the block.
#[derive(Clone, Debug)]
pub(crate) struct ProducerIds {
    waiting: mpsc::Sender<oneshot::Sender<Result<ProducerId, ErrorCode>>>,
}

/// The task behind [`ProducerIds`].
pub(crate) struct ProducerIdsTask {
    waiting: mpsc::Receiver<oneshot::Sender<Result<ProducerId, ErrorCode>>>,
    controller: Controller,
    node_id: NodeId,
    broker_epoch: i64,
    block: Range<i64>,
}

impl ProducerIds {
    pub(crate) fn new(controller: Controller, node_id: NodeId, broker_epoch: i64) -> (Self, ProducerIdsTask) {
        let (send, waiting) = mpsc::channel(WAITING_MAX);
        (Self { waiting: send }, ProducerIdsTask { waiting, controller, node_id, broker_epoch, block: 0..0 })
    }

    pub(crate) async fn next(&self) -> Result<ProducerId, ErrorCode> {
        let (reply, replied) = oneshot::channel();
        self.waiting.send(reply).await.map_err(|_| ErrorCode::CoordinatorNotAvailable)?;
        replied.await.map_err(|_| ErrorCode::CoordinatorNotAvailable)?
    }
}

impl ProducerIdsTask {
    /// Runs until every handle is gone.
    pub(crate) async fn run(mut self) {
        while let Some(reply) = self.waiting.recv().await {
            if reply.is_closed() {
                continue;
            }
            let id = self.take().await;
            // A client that has gone away does not need its id; it stays unused.
            let _ = reply.send(id);
        }
    }

    async fn take(&mut self) -> Result<ProducerId, ErrorCode> {
        if self.block.is_empty() {
            self.block = self.next_block().await?;
        }
        self.block.next().map(ProducerId).ok_or(ErrorCode::UnknownServerError)
    }

    async fn next_block(&self) -> Result<Range<i64>, ErrorCode> {
        let (node_id, broker_epoch) = (self.node_id, self.broker_epoch);
        self.controller
            .decide(move |image| {
                match metadata::controller::allocate_producer_ids(image, node_id, broker_epoch) {
                    Ok((records, block)) => (records, Ok(block)),
                    Err(refusal) => (Vec::new(), Err(refusal.code)),
                }
            })
            .await?
    }
}
