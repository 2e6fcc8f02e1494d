//! Fetch: how partitions, on whatever shards, share the limits of one answer.

use protocol::messages::fetch_request::{FetchPartition, FetchRequest};

use crate::support::requests::{FETCH, PRODUCE, Topic, batch, fetch, from_offset, produce, values};
use crate::support::{Client, run};

/// The lengths of values, partition by partition; each is a batch of its own.
const LENGTHS: [&[usize]; 6] = [&[10, 10], &[500], &[], &[40, 200, 40], &[3_000, 10], &[10, 10, 10, 10]];
const ORDERS: [[usize; 6]; 4] =
    [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [1, 4, 0, 3, 5, 2], [2, 4, 5, 1, 3, 0]];

fn size_of(len: usize) -> usize {
    batch(&["x".repeat(len).as_str()]).len()
}

/// How many batches of each partition an answer has, if one log after the other were read: no batch goes beyond
/// what is left, save the first of the answer. Kafka sends a part of the batch that does not fit, so what is left of the
/// partition's limit is not for those behind it.
fn expected(order: &[usize; 6], bytes_max: usize, partition_bytes_max: usize) -> Vec<usize> {
    let (mut left, mut exempt) = (bytes_max, true);
    let batches = |partition: &usize| {
        let (mut room, mut count) = (left.min(partition_bytes_max), 0);
        for len in LENGTHS[*partition] {
            let size = size_of(*len);
            if size > room && !exempt {
                left = left.saturating_sub(if count > 0 { room } else { 0 });
                break;
            }
            room = room.saturating_sub(size);
            left = left.saturating_sub(size);
            exempt = false;
            count += 1;
        }
        count
    };
    order.iter().map(batches).collect()
}

async fn assert_limits(client: &mut Client, topic: &Topic) {
    let sizes = [1, 61, 100, 250, 600, 900, 1_300, 3_100, 3_700, 4_500, 1 << 20];
    for order in &ORDERS {
        for max_bytes in sizes {
            for partition_max_bytes in [0, 100, 400, 1 << 20] {
                let part = |partition: &usize| FetchPartition {
                    partition_max_bytes,
                    ..from_offset(i32::try_from(*partition).unwrap(), 0)
                };
                let request = fetch(FETCH, topic, order.iter().map(part).collect());
                let answer = client.call(FETCH, &FetchRequest { max_bytes, ..request }).await;
                let parts = &answer.responses[0].partitions;
                let found: Vec<usize> = parts.iter().map(|part| values(part).len()).collect();
                let bytes = |limit: i32| usize::try_from(limit).unwrap();
                let expected = expected(order, bytes(max_bytes), bytes(partition_max_bytes));
                assert_eq!(
                    found, expected,
                    "{order:?}: {max_bytes} bytes, {partition_max_bytes} a partition"
                );
                let ends: Vec<usize> = order.iter().map(|partition| LENGTHS[*partition].len()).collect();
                let told = parts.iter().map(|part| usize::try_from(part.high_watermark).unwrap());
                assert_eq!(told.collect::<Vec<_>>(), ends, "who gets nothing hears where the end is");
            }
        }
    }
}

#[test]
fn partitions_on_several_shards_share_the_limits_in_the_order_of_the_request() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 6, &[]).await;
        for (partition, lengths) in (0..).zip(LENGTHS) {
            for len in lengths {
                let batch = batch(&["x".repeat(*len).as_str()]);
                let answer = client.call(PRODUCE, &produce(PRODUCE, -1, &topic, &[(partition, batch)])).await;
                assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
            }
        }
        assert_limits(&mut client, &topic).await;
        // The same out of files.
        world.restart().await;
        assert_limits(&mut world.connect().await, &topic).await;
    });
}

#[test]
fn what_does_not_fit_leaves_nothing_to_those_behind_and_nothing_to_wait_for() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 2, &[]).await;
        let size = i32::try_from(batch(&["a"]).len()).unwrap();
        for partition in [0, 1] {
            for _ in 0..3 {
                client.call(PRODUCE, &produce(PRODUCE, -1, &topic, &[(partition, batch(&["a"]))])).await;
            }
        }
        for restart in [false, true] {
            if restart {
                // The same out of files.
                world.restart().await;
                client = world.connect().await;
            }
            let partition_max_bytes = 2 * size + size / 2;
            let part = |partition| FetchPartition { partition_max_bytes, ..from_offset(partition, 0) };
            let request = fetch(FETCH, &topic, vec![part(0), part(1)]);
            let request = FetchRequest { max_bytes: 3 * size + size / 4, ..request };
            let answer = client.call(FETCH, &request).await;
            let parts = answer.responses[0].partitions.iter();
            let found: Vec<_> = parts.map(|part| values(part).len()).collect();
            assert_eq!(found, [2, 0], "a half of the third batch would have taken the room");

            let began = world.sim.now();
            let request = fetch(FETCH, &topic, vec![part(0)]);
            let request = FetchRequest { min_bytes: partition_max_bytes, max_wait_ms: 10_000, ..request };
            let answer = client.call(FETCH, &request).await;
            assert_eq!(values(&answer.responses[0].partitions[0]).len(), 2);
            let waited = world.sim.now().since(began);
            assert!(waited.as_secs() < 5, "no more would fit, yet it waited for {waited:?}");
        }
    });
}

#[test]
fn a_partition_behind_a_large_one_on_another_shard_is_cut_not_left_out() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 2, &[]).await;
        let large = "x".repeat(5_000);
        for (partition, value, count) in [(0, large.as_str(), 1), (1, "y", 100)] {
            for _ in 0..count {
                client.call(PRODUCE, &produce(PRODUCE, -1, &topic, &[(partition, batch(&[value]))])).await;
            }
        }
        let request = fetch(FETCH, &topic, vec![from_offset(0, 0), from_offset(1, 0)]);
        let answer = client.call(FETCH, &FetchRequest { max_bytes: 6_000, ..request }).await;
        let second = values(&answer.responses[0].partitions[1]).len();
        let room = (6_000 - batch(&[large.as_str()]).len()) / batch(&["y"]).len();
        assert_eq!(second, room, "as many batches as fit beside the large one");
    });
}
