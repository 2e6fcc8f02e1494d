//! The group coordinators of this broker: one for each partition of `__consumer_offsets` that it leads.
//!
//! Owns: which of them run, and the way of a request to the one whose group it names.
//!
//! Invariants:
//! * A coordinator owns the state of its partition; nobody else writes to it.
//! * A coordinator begins with what is in the log, and ends when this broker leads the partition no longer.
//! * Mailboxes hold no more than what the server has admitted: its bound on request memory bounds them too.
//!
//! Does not know: what a group is (`coordinator`).

mod load;
mod partition;
mod supervisor;
mod topic;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use coordinator::{Caller, Reply, Request};
use protocol::{ErrorCode, Str};
use tokio::sync::{mpsc, oneshot, watch};

use partition::Message;
pub(crate) use supervisor::Supervisor;
pub(crate) use topic::ensure;

use crate::metadata_view::View;

/// Kafka's topic of group memberships and committed offsets.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The coordinators that run, by partition.
type Mailboxes = BTreeMap<i32, mpsc::UnboundedSender<Message>>;

/// Cheap handle to the coordinators of this broker.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupCoordinators {
    mailboxes: Arc<ArcSwap<Mailboxes>>,
    /// The view of the metadata that the mailboxes fit.
    followed: Arc<watch::Sender<u64>>,
}

impl GroupCoordinators {
    /// Asks the coordinator of a group. A join is answered when the other members have come.
    pub(crate) async fn ask(
        &self,
        view: &View,
        group_id: &str,
        caller: Caller,
        request: Request,
    ) -> Result<Reply, ErrorCode> {
        let partition = partition_of(view, group_id).ok_or(ErrorCode::NotCoordinator)?;
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
    pub(crate) async fn ask_all(&self, caller: &Caller, request: &Request) -> Vec<Result<Reply, ErrorCode>> {
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
fn send(
    mailbox: &mpsc::UnboundedSender<Message>,
    caller: Caller,
    request: Request,
) -> impl Future<Output = Result<Reply, ErrorCode>> + Send + use<> {
    let (reply, replied) = oneshot::channel();
    // A coordinator that has ended drops the sender of the reply.
    let _ = mailbox.send(Message { caller, request, reply });
    async move { replied.await.unwrap_or(Err(ErrorCode::NotCoordinator)) }
}

/// The partition that keeps a group, once the topic is there.
pub(crate) fn partition_of(view: &View, group_id: &str) -> Option<i32> {
    let partitions = view.image.topic(OFFSETS_TOPIC)?.partitions().count();
    let partitions = i32::try_from(partitions).ok().filter(|count| *count > 0)?;
    (java_hash(group_id) & i32::MAX).checked_rem(partitions)
}

/// Java's `String.hashCode`: what every client and tool counts by.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// Kafka's name of who asks.
pub(crate) fn caller(call: &crate::api::Call) -> Caller {
    Caller {
        version: call.version,
        client_id: call.client_id.as_ref().map_or(Str::EMPTY, Str::detached),
        client_host: Str::from(format!("/{}", call.client.peer.ip())),
    }
}

#[cfg(test)]
mod tests {
    use super::java_hash;

    #[test]
    fn groups_hash_as_in_java() {
        for (group, hash) in [
            ("", 0),
            ("a", 97),
            ("console-consumer-12345", 158_455_506),
            ("größe", 98_762_257),
            ("perf-consumer-😀", -410_741_322),
        ] {
            assert_eq!(java_hash(group), hash, "{group}");
        }
    }
}
