//! Requests that ask for the same again and again, or for much with few bytes: answers and records have their bounds.

use protocol::messages::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use protocol::{ErrorCode, Str};

use crate::support::requests::Topic;
use crate::support::{Client, run};

async fn find(client: &mut Client, group: &Str) {
    let request = FindCoordinatorRequest { coordinator_keys: vec![group.clone()], ..Default::default() };
    assert_eq!(client.call(6, &request).await.coordinators[0].error_code, 0);
}

fn commit(group: &Str, topic: &Topic, partitions: impl Iterator<Item = i32>) -> OffsetCommitRequest {
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: i64::from(partition_index),
        committed_metadata: Some(Str::from("here")),
        ..Default::default()
    };
    let partitions = partitions.map(partition).collect();
    let topics = vec![OffsetCommitRequestTopic { name: topic.name.clone(), topic_id: topic.id, partitions }];
    OffsetCommitRequest { group_id: group.clone(), topics, ..Default::default() }
}

#[test]
fn an_offset_asked_for_many_times_is_told_once() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 3, &[]).await;
        let group = Str::from("readers");
        find(&mut client, &group).await;
        client.call(9, &commit(&group, &topic, 0..3)).await;
        let of = |partition_indexes: &[i32]| OffsetFetchRequestTopics {
            name: topic.name.clone(),
            topic_id: topic.id,
            partition_indexes: partition_indexes.to_vec(),
        };
        let named =
            |topics| OffsetFetchRequestGroup { group_id: group.clone(), topics, ..Default::default() };
        for version in 8..=10 {
            let groups = [
                // Some clients name a topic once for each partition.
                vec![named(Some(vec![of(&[0, 0]), of(&[1]), of(&[1, 0])]))],
                vec![named(Some(vec![of(&[1, 2])])); 1_000],
                vec![named(None); 1_000],
            ];
            let request = OffsetFetchRequest { groups: groups.concat(), ..Default::default() };
            let mut told = Vec::new();
            for group in client.call(version, &request).await.groups {
                let parts = group.topics.iter().flat_map(|topic| &topic.partitions);
                told.push(parts.map(|part| part.committed_offset).collect::<Vec<_>>());
            }
            assert_eq!(told, [vec![0, 1], vec![2], vec![0, 1, 2]], "version {version}");
        }
        let topics =
            vec![
                OffsetFetchRequestTopic { name: topic.name.clone(), partition_indexes: vec![0; 1_000] };
                100
            ];
        let request = OffsetFetchRequest { group_id: group, topics: Some(topics), ..Default::default() };
        let told = client.call(7, &request).await.topics;
        assert_eq!((told.len(), told[0].partitions.len()), (1, 1));
    });
}

#[test]
fn a_commit_comes_to_no_more_records_than_its_bound() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let group = Str::from("x".repeat(30_000));
        find(&mut client, &group).await;
        for (count, code) in [(500, ErrorCode::None), (600, ErrorCode::InvalidCommitOffsetSize)] {
            let answer = client.call(9, &commit(&group, &topic, std::iter::repeat_n(0, count))).await;
            let codes: Vec<_> = answer.topics[0].partitions.iter().map(|part| part.error_code).collect();
            assert_eq!(codes, vec![code.code(); count]);
        }
    });
}

#[test]
fn producers_asked_for_many_times_are_told_once() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 2, &[]).await;
        let of = |partition_indexes: &[i32]| TopicRequest {
            name: topic.name.clone(),
            partition_indexes: partition_indexes.to_vec(),
        };
        let request = DescribeProducersRequest { topics: vec![of(&[0, 0]), of(&[1, 0]), of(&[1])] };
        let answer = client.call(0, &request).await;
        let told: Vec<usize> = answer.topics.iter().map(|topic| topic.partitions.len()).collect();
        assert_eq!(told, [1, 1, 0]);
    });
}
