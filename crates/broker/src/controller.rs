//! The controller as a task: takes decisions one after the other, each on the image that includes the one before,
//! and answers when the decision is committed, applied and published to this broker's request handlers.
//!
//! Invariants:
//! * A decision is a pure function of the image (`metadata::controller`); this task only carries it out.
//! * Decisions do not overlap: the next is taken when the records of the one before are applied, or have failed.
//! * What is answered as done is visible to every later request on this broker.

use std::sync::Arc;

use arc_swap::ArcSwap;
use metadata::Image;
use metadata::record::Record;
use protocol::ErrorCode;
use quorum::{MetadataLog, ProposeError, Term};
use tokio::sync::{mpsc, oneshot, watch};

use crate::metadata_view::MetadataView;

/// Decisions waiting for their turn; whoever comes later waits to hand one in.
const WAITING_MAX: usize = 1024;

/// A decision's records; it keeps its reply to itself until they are committed.
type Decide = Box<dyn FnOnce(&Image) -> Vec<Record> + Send>;

struct Decision {
    decide: Decide,
    done: oneshot::Sender<Result<(), ErrorCode>>,
}

/// Cheap handle to the controller task.
#[derive(Clone, Debug)]
pub(crate) struct Controller {
    waiting: mpsc::Sender<Decision>,
}

/// The task behind [`Controller`].
pub(crate) struct ControllerTask {
    waiting: mpsc::Receiver<Decision>,
    applied: Arc<ArcSwap<Image>>,
    log: MetadataLog,
    leadership: watch::Receiver<Option<Term>>,
    view: Arc<MetadataView>,
}

impl Controller {
    /// `applied` is the image of everything applied so far, published or not.
    pub(crate) fn new(
        applied: Arc<ArcSwap<Image>>,
        log: MetadataLog,
        view: Arc<MetadataView>,
    ) -> (Self, ControllerTask) {
        let (send, waiting) = mpsc::channel(WAITING_MAX);
        let leadership = log.leadership();
        (Self { waiting: send }, ControllerTask { waiting, applied, log, leadership, view })
    }

    /// Takes a decision, commits its records and returns its reply. An error means that nothing is known to have happened.
    pub(crate) async fn decide<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&Image) -> (Vec<Record>, T) + Send + 'static,
    ) -> Result<T, ErrorCode> {
        let (reply, replied) = oneshot::channel();
        let decide: Decide = Box::new(move |image| {
            let (records, value) = decide(image);
            // Whoever asked may be gone; what was decided holds all the same.
            let _ = reply.send(value);
            records
        });
        let (done, is_done) = oneshot::channel();
        let stopped = |_| ErrorCode::BrokerNotAvailable;
        self.waiting.send(Decision { decide, done }).await.map_err(|_| ErrorCode::BrokerNotAvailable)?;
        is_done.await.map_err(stopped)??;
        replied.await.map_err(stopped)
    }
}

impl ControllerTask {
    /// Runs until every handle is gone.
    pub(crate) async fn run(mut self) {
        while let Some(Decision { decide, done }) = self.waiting.recv().await {
            if done.is_closed() {
                // Nobody waits for it any more: after a long stall the past is not made up for.
                continue;
            }
            let leading = *self.leadership.borrow();
            let outcome = match leading {
                Some(term) => {
                    let records = decide(&self.applied.load());
                    self.carry_out(term, &records).await
                }
                None => Err(ErrorCode::NotController),
            };
            // Whoever asked may be gone.
            let _ = done.send(outcome);
        }
    }

    async fn carry_out(&self, term: Term, records: &[Record]) -> Result<(), ErrorCode> {
        if records.is_empty() {
            return Ok(());
        }
        let batch = metadata::record::encode_batch(records);
        match self.log.propose_in(term, batch).await {
            Ok(committed) => {
                self.view.published(committed.index).await;
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, records = records.len(), "a change of metadata was not committed");
                Err(match error {
                    ProposeError::NotLeader { .. } => ErrorCode::NotController,
                    _ => ErrorCode::UnknownServerError,
                })
            }
        }
    }
}
