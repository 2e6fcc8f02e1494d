//! Where replicas of new partitions go.
//!
//! Invariants:
//! - replicas of a partition are on different brokers, the first of them on an active one;
//! - leaders and followers are spread evenly: each broker leads every n-th partition, and from round to round its
//!   followers shift, so that the load of a lost broker falls on all others.
//!
//! Does not know: racks and how full brokers are.

use protocol::{ErrorCode, NodeId};

use super::Refusal;
use crate::Image;

/// Replicas for `count` partitions from number `first` on, none of them on the `cordoned` broker. `start` says which broker comes first; random numbers
/// spread topics of one partition.
pub(super) fn place(
    image: &Image,
    cordoned: Option<NodeId>,
    first: usize,
    count: usize,
    replication_factor: usize,
    start: usize,
) -> Result<Vec<Vec<NodeId>>, Refusal> {
    let usable = || {
        let takes = |node_id: NodeId| cordoned != Some(node_id);
        image.brokers().filter(move |broker| !broker.in_controlled_shutdown && takes(broker.node_id))
    };
    let active: Vec<NodeId> = usable().filter(|broker| !broker.fenced).map(|broker| broker.node_id).collect();
    let fenced: Vec<NodeId> = usable().filter(|broker| broker.fenced).map(|broker| broker.node_id).collect();
    let refuse = |why: String| {
        let message = format!("replication factor {replication_factor} cannot be met: {why}");
        Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message))
    };
    let brokers = active.len() + fenced.len();
    if replication_factor > brokers {
        let what =
            if cordoned.is_some() { "have a log directory that is not cordoned" } else { "are registered" };
        return refuse(format!("{brokers} broker(s) {what}"));
    }
    if active.is_empty() {
        return refuse("all brokers are fenced or shut down".to_owned());
    }
    let partitions = first..first.saturating_add(count);
    Ok(partitions.map(|partition| stripe(&active, &fenced, replication_factor, start, partition)).collect())
}

/// One partition's replicas: the leader's place moves on by one each partition, its followers' by one each round.
fn stripe(
    active: &[NodeId],
    fenced: &[NodeId],
    replication_factor: usize,
    start: usize,
    partition: usize,
) -> Vec<NodeId> {
    let leader = start.wrapping_add(partition) % active.len();
    let round = start.wrapping_add(partition / active.len());
    let others = active.len() - 1;
    let followers = (0..others).map(|place| (leader + 1 + round.wrapping_add(place) % others) % active.len());
    // Fenced brokers get replicas only when there are not enough others.
    let spare =
        (0..fenced.len()).map(|place| start.wrapping_add(partition).wrapping_add(place) % fenced.len());
    let on = |brokers: &[NodeId], place: usize| brokers.get(place).copied();
    std::iter::once(leader)
        .chain(followers)
        .filter_map(|place| on(active, place))
        .chain(spare.filter_map(|place| on(fenced, place)))
        .take(replication_factor)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::testing::{broker, cluster};
    use super::*;
    use crate::record::{BrokerRegistration, Record};

    fn ids(replicas: &[Vec<NodeId>]) -> Vec<Vec<i32>> {
        replicas.iter().map(|nodes| nodes.iter().map(|node| node.get()).collect()).collect()
    }

    #[test]
    fn partitions_are_striped() {
        let placed = place(&cluster(&[1, 2, 3]), None, 0, 6, 2, 0).unwrap();
        assert_eq!(ids(&placed), [[1, 2], [2, 3], [3, 1], [1, 3], [2, 1], [3, 2]]);
        let placed = place(&cluster(&[1, 2, 3]), None, 0, 2, 1, 7).unwrap();
        assert_eq!(ids(&placed), [[2], [3]]);
        let placed = place(&cluster(&[1, 2, 3]), Some(NodeId(2)), 0, 2, 2, 0).unwrap();
        assert_eq!(ids(&placed), [[1, 3], [3, 1]]);
        let placed = place(&cluster(&[4]), None, 3, 2, 1, usize::MAX).unwrap();
        assert_eq!(ids(&placed), [[4], [4]]);
    }

    #[test]
    fn replicas_are_distinct_and_even() {
        for nodes in 1..6 {
            let numbers: Vec<i32> = (0..nodes).collect();
            let image = cluster(&numbers);
            for replication_factor in 1..=numbers.len() {
                let partitions = numbers.len() * numbers.len() * 2;
                let placed = place(&image, None, 0, partitions, replication_factor, 3).unwrap();
                let mut leads: BTreeMap<NodeId, usize> = BTreeMap::new();
                let mut holds: BTreeMap<NodeId, usize> = BTreeMap::new();
                for replicas in &placed {
                    assert_eq!(replicas.iter().collect::<BTreeSet<_>>().len(), replication_factor);
                    *leads.entry(replicas[0]).or_default() += 1;
                    for replica in replicas {
                        *holds.entry(*replica).or_default() += 1;
                    }
                }
                assert!(leads.values().all(|count| *count == partitions / numbers.len()), "{leads:?}");
                let even = partitions * replication_factor / numbers.len();
                assert!(holds.values().all(|count| count.abs_diff(even) <= numbers.len()), "{holds:?}");
            }
        }
    }

    #[test]
    fn fenced_brokers_come_last_and_never_lead() {
        let mut image = cluster(&[1, 2]);
        let fenced = BrokerRegistration { fenced: true, ..broker(3, 9) };
        image.apply(&Record::RegisterBroker(fenced)).unwrap();
        let placed = place(&image, None, 0, 4, 3, 0).unwrap();
        assert_eq!(ids(&placed), [[1, 2, 3], [2, 1, 3], [1, 2, 3], [2, 1, 3]]);
        let leaving = BrokerRegistration { in_controlled_shutdown: true, ..broker(3, 10) };
        image.apply(&Record::RegisterBroker(leaving)).unwrap();
        let refusal = place(&image, None, 0, 1, 3, 0).unwrap_err();
        assert_eq!(refusal.message, "replication factor 3 cannot be met: 2 broker(s) are registered");
        for node in [1, 2] {
            let fenced = BrokerRegistration { fenced: true, ..broker(node, 11) };
            image.apply(&Record::RegisterBroker(fenced)).unwrap();
        }
        let refusal = place(&image, None, 0, 1, 1, 0).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InvalidReplicationFactor);
        assert!(refusal.message.ends_with("all brokers are fenced or shut down"));
    }
}
