//! Shards over real committers on a simulated machine that loses power, has a full disk, or a failing one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use host::Host;
use host::sim::{Faults, NodeOptions, OpKind, Rule, Sim};
use protocol::ids::{LeaderEpoch, Offset, TopicId};
use protocol::records::{BatchBuilder, BatchOptions, NewRecord, ValidBatch};
use protocol::{ErrorCode, Uuid};
use storage::{LogConfig, PartitionKey};

use crate::shard::{Acks, Append, PartitionSpec, Read, Shards, ShardsOptions};

const NODE: &str = "one";
const PARTITIONS: i32 = 7;

fn options() -> ShardsOptions {
    ShardsOptions { log_dirs: vec!["/data".into()], disk_reserve_bytes: 0, ..ShardsOptions::default() }
}

fn key(partition: i32) -> PartitionKey {
    PartitionKey { topic_id: TopicId(Uuid::ONE), partition }
}

fn batch(value: &[u8]) -> ValidBatch {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(&NewRecord { timestamp: 7, value: Some(value), ..NewRecord::default() }).unwrap();
    builder.build_valid().unwrap()
}

async fn start(host: &Host, leader_epoch: i32) -> Shards {
    open(Shards::start(host, options()).await.unwrap(), leader_epoch).await
}

async fn open(shards: Shards, leader_epoch: i32) -> Shards {
    for partition in 0..PARTITIONS {
        shards.open(spec(partition, leader_epoch)).await.unwrap();
    }
    shards
}

fn spec(partition: i32, leader_epoch: i32) -> PartitionSpec {
    let (topic, config) = (Arc::from("flights"), Arc::new(LogConfig::default()));
    PartitionSpec { key: key(partition), topic, leader_epoch: LeaderEpoch(leader_epoch), config }
}

async fn append(shards: &Shards, acks: Acks, partition: i32, value: &[u8]) -> Result<i64, ErrorCode> {
    let append = Append { key: key(partition), batch: batch(value) };
    let (_, result) = shards.append(acks, vec![append]).await.remove(0);
    result.map(|appended| appended.base_offset.0).map_err(|refusal| refusal.code)
}

/// Offsets and sizes of everything in a partition.
async fn read_all(shards: &Shards, partition: i32) -> BTreeMap<i64, usize> {
    let mut all = BTreeMap::new();
    let mut offset = Offset::ZERO;
    loop {
        let read = Read {
            key: key(partition),
            offset,
            bytes_max: 1 << 20,
            current_leader_epoch: None,
            last_fetched_epoch: None,
            committed_only: false,
            from_file: false,
        };
        let reply = shards.read(vec![read], 1 << 20, true, None).await.remove(0);
        assert_eq!(reply.error, ErrorCode::None);
        if reply.records.is_empty() {
            return all;
        }
        for header in crate::shard::tests::headers(&reply.records) {
            all.insert(header.base_offset.0, header.size());
            offset = header.next_offset();
        }
    }
}

#[test]
fn what_was_acknowledged_survives_power_losses() {
    for seed in 0..12 {
        let sim = Sim::new(seed);
        sim.node(NODE, NodeOptions::default());
        let mut acknowledged: BTreeMap<(i32, i64), usize> = BTreeMap::new();
        for life in 0..4 {
            let host = sim.host(NODE).unwrap();
            sim.block_on_node(NODE, async {
                let shards = start(&host, life).await;
                for (partition, offset) in acknowledged.keys() {
                    let all = read_all(&shards, *partition).await;
                    assert_eq!(
                        all.get(offset),
                        acknowledged.get(&(*partition, *offset)),
                        "seed {seed}, life {life}"
                    );
                }
                for round in 0..30_usize {
                    let partition = i32::try_from(round).unwrap() % PARTITIONS;
                    let value = vec![u8::try_from(round).unwrap(); 100 + round * 400];
                    let offset = append(&shards, Acks::All, partition, &value).await.unwrap();
                    assert!(acknowledged.insert((partition, offset), batch(&value).size()).is_none());
                }
                for partition in 0..PARTITIONS {
                    // Nobody waits for these.
                    append(&shards, Acks::None, partition, &[9; 3000]).await.unwrap();
                }
            });
            sim.crash(NODE);
            sim.restart(NODE);
        }
    }
}

