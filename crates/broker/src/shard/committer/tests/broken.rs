//! Partitions that cannot be served, or that nobody asks for.

use super::*;

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
        directory: Uuid::ZERO,
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
        let append = Append::trusted(new, batch(b"new"));
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

/// A full journal took its directory offline at once, since what it kept of the partition could not go.
#[test]
fn a_broken_partition_does_not_stand_in_the_way_of_a_full_journal() {
    let sim = Sim::new(4);
    let mut host = sim.node(NODE, NodeOptions::default());
    let (file, aside) = (Path::new("/data/flights-0/00000000000000000000.log"), Path::new("/data/aside"));
    let large = vec![1; 60_000];
    let small = ShardsOptions { journal_bytes_max: 1, memory_bytes_max: 8 << 20, ..options() };
    for life in 0..4 {
        sim.block_on_node(NODE, async {
            if life == 2 {
                host.disk.files().rename(file, aside).unwrap();
            }
            if life == 3 {
                host.disk.files().rename(aside, file).unwrap();
            }
            let shards = Shards::start(&host, small.clone()).await.unwrap();
            assert_eq!(shards.recovery().broken, usize::from(life == 2), "life {life}");
            for partition in 0..PARTITIONS {
                assert_eq!(shards.open(spec(partition, life)).await.is_err(), life == 2 && partition == 0);
            }
            if life == 2 {
                let burst: Vec<_> =
                    (0..1500).map(|n| append(&shards, Acks::All, 1 + n % (PARTITIONS - 1), &large)).collect();
                for append in burst {
                    append.await.unwrap();
                }
            } else {
                append(&shards, Acks::All, 0, &large).await.unwrap();
            }
            if life == 3 {
                assert_eq!(read_all(&shards, 0).await.len(), 3);
            }
            // The second life leaves a record in the journal alone.
            if life != 1 {
                shards.stop().await;
            }
        });
        sim.crash(NODE);
        host = sim.restart(NODE);
    }
}

/// A damaged entry cannot be submitted again, or the gap that it leaves would be forgotten.
#[test]
fn a_damaged_entry_is_kept_and_takes_a_full_journal_offline() {
    let sim = Sim::new(4);
    let host = sim.node(NODE, NodeOptions::default());
    sim.block_on_node(NODE, async {
        let shards = start(&host, 0).await;
        append(&shards, Acks::All, 0, b"the one that is damaged").await.unwrap();
        append(&shards, Acks::All, 1, b"proves that it was synced").await.unwrap();
    });
    sim.crash(NODE);
    let host = sim.restart(NODE);
    let ring = storage::journal::ring_path(Path::new("/data/journal"), 0);
    let bytes = host.disk.files().read(&ring, 8 << 20).unwrap();
    let at = bytes.windows(7).position(|found| found == b"damaged").unwrap();
    sim.disk(NODE).flip_bit(&ring, at as u64, 3).unwrap();
    sim.block_on_node(NODE, async {
        let small = ShardsOptions { journal_bytes_max: 1, memory_bytes_max: 8 << 20, ..options() };
        let shards = Shards::start(&host, small).await.unwrap();
        assert_eq!(shards.recovery().broken, 1);
        for partition in 1..PARTITIONS {
            shards.open(spec(partition, 1)).await.unwrap();
        }
        let large = vec![1; 60_000];
        let burst: Vec<_> = (0..700).map(|_| append(&shards, Acks::All, 1, &large)).collect();
        let mut refused = 0;
        for append in burst {
            refused += usize::from(append.await == Err(ErrorCode::KafkaStorageError));
        }
        assert!(refused > 0 && shards.failed().await.contains("may not drop the records of topic flights"));
    });
}

/// A start without one of two directories made empty copies of what was in it. That with records is served, the other goes.
#[test]
fn of_a_partition_in_two_directories_the_one_with_records_is_served() {
    let sim = Sim::new(1);
    let host = sim.node(NODE, NodeOptions::default());
    let in_dirs = |dirs: &[&str]| ShardsOptions {
        log_dirs: dirs.iter().map(|dir| (*dir).into()).collect(),
        ..options()
    };
    sim.block_on_node(NODE, async {
        for (life, (dirs, partitions, records)) in [
            (&["/full"][..], 0, 0),
            (&["/empty"], 0, 0),
            (&["/full", "/empty"], 2, 1),
            (&["/empty", "/full"], 1, 1),
            (&["/empty"], 0, 0),
        ]
        .into_iter()
        .enumerate()
        {
            let shards = Shards::start(&host, in_dirs(dirs)).await.unwrap();
            assert_eq!(shards.recovery().partitions, partitions, "life {life}");
            if life < 4 {
                shards.open(spec(0, i32::try_from(life).unwrap())).await.unwrap();
                assert_eq!(read_all(&shards, 0).await.len(), records, "life {life}");
            }
            if life == 0 {
                append(&shards, Acks::All, 0, b"kept").await.unwrap();
            }
            shards.stop().await;
        }
    });
}
