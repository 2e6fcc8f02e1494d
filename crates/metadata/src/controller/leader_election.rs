//! Elections that somebody asks for (KIP-183, KIP-460).
//!
//! Invariant: only an unclean election that was asked for makes a leader of a replica that is not in sync.

use protocol::{ErrorCode, NodeId, Str};

use super::{Decision, Refusal};
use crate::Image;
use crate::record::{LeaderRecovery, Partition, PartitionChange, Record};

/// What is wanted of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionKind {
    /// The first replica is to lead.
    Preferred = 0,
    /// Somebody is to lead, in sync or not.
    Unclean = 1,
}

impl ElectionKind {
    pub const fn from_id(id: i8) -> Option<ElectionKind> {
        match id {
            0 => Some(ElectionKind::Preferred),
            1 => Some(ElectionKind::Unclean),
            _ => None,
        }
    }
}

/// A topic's partitions and what became of each.
pub type Elected = (Str, Vec<(i32, Result<(), Refusal>)>);

/// Elects leaders of `wanted`, or of all partitions: then those that need no election are not answered.
pub fn elect_leaders(
    image: &Image,
    kind: ElectionKind,
    wanted: Option<&[(Str, Vec<i32>)]>,
) -> Decision<Vec<Elected>> {
    let mut records = Vec::new();
    let mut elected = Vec::new();
    match wanted {
        Some(wanted) => {
            for (name, partitions) in wanted {
                let elect =
                    |partition: &i32| (*partition, elect_leader(image, kind, name, *partition, &mut records));
                elected.push((name.clone(), partitions.iter().map(elect).collect()));
            }
        }
        None => {
            for topic in image.topics() {
                let mut partitions = Vec::new();
                for (partition, _) in topic.partitions() {
                    let result = elect_leader(image, kind, topic.name(), partition, &mut records);
                    let needless = |refusal: &Refusal| refusal.code == ErrorCode::ElectionNotNeeded;
                    if !result.as_ref().is_err_and(needless) {
                        partitions.push((partition, result));
                    }
                }
                elected.push((topic.name().clone(), partitions));
            }
        }
    }
    (records, elected)
}

fn elect_leader(
    image: &Image,
    kind: ElectionKind,
    name: &Str,
    partition: i32,
    records: &mut Vec<Record>,
) -> Result<(), Refusal> {
    let refuse = |code: ErrorCode, why: &str| Err(Refusal::new(code, format!("{name}-{partition}: {why}")));
    let topic = image.topic(name);
    let Some((topic_id, state)) = topic.and_then(|topic| Some((topic.id(), topic.partition(partition)?)))
    else {
        return refuse(ErrorCode::UnknownTopicOrPartition, "there is no such partition");
    };
    let offline = image.offline_replicas(state);
    let can_lead = |node: NodeId| image.is_active(node) && !offline.contains(&node);
    match election(state, kind, can_lead) {
        Ok(change) => {
            records.push(Record::ChangePartition { topic_id, partition, change });
            Ok(())
        }
        Err(code @ ErrorCode::ElectionNotNeeded) => refuse(code, "it has the leader that is wanted"),
        Err(code) => refuse(code, "no replica is available that could lead"),
    }
}

fn election(
    partition: &Partition,
    kind: ElectionKind,
    can_lead: impl Fn(NodeId) -> bool,
) -> Result<PartitionChange, ErrorCode> {
    let Partition { replicas, isr, leader, .. } = partition;
    let preferred = replicas.first().copied().unwrap_or(NodeId::NONE);
    let (is_led_as_wanted, none) = match kind {
        ElectionKind::Preferred => (*leader == preferred, ErrorCode::PreferredLeaderNotAvailable),
        ElectionKind::Unclean => (!leader.is_none(), ErrorCode::EligibleLeadersNotAvailable),
    };
    if is_led_as_wanted {
        return Err(ErrorCode::ElectionNotNeeded);
    }
    let in_sync = |node: &NodeId| isr.contains(node) && can_lead(*node);
    // Where the preferred one cannot lead, whoever leads goes on.
    let stays = [preferred, *leader].into_iter().find(in_sync);
    let elected = stays.or_else(|| replicas.iter().copied().find(in_sync));
    match elected {
        Some(elected) if elected == *leader => Err(none),
        Some(elected) => Ok(PartitionChange { leader: Some(elected), ..PartitionChange::default() }),
        None if kind == ElectionKind::Unclean => {
            let elected = replicas.iter().copied().find(|node| can_lead(*node)).ok_or(none)?;
            Ok(PartitionChange {
                leader: Some(elected),
                isr: Some(vec![elected]),
                recovery: Some(LeaderRecovery::Recovering),
                ..PartitionChange::default()
            })
        }
        None => Err(none),
    }
}

