//! What clients can make a broker hold, whatever they do: each test ends with everything given back.

use broker::Usage;
use bytes::Bytes;
use protocol::ErrorCode;
use protocol::messages::fetch_request::{FetchPartition, FetchRequest};
use protocol::messages::metadata_request::MetadataRequest;

use crate::support::requests::{
    FETCH, METADATA, PRODUCE, Topic, batch, fetch, from_offset, only, produce, values,
};
use crate::support::{Client, World, ms, run};

const MIB: usize = 1 << 20;
/// A quarter is what the process has without anybody, and an eighth of the rest the allocator's. Of the 42 MiB that are left, an eighth is
/// for requests on their way in, as much for whole ones, and a quarter for replies.
const MEMORY: (&str, &str) = ("bourn.memory.max.bytes", "67108864");
const REQUESTS: usize = 42 * MIB / 8;
const REPLIES: usize = 42 * MIB / 4;

fn held(world: &World) -> (usize, usize, usize) {
    let Usage { receiving, requests, replies, .. } = world.usage();
    (receiving, requests, replies)
}

#[test]
fn half_a_large_request_and_then_silence_holds_what_has_come_and_goes_when_others_want_it() {
    run(&[MEMORY], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let large = "x".repeat(900_000);
        let request = client.encode(PRODUCE, &produce(PRODUCE, -1, &topic, &[(0, batch(&[&large]))]));
        let mut stalled = Vec::new();
        for _ in 0..100 {
            let mut client = world.connect().await;
            let half = request.slice(..700_000);
            // The broker stops reading when it has no room.
            tokio::select! {
                () = client.send_bytes(&half) => {}
                () = world.sim.sleep(ms(20)) => {}
            }
            stalled.push(client);
        }
        let usage = world.usage();
        assert!(usage.connections > 10, "the last ones at least: {usage:?}");
        assert!((MIB..=REQUESTS).contains(&usage.receiving), "{usage:?}");
        // Small requests go on as if nothing were the matter, and a large one has its turn soon.
        let mut client = world.connect().await;
        let began = world.sim.now();
        client.fill(&topic, &["small"]).await;
        assert!(world.sim.now().since(began) < ms(100));
        client.fill(&topic, &[&large]).await;
        assert!(world.sim.now().since(began) < ms(30_000), "long before idle connections are closed");
        drop(stalled);
        world.sim.sleep(ms(1_000)).await;
        assert_eq!(held(world), (0, 0, 0));
    });
}

#[test]
fn a_large_request_may_stand_still_while_nobody_wants_its_memory() {
    run(&[MEMORY], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let large = "x".repeat(900_000);
        let request = client.encode(PRODUCE, &produce(PRODUCE, -1, &topic, &[(0, batch(&[&large]))]));
        let mut client = world.connect().await;
        client.send_bytes(&request[..700_000]).await;
        client.silence(ms(500_000)).await;
        client.send_bytes(&request[700_000..]).await;
        assert!(client.frame().await.is_some());
    });
}

/// A topic of 30 batches of 100 KB, all of them in memory.
async fn hot(client: &mut Client) -> Topic {
    let topic = client.create("t", 1, &[]).await;
    for _ in 0..30 {
        assert_eq!(client.append_code(&topic, batch(&["x".repeat(100_000).as_str()])).await, ErrorCode::None);
    }
    topic
}

fn everything(topic: &Topic) -> FetchRequest {
    let part = FetchPartition { partition_max_bytes: i32::MAX, ..from_offset(0, 0) };
    FetchRequest { max_bytes: i32::MAX, ..fetch(FETCH, topic, vec![part]) }
}

#[test]
fn readers_that_never_read_hold_no_more_than_there_is_for_replies() {
    run(&[MEMORY, ("connections.max.idle.ms", "60000")], async |world| {
        let mut client = world.connect().await;
        let topic = hot(&mut client).await;
        let request = client.encode(FETCH, &everything(&topic));
        let many: Bytes = request.repeat(100).into();
        let mut slow = Vec::new();
        for _ in 0..50 {
            let mut client = world.connect().await;
            client.send_bytes(&many).await;
            slow.push(client);
        }
        world.sim.sleep(ms(5_000)).await;
        let usage = world.usage();
        // What comes on top was in no file yet, or read at the same moment.
        let bound = REPLIES + 10 * 110_000;
        assert!((REPLIES / 2..=bound).contains(&usage.replies), "{usage:?}");
        // Others get their records, in small answers.
        let mut client = world.connect().await;
        let mut found = 0;
        while found < 30 {
            let part = FetchPartition { partition_max_bytes: i32::MAX, ..from_offset(0, found) };
            let request = FetchRequest { max_bytes: i32::MAX, ..fetch(FETCH, &topic, vec![part]) };
            let more = values(only(&client.call(FETCH, &request).await)).len();
            assert!(more > 0);
            found += i64::try_from(more).unwrap();
        }
        // Who takes nothing for long is idle; what it held goes to others, who are no better.
        world.sim.sleep(ms(1_200_000)).await;
        assert_eq!(held(world), (0, 0, 0));
        assert_eq!(world.usage().connections, 0);
    });
}

