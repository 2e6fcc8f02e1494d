//! Fetch: what is read, from where on, and how much at a time.

use protocol::messages::fetch_request::{FetchPartition, FetchRequest};
use protocol::{ErrorCode, Str, Uuid};

use crate::support::requests::{
    FETCH, METADATA, PRODUCE, Topic, batch, batch_at, fetch, from_offset, only, produce, values,
};
use crate::support::{SERVER, World, ms, run};

async fn code(world: &World, version: i16, topic: &Topic, partition: FetchPartition) -> ErrorCode {
    let mut client = world.connect().await;
    let answer = client.call(version, &fetch(version, topic, vec![partition])).await;
    ErrorCode::from(only(&answer).error_code)
}

#[test]
fn every_version_reads() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        client.fill(&topic, &["a", "b"]).await;
        for version in 4..=FETCH {
            let answer = client.call(version, &fetch(version, &topic, vec![from_offset(0, 0)])).await;
            let part = only(&answer);
            assert_eq!(values(part), ["a", "b"]);
            assert_eq!((part.high_watermark, part.last_stable_offset), (2, 2));
            assert_eq!(part.log_start_offset, if version >= 5 { 0 } else { -1 });
            assert_eq!(part.preferred_read_replica, -1);
            let by_id = answer.responses[0].topic_id == topic.id;
            assert_eq!((by_id, answer.responses[0].topic == topic.name), (version >= 13, version < 13));
        }
    });
}

#[test]
fn between_high_watermark_and_log_end_there_is_nothing_and_no_error() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        client.fill(&topic, &["synced"]).await;
        world.sim.disk(SERVER).faults(|faults| faults.sync_time = ms(500)..=ms(500));
        for value in ["written", "too"] {
            let answer = client.call(PRODUCE, &produce(PRODUCE, 1, &topic, &[(0, batch(&[value]))])).await;
            assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
        }
        let data = client.read(&topic, 2).await;
        assert_eq!((data.error_code, data.high_watermark, values(&data).len()), (0, 1, 0));
        let data = client.read(&topic, 0).await;
        assert_eq!(values(&data), ["synced"], "records that are not on disk are not shown");
        assert_eq!(client.offset_at(11, &topic, -1).await.offset, 1);
        world.sim.sleep(ms(5_000)).await;
        assert_eq!(values(&client.read(&topic, 0).await), ["synced", "written", "too"]);
    });
}

#[test]
fn offsets_outside_the_log_are_out_of_range() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        client.fill(&topic, &["a"]).await;
        for offset in [2, -1, -2, i64::MAX, i64::MIN] {
            let data = client.read(&topic, offset).await;
            assert_eq!(ErrorCode::from(data.error_code), ErrorCode::OffsetOutOfRange, "{offset}");
            assert_eq!(data.high_watermark, -1);
        }
        let end = client.read(&topic, 1).await;
        assert_eq!((end.error_code, values(&end).len()), (0, 0));
    });
}

#[test]
fn what_retention_has_removed_is_out_of_range() {
    run(&[("log.retention.check.interval.ms", "1000")], async |world| {
        let mut client = world.connect().await;
        let configs = [("retention.ms", "60000"), ("segment.ms", "1000")];
        let topic = client.create("t", 1, &configs).await;
        // Records of 1970.
        client.fill(&topic, &["a", "b"]).await;
        world.sim.sleep(ms(300_000)).await;
        assert_eq!(client.offset_at(11, &topic, -2).await.offset, 2, "the earliest is the end");
        assert_eq!(code(world, FETCH, &topic, from_offset(0, 0)).await, ErrorCode::OffsetOutOfRange);
        let answer = client.append(&topic, batch_at(-1, "c")).await;
        assert_eq!((answer.base_offset, answer.log_start_offset), (2, 2));
        let data = client.read(&topic, 2).await;
        assert_eq!((values(&data), data.log_start_offset), (vec!["c".to_owned()], 2));
    });
}

