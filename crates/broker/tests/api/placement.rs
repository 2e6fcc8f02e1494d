//! Leaders, replicas and voters of a cluster of one: elections and reassignments that somebody asks for, and the quorum.

use protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use protocol::messages::describe_cluster_request::DescribeClusterRequest;
use protocol::messages::describe_quorum_request::{DescribeQuorumRequest, PartitionData, TopicData};
use protocol::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use protocol::messages::list_partition_reassignments_request::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
};
use protocol::{ErrorCode, Str};

use crate::support::requests::batch;
use crate::support::{Client, run};

/// Asks for an election; the error of each partition that is answered.
async fn elect(
    client: &mut Client,
    version: i16,
    election_type: i8,
    named: Option<&[(&str, &[i32])]>,
) -> (ErrorCode, Vec<(String, i32, ErrorCode)>) {
    let topic = |(topic, partitions): &(&str, &[i32])| TopicPartitions {
        topic: Str::from(*topic),
        partitions: partitions.to_vec(),
    };
    let topic_partitions = named.map(|named| named.iter().map(topic).collect());
    let request = ElectLeadersRequest { election_type, topic_partitions, timeout_ms: 1000 };
    let answer = client.call(version, &request).await;
    let each = answer.replica_election_results.iter().flat_map(|topic| {
        topic.partition_result.iter().map(|partition| {
            (topic.topic.to_string(), partition.partition_id, ErrorCode::from(partition.error_code))
        })
    });
    (ErrorCode::from(answer.error_code), each.collect())
}

#[test]
fn elections_are_needed_only_where_nobody_leads() {
    run(&[("log.dirs", "/a,/b")], async |world| {
        let mut client = world.connect().await;
        let mut topics = Vec::new();
        for name in ["t", "u"] {
            topics.push(client.create(name, 1, &[]).await);
        }
        let t = |code| vec![("t".to_owned(), 0, code)];
        let named: &[(&str, &[i32])] = &[("t", &[0])];
        for version in 0..=2 {
            let types = if version == 0 { 0..=0 } else { 0..=1 };
            for election_type in types {
                let (none, needless) = (ErrorCode::None, t(ErrorCode::ElectionNotNeeded));
                assert_eq!(elect(&mut client, version, election_type, Some(named)).await, (none, needless));
                assert_eq!(elect(&mut client, version, election_type, None).await, (none, vec![]));
            }
        }
        let missing: &[(&str, &[i32])] = &[("t", &[1]), ("nobody", &[0])];
        let unknown = ErrorCode::UnknownTopicOrPartition;
        let expected = vec![("t".to_owned(), 1, unknown), ("nobody".to_owned(), 0, unknown)];
        assert_eq!(elect(&mut client, 2, 0, Some(missing)).await, (ErrorCode::None, expected));
        let invalid = ErrorCode::InvalidRequest;
        assert_eq!(elect(&mut client, 2, 7, Some(named)).await, (invalid, t(invalid)));
        // What is on a directory that has failed has no replica that could lead.
        world.fail_syncs("/b/journal");
        for topic in &topics {
            client.append(topic, batch(&["a"])).await;
        }
        world.sim.sleep(crate::support::ms(1_000)).await;
        for (election_type, code) in
            [(0, ErrorCode::PreferredLeaderNotAvailable), (1, ErrorCode::EligibleLeadersNotAvailable)]
        {
            let (top, each) = elect(&mut client, 2, election_type, None).await;
            assert_eq!(top, ErrorCode::None);
            assert_eq!(each.iter().map(|(_, _, code)| *code).collect::<Vec<_>>(), [code]);
        }
    });
}