#[test]
fn huge_fetches_of_many_at_once_are_all_answered() {
    run(&[MEMORY], async |world| {
        let mut client = world.connect().await;
        let topic = hot(&mut client).await;
        let mut readers = Vec::new();
        for _ in 0..100 {
            let mut reader = world.connect().await;
            reader.send(FETCH, &everything(&topic)).await;
            readers.push(reader);
        }
        world.sim.sleep(ms(1_000)).await;
        let usage = world.usage();
        assert!(usage.replies <= REPLIES + readers.len() * 110_000, "{usage:?}");
        for reader in &mut readers {
            let answer = reader.receive::<FetchRequest>(FETCH).await;
            assert!(!values(only(&answer)).is_empty());
        }
        world.sim.sleep(ms(1_000)).await;
        assert_eq!(held(world), (0, 0, 0));
        // Alone, a reader gets what there is for replies again, or half of it.
        let answer = client.call(FETCH, &everything(&topic)).await;
        assert_eq!(values(only(&answer)).len(), 30);
    });
}

#[test]
fn two_thousand_idle_connections_hold_nothing() {
    run(&[MEMORY], async |world| {
        let mut idle = Vec::new();
        for _ in 0..2_000 {
            idle.push(world.connect().await);
        }
        for client in &mut idle {
            let request = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
            assert_eq!(client.call(METADATA, &request).await.brokers.len(), 1);
        }
        assert_eq!(world.usage().connections, 2_000);
        assert_eq!(held(world), (0, 0, 0));
        drop(idle);
        world.sim.sleep(ms(1_000)).await;
        assert_eq!(world.usage().connections, 0);
    });
}

#[test]
fn a_request_that_would_burst_when_decoded_ends_its_connection() {
    run(&[MEMORY], async |world| {
        let mut client = world.connect().await;
        // Three million bytes of a Metadata request: up to a million topics, and as many answers.
        let mut frame = 3_000_000_u32.to_be_bytes().to_vec();
        frame.extend_from_slice(&[0, 3, 0, 13]);
        client.send_bytes(&frame).await;
        assert!(client.is_hung_up().await);
    });
}

#[test]
fn a_client_that_is_gone_does_not_leave_its_long_fetch_behind() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let waiting = FetchRequest {
            max_wait_ms: i32::MAX,
            min_bytes: 1,
            ..fetch(FETCH, &topic, vec![from_offset(0, 0)])
        };
        let mut gone = world.connect().await;
        gone.send(FETCH, &waiting).await;
        gone.silence(ms(1_000)).await;
        drop(gone);
        world.sim.sleep(ms(15_000)).await;
        assert_eq!(world.usage().connections, 1);
        // Nor does one that sends nonsense behind it.
        let mut wrong = world.connect().await;
        wrong.send(FETCH, &waiting).await;
        wrong.send_bytes(&(-1_i32).to_be_bytes()).await;
        world.sim.sleep(ms(15_000)).await;
        assert_eq!(world.usage().connections, 1);
        assert!(wrong.is_hung_up().await);
        // One that ends its side only, and is soon answered, gets its answer.
        let mut half = world.connect().await;
        half.send(FETCH, &waiting).await;
        half.finish().await;
        world.sim.sleep(ms(5_000)).await;
        client.fill(&topic, &["a"]).await;
        assert_eq!(values(only(&half.receive::<FetchRequest>(FETCH).await)), ["a"]);
        assert!(half.is_hung_up().await);
    });
}

#[test]
fn a_fetch_waits_no_longer_than_an_idle_connection_lives() {
    run(&[("connections.max.idle.ms", "60000")], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let began = world.sim.now();
        let request = fetch(FETCH, &topic, vec![from_offset(0, 0)]);
        let waiting = FetchRequest { max_wait_ms: i32::MAX, min_bytes: 1, ..request };
        let answer = client.call(FETCH, &waiting).await;
        assert_eq!((only(&answer).error_code, values(only(&answer)).len()), (0, 0));
        assert_eq!(world.sim.now().since(began).as_secs(), 60);
    });
}
