//! Who leads a partition when brokers come and go.
//!
//! Invariants:
//! - only an active replica that is in sync is elected: it holds everything acknowledged;
//! - the in-sync set never becomes empty: the last member stays, and waits for its broker;
//! - a broker that starts anew leads under a new epoch or not at all, whatever else is true.

use protocol::NodeId;

use crate::Image;
use crate::record::{Partition, PartitionChange, Record};

/// What happens to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It is fenced, shuts down or loses a directory.
    Leaves,
    /// It may lead and be in sync again.
    Returns,
    /// A new process of it registers; `active` if it may lead at once.
    Restarts { active: bool },
}

/// What changes of `partition` when that happens to `node`; `None` for nothing.
pub(super) fn change(
    partition: &Partition,
    node: NodeId,
    event: Event,
    is_active: impl Fn(NodeId) -> bool,
) -> Option<PartitionChange> {
    let active = |replica: NodeId| match event {
        _ if replica != node => is_active(replica),
        Event::Leaves => false,
        Event::Returns => true,
        Event::Restarts { active } => active,
    };
    let mut change = PartitionChange::default();
    let others: Vec<NodeId> = partition.isr.iter().copied().filter(|replica| *replica != node).collect();
    // What a killed process had not written is gone, so it has to catch up before it counts.
    let drops_out = event != Event::Returns && others.len() < partition.isr.len() && !others.is_empty();
    let isr = if drops_out { &others } else { &partition.isr };
    if drops_out {
        change.isr = Some(others.clone());
    }
    if partition.leader == node || partition.leader.is_none() {
        let elected = elect(&partition.replicas, isr, active);
        let restarted = partition.leader == node && matches!(event, Event::Restarts { .. });
        if elected != partition.leader || restarted {
            change.leader = Some(elected);
        }
    }
    (!change.is_empty()).then_some(change)
}

/// The first replica in the order of preference that is in sync and active.
fn elect(replicas: &[NodeId], isr: &[NodeId], active: impl Fn(NodeId) -> bool) -> NodeId {
    let electable = |replica: &&NodeId| isr.contains(*replica) && active(**replica);
    replicas.iter().find(electable).copied().unwrap_or(NodeId::NONE)
}

/// The changes of all partitions with a replica on `node`, or of those that `concerned` picks.
pub(super) fn changes(
    image: &Image,
    node: NodeId,
    event: Event,
    concerned: impl Fn(&Partition) -> bool,
) -> Vec<Record> {
    let at = |(topic_id, partition)| {
        let state = image.partition(topic_id, partition).filter(|state| concerned(state))?;
        let change = change(state, node, event, |replica| image.is_active(replica))?;
        Some(Record::ChangePartition { topic_id, partition, change })
    };
    image.replicas_on(node).filter_map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAVES: Event = Event::Leaves;
    const RETURNS: Event = Event::Returns;
    const RESTARTS: Event = Event::Restarts { active: true };
    const RESTARTS_FENCED: Event = Event::Restarts { active: false };

    /// What changes for broker 1: in-sync set and leader, where they are named.
    fn after(
        replicas: &[i32],
        isr: &[i32],
        leader: i32,
        active: &[i32],
        event: Event,
    ) -> (Option<Vec<i32>>, Option<i32>) {
        let nodes = |numbers: &[i32]| numbers.iter().copied().map(NodeId).collect::<Vec<_>>();
        let mut partition = Partition::new(nodes(replicas), vec![], nodes(isr));
        partition.leader = NodeId(leader);
        let change =
            change(&partition, NodeId(1), event, |node| active.contains(&node.get())).unwrap_or_default();
        let numbers = |nodes: Vec<NodeId>| nodes.into_iter().map(NodeId::get).collect();
        (change.isr.map(numbers), change.leader.map(NodeId::get))
    }

    #[test]
    fn leaders_follow_the_brokers() {
        for (replicas, isr, leader, active, event, expected) in [
            // The only replica: nobody leads while it is away, and it leads under a new epoch when it is back.
            (&[1][..], &[1][..], 1, &[][..], LEAVES, (None, Some(-1))),
            (&[1], &[1], -1, &[], RETURNS, (None, Some(1))),
            (&[1], &[1], 1, &[], RESTARTS, (None, Some(1))),
            (&[1], &[1], 1, &[], RESTARTS_FENCED, (None, Some(-1))),
            (&[1], &[1], -1, &[], RESTARTS, (None, Some(1))),
            (&[1], &[1], -1, &[], RESTARTS_FENCED, (None, None)),
            (&[1], &[1], 1, &[], RETURNS, (None, None)),
            // Others are in sync: the first of them in the order of replicas takes over.
            (&[1, 2, 3], &[3, 1, 2], 1, &[2, 3], LEAVES, (Some(vec![3, 2]), Some(2))),
            (&[1, 2, 3], &[3, 1, 2], 1, &[3], LEAVES, (Some(vec![3, 2]), Some(3))),
            (&[1, 2, 3], &[1, 2, 3], 1, &[2, 3], RESTARTS, (Some(vec![2, 3]), Some(2))),
            (&[1, 2, 3], &[1, 2], 1, &[3], LEAVES, (Some(vec![2]), Some(-1))),
            // A follower leaves the in-sync set, and the leader stays.
            (&[2, 1], &[2, 1], 2, &[2], LEAVES, (Some(vec![2]), None)),
            (&[2, 1], &[2, 1], 2, &[2], RESTARTS, (Some(vec![2]), None)),
            (&[2, 1], &[2], 2, &[2], RESTARTS, (None, None)),
            (&[2, 1], &[2, 1], 2, &[2], RETURNS, (None, None)),
            // Nobody who is not in sync is elected.
            (&[2, 1], &[2], -1, &[], RETURNS, (None, None)),
            (&[2, 1], &[2], -1, &[2], RETURNS, (None, Some(2))),
        ] {
            assert_eq!(
                after(replicas, isr, leader, active, event),
                expected,
                "{replicas:?} {isr:?} {leader} {event:?}"
            );
        }
    }
}
