//! Files that change while the broker is stopped.

use super::*;
use crate::shard::ScrubOptions;

/// A partition whose records are all in its open segment: they are there after a clean stop, and some bytes of the first one
/// are overwritten then. Gives the machine on which the next start finds that.
fn damaged_while_stopped(sim: &Sim) -> Host {
    let host = sim.node(NODE, NodeOptions::default());
    sim.block_on_node(NODE, async {
        let shards = start(&host, 0).await;
        for _ in 0..3 {
            append(&shards, Acks::All, 0, &[1; 500]).await.unwrap();
        }
        shards.stop().await;
        let path = Path::new("/data/flights-0/00000000000000000000.log");
        let file = host.disk.files().open(path, host::OpenMode::WRITE).unwrap();
        assert_eq!(file.len().unwrap(), 3 * batch(&[1; 500]).size() as u64);
        file.write_at(&[bytes::Bytes::from_static(b"???")], 100).unwrap();
        file.sync().unwrap();
    });
    sim.crash(NODE);
    sim.restart(NODE)
}

async fn fetch(shards: &Shards, offset: i64) -> (ErrorCode, usize) {
    let read = Read {
        key: key(0),
        offset: Offset(offset),
        bytes_max: 1 << 20,
        current_leader_epoch: None,
        last_fetched_epoch: None,
        committed_only: false,
        from_file: true,
    };
    let reply = shards.read(vec![read], 1 << 20, true, None).await.remove(0);
    (reply.error, crate::shard::tests::headers(&reply.records).len())
}

async fn damaged_segments(shards: &Shards) -> usize {
    shards.status(key(0)).await.unwrap().damaged_segments
}

/// The bytes were sent as they were, and nothing was said: only closed segments were checked.
#[test]
fn what_a_start_finds_in_an_open_segment_is_checked_by_reads() {
    let sim = Sim::new(2);
    let host = damaged_while_stopped(&sim);
    sim.block_on_node(NODE, async {
        let scrub = ScrubOptions { interval: None, ..ScrubOptions::default() };
        let shards = Shards::start(&host, ShardsOptions { scrub, ..options() }).await.unwrap();
        let shards = open(shards, 1).await;
        assert!(shards.recovery().clean);
        assert_eq!(damaged_segments(&shards).await, 0, "nobody has met it");
        for _ in 0..2 {
            assert_eq!(fetch(&shards, 0).await, (ErrorCode::KafkaStorageError, 0));
            assert_eq!(damaged_segments(&shards).await, 1, "it is counted once");
        }
        assert_eq!(fetch(&shards, 1).await, (ErrorCode::None, 2), "what is behind it");
        assert_eq!(append(&shards, Acks::All, 0, b"new").await, Ok(3));
        assert_eq!(fetch(&shards, 0).await, (ErrorCode::KafkaStorageError, 0));
        assert_eq!(fetch(&shards, 3).await, (ErrorCode::None, 1));
    });
}

/// The first pass began before any partition was open, so it was over at once, and the next one was due a week later. A broker
/// that was started anew every week never checked anything.
#[test]
fn a_start_is_followed_by_a_pass_of_the_background_check() {
    let sim = Sim::new(2);
    let host = damaged_while_stopped(&sim);
    sim.block_on_node(NODE, async {
        let shards = Shards::start(&host, options()).await.unwrap();
        // Metadata may take its time.
        host.clock.sleep(Duration::from_secs(20)).await;
        let shards = open(shards, 1).await;
        host.clock.sleep(Duration::from_secs(20)).await;
        assert_eq!(damaged_segments(&shards).await, 1, "nobody has read anything");
        assert_eq!(fetch(&shards, 0).await, (ErrorCode::KafkaStorageError, 0));
    });
}
