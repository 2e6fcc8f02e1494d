//! Compaction of transactions: what was aborted counts for nothing, and markers stay as long as anybody needs them.

use bytes::Bytes;
use protocol::records::{BatchBuilder, BatchOptions, Batches, NewRecord};
use protocol::{ErrorCode, ProducerEpoch, ProducerId};

use super::{ON_TRUST, marker};
use crate::compaction::{COMPACTED, put};
use crate::support::requests::Topic;
use crate::support::{Client, World, ms, run};

fn keyed(producer: i64, sequence: i32, at: i64, key: &str, value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(0),
        base_sequence: sequence,
        transactional: true,
        ..BatchOptions::default()
    });
    let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
    builder.append(&NewRecord { timestamp: at * 1000, key, value, headers: &[] }).unwrap();
    builder.build().unwrap()
}

/// Base offsets of all batches, those of markers negative.
async fn batches(client: &mut Client, topic: &Topic) -> Vec<i64> {
    let (mut all, mut offset) = (Vec::new(), 0);
    loop {
        let data = client.read(topic, offset).await;
        let bytes = data.records.unwrap().to_bytes().unwrap();
        for batch in Batches::new(bytes).map(Result::unwrap) {
            let header = batch.header();
            offset = header.next_offset().0;
            let base = header.base_offset.0;
            all.push(if header.attributes.is_control() { -base } else { base });
        }
        if offset >= data.high_watermark {
            return all;
        }
    }
}

/// Has closed segments compacted: the clock goes on, and a record begins the next one.
async fn pass(world: &World, client: &mut Client, topic: &Topic, pause: u64) {
    world.sim.sleep(ms(pause)).await;
    put(client, topic, world.wall_ms() / 1000, &[("filler", Some("x"))]).await;
    world.sim.sleep(ms(30_000)).await;
}

#[test]
fn aborted_records_go_and_supersede_nothing() {
    let configs = [ON_TRUST[0], ("log.cleaner.backoff.ms", "1000")];
    run(&configs, async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &COMPACTED).await;
        let now = || world.wall_ms() / 1000;
        put(&mut client, &topic, now(), &[("a", Some("1")), ("b", Some("1"))]).await;
        for (producer, key) in [(7, "a"), (8, "b")] {
            let code = client.send_part(&topic, keyed(producer, 0, now(), key, "2")).await;
            assert_eq!(code, ErrorCode::None);
        }
        assert_eq!(client.mark(marker(&topic, 7, 0, false)).await, ErrorCode::None);
        assert_eq!(client.mark(marker(&topic, 8, 0, true)).await, ErrorCode::None);
        // One that stays open holds everything behind it back.
        assert_eq!(client.send_part(&topic, keyed(9, 0, now(), "a", "3")).await, ErrorCode::None);
        // Producers that go on: what stays does not stay for their sequences.
        let seen = ["1", "1", "2"].map(str::to_owned);
        assert_eq!(client.all_committed(&topic, 0, 1 << 20).await, seen);
        pass(world, &mut client, &topic, 2_000).await;
        assert_eq!(batches(&mut client, &topic).await, [0, 2, 3, -4, -5, 6, 7], "it is open");
        client.mark(marker(&topic, 9, 0, true)).await;
        pass(world, &mut client, &topic, 2_000).await;
        for round in 0..3 {
            let mut client = world.connect().await;
            // Of the aborted one the place of its producer's last sequence is left, and the marker.
            let left = batches(&mut client, &topic).await;
            assert_eq!(left[..4], [2, 3, -4, -5], "{round}");
            let all = client.all_committed(&topic, 0, 1 << 20).await;
            assert_eq!(all[..2], ["2", "3"], "{round}");
            let found = client.read_committed(&topic, 0).await;
            assert_eq!(found.aborted, [(7, 2)], "{round}");
            if round == 0 { world.restart().await } else { world.crash().await }
        }
    });
}

#[test]
fn markers_go_when_nothing_is_left_of_their_transaction_and_their_time_is_over() {
    let configs = [ON_TRUST[0], ("log.cleaner.backoff.ms", "1000"), ("producer.id.expiration.ms", "10000")];
    let configs = [configs[0], configs[1], configs[2], ("log.retention.check.interval.ms", "1000")];
    run(&configs, async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &COMPACTED).await;
        let now = || world.wall_ms() / 1000;
        for (producer, commit) in [(7, false), (8, true)] {
            client.send_part(&topic, keyed(producer, 0, now(), "a", "1")).await;
            client.mark(marker(&topic, producer, 0, commit)).await;
        }
        put(&mut client, &topic, now(), &[("a", Some("2"))]).await;
        assert_eq!(batches(&mut client, &topic).await, [0, -1, 2, -3, 4]);
        // The producers are forgotten, and with them the places of their last batches.
        pass(world, &mut client, &topic, 20_000).await;
        let left = batches(&mut client, &topic).await;
        assert_eq!(left[..3], [-1, -3, 4], "the records go first");
        // This pass meets nothing of the transactions: their time begins, and is not over for the next.
        pass(world, &mut client, &topic, 2_000).await;
        pass(world, &mut client, &topic, 2_000).await;
        assert_eq!(batches(&mut client, &topic).await[..3], [-1, -3, 4]);
        pass(world, &mut client, &topic, 110_000).await;
        assert_eq!(batches(&mut client, &topic).await[..1], [4]);
        assert_eq!(client.read_committed(&topic, 0).await.aborted, []);
        world.crash().await;
        let mut client = world.connect().await;
        assert_eq!(client.all_committed(&topic, 0, 1 << 20).await[..1], ["2"]);
    });
}
