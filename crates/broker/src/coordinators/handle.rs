//! [`Coordinators`]: the handle through which the rest of the broker asks coordinators of one kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use coordinator::Caller;
use protocol::ErrorCode;
use tokio::sync::{mpsc, oneshot, watch};

use super::kind::{Kind, Reply, Request};
use super::partition::{Mark, Message};
use super::partition_of;
use crate::metadata_view::View;
use crate::shard::Verified;
use crate::transactions::Marker;

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
        self.send(view, id, Message::ask(caller, request)).await
    }

    /// As [`Self::ask`], for a request that writes to a transaction, of which that one's coordinator knows.
    pub(crate) async fn ask_verified(
        &self,
        view: &View,
        id: &str,
        caller: Caller,
        request: Request<K>,
        verified: Verified,
    ) -> Result<Reply<K>, ErrorCode> {
        let (message, replied) = Message::ask(caller, request);
        self.send(view, id, (message.verified(verified), replied)).await
    }

    async fn send(
        &self,
        view: &View,
        id: &str,
        (message, replied): (Message<K>, Replied<K>),
    ) -> Result<Reply<K>, ErrorCode> {
        let partition = partition_of(view, K::TOPIC, id).ok_or(ErrorCode::NotCoordinator)?;
        // Whoever has just been told that the coordinator is here finds it here.
        if *self.followed.borrow() < view.index {
            // The sender lives as long as self.
            let _ = self.followed.subscribe().wait_for(|index| *index >= view.index).await;
        }
        // Who waits must not keep the mailbox: a coordinator ends when nobody has it any more.
        match self.mailboxes.load().get(&partition) {
            // A coordinator that has ended drops the sender of the reply.
            Some(mailbox) => drop(mailbox.send(message)),
            None => return Err(ErrorCode::NotCoordinator),
        }
        replied.await.unwrap_or(Err(ErrorCode::NotCoordinator))
    }

    /// Has the coordinator of a partition write the end of a transaction. It has got it when this returns its future.
    pub(crate) fn mark(
        &self,
        partition: i32,
        marker: Marker,
    ) -> impl Future<Output = ErrorCode> + Send + use<K> {
        let (reply, replied) = oneshot::channel();
        if let Some(mailbox) = self.mailboxes.load().get(&partition) {
            // A coordinator that has ended drops the sender of the reply.
            let _ = mailbox.send(Message::Mark(Mark { marker, reply }));
        }
        async move { replied.await.unwrap_or(ErrorCode::NotCoordinator) }
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
        let send = |mailbox: &Mailbox<K>| {
            let (message, replied) = Message::ask(caller.clone(), request.clone());
            // A coordinator that has ended drops the sender of the reply.
            let _ = mailbox.send(message);
            replied
        };
        let asked: Vec<Replied<K>> = self.mailboxes.load().values().map(send).collect();
        let mut replies = Vec::with_capacity(asked.len());
        for reply in asked {
            replies.push(reply.await.unwrap_or(Err(ErrorCode::NotCoordinator)));
        }
        replies
    }
}

type Replied<K> = oneshot::Receiver<Result<Reply<K>, ErrorCode>>;