#[cfg(test)]
mod tests {
    use super::ElectionKind::{Preferred, Unclean};
    use super::*;
    use crate::controller::testing::Fixture;

    #[test]
    fn leaders_are_elected_as_asked() {
        let nodes = |numbers: &[i32]| numbers.iter().copied().map(NodeId).collect::<Vec<_>>();
        for (kind, isr, leader, active, expected) in [
            (Preferred, &[1, 2][..], 1, &[1, 2][..], Err(ErrorCode::ElectionNotNeeded)),
            (Preferred, &[1, 2], 2, &[1, 2], Ok((1, None))),
            // The preferred one is behind, or away: the leader stays, if there is one.
            (Preferred, &[2, 3], 2, &[1, 2, 3], Err(ErrorCode::PreferredLeaderNotAvailable)),
            (Preferred, &[1, 2], 2, &[2], Err(ErrorCode::PreferredLeaderNotAvailable)),
            (Preferred, &[3], -1, &[1, 2, 3], Ok((3, None))),
            (Preferred, &[1], -1, &[2, 3], Err(ErrorCode::PreferredLeaderNotAvailable)),
            (Unclean, &[2], 2, &[1, 2], Err(ErrorCode::ElectionNotNeeded)),
            (Unclean, &[3], -1, &[1, 3], Ok((3, None))),
            (Unclean, &[1], -1, &[2, 3], Ok((2, Some(vec![2])))),
            (Unclean, &[1], -1, &[], Err(ErrorCode::EligibleLeadersNotAvailable)),
        ] {
            let mut partition = Partition::new(nodes(&[1, 2, 3]), vec![], nodes(isr));
            partition.leader = NodeId(leader);
            let found = election(&partition, kind, |node| active.contains(&node.get())).map(|change| {
                assert_eq!(change.recovery.is_some(), change.isr.is_some());
                let isr = change.isr.map(|isr| isr.into_iter().map(NodeId::get).collect::<Vec<_>>());
                (change.leader.unwrap().get(), isr)
            });
            assert_eq!(found, expected, "{kind:?} {isr:?} {leader} {active:?}");
        }
    }

    #[test]
    fn partitions_that_need_no_election_are_answered_when_they_are_named_only() {
        let mut fixture = Fixture::new();
        fixture.create("a", 1, 2);
        let named: [(Str, Vec<i32>); 2] = [("a".into(), vec![0, 7]), ("b".into(), vec![0])];
        let (records, elected) = elect_leaders(&fixture.image, Preferred, Some(&named));
        assert_eq!(records, []);
        let codes: Vec<_> = elected
            .iter()
            .flat_map(|(_, partitions)| {
                partitions.iter().map(|(_, result)| result.as_ref().unwrap_err().code)
            })
            .collect();
        let unknown = ErrorCode::UnknownTopicOrPartition;
        assert_eq!(codes, [ErrorCode::ElectionNotNeeded, unknown, unknown]);
        let (records, elected) = elect_leaders(&fixture.image, Unclean, None);
        assert_eq!((records, elected), (vec![], vec![("a".into(), vec![])]));
        // Nobody leads what is on a directory that is offline, whatever is asked.
        let node = NodeId(1);
        let lost = super::super::set_log_directories(&fixture.image, node, 1, vec![protocol::Uuid::ONE]);
        fixture.apply(&lost.unwrap().0);
        for (kind, code) in [
            (Preferred, ErrorCode::PreferredLeaderNotAvailable),
            (Unclean, ErrorCode::EligibleLeadersNotAvailable),
        ] {
            let (records, elected) = elect_leaders(&fixture.image, kind, None);
            assert_eq!(records, []);
            assert!(elected[0].1.iter().all(|(_, result)| result.as_ref().unwrap_err().code == code));
        }
    }
}
