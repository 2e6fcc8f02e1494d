//! Other brokers for the replicas of partitions (KIP-455).
//!
//! A cluster of one broker has nowhere to move replicas to: what can be asked for is what there is.

use protocol::{ErrorCode, NodeId, Str};

use super::{Refusal, assignment};
use crate::Image;

/// What is asked for a partition: its new replicas, or `None` to have them stay where they are.
#[derive(Clone, Debug)]
pub struct Reassignment {
    pub topic: Str,
    pub partition: i32,
    pub replicas: Option<Vec<NodeId>>,
}

/// Whether the partition can be reassigned like that. Nothing has to be done if it can.
pub fn check_reassignment(image: &Image, asked: &Reassignment) -> Result<(), Refusal> {
    let Reassignment { topic, partition, replicas } = asked;
    let state = image.topic(topic).and_then(|topic| topic.partition(*partition)).ok_or_else(|| {
        Refusal::new(ErrorCode::UnknownTopicOrPartition, format!("there is no partition {topic}-{partition}"))
    })?;
    let Some(replicas) = replicas else {
        // None can have been begun.
        let why = format!("no reassignment of {topic}-{partition} is running");
        return Err(Refusal::new(ErrorCode::NoReassignmentInProgress, why));
    };
    assignment::check(image, usize::try_from(*partition).unwrap_or(0), replicas, None)?;
    if *replicas != state.replicas {
        let why = "replicas do not move from broker to broker yet";
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::testing::Fixture;

    #[test]
    fn replicas_stay_on_the_only_broker() {
        let mut fixture = Fixture::new();
        fixture.create("a", 1, 1);
        for (topic, partition, replicas, code) in [
            ("a", 0, Some(&[1][..]), ErrorCode::None),
            ("a", 0, Some(&[1, 1]), ErrorCode::InvalidReplicaAssignment),
            ("a", 0, Some(&[2]), ErrorCode::InvalidReplicaAssignment),
            ("a", 0, Some(&[1, -1]), ErrorCode::InvalidReplicaAssignment),
            ("a", 0, Some(&[]), ErrorCode::InvalidReplicaAssignment),
            ("a", 0, None, ErrorCode::NoReassignmentInProgress),
            ("a", 1, Some(&[1]), ErrorCode::UnknownTopicOrPartition),
            ("b", 0, None, ErrorCode::UnknownTopicOrPartition),
        ] {
            let nodes = replicas.map(|replicas| replicas.iter().copied().map(NodeId).collect());
            let asked = Reassignment { topic: topic.into(), partition, replicas: nodes };
            let found = check_reassignment(&fixture.image, &asked);
            let found = found.err().map_or(ErrorCode::None, |refusal| refusal.code);
            assert_eq!(found, code, "{topic} {partition} {replicas:?}");
        }
    }
}
