//! Configs of topics that say how long records stay, and how segments and their indexes are cut; the table is in
//! `topic_configs`.

use std::path::Path;

use protocol::ErrorCode;

use crate::alter_configs::{TOPIC, set};
use crate::support::requests::{Topic, batch, batch_at, values};
use crate::support::{Client, SERVER, World, ms, run};

/// Where the log starts, a while after retention had its turns.
async fn start_later(world: &World, client: &mut Client, topic: &Topic) -> i64 {
    world.sim.sleep(ms(10_000)).await;
    client.offset_at(11, topic, -2).await.offset
}

const OFTEN: (&str, &str) = ("log.retention.check.interval.ms", "1000");

#[test]
fn retention_by_time_follows_the_topic_and_takes_the_open_segment_too() {
    run(&[OFTEN], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[("retention.ms", "-1")]).await;
        client.fill(&topic, &["of 1970", "of 1970"]).await;
        assert_eq!(start_later(world, &mut client, &topic).await, 0);
        set(&mut client, (TOPIC, "t"), "retention.ms", "60000").await;
        assert_eq!(start_later(world, &mut client, &topic).await, 2);
        set(&mut client, (TOPIC, "t"), "message.timestamp.type", "LogAppendTime").await;
        client.fill(&topic, &["of now"]).await;
        assert_eq!(start_later(world, &mut client, &topic).await, 2);
        world.sim.sleep(ms(60_000)).await;
        assert_eq!(start_later(world, &mut client, &topic).await, 3);
        assert_eq!(client.append(&topic, batch(&["x"])).await.base_offset, 3);
    });
}

#[test]
fn retention_by_size_follows_the_topic_and_takes_the_open_segment_too() {
    run(&[OFTEN], async |world| {
        let mut client = world.connect().await;
        let configs = [("segment.bytes", "1048576"), ("retention.ms", "-1")];
        let topic = client.create("t", 1, &configs).await;
        let large = "x".repeat(600_000);
        client.fill(&topic, &[&large, &large, &large, &large]).await;
        assert_eq!(start_later(world, &mut client, &topic).await, 0);
        for (bytes, start) in [("2400000", 0), ("1300000", 1), ("1200000", 2), ("0", 4)] {
            set(&mut client, (TOPIC, "t"), "retention.bytes", bytes).await;
            assert_eq!(start_later(world, &mut client, &topic).await, start, "{bytes}");
        }
    });
}

#[test]
fn a_topic_without_cleanup_keeps_everything() {
    run(&[OFTEN], async |world| {
        let mut client = world.connect().await;
        let configs = [("retention.ms", "1000"), ("retention.bytes", "0"), ("cleanup.policy", "")];
        let topic = client.create("t", 1, &configs).await;
        client.fill(&topic, &["old", "and", "too", "much"]).await;
        assert_eq!(start_later(world, &mut client, &topic).await, 0);
        set(&mut client, (TOPIC, "t"), "cleanup.policy", "delete").await;
        assert_eq!(start_later(world, &mut client, &topic).await, 4);
    });
}

/// Names of the files of all partitions and their sizes, by name.
fn files(world: &World, extension: &str) -> Vec<(String, u64)> {
    let files = world.files();
    let mut found = Vec::new();
    for directory in files.read_dir(Path::new("/data")).unwrap() {
        let path = Path::new("/data").join(&directory.name);
        for file in files.read_dir(&path).unwrap_or_default() {
            if file.name.ends_with(extension) && directory.name != "metadata" {
                let bytes = files.read(&path.join(&file.name), 1 << 30).unwrap().len();
                found.push((file.name, bytes as u64));
            }
        }
    }
    found.sort();
    found
}

/// The base offsets of segments.
fn bases(world: &World) -> Vec<u64> {
    let name = |(name, _): &(String, u64)| name.trim_end_matches(".log").parse().unwrap();
    files(world, ".log").iter().map(name).collect()
}