#[test]
fn a_read_in_the_middle_of_a_batch_gets_the_batch() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        assert_eq!(client.append_code(&topic, batch(&["a", "b", "c"])).await, ErrorCode::None);
        assert_eq!(values(&client.read(&topic, 2).await), ["a", "b", "c"]);
    });
}

#[test]
fn the_first_batch_comes_however_small_the_limits() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 3, &[]).await;
        for partition in [1, 2] {
            for value in ["first", "second"] {
                let request = produce(PRODUCE, -1, &topic, &[(partition, batch(&[value]))]);
                client.call(PRODUCE, &request).await;
            }
        }
        for (max_bytes, partition_max_bytes) in [(1, 1), (0, 0), (1, 1 << 20), (1 << 20, 1), (-1, -1)] {
            let part = |partition| FetchPartition { partition_max_bytes, ..from_offset(partition, 0) };
            let request = fetch(FETCH, &topic, vec![part(0), part(1), part(2)]);
            let answer = client.call(FETCH, &FetchRequest { max_bytes, ..request }).await;
            let found: Vec<_> = answer.responses[0].partitions.iter().map(values).collect();
            assert_eq!(found[0].len(), 0);
            assert_eq!(found[1], ["first"], "{max_bytes} {partition_max_bytes}");
            assert_eq!(found[2].len(), 0, "only the first batch of the answer is exempt");
        }
    });
}

#[test]
fn limits_are_kept_beyond_the_first_batch() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        client.fill(&topic, &["a", "b", "c", "d"]).await;
        let size = i32::try_from(batch(&["a"]).len()).unwrap();
        for (bytes, batches) in [(size * 2, 2), (size * 3 - 1, 2), (size * 3, 3), (size * 9, 4)] {
            let part = FetchPartition { partition_max_bytes: bytes, ..from_offset(0, 0) };
            let answer = client.call(FETCH, &fetch(FETCH, &topic, vec![part])).await;
            assert_eq!(values(only(&answer)).len(), batches);
            let request = fetch(FETCH, &topic, vec![from_offset(0, 0)]);
            let answer = client.call(FETCH, &FetchRequest { max_bytes: bytes, ..request }).await;
            assert_eq!(values(only(&answer)).len(), batches);
        }
    });
}

#[test]
fn a_leader_epoch_is_fenced_or_unknown() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        world.restart().await;
        let mut client = world.connect().await;
        let epoch = client.describe(METADATA, "t", false).await.partitions[0].leader_epoch;
        assert!(epoch > 0, "a start is a new epoch");
        for version in 9..=FETCH {
            let with = |current_leader_epoch| FetchPartition { current_leader_epoch, ..from_offset(0, 0) };
            assert_eq!(code(world, version, &topic, with(epoch)).await, ErrorCode::None);
            assert_eq!(code(world, version, &topic, with(epoch - 1)).await, ErrorCode::FencedLeaderEpoch);
            assert_eq!(code(world, version, &topic, with(epoch + 1)).await, ErrorCode::UnknownLeaderEpoch);
        }
        // The new leader is named (KIP-951).
        let stale = FetchPartition { current_leader_epoch: epoch - 1, ..from_offset(0, 0) };
        for version in 16..=FETCH {
            let answer = client.call(version, &fetch(version, &topic, vec![stale.clone()])).await;
            assert_eq!(only(&answer).current_leader.leader_epoch, epoch);
            assert_eq!(answer.node_endpoints.len(), 1);
        }
    });
}