#[test]
fn a_clean_stop_leaves_an_empty_journal() {
    let sim = Sim::new(3);
    let host = sim.node(NODE, NodeOptions::default());
    sim.block_on_node(NODE, async {
        let shards = start(&host, 0).await;
        for partition in 0..PARTITIONS {
            append(&shards, Acks::All, partition, b"kept").await.unwrap();
        }
        shards.stop().await;
    });
    sim.crash(NODE);
    let host = sim.restart(NODE);
    sim.block_on_node(NODE, async {
        let shards = start(&host, 1).await;
        let recovery = shards.recovery();
        assert!(recovery.clean, "{recovery:?}");
        assert_eq!((recovery.partitions, recovery.batches, recovery.broken), (7, 0, 0));
        for partition in 0..PARTITIONS {
            assert_eq!(read_all(&shards, partition).await.len(), 1);
        }
    });
}

/// What only the journal had of a partition with a missing file went with the next checkpoint, so that bringing the file
/// back did not bring the records back.
#[test]
fn the_journal_keeps_what_it_has_of_a_broken_partition() {
    keeps_what_it_has_of_a_broken_partition(&options(), 1);
    // Several times around a small ring.
    let small = ShardsOptions { journal_bytes_max: 1, memory_bytes_max: 8 << 20, ..options() };
    keeps_what_it_has_of_a_broken_partition(&small, 120);
}

fn keeps_what_it_has_of_a_broken_partition(options: &ShardsOptions, batches: usize) {
    let sim = Sim::new(4);
    let mut host = sim.node(NODE, NodeOptions::default());
    let (file, aside) = (Path::new("/data/flights-0/00000000000000000000.log"), Path::new("/data/aside"));
    let large = vec![1; 60_000];
    for life in 0..5 {
        sim.block_on_node(NODE, async {
            if life == 2 {
                host.disk.files().rename(file, aside).unwrap();
                host.disk.files().sync_dir(Path::new("/data/flights-0")).unwrap();
            }
            if life == 4 {
                host.disk.files().rename(aside, file).unwrap();
            }
            let shards = Shards::start(&host, options.clone()).await.unwrap();
            let broken = usize::from(life == 2 || life == 3);
            assert_eq!(shards.recovery().broken, broken, "life {life}");
            for partition in 0..PARTITIONS {
                let opened = shards.open(spec(partition, life)).await;
                assert_eq!(opened.is_err(), broken == 1 && partition == 0, "life {life}: {opened:?}");
                let count = if opened.is_err() {
                    0
                } else if partition == 0 {
                    1
                } else {
                    batches
                };
                for _ in 0..count {
                    append(&shards, Acks::All, partition, &large).await.unwrap();
                }
            }
            if life == 4 {
                assert_eq!(read_all(&shards, 0).await.len(), 3, "two of before, one of now");
                assert_eq!(read_all(&shards, 1).await.len(), 5 * batches);
            }
            // The first stop leaves a segment, the second nothing, the next two must keep the journal.
            if life != 1 {
                shards.stop().await;
            }
        });
        sim.crash(NODE);
        host = sim.restart(NODE);
    }
}

#[test]
fn a_broken_partition_can_be_deleted_and_holds_nothing_then() {
    let sim = Sim::new(4);
    let mut host = sim.node(NODE, NodeOptions::default());
    for life in 0..4 {
        sim.block_on_node(NODE, async {
            let directory = Path::new("/data/flights-0");
            if life == 2 {
                host.disk.files().remove_file(&directory.join("00000000000000000000.log")).unwrap();
            }
            let shards = Shards::start(&host, options()).await.unwrap();
            let recovery = shards.recovery();
            assert_eq!((recovery.broken, recovery.clean), (usize::from(life == 2), life != 2), "life {life}");
            if life == 2 {
                shards.delete(key(0)).await.unwrap();
                host.clock.sleep(Duration::from_secs(100)).await;
                assert!(!host.disk.files().exists(directory).unwrap());
            }
            shards.open(spec(0, life)).await.unwrap();
            append(&shards, Acks::All, 0, &[1; 500]).await.unwrap();
            assert_eq!(read_all(&shards, 0).await.len(), [1, 2, 1, 2][usize::try_from(life).unwrap()]);
            if life != 1 {
                shards.stop().await;
            }
        });
        sim.crash(NODE);
        host = sim.restart(NODE);
    }
}