#[test]
fn segments_are_closed_by_size_and_by_time() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[("segment.ms", "1000")]).await;
        let at = async |client: &mut Client, timestamp| {
            assert_eq!(client.append_code(&topic, batch_at(timestamp, "x")).await, ErrorCode::None);
        };
        for timestamp in [10_000, 11_000, 11_001, 12_001] {
            at(&mut client, timestamp).await;
        }
        set(&mut client, (TOPIC, "t"), "segment.ms", "1000000").await;
        at(&mut client, 20_000).await;
        // All of it may be jitter; two of three random numbers are not 0.
        set(&mut client, (TOPIC, "t"), "segment.jitter.ms", "1000000").await;
        at(&mut client, 1_011_001).await;
        set(&mut client, (TOPIC, "t"), "segment.ms", "9223372036854775807").await;
        set(&mut client, (TOPIC, "t"), "segment.jitter.ms", "0").await;
        set(&mut client, (TOPIC, "t"), "segment.bytes", "1048576").await;
        let large = "x".repeat(600_000);
        client.fill(&topic, &[&large, &large]).await;
        world.stop().await;
        assert_eq!(bases(world), [0, 2, 5, 7]);
    });
}

/// Free space of the disk, in MiB, once what was appended is in its segments.
async fn free_mib(world: &World) -> u64 {
    world.sim.sleep(ms(5_000)).await;
    world.files().space(Path::new("/data")).unwrap().available_bytes >> 20
}

#[test]
fn space_of_segments_is_reserved_and_set_free() {
    run(&[("bourn.disk.reserve.bytes", "0"), ("log.preallocate", "true")], async |world| {
        world.sim.disk(SERVER).faults(|faults| faults.quota_bytes = Some(1 << 30));
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[("segment.bytes", "33554432")]).await;
        let before = free_mib(world).await;
        client.fill(&topic, &["a"]).await;
        let reserved = free_mib(world).await;
        assert!((30..=33).contains(&(before - reserved)), "{before} {reserved}");
        let path = Path::new("/data/t-0/00000000000000000000.log");
        let len = world.files().read(path, 1 << 20).unwrap().len();
        assert!((60..200).contains(&len), "{len}: nobody meets zeros behind the last batch");
        world.crash().await;
        let mut client = world.connect().await;
        assert_eq!(values(&client.read(&topic, 0).await), ["a"]);
        client.fill(&topic, &["b"]).await;
        set(&mut client, (TOPIC, "t"), "segment.ms", "1").await;
        assert_eq!(client.append_code(&topic, batch_at(100_000, "c")).await, ErrorCode::None);
        let second = free_mib(world).await;
        assert!((30..=36).contains(&(before - second)), "the first one has set its free: {before} {second}");
        world.stop().await;
        assert!(before - free_mib(world).await < 4, "a clean stop");
        world.start_again().await.unwrap();
        let mut client = world.connect().await;
        assert_eq!(values(&client.read(&topic, 0).await), ["a", "b"]);
        assert_eq!(values(&client.read(&topic, 2).await), ["c"]);
        // Where there is no room for all of it there is for what comes.
        let used = (1 << 30) - world.files().space(Path::new("/data")).unwrap().available_bytes;
        world.sim.disk(SERVER).faults(|faults| faults.quota_bytes = Some(used + (8 << 20)));
        assert_eq!(client.append_code(&topic, batch_at(200_000, "d")).await, ErrorCode::None);
        free_mib(world).await;
        client.fill(&topic, &["e"]).await;
        world.crash().await;
        let mut client = world.connect().await;
        assert_eq!(values(&client.read(&topic, 3).await), ["d", "e"]);
    });
}

