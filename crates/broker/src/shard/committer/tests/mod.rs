//! Shards over real committers on a simulated machine that loses power, has a full disk, or a failing one.

mod broken;
mod damaged;
mod failing;
mod strays;

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
    let leader_epoch = LeaderEpoch(leader_epoch);
    PartitionSpec { key: key(partition), topic, leader_epoch, config, directory: Uuid::ZERO }
}

async fn append(shards: &Shards, acks: Acks, partition: i32, value: &[u8]) -> Result<i64, ErrorCode> {
    let append = Append::trusted(key(partition), batch(value));
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