#[test]
fn a_ring_that_is_too_small_slows_down_and_loses_nothing() {
    let sim = Sim::new(5);
    let host = sim.node(NODE, NodeOptions::default());
    let value = vec![1; 60_000];
    sim.block_on_node(NODE, async {
        let small = ShardsOptions { journal_bytes_max: 1, memory_bytes_max: 8 << 20, ..options() };
        let shards = open(Shards::start(&host, small).await.unwrap(), 0).await;
        let appends: Vec<_> = (0..700).map(|n| append(&shards, Acks::All, n % PARTITIONS, &value)).collect();
        for (n, append) in appends.into_iter().enumerate() {
            assert_eq!(append.await, Ok(n as i64 / i64::from(PARTITIONS)));
        }
    });
    sim.crash(NODE);
    let host = sim.restart(NODE);
    sim.block_on_node(NODE, async {
        let shards = start(&host, 1).await;
        for partition in 0..PARTITIONS {
            assert_eq!(read_all(&shards, partition).await.len(), 100);
        }
        let used: u64 = (0..4)
            .filter_map(|id| {
                let path = storage::journal::ring_path(Path::new("/data/journal"), id);
                host.disk.files().open(&path, host::OpenMode::READ).ok()?.len().ok()
            })
            .sum();
        assert!(used <= 16 << 20, "the ring has {used} bytes");
    });
}

#[test]
fn a_failed_sync_is_final() {
    for (op, path) in [(OpKind::Sync, "/journal/"), (OpKind::Write, "/journal/")] {
        let sim = Sim::new(1);
        let host = sim.node(NODE, NodeOptions::default());
        sim.block_on_node(NODE, async {
            let shards = start(&host, 0).await;
            append(&shards, Acks::All, 0, b"before").await.unwrap();
            sim.disk(NODE).inject(Rule::next(op, path, 1));
            assert_eq!(append(&shards, Acks::All, 0, b"lost").await, Err(ErrorCode::KafkaStorageError));
            assert_eq!(append(&shards, Acks::All, 0, b"after").await, Err(ErrorCode::KafkaStorageError));
            assert!(shards.failed().await.contains("no log directory is left"));
            shards.stop().await;
        });
    }
}

/// Only the shard that saw it took the directory for offline once. The others went on with it, and a clean stop waited
/// for the committer for ever (simulator, seed 116).
#[test]
fn a_segment_that_cannot_be_written_ends_its_directory_for_all_shards() {
    let sim = Sim::new(1);
    let host = sim.node(NODE, NodeOptions::default());
    sim.block_on_node(NODE, async {
        let shards = start(&host, 0).await;
        let large = vec![3; 300_000];
        sim.disk(NODE).inject(Rule::next(OpKind::Write, ".log", 1));
        append(&shards, Acks::All, 0, &large).await.unwrap();
        assert!(shards.failed().await.contains("no log directory is left"));
        host.clock.sleep(Duration::from_millis(1)).await;
        for partition in 0..PARTITIONS {
            let refused = append(&shards, Acks::All, partition, b"after").await;
            assert_eq!(refused, Err(ErrorCode::KafkaStorageError), "{partition}");
        }
        shards.stop().await;
    });
}

#[test]
fn a_clean_stop_ends_though_a_segment_cannot_be_written() {
    for op in [OpKind::Write, OpKind::Sync] {
        let sim = Sim::new(1);
        let host = sim.node(NODE, NodeOptions::default());
        sim.block_on_node(NODE, async {
            let shards = start(&host, 0).await;
            append(&shards, Acks::All, 0, b"in the journal").await.unwrap();
            sim.disk(NODE).inject(Rule::next(op, ".log", 1));
            shards.stop().await;
        });
        sim.crash(NODE);
        let host = sim.restart(NODE);
        sim.block_on_node(NODE, async {
            assert_eq!(read_all(&start(&host, 1).await, 0).await.len(), 1, "{op:?}");
        });
    }
}

/// The time for a checkpoint came while one shard had stopped and another still wrote: the committer's timer was set for
/// the past again and again, and nothing else got a turn (simulator, seed 252).
#[test]
fn a_slow_clean_stop_leaves_others_their_turns() {
    let sim = Sim::new(1);
    let host = sim.node(NODE, NodeOptions::default());
    sim.block_on_node(NODE, async {
        let shards = start(&host, 0).await;
        for partition in 0..PARTITIONS {
            append(&shards, Acks::All, partition, b"kept").await.unwrap();
        }
        let slow = Duration::from_secs(40);
        sim.disk(NODE).faults(|faults| (faults.read_time, faults.sync_time) = (slow..=slow, slow..=slow));
        shards.stop().await;
    });
    sim.crash(NODE);
    sim.disk(NODE).set_faults(Faults::default());
    let host = sim.restart(NODE);
    let clean = sim.block_on_node(NODE, async { start(&host, 1).await.recovery().clean });
    assert!(clean);
}

