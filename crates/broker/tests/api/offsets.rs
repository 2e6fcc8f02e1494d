//! ListOffsets and OffsetForLeaderEpoch.

use protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use protocol::{ErrorCode, Str, Uuid};

use crate::support::requests::{LIST, METADATA, Topic, batch_at};
use crate::support::{Client, run};

#[test]
fn latest_earliest_and_times_in_every_version() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        for timestamp in [100, 300, 200] {
            assert_eq!(client.append_code(&topic, batch_at(timestamp, "x")).await, ErrorCode::None);
        }
        let epoch = client.describe(METADATA, "t", false).await.partitions[0].leader_epoch;
        for version in 1..=LIST {
            for (asked, offset, timestamp) in [
                (-1, 3, -1),
                (-2, 0, -1),
                (0, 0, 100),
                (100, 0, 100),
                (101, 1, 300),
                (300, 1, 300),
                (301, -1, -1),
                (i64::MAX, -1, -1),
            ] {
                let found = client.offset_at(version, &topic, asked).await;
                assert_eq!(found.error_code, 0);
                assert_eq!((found.offset, found.timestamp), (offset, timestamp), "{asked} in {version}");
                let told = if version >= 4 && offset >= 0 { epoch } else { -1 };
                assert_eq!(found.leader_epoch, told);
            }
        }
    });
}

#[test]
fn special_times_need_their_version() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let empty = client.offset_at(LIST, &topic, -3).await;
        assert_eq!((empty.error_code, empty.offset, empty.timestamp), (0, -1, -1));
        for timestamp in [100, 300, 200] {
            client.append_code(&topic, batch_at(timestamp, "x")).await;
        }
        for version in 1..=LIST {
            // The largest timestamp, the earliest on local disk, the latest and the next of remote storage.
            for (asked, since, offset) in [(-3, 7, 1), (-4, 8, 0), (-5, 9, -1), (-6, 11, -1)] {
                let found = client.offset_at(version, &topic, asked).await;
                let known = version >= since;
                let code = if known { ErrorCode::None } else { ErrorCode::UnsupportedVersion };
                assert_eq!(ErrorCode::from(found.error_code), code, "{asked} in {version}");
                assert_eq!(found.offset, if known { offset } else { -1 });
            }
        }
        let found = client.offset_at(LIST, &topic, -7).await;
        assert_eq!(ErrorCode::from(found.error_code), ErrorCode::UnsupportedVersion);
    });
}

#[test]
fn epochs_and_names_are_checked_before_offsets() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        world.restart().await;
        let mut client = world.connect().await;
        let epoch = client.describe(METADATA, "t", false).await.partitions[0].leader_epoch;
        let nobody = Topic { name: Str::from("nobody"), id: Uuid::ZERO };
        for version in 4..=LIST {
            for (topic, partition_index, current_leader_epoch, code) in [
                (&topic, 0, epoch, ErrorCode::None),
                (&topic, 0, epoch - 1, ErrorCode::FencedLeaderEpoch),
                (&topic, 0, epoch + 1, ErrorCode::UnknownLeaderEpoch),
                (&topic, 1, -1, ErrorCode::UnknownTopicOrPartition),
                (&nobody, 0, -1, ErrorCode::UnknownTopicOrPartition),
            ] {
                let partition = ListOffsetsPartition { partition_index, current_leader_epoch, timestamp: -1 };
                let found = client.list_offset(version, topic, partition).await;
                assert_eq!(ErrorCode::from(found.error_code), code);
            }
        }
    });
}

#[test]
fn a_partition_named_twice_is_refused() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 2, &[]).await;
        let partition = |partition_index| ListOffsetsPartition {
            partition_index,
            current_leader_epoch: -1,
            timestamp: -1,
        };
        let topics = vec![ListOffsetsTopic {
            name: topic.name.clone(),
            partitions: vec![partition(0), partition(1), partition(0)],
        }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        let answer = client.call(LIST, &request).await;
        let refused = ErrorCode::InvalidRequest.code();
        let codes: Vec<_> = answer.topics[0].partitions.iter().map(|part| part.error_code).collect();
        assert_eq!(codes, [refused, 0, refused]);
    });
}

async fn epoch_end(
    client: &mut Client,
    version: i16,
    leader_epoch: i32,
    current_leader_epoch: i32,
) -> (ErrorCode, i32, i64) {
    let partition = OffsetForLeaderPartition { leader_epoch, current_leader_epoch, ..Default::default() };
    let topic = OffsetForLeaderTopic { topic: Str::from("t"), partitions: vec![partition] };
    let request = OffsetForLeaderEpochRequest { replica_id: -1, topics: vec![topic] };
    let answer = client.call(version, &request).await.topics.remove(0).partitions.remove(0);
    (ErrorCode::from(answer.error_code), answer.leader_epoch, answer.end_offset)
}

#[test]
fn the_end_of_an_epoch_at_its_edges() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let first = client.describe(METADATA, "t", false).await.partitions[0].leader_epoch;
        client.fill(&topic, &["a", "b"]).await;
        // One epoch without a record, then one with.
        world.restart().await;
        world.restart().await;
        let mut client = world.connect().await;
        let last = client.describe(METADATA, "t", false).await.partitions[0].leader_epoch;
        client.fill(&topic, &["c"]).await;
        assert!(last > first + 1);
        for version in 2..=4 {
            for (asked, epoch, end) in [
                (first, first, 2),
                (first + 1, first, 2),
                (last, last, 3),
                (last + 1, -1, -1),
                (i32::MAX, -1, -1),
                (-1, -1, -1),
            ] {
                let found = epoch_end(&mut client, version, asked, -1).await;
                assert_eq!(found, (ErrorCode::None, epoch, end), "epoch {asked} of {first} and {last}");
            }
            let fenced = epoch_end(&mut client, version, first, last - 1).await;
            assert_eq!(fenced, (ErrorCode::FencedLeaderEpoch, -1, -1));
            let unknown = epoch_end(&mut client, version, first, last + 1).await;
            assert_eq!(unknown, (ErrorCode::UnknownLeaderEpoch, -1, -1));
        }
    });
}

#[test]
fn the_end_of_an_epoch_of_nothing_is_an_error() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let found = epoch_end(&mut client, 4, 0, -1).await;
        assert_eq!(found, (ErrorCode::UnknownTopicOrPartition, -1, -1));
    });
}
