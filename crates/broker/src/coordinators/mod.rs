//! The coordinators of this broker: one for each partition of a coordinator's topic that it leads.
//!
//! Owns: which of them run, and the way of a request to the one that it is for. What drives them is the same for every
//! [`Kind`].
//!
//! Invariants:
//! * A coordinator owns the state of its partition; nobody else writes to it.
//! * A coordinator begins with what is in the log, and ends when this broker leads the partition no longer.
//! * Mailboxes hold no more than what the server has admitted: its bound on request memory bounds them too.
//!
//! Does not know: what a group or a transaction is (`coordinator`).

mod batches;
mod changes;
mod delivery;
mod groups;
mod handle;
mod kind;
mod load;
mod partition;
mod searches;
mod serving;
mod supervisor;
mod topic;
mod transactions;

use coordinator::Caller;
use protocol::Str;

pub(crate) use changes::TopicsChanged;
pub(crate) use groups::Groups;
pub(crate) use handle::Coordinators;
pub(crate) use kind::Kind;
pub(crate) use searches::Searches;
pub(crate) use supervisor::Supervisor;
pub(crate) use topic::ensure;
pub(crate) use transactions::Transactions;

use crate::metadata_view::View;

/// The coordinators of groups.
pub(crate) type GroupCoordinators = Coordinators<Groups>;
/// The coordinators of transactions.
pub(crate) type TransactionCoordinators = Coordinators<Transactions>;

/// The partition of a coordinator's topic that keeps what has this id, once the topic is there.
pub(crate) fn partition_of(view: &View, topic: &str, id: &str) -> Option<i32> {
    let partitions = view.image.topic(topic)?.partitions().count();
    let partitions = i32::try_from(partitions).ok().filter(|count| *count > 0)?;
    (java_hash(id) & i32::MAX).checked_rem(partitions)
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