/// A crash between the deletion of a topic in the metadata and in the journal leaves partitions that nobody asks for.
/// When a topic of that name was made again, what they still had to write went to its files.
#[test]
fn what_is_left_of_a_deleted_topic_stays_away_from_a_new_one_of_its_name() {
    let sim = Sim::new(1);
    let host = sim.node(NODE, NodeOptions::default());
    sim.block_on_node(NODE, async {
        let shards = start(&host, 0).await;
        append(&shards, Acks::All, 0, &[1; 5000]).await.unwrap();
    });
    sim.crash(NODE);
    let host = sim.restart(NODE);
    let new = PartitionKey { topic_id: TopicId(Uuid::from_bytes([9; 16])), partition: 0 };
    let spec = |leader_epoch| PartitionSpec {
        key: new,
        topic: Arc::from("flights"),
        leader_epoch: LeaderEpoch(leader_epoch),
        config: Arc::new(LogConfig::default()),
    };
    sim.block_on_node(NODE, async {
        let shards = Shards::start(&host, options()).await.unwrap();
        shards.remove_strays(Arc::new([new].into())).await;
        let files = host.disk.files();
        let kept = files.read_dir(Path::new("/data")).unwrap();
        let kept = kept.iter().filter(|entry| entry.name.ends_with("-stray"));
        let logs = kept.map(|entry| Path::new("/data").join(&entry.name).join("00000000000000000000.log"));
        let bytes: usize = logs
            .filter(|log| files.exists(log).unwrap())
            .map(|log| files.read(&log, 10_000).unwrap().len())
            .sum();
        assert_eq!(bytes, batch(&[1; 5000]).size(), "what only the journal had is in the file that is kept");
        shards.open(spec(0)).await.unwrap();
        let append = Append { key: new, batch: batch(b"new") };
        shards.append(Acks::All, vec![append]).await.remove(0).1.unwrap();
        shards.stop().await;
    });
    sim.crash(NODE);
    let host = sim.restart(NODE);
    sim.block_on_node(NODE, async {
        let shards = Shards::start(&host, options()).await.unwrap();
        assert_eq!(shards.recovery().partitions, 1);
        shards.open(spec(1)).await.unwrap();
        let status = shards.status(new).await.unwrap();
        assert_eq!((status.high_watermark, status.size_bytes), (Offset(1), batch(b"new").size() as u64));
        let path = Path::new("/data/flights-0/00000000000000000000.log");
        let bytes = host.disk.files().read(path, 10_000).unwrap();
        assert_eq!(bytes.len(), batch(b"new").size());
    });
}

/// One of two directories fails while all of the memory is taken by its batches.
#[test]
fn a_failed_directory_leaves_the_memory_to_the_others() {
    let sim = Sim::new(1);
    let host = sim.node(NODE, NodeOptions::default());
    sim.block_on_node(NODE, async {
        let log_dirs = vec!["/one".into(), "/two".into()];
        let shards = Shards::start(&host, ShardsOptions { log_dirs, memory_bytes_max: 400_000, ..options() });
        let shards = open(shards.await.unwrap(), 0).await;
        let value = vec![1; 50_000];
        sim.disk(NODE).inject(Rule::next(OpKind::Write, "/one/", 1));
        let appends: Vec<_> =
            (0..20 * PARTITIONS).map(|n| append(&shards, Acks::All, n % PARTITIONS, &value)).collect();
        let mut failed = 0;
        for append in appends {
            failed += u32::from(append.await.is_err());
        }
        let mut works = 0;
        for partition in 0..PARTITIONS {
            for _ in 0..20 {
                works += u32::from(append(&shards, Acks::All, partition, &value).await.is_ok());
            }
        }
        assert!(failed > 0 && works >= 20, "{failed} failed, then {works} did not");
        shards.stop().await;
    });
}

#[test]
fn a_second_start_on_the_same_directory_is_refused() {
    let sim = Sim::new(1);
    let host = sim.node(NODE, NodeOptions::default());
    sim.block_on_node(NODE, async {
        let shards = start(&host, 0).await;
        let error = Shards::start(&host, options()).await.unwrap_err().to_string();
        assert!(error.contains("/data/.lock") && error.contains("another process"), "{error}");
        shards.stop().await;
        host.clock.sleep(Duration::from_millis(1)).await;
        start(&host, 1).await;
    });
}