#[test]
fn reserving_space_begins_and_ends_with_the_next_segment() {
    run(&[("bourn.disk.reserve.bytes", "0")], async |world| {
        world.sim.disk(SERVER).faults(|faults| faults.quota_bytes = Some(1 << 30));
        let mut client = world.connect().await;
        let configs = [("segment.bytes", "33554432"), ("segment.ms", "1000")];
        let topic = client.create("t", 1, &configs).await;
        let before = free_mib(world).await;
        for (preallocate, timestamp, mib) in [
            ("false", 1_000, 0),
            ("true", 1_000, 0),
            ("true", 9_000, 31),
            ("false", 9_000, 31),
            ("false", 19_000, 0),
        ] {
            set(&mut client, (TOPIC, "t"), "preallocate", preallocate).await;
            assert_eq!(client.append_code(&topic, batch_at(timestamp, "x")).await, ErrorCode::None);
            let reserved = before - free_mib(world).await;
            assert!((mib..mib + 4).contains(&reserved), "{preallocate} {timestamp}: {reserved}");
        }
        assert_eq!(bases(world), [0, 2, 4]);
    });
}

#[test]
fn a_smaller_index_closes_the_segment_that_has_more() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[("index.interval.bytes", "0")]).await;
        client.fill(&topic, &["a"; 10]).await;
        set(&mut client, (TOPIC, "t"), "segment.index.bytes", "60").await;
        client.fill(&topic, &["a"; 3]).await;
        world.stop().await;
        assert_eq!(bases(world), [0, 10]);
    });
}

#[test]
fn indexes_are_as_dense_and_as_large_as_the_topic_says() {
    // The first batch of a segment has no entry.
    for (interval, index_bytes, segments, sizes) in [
        ("0", "10485760", &[0][..], &[9 * 8][..]),
        ("1000000", "10485760", &[0], &[0]),
        // Seven entries, and a batch without one.
        ("0", "60", &[0, 8], &[7 * 8, 8]),
    ] {
        run(&[], async |world| {
            let mut client = world.connect().await;
            let topic = client.create("t", 1, &[("index.interval.bytes", interval)]).await;
            set(&mut client, (TOPIC, "t"), "segment.index.bytes", index_bytes).await;
            client.fill(&topic, &["a"; 10]).await;
            world.stop().await;
            assert_eq!(bases(world), segments, "{interval} {index_bytes}");
            let found: Vec<u64> = files(world, ".index").iter().map(|(_, bytes)| *bytes).collect();
            assert_eq!(found, sizes, "{interval} {index_bytes}");
        });
    }
}

#[test]
fn a_new_density_of_indexes_counts_from_the_next_segment_on() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let configs = [("index.interval.bytes", "0"), ("segment.ms", "1000")];
        let topic = client.create("t", 1, &configs).await;
        for (interval, timestamp) in [("0", 1_000), ("1000000", 1_000), ("1000000", 9_000), ("0", 9_000)] {
            set(&mut client, (TOPIC, "t"), "index.interval.bytes", interval).await;
            for _ in 0..5 {
                assert_eq!(client.append_code(&topic, batch_at(timestamp, "x")).await, ErrorCode::None);
            }
        }
        world.stop().await;
        assert_eq!(bases(world), [0, 10]);
        let found: Vec<u64> = files(world, ".index").iter().map(|(_, bytes)| *bytes).collect();
        assert_eq!(found, [9 * 8, 0]);
    });
}

#[test]
fn deleted_files_stay_for_their_delay() {
    run(&[OFTEN], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[("file.delete.delay.ms", "100000")]).await;
        client.fill(&topic, &["of 1970"]).await;
        assert_eq!(start_later(world, &mut client, &topic).await, 1);
        assert!(!files(world, ".deleted").is_empty());
        world.sim.sleep(ms(50_000)).await;
        assert!(!files(world, ".deleted").is_empty());
        world.sim.sleep(ms(100_000)).await;
        assert_eq!(files(world, ".deleted"), []);
        // Another delay counts for what is deleted from then on.
        set(&mut client, (TOPIC, "t"), "file.delete.delay.ms", "1000").await;
        client.fill(&topic, &["of 1970"]).await;
        assert_eq!(start_later(world, &mut client, &topic).await, 2);
        assert_eq!(files(world, ".deleted"), []);
    });
}
