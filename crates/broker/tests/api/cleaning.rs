//! What may happen while a pass of compaction is under way: the topic goes or changes, records are deleted, the broker stops,
//! the disk is full.

use std::path::Path;

use host::sim::{OpKind, Rule};
use protocol::ErrorCode;
use protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use protocol::{Str, Uuid};

use crate::alter_configs::set;
use crate::compaction::{COMPACTED, offsets, put, read_all, read_all_from};
use crate::support::requests::Topic;
use crate::support::{Client, SERVER, World, ms, run};

/// A segment a second.
const SLOW: [(&str, &str); 2] =
    [("log.cleaner.backoff.ms", "1000"), ("log.cleaner.io.max.bytes.per.second", "4000")];

/// Seconds with a record of each of two keys; the last one's are in the open segment.
const SECONDS: i64 = 8;

async fn filled(client: &mut Client, configs: &[(&str, &str)]) -> Topic {
    let topic = client.create("t", 1, configs).await;
    let value = "v".repeat(2000);
    for at in 0..SECONDS {
        put(client, &topic, at, &[("a", Some(&value)), ("b", Some(&value))]).await;
    }
    topic
}

/// What is left of them in the end: the newest of each key, and what is in the open segment.
const LEFT: [i64; 4] = [12, 13, 14, 15];

fn files_with(world: &World, suffix: &str) -> Vec<String> {
    let names = world.files().read_dir(Path::new("/data/t-0")).unwrap_or_default();
    names.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(suffix)).collect()
}

/// A topic in the middle of a pass, which writes a new segment.
async fn in_a_pass(world: &World, client: &mut Client, configs: &[(&str, &str)]) -> Topic {
    let topic = filled(client, configs).await;
    for _ in 0..1000 {
        if !files_with(world, ".cleaned").is_empty() {
            world.sim.sleep(ms(2_000)).await;
            assert!(!files_with(world, ".cleaned").is_empty(), "it takes longer than that");
            assert_eq!(read_all(client, &topic).await.len(), 16, "nothing has changed yet");
            return topic;
        }
        world.sim.sleep(ms(100)).await;
    }
    panic!("no pass begins");
}

async fn go_fast(client: &mut Client) {
    set(client, (4, ""), "log.cleaner.io.max.bytes.per.second", "100000000").await;
}

async fn delete_records(client: &mut Client, topic: &str, offset: i64) -> ErrorCode {
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
    let topics = vec![DeleteRecordsTopic { name: Str::from(topic), partitions }];
    let answer = client.call(2, &DeleteRecordsRequest { topics, timeout_ms: 30_000 }).await;
    ErrorCode::from(answer.topics[0].partitions[0].error_code)
}

#[test]
fn a_topic_is_deleted_under_a_pass() {
    run(&SLOW, async |world| {
        let mut client = world.connect().await;
        let old = in_a_pass(world, &mut client, &COMPACTED).await;
        client.delete("t").await;
        assert!(files_with(world, "").is_empty());
        go_fast(&mut client).await;
        let new = filled(&mut client, &COMPACTED).await;
        assert!(new.id != old.id && new.id != Uuid::ZERO);
        world.sim.sleep(ms(120_000)).await;
        assert_eq!(offsets(&read_all(&mut client, &new).await), LEFT, "the new one is compacted");
        let left = world.files().read_dir(Path::new("/data")).unwrap();
        assert!(!left.iter().any(|entry| entry.name.contains("delete")), "{left:?}");
    });
}

/// A pass went on after compaction was turned off, and took records that somebody had decided to keep.
#[test]
fn a_pass_ends_when_compaction_is_turned_off() {
    run(&SLOW, async |world| {
        let mut client = world.connect().await;
        let mut configs = COMPACTED.to_vec();
        configs.push(("retention.ms", "-1"));
        let topic = in_a_pass(world, &mut client, &configs).await;
        set(&mut client, (2, "t"), "cleanup.policy", "delete").await;
        world.sim.sleep(ms(60_000)).await;
        assert_eq!(files_with(world, ".cleaned"), Vec::<String>::new());
        assert_eq!(read_all(&mut client, &topic).await.len(), 16);
        go_fast(&mut client).await;
        set(&mut client, (2, "t"), "cleanup.policy", "compact").await;
        world.sim.sleep(ms(60_000)).await;
        assert_eq!(offsets(&read_all(&mut client, &topic).await), LEFT, "it is turned on again");
    });
}

#[test]
fn retention_takes_segments_that_a_pass_reads() {
    let mut configs = SLOW.to_vec();
    configs.push(("log.retention.check.interval.ms", "1000"));
    run(&configs, async |world| {
        let mut client = world.connect().await;
        let mut configs = COMPACTED.to_vec();
        configs[0].1 = "compact,delete";
        configs.push(("retention.ms", "-1"));
        let topic = in_a_pass(world, &mut client, &configs).await;
        // The first three segments are too much.
        let bytes = 5 * 4150;
        set(&mut client, (2, "t"), "retention.bytes", &bytes.to_string()).await;
        world.sim.sleep(ms(5_000)).await;
        let start = client.offset_at(11, &topic, -2).await.offset;
        assert!((2..=8).contains(&start), "{start}");
        assert_eq!(offsets(&read_all_from(&mut client, &topic, start).await)[0], start);
        go_fast(&mut client).await;
        world.sim.sleep(ms(120_000)).await;
        assert_eq!(offsets(&read_all_from(&mut client, &topic, start).await), LEFT);
        assert_eq!(files_with(world, ".cleaned"), Vec::<String>::new());
        assert_eq!(files_with(world, ".deleted"), Vec::<String>::new());
        world.crash().await;
        let mut client = world.connect().await;
        assert_eq!(client.offset_at(11, &topic, -2).await.offset, start);
        assert_eq!(offsets(&read_all_from(&mut client, &topic, start).await), LEFT);
    });
}