#[test]
fn replicas_are_reassigned_to_where_they_are_and_nowhere_else() {
    run(&[("node.id", "1")], async |world| {
        let mut client = world.connect().await;
        client.create("t", 2, &[]).await;
        let mut reassign = async |name: &str, partition_index, replicas: Option<&[i32]>| {
            let replicas = replicas.map(<[i32]>::to_vec);
            let partitions = vec![ReassignablePartition { partition_index, replicas }];
            let topics = vec![ReassignableTopic { name: Str::from(name), partitions }];
            let mut codes = Vec::new();
            for version in 0..=1 {
                let request = AlterPartitionReassignmentsRequest {
                    timeout_ms: 1000,
                    topics: topics.clone(),
                    ..Default::default()
                };
                let answer = client.call(version, &request).await;
                assert_eq!(answer.error_code, 0);
                codes.push(ErrorCode::from(answer.responses[0].partitions[0].error_code));
            }
            assert_eq!(codes[0], codes[1]);
            codes[0]
        };
        assert_eq!(reassign("t", 0, Some(&[1])).await, ErrorCode::None);
        assert_eq!(reassign("t", 0, None).await, ErrorCode::NoReassignmentInProgress);
        assert_eq!(reassign("t", 2, Some(&[1])).await, ErrorCode::UnknownTopicOrPartition);
        assert_eq!(reassign("u", 0, Some(&[1])).await, ErrorCode::UnknownTopicOrPartition);
        for elsewhere in [&[2][..], &[1, 2], &[1, 1], &[]] {
            assert_eq!(reassign("t", 0, Some(elsewhere)).await, ErrorCode::InvalidReplicaAssignment);
        }
        let named = ListPartitionReassignmentsTopics { name: Str::from("t"), partition_indexes: vec![0, 1] };
        for topics in [None, Some(vec![named])] {
            let request = ListPartitionReassignmentsRequest { timeout_ms: 1000, topics };
            let answer = client.call(0, &request).await;
            assert_eq!((answer.error_code, answer.topics.len()), (0, 0));
        }
    });
}

fn asked(topic: &str, partitions: &[i32]) -> DescribeQuorumRequest {
    let partition = |partition_index: &i32| PartitionData { partition_index: *partition_index };
    let partitions = partitions.iter().map(partition).collect();
    DescribeQuorumRequest { topics: vec![TopicData { topic_name: Str::from(topic), partitions }] }
}

pub(crate) fn the_quorum() -> DescribeQuorumRequest {
    asked("__cluster_metadata", &[0])
}

#[test]
fn the_only_voter_leads_the_quorum_and_has_everything() {
    run(&[("node.id", "7")], async |world| {
        let mut client = world.connect().await;
        let (mut ends, mut terms) = (Vec::new(), Vec::new());
        for round in 0..2 {
            for version in 0..=2 {
                let answer = client.call(version, &the_quorum()).await;
                assert_eq!((answer.error_code, answer.topics.len()), (0, 1));
                assert_eq!(
                    answer.nodes.iter().map(|node| node.node_id).collect::<Vec<_>>(),
                    [7; 1][..usize::from(version >= 2)]
                );
                let log = &answer.topics[0].partitions[0];
                assert_eq!((log.error_code, log.leader_id, log.observers.len()), (0, 7, 0));
                let [voter] = log.current_voters.as_slice() else { panic!("{log:?}") };
                assert_eq!((voter.replica_id, voter.log_end_offset), (7, log.high_watermark));
                assert_eq!(voter.replica_directory_id.is_zero(), version < 2);
                let now_ms = world.wall_ms();
                let seen = [voter.last_fetch_timestamp, voter.last_caught_up_timestamp];
                assert!(
                    version == 0 || seen.iter().all(|seen| (now_ms - 10..=now_ms).contains(seen)),
                    "{seen:?}"
                );
                ends.push(log.high_watermark);
                terms.push(log.leader_epoch);
            }
            client.create(&format!("t{round}"), 1, &[]).await;
            world.restart().await;
            client = world.connect().await;
        }
        assert!(ends[0] == ends[2] && ends[2] < ends[3], "{ends:?}");
        assert!(terms[2] < terms[3], "{terms:?}");
        for (topic, partitions) in
            [("__cluster_metadata", &[1][..]), ("__cluster_metadata", &[0, 1]), ("t0", &[0])]
        {
            let answer = client.call(2, &asked(topic, partitions)).await;
            for partition in &answer.topics[0].partitions {
                assert_eq!(ErrorCode::from(partition.error_code), ErrorCode::UnknownTopicOrPartition);
            }
        }
        assert_eq!(client.call(2, &DescribeQuorumRequest::default()).await.topics.len(), 0);
        let cluster =
            client.call(2, &DescribeClusterRequest { endpoint_type: 1, ..Default::default() }).await;
        assert_eq!(cluster.controller_id, 7);
    });
}
