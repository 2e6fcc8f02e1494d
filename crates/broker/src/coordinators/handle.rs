//! [`Coordinators`]: the handle through which the rest of the broker asks coordinators of one kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use coordinator::Caller;
use protocol::ErrorCode;
use tokio::sync::{mpsc, oneshot, watch};

use super::kind::{Kind, Reply, Request};
use super::partition::Message;
use super::partition_of;
use crate::metadata_view::View;

/// The way to one coordinator.
pub(super) type Mailbox<K> = mpsc::UnboundedSender<Message<K>>;

/// The coordinators that run, by partition.
pub(super) type Mailboxes<K> = BTreeMap<i32, Mailbox<K>>;

/// Cheap handle to the coordinators of this broker.
#[derive(Debug)]
pub(crate) struct Coordinators<K: Kind> {
    pub(super) mailboxes: Arc<ArcSwap<Mailboxes<K>>>,
    /// The view of the metadata that the mailboxes fit.
    pub(super) followed: Arc<watch::Sender<u64>>,
}

impl<K: Kind> Clone for Coordinators<K> {
    fn clone(&self) -> Self {
        Self { mailboxes: self.mailboxes.clone(), followed: self.followed.clone() }
    }
}

impl<K: Kind> Default for Coordinators<K> {
    fn default() -> Self {
        Self { mailboxes: Arc::default(), followed: Arc::default() }
    }
}

impl<K: Kind> Coordinators<K> {
    /// Asks the coordinator of a group or a transactional id. A join is answered when the other members have come.
    pub(crate) async fn ask(
        &self,
        view: &View,
        id: &str,
        caller: Caller,
        request: Request<K>,
    ) -> Result<Reply<K>, ErrorCode> {
        let partition = partition_of(view, K::TOPIC, id).ok_or(ErrorCode::NotCoordinator)?;
        // Whoever has just been told that the coordinator is here finds it here.
        if *self.followed.borrow() < view.index {
            // The sender lives as long as self.
            let _ = self.followed.subscribe().wait_for(|index| *index >= view.index).await;
        }
        // Who waits must not keep the mailbox: a coordinator ends when nobody has it any more.
        let replied = match self.mailboxes.load().get(&partition) {
            Some(mailbox) => send(mailbox, caller, request),
            None => return Err(ErrorCode::NotCoordinator),
        };
        replied.await
    }

    /// Asks all of them.
    pub(crate) async fn ask_all(
        &self,
        caller: &Caller,
        request: &Request<K>,
    ) -> Vec<Result<Reply<K>, ErrorCode>>
    where
        Request<K>: Clone,
    {
        let send = |mailbox| send(mailbox, caller.clone(), request.clone());
        let asked: Vec<_> = self.mailboxes.load().values().map(send).collect();
        let mut replies = Vec::with_capacity(asked.len());
        for reply in asked {
            replies.push(reply.await);
        }
        replies
    }
}

/// Has sent its message when it returns its future.
fn send<K: Kind>(
    mailbox: &Mailbox<K>,
    caller: Caller,
    request: Request<K>,
) -> impl Future<Output = Result<Reply<K>, ErrorCode>> + Send + use<K> {
    let (reply, replied) = oneshot::channel();
    // A coordinator that has ended drops the sender of the reply.
    let _ = mailbox.send(Message { caller, request, reply });
    async move { replied.await.unwrap_or(Err(ErrorCode::NotCoordinator)) }
}