#[test]
fn a_reader_whose_epoch_ended_earlier_is_told_where() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let old = client.describe(METADATA, "t", false).await.partitions[0].leader_epoch;
        client.fill(&topic, &["a", "b"]).await;
        world.restart().await;
        let mut client = world.connect().await;
        let new = client.describe(METADATA, "t", false).await.partitions[0].leader_epoch;
        client.fill(&topic, &["c"]).await;
        for version in 12..=FETCH {
            let at = |fetch_offset, last_fetched_epoch| FetchPartition {
                last_fetched_epoch,
                ..from_offset(0, fetch_offset)
            };
            let answer = client.call(version, &fetch(version, &topic, vec![at(2, old)])).await;
            assert_eq!(values(only(&answer)), ["c"], "offset 2 is where the old epoch ended");
            let answer = client.call(version, &fetch(version, &topic, vec![at(3, old)])).await;
            let diverging = &only(&answer).diverging_epoch;
            assert_eq!((diverging.epoch, diverging.end_offset), (old, 2));
            assert_eq!(only(&answer).records.as_ref().map_or(0, protocol::RecordSet::len), 0);
            let answer = client.call(version, &fetch(version, &topic, vec![at(3, new)])).await;
            assert_eq!((only(&answer).error_code, only(&answer).diverging_epoch.epoch), (0, -1));
        }
    });
}

#[test]
fn unknown_topics_and_partitions_are_told_by_the_way_they_were_named() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let nobody = Topic { name: Str::from("nobody"), id: Uuid::from([7; 16]) };
        for version in 4..=FETCH {
            let unknown = code(world, version, &nobody, from_offset(0, 0)).await;
            let by_id = version >= 13;
            let expected = if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
            assert_eq!(unknown, expected);
            for partition in [1, -1, i32::MAX] {
                let unknown = code(world, version, &topic, from_offset(partition, 0)).await;
                assert_eq!(unknown, ErrorCode::UnknownTopicOrPartition);
            }
        }
    });
}

#[test]
fn a_consumer_of_committed_records_gets_a_list_of_aborted_transactions() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        client.fill(&topic, &["a"]).await;
        for version in 4..=FETCH {
            for (isolation_level, aborted) in [(0, None), (1, Some(Vec::new()))] {
                let request = fetch(version, &topic, vec![from_offset(0, 0)]);
                let answer = client.call(version, &FetchRequest { isolation_level, ..request }).await;
                assert_eq!(only(&answer).aborted_transactions, aborted);
                assert_eq!(values(only(&answer)), ["a"]);
            }
        }
    });
}

#[test]
fn what_cannot_be_read_has_no_list_of_aborted_transactions() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        for offset in [5, -1] {
            let request = fetch(FETCH, &topic, vec![from_offset(0, offset)]);
            let answer = client.call(FETCH, &FetchRequest { isolation_level: 1, ..request }).await;
            let part = only(&answer);
            assert_eq!(ErrorCode::from(part.error_code), ErrorCode::OffsetOutOfRange);
            assert_eq!(part.aborted_transactions, None);
        }
    });
}

#[test]
fn a_follower_is_sent_away() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let request = fetch(12, &topic, vec![from_offset(0, 0)]);
        let answer = client.call(12, &FetchRequest { replica_id: 9, ..request }).await;
        assert_eq!(ErrorCode::from(only(&answer).error_code), ErrorCode::NotLeaderOrFollower);
    });
}

#[test]
fn what_has_left_memory_is_read_from_its_file() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let all: Vec<String> = (0..50).map(|number| number.to_string().repeat(1000)).collect();
        for value in &all {
            assert_eq!(client.append_code(&topic, batch(&[value])).await, ErrorCode::None);
        }
        world.restart().await;
        let mut client = world.connect().await;
        let mut found = Vec::new();
        while found.len() < all.len() {
            let offset = i64::try_from(found.len()).unwrap();
            let part = FetchPartition { partition_max_bytes: 7_000, ..from_offset(0, offset) };
            let answer = client.call(FETCH, &fetch(FETCH, &topic, vec![part])).await;
            let more = values(only(&answer));
            assert!(!more.is_empty());
            found.extend(more);
        }
        assert_eq!(found, all);
    });
}