#[test]
fn a_clean_stop_does_not_wait_for_a_pass() {
    run(&SLOW, async |world| {
        let mut client = world.connect().await;
        let topic = in_a_pass(world, &mut client, &COMPACTED).await;
        let before = world.wall_ms();
        world.stop().await;
        assert!(world.wall_ms() - before < 2_000, "the next step of the pass is a second away");
        assert_eq!(files_with(world, ".cleaned"), Vec::<String>::new());
        world.start_again().await.unwrap();
        let mut client = world.connect().await;
        assert_eq!(read_all(&mut client, &topic).await.len(), 16);
        world.sim.sleep(ms(60_000)).await;
        assert_eq!(offsets(&read_all(&mut client, &topic).await), LEFT);
    });
}

#[test]
fn records_are_deleted_under_a_pass() {
    // In the middle of what it has read, at its end, and in the open segment.
    for (offset, left) in [(5, LEFT.as_slice()), (13, &[13, 14, 15]), (15, &[15]), (-1, &[])] {
        run(&SLOW, async |world| {
            let mut client = world.connect().await;
            let mut configs = COMPACTED.to_vec();
            configs[0].1 = "compact,delete";
            configs.push(("retention.ms", "-1"));
            let topic = in_a_pass(world, &mut client, &configs).await;
            assert_eq!(delete_records(&mut client, "t", offset).await, ErrorCode::None);
            let start = if offset < 0 { 16 } else { offset };
            assert_eq!(client.offset_at(11, &topic, -2).await.offset, start);
            go_fast(&mut client).await;
            world.sim.sleep(ms(120_000)).await;
            assert_eq!(files_with(world, ".cleaned"), Vec::<String>::new());
            for crash in [false, true] {
                if crash {
                    world.crash().await;
                    client = world.connect().await;
                }
                assert_eq!(client.offset_at(11, &topic, -2).await.offset, start);
                let data = client.read(&topic, start - 1).await;
                assert_eq!(ErrorCode::from(data.error_code), ErrorCode::OffsetOutOfRange);
                assert_eq!(offsets(&read_all_from(&mut client, &topic, start).await), left, "{crash}");
            }
        });
    }
}

/// The disk is full at one step of a pass, whichever: the pass is given up, or waits where its outcome is promised already;
/// nothing is lost, nothing is left behind, and it is done when there is room.
#[test]
fn a_full_disk_ends_a_pass_and_nothing_else() {
    let steps = [
        (OpKind::Open, ".log.1.cleaned"),
        (OpKind::SetLen, ".log.1.cleaned"),
        (OpKind::Write, ".log.1.cleaned"),
        (OpKind::Sync, ".log.1.cleaned"),
        (OpKind::Open, ".index.1.cleaned"),
        (OpKind::Write, ".index.1.cleaned"),
        (OpKind::Sync, ".index.1.cleaned"),
        (OpKind::Open, ".timeindex.1.cleaned"),
        (OpKind::Write, ".timeindex.1.cleaned"),
        (OpKind::Sync, ".timeindex.1.cleaned"),
        (OpKind::Open, "checkpoint"),
        (OpKind::Write, "checkpoint"),
        (OpKind::Rename, ".log.1.cleaned"),
        (OpKind::Rename, ".timeindex.1.cleaned"),
        (OpKind::Rename, "2.log"),
        (OpKind::Rename, "4.timeindex"),
    ];
    let full = |op, path| Rule { error: std::io::ErrorKind::StorageFull, ..Rule::next(op, path, 1) };
    for (op, path) in steps {
        for skip in [0, 1, 3] {
            check_full_disk(&Rule { skip, ..full(op, path) });
        }
    }
    // The next one would be that of the files in their places: a sync that fails is final.
    check_full_disk(&full(OpKind::SyncDir, "/data/t-0"));
}

fn check_full_disk(rule: &Rule) {
    run(&SLOW, async |world| {
        let mut client = world.connect().await;
        let topic = if rule.path.ends_with(".cleaned") {
            let topic = filled(&mut client, &COMPACTED).await;
            world.sim.disk(SERVER).inject(rule.clone());
            topic
        } else {
            let topic = in_a_pass(world, &mut client, &COMPACTED).await;
            world.sim.disk(SERVER).inject(rule.clone());
            topic
        };
        go_fast(&mut client).await;
        for _ in 0..20 {
            world.sim.sleep(ms(500)).await;
            let left = offsets(&read_all(&mut client, &topic).await);
            assert!(LEFT.iter().all(|offset| left.contains(offset)), "{rule:?}: {left:?}");
        }
        world.sim.sleep(ms(240_000)).await;
        assert_eq!(offsets(&read_all(&mut client, &topic).await), LEFT, "{rule:?}");
        assert_eq!(files_with(world, ".cleaned"), Vec::<String>::new(), "{rule:?}");
        assert_eq!(files_with(world, ".deleted"), Vec::<String>::new(), "{rule:?}");
        world.sim.disk(SERVER).clear_rules();
        put(&mut client, &topic, SECONDS, &[("a", None)]).await;
        world.crash().await;
        let mut client = world.connect().await;
        let all = [LEFT.as_slice(), &[16]].concat();
        assert_eq!(offsets(&read_all(&mut client, &topic).await), all, "{rule:?}");
    });
}
