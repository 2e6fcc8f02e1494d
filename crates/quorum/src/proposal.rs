//! A batch on its way into the log.
//!
//! Invariants:
//! * Proposals enter the log in the order of the calls, whenever their futures are polled.
//! * What is in flight is bounded by [`IN_FLIGHT_BYTES_MAX`]; beyond it proposals are refused at once.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use openraft::errors::{ClientWriteError, ForwardToLeader};
use openraft::impls::OneshotResponder;
use openraft::raft::ClientWriteResult;
use tokio::sync::{mpsc, oneshot};

use crate::error::{Leader, ProposeError};
use crate::log::frame;
use crate::raft::TypeConfig;
use crate::status::Term;

/// Largest batch.
pub const BATCH_BYTES_MAX: usize = frame::PAYLOAD_BYTES_MAX;

/// Most that may be proposed and not yet committed. Every proposal counts as at least [`PROPOSAL_BYTES_MIN`].
pub const IN_FLIGHT_BYTES_MAX: usize = 64 << 20;

/// What a proposal costs beside its bytes.
pub const PROPOSAL_BYTES_MIN: usize = 512;

/// Where a batch stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    pub index: u64,
    pub term: Term,
}

type Answer = ClientWriteResult<TypeConfig>;

/// A proposal waiting to enter the log.
pub(crate) struct Queued {
    pub(crate) batch: Bytes,
    /// Only in this term, if one is given.
    pub(crate) term: Option<Term>,
    pub(crate) responder: OneshotResponder<TypeConfig, Answer>,
}

/// Takes proposals from everybody and keeps count of them.
#[derive(Clone)]
pub(crate) struct Intake {
    queue: mpsc::UnboundedSender<Queued>,
    in_flight: Arc<AtomicUsize>,
    stopped: Arc<dyn Fn() -> ProposeError + Send + Sync>,
}

impl Intake {
    /// `stopped` tells why there is no answer when the log has ended.
    pub(crate) fn new(
        stopped: impl Fn() -> ProposeError + Send + Sync + 'static,
    ) -> (Self, mpsc::UnboundedReceiver<Queued>) {
        let (queue, receiver) = mpsc::unbounded_channel();
        (Self { queue, in_flight: Arc::default(), stopped: Arc::new(stopped) }, receiver)
    }

    pub(crate) fn propose(&self, batch: Bytes, term: Option<Term>) -> Proposal {
        match self.enqueue(batch, term) {
            Ok(waiting) => Proposal(State::Waiting(waiting)),
            Err(error) => Proposal(State::Refused(Some(error))),
        }
    }

    fn enqueue(&self, batch: Bytes, term: Option<Term>) -> Result<Waiting, ProposeError> {
        let bytes = batch.len();
        if bytes > BATCH_BYTES_MAX {
            return Err(ProposeError::TooLarge { bytes, bytes_max: BATCH_BYTES_MAX });
        }
        let cost = bytes.max(PROPOSAL_BYTES_MIN);
        let before = self.in_flight.fetch_add(cost, Ordering::Relaxed);
        let counted = Counted { in_flight: Arc::clone(&self.in_flight), cost };
        if before + cost > IN_FLIGHT_BYTES_MAX {
            return Err(ProposeError::Overloaded { in_flight_bytes: before });
        }
        let (responder, answer) = OneshotResponder::new_pair();
        self.queue.send(Queued { batch, term, responder }).map_err(|_| (self.stopped)())?;
        Ok(Waiting { answer, stopped: Arc::clone(&self.stopped), _counted: counted })
    }
}

/// Gives the bytes of a proposal back when it is answered or forgotten.
struct Counted {
    in_flight: Arc<AtomicUsize>,
    cost: usize,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(self.cost, Ordering::Relaxed);
    }
}

struct Waiting {
    answer: oneshot::Receiver<Answer>,
    stopped: Arc<dyn Fn() -> ProposeError + Send + Sync>,
    _counted: Counted,
}

enum State {
    Waiting(Waiting),
    Refused(Option<ProposeError>),
}

/// Resolves when the batch is committed, synced and applied on this node. Dropping it does not take the batch back.
#[must_use = "without it nobody knows whether the batch was committed"]
pub struct Proposal(State);

impl std::fmt::Debug for Proposal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proposal")
    }
}

impl Future for Proposal {
    type Output = Result<Committed, ProposeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Refused(error) => {
                let error = error.take().unwrap_or(ProposeError::Stopped);
                Poll::Ready(Err(error))
            }
            State::Waiting(waiting) => {
                let answer = ready!(Pin::new(&mut waiting.answer).poll(cx));
                Poll::Ready(match answer {
                    Ok(answer) => result(answer),
                    Err(_) => Err((waiting.stopped)()),
                })
            }
        }
    }
}

fn result(answer: Answer) -> Result<Committed, ProposeError> {
    match answer {
        Ok(written) => Ok(Committed { index: written.log_id.index, term: written.log_id.leader_id.term }),
        Err(ClientWriteError::ForwardToLeader(to)) => Err(ProposeError::NotLeader { leader: known(to) }),
        Err(ClientWriteError::LogEntryDiscarded(to)) => {
            Err(ProposeError::OutcomeUnknown { leader: known(to) })
        }
        // These concern membership changes and preconditions, which no batch has.
        Err(ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_)) => {
            Err(ProposeError::NotLeader { leader: None })
        }
    }
}

fn known(to: ForwardToLeader<TypeConfig>) -> Option<Leader> {
    let raft_id = to.leader_id?;
    let node = to.leader_node;
    Some(Leader {
        raft_id,
        node_id: node.as_ref().map(|member| member.node_id),
        directory_id: node.map(|member| member.directory_id),
    })
}
