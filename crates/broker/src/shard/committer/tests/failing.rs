//! Disks that fail, and stops on them.

use super::*;

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

/// 4,200 directories of deleted partitions held a start up for ten seconds: they were removed one after the other before
/// anything was served.
#[test]
fn a_start_does_not_wait_for_what_is_left_of_deleted_partitions() {
    let sim = Sim::new(1);
    let host = sim.node(NODE, NodeOptions::default());
    let left_over = Path::new("/data/gone-0.00000000000000000000000000000001-delete");
    sim.block_on_node(NODE, async {
        start(&host, 0).await.stop().await;
        let files = host.disk.files();
        files.create_dir_all(left_over).unwrap();
        let shards = Shards::start(&host, options()).await.unwrap();
        assert!(files.exists(left_over).unwrap(), "the start is over");
        host.clock.sleep(Duration::from_secs(3)).await;
        assert!(!files.exists(left_over).unwrap());
        shards.stop().await;
    });
}
