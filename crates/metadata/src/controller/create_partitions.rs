//! CreatePartitions.

use std::collections::BTreeMap;

use protocol::{ErrorCode, NodeId, Str};

use super::assignment;
use super::placement::place;
use super::{Context, Decision, PARTITIONS_PER_REQUEST_MAX, Refusal};
use crate::image::Topic;
use crate::record::Record;

/// A topic that is to grow.
#[derive(Clone, Debug)]
pub struct NewPartitions {
    pub name: Str,
    /// How many it is to have, the old ones included.
    pub count: i32,
    /// Replicas of each new partition; `None` to have them chosen.
    pub assignments: Option<Vec<Vec<NodeId>>>,
}

/// Adds partitions to topics, or with `validate_only` says what would become of it. Each topic is answered once.
pub fn create_partitions(
    context: &Context<'_>,
    topics: &[NewPartitions],
    validate_only: bool,
    start: usize,
) -> Decision<Vec<(Str, Result<(), Refusal>)>> {
    let mut named: BTreeMap<&Str, usize> = BTreeMap::new();
    for topic in topics {
        *named.entry(&topic.name).or_default() += 1;
    }
    let mut all = Vec::new();
    let mut results = Vec::new();
    for (place, topic) in topics.iter().enumerate() {
        let Some(times) = named.remove(&topic.name) else { continue };
        let decided = if times > 1 {
            Err(Refusal::new(ErrorCode::InvalidRequest, "the topic is there twice in the request"))
        } else {
            grow(context, topic, start.wrapping_add(place), PARTITIONS_PER_REQUEST_MAX - all.len())
        };
        results.push((topic.name.clone(), decided.map(|records| all.extend(records))));
    }
    (if validate_only { Vec::new() } else { all }, results)
}

fn grow(
    context: &Context<'_>,
    request: &NewPartitions,
    start: usize,
    allowed: usize,
) -> Result<Vec<Record>, Refusal> {
    let name = &request.name;
    let topic = context.image.topic(name).ok_or_else(|| {
        Refusal::new(ErrorCode::UnknownTopicOrPartition, format!("there is no topic '{name}'"))
    })?;
    let now = topic.partition_count();
    let added = usize::try_from(i64::from(request.count) - i64::from(now)).ok().filter(|added| *added > 0);
    let added = added.ok_or_else(|| {
        let message =
            format!("topic '{name}' has {now} partition(s) and can only grow, not have {}", request.count);
        Refusal::new(ErrorCode::InvalidPartitions, message)
    })?;
    let first = usize::try_from(now).unwrap_or(0);
    let replicas = match &request.assignments {
        Some(assignments) => assigned(context, topic, assignments, first, added)?,
        None => {
            let (count, factor) = (added.min(allowed), topic.replication_factor());
            place(context.image, context.cordoned(), first, count, factor, start)?
        }
    };
    // Last, as in Kafka: whatever else is wrong is told first.
    if added > allowed {
        let message = format!("a request may create at most {PARTITIONS_PER_REQUEST_MAX} partitions");
        return Err(Refusal::new(ErrorCode::PolicyViolation, message));
    }
    (now..)
        .zip(replicas)
        .map(|(partition, replicas)| {
            let state = assignment::partition(context.image, replicas)
                .ok_or_else(|| assignment::nobody_active(usize::try_from(partition).unwrap_or(0)))?;
            Ok(Record::Partition { topic_id: topic.id(), partition, state })
        })
        .collect()
}

fn assigned(
    context: &Context<'_>,
    topic: &Topic,
    assignments: &[Vec<NodeId>],
    first: usize,
    added: usize,
) -> Result<Vec<Vec<NodeId>>, Refusal> {
    if assignments.len() != added {
        let message = format!("{added} partition(s) are added, but {} are assigned", assignments.len());
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    for (partition, replicas) in (first..).zip(assignments) {
        assignment::check(context.image, partition, replicas, Some(topic.replication_factor()))?;
    }
    Ok(assignments.to_vec())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    fn to(name: &str, count: i32, assignments: Option<&[&[i32]]>) -> NewPartitions {
        let nodes = |numbers: &&[i32]| numbers.iter().copied().map(NodeId).collect();
        NewPartitions {
            name: name.into(),
            count,
            assignments: assignments.map(|all| all.iter().map(nodes).collect()),
        }
    }

    #[test]
    fn topics_grow_or_say_why_not() {
        let mut fixture = Fixture::new();
        fixture.create("a", 1, 2);
        for (request, code, message) in [
            (to("x", 3, None), ErrorCode::UnknownTopicOrPartition, "there is no topic 'x'"),
            (
                to("a", 2, None),
                ErrorCode::InvalidPartitions,
                "topic 'a' has 2 partition(s) and can only grow, not have 2",
            ),
            (
                to("a", 1, None),
                ErrorCode::InvalidPartitions,
                "topic 'a' has 2 partition(s) and can only grow, not have 1",
            ),
            (
                to("a", -1, None),
                ErrorCode::InvalidPartitions,
                "topic 'a' has 2 partition(s) and can only grow, not have -1",
            ),
            (
                to("a", i32::MIN, None),
                ErrorCode::InvalidPartitions,
                "topic 'a' has 2 partition(s) and can only grow, not have -2147483648",
            ),
            (
                to("a", 10_003, None),
                ErrorCode::PolicyViolation,
                "a request may create at most 10000 partitions",
            ),
            (
                to("a", 10_003, Some(&[&[1]])),
                ErrorCode::InvalidReplicaAssignment,
                "10001 partition(s) are added, but 1 are assigned",
            ),
            (
                to("a", 4, Some(&[&[1]])),
                ErrorCode::InvalidReplicaAssignment,
                "2 partition(s) are added, but 1 are assigned",
            ),
            (
                to("a", 3, Some(&[&[]])),
                ErrorCode::InvalidReplicaAssignment,
                "partition 2 is assigned to no broker",
            ),
            (
                to("a", 3, Some(&[&[7]])),
                ErrorCode::InvalidReplicaAssignment,
                "partition 2 is assigned to broker 7, which is not registered",
            ),
            (
                to("a", 3, Some(&[&[1, 1]])),
                ErrorCode::InvalidReplicaAssignment,
                "partition 2 is assigned to broker 1 twice",
            ),
        ] {
            let (records, results) =
                create_partitions(&fixture.context(), std::slice::from_ref(&request), false, 0);
            assert_eq!(records, []);
            assert_eq!(results, [(request.name, Err(Refusal::new(code, message)))]);
        }
        let (records, results) =
            create_partitions(&fixture.context(), &[to("a", 4, None), to("x", 1, None)], false, 0);
        assert_eq!(results.iter().map(|(_, result)| result.is_ok()).collect::<Vec<_>>(), [true, false]);
        fixture.apply(&records);
        assert_eq!(fixture.image.topic("a").unwrap().partition_count(), 4);
    }

    #[test]
    fn validation_writes_nothing_and_twice_is_refused() {
        let mut fixture = Fixture::new();
        fixture.create("a", 1, 1);
        let (records, results) = create_partitions(&fixture.context(), &[to("a", 2, Some(&[&[1]]))], true, 0);
        assert_eq!((records, results), (vec![], vec![("a".into(), Ok(()))]));
        let twice = [to("a", 2, None), to("a", 3, None)];
        let (records, results) = create_partitions(&fixture.context(), &twice, false, 0);
        assert_eq!(records, []);
        assert_eq!(results.len(), 1);
        assert_eq!(results[0].1.as_ref().unwrap_err().code, ErrorCode::InvalidRequest);
    }
}
