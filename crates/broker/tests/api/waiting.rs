//! Fetch requests that wait: what wakes them, and who else goes on meanwhile.

use protocol::ErrorCode;
use protocol::messages::fetch_request::FetchRequest;
use protocol::messages::metadata_request::MetadataRequest;

use crate::support::requests::{
    FETCH, METADATA, PRODUCE, Topic, batch, fetch, from_offset, only, produce, values,
};
use crate::support::{World, ms, run};

fn waiting(topic: &Topic, partitions: &[(i32, i64)], max_wait_ms: i32, min_bytes: i32) -> FetchRequest {
    let parts = partitions.iter().map(|(partition, offset)| from_offset(*partition, *offset));
    FetchRequest { max_wait_ms, min_bytes, ..fetch(FETCH, topic, parts.collect()) }
}

fn elapsed_ms(world: &World, since: host::Instant) -> u128 {
    world.sim.now().since(since).as_millis()
}

#[test]
fn a_waiting_fetch_is_answered_empty_after_max_wait() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let began = world.sim.now();
        let answer = client.call(FETCH, &waiting(&topic, &[(0, 0)], 60_000, 1)).await;
        assert_eq!((only(&answer).error_code, values(only(&answer)).len()), (0, 0));
        let elapsed = elapsed_ms(world, began);
        assert!((60_000..60_100).contains(&elapsed), "{elapsed} ms");
    });
}

#[test]
fn a_waiting_fetch_is_woken_by_an_append() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let mut reader = world.connect().await;
        let began = world.sim.now();
        reader.send(FETCH, &waiting(&topic, &[(0, 0)], 600_000, 1)).await;
        reader.silence(ms(5_000)).await;
        client.fill(&topic, &["a"]).await;
        let answer = reader.receive::<FetchRequest>(FETCH).await;
        assert_eq!(values(only(&answer)), ["a"]);
        assert!(elapsed_ms(world, began) < 5_100);
    });
}

/// A stop waited for its whole patience when a reader had time.
#[test]
fn a_waiting_fetch_is_answered_when_the_broker_stops() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        client.send(FETCH, &waiting(&topic, &[(0, 0)], 600_000, 1)).await;
        client.silence(ms(1_000)).await;
        let began = world.sim.now();
        world.stop().await;
        assert!(elapsed_ms(world, began) < 1_000);
        let answer = client.receive::<FetchRequest>(FETCH).await;
        assert_eq!((only(&answer).error_code, values(only(&answer)).len()), (0, 0));
    });
}

#[test]
fn min_bytes_are_counted_over_all_partitions() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 3, &[]).await;
        let size = i32::try_from(batch(&["a"]).len()).unwrap();
        let mut reader = world.connect().await;
        reader.send(FETCH, &waiting(&topic, &[(0, 0), (1, 0), (2, 0)], 600_000, 3 * size)).await;
        for partition in [0, 2] {
            client.call(PRODUCE, &produce(PRODUCE, -1, &topic, &[(partition, batch(&["a"]))])).await;
            reader.silence(ms(1_000)).await;
        }
        client.call(PRODUCE, &produce(PRODUCE, -1, &topic, &[(1, batch(&["a"]))])).await;
        let answer = reader.receive::<FetchRequest>(FETCH).await;
        assert!(answer.responses[0].partitions.iter().all(|part| values(part) == ["a"]));
    });
}

#[test]
fn what_is_there_already_counts_for_min_bytes() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 2, &[]).await;
        client.fill(&topic, &["a"]).await;
        let size = i32::try_from(batch(&["a"]).len()).unwrap();
        let began = world.sim.now();
        let answer = client.call(FETCH, &waiting(&topic, &[(0, 0), (1, 0)], 600_000, size)).await;
        assert_eq!(values(&answer.responses[0].partitions[0]), ["a"]);
        client.send(FETCH, &waiting(&topic, &[(0, 0), (1, 0)], 600_000, size + 1)).await;
        client.silence(ms(1_000)).await;
        let mut producer = world.connect().await;
        producer.call(PRODUCE, &produce(PRODUCE, -1, &topic, &[(1, batch(&["b"]))])).await;
        let answer = client.receive::<FetchRequest>(FETCH).await;
        assert_eq!(answer.responses[0].partitions.iter().flat_map(values).collect::<Vec<_>>(), ["a", "b"]);
        assert!(elapsed_ms(world, began) < 1_100);
    });
}

#[test]
fn min_bytes_0_and_errors_do_not_wait() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let began = world.sim.now();
        client.call(FETCH, &waiting(&topic, &[(0, 0)], 600_000, 0)).await;
        for partition in [(0, 5), (9, 0)] {
            let answer = client.call(FETCH, &waiting(&topic, &[partition], 600_000, 1)).await;
            assert_ne!(only(&answer).error_code, 0);
        }
        let answer = client.call(FETCH, &waiting(&topic, &[(0, 0), (9, 0)], 600_000, 1)).await;
        assert_eq!(answer.responses[0].partitions.len(), 2);
        assert!(elapsed_ms(world, began) < 100);
    });
}

#[test]
fn requests_behind_a_waiting_one_are_started_and_answered_in_order() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let began = world.sim.now();
        client.send(FETCH, &waiting(&topic, &[(0, 0)], 600_000, 1)).await;
        // The write behind it is not held up; it is what ends the wait.
        client.send(PRODUCE, &produce(PRODUCE, -1, &topic, &[(0, batch(&["a"]))])).await;
        client.send(METADATA, &MetadataRequest { topics: Some(Vec::new()), ..Default::default() }).await;
        let answer = client.receive::<FetchRequest>(FETCH).await;
        assert_eq!(values(only(&answer)), ["a"]);
        let answer = client.receive::<protocol::messages::produce_request::ProduceRequest>(PRODUCE).await;
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
        client.receive::<MetadataRequest>(METADATA).await;
        assert!(elapsed_ms(world, began) < 100);
    });
}

#[test]
fn a_waiting_fetch_ends_when_its_topic_is_deleted() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let mut reader = world.connect().await;
        let began = world.sim.now();
        reader.send(FETCH, &waiting(&topic, &[(0, 0)], 600_000, 1)).await;
        reader.silence(ms(1_000)).await;
        client.delete("t").await;
        let answer = reader.receive::<FetchRequest>(FETCH).await;
        assert_ne!(ErrorCode::from(only(&answer).error_code), ErrorCode::None);
        assert!(elapsed_ms(world, began) < 2_000);
    });
}

#[test]
fn who_reads_files_does_not_wait_for_what_is_behind_them() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        client.fill(&topic, &["in a file"]).await;
        world.restart().await;
        let mut client = world.connect().await;
        client.fill(&topic, &["in memory"]).await;
        let began = world.sim.now();
        let mut found = Vec::new();
        for offset in [0, 1] {
            let answer = client.call(FETCH, &waiting(&topic, &[(0, offset)], 60_000, 1 << 20)).await;
            found.extend(values(only(&answer)));
        }
        assert_eq!(found, ["in a file", "in memory"]);
        let elapsed = elapsed_ms(world, began);
        assert!((60_000..60_100).contains(&elapsed), "{elapsed} ms: only at the end of the log");
    });
}
