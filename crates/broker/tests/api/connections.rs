//! Connections: how many, for how long, and what one of them can do to the others.

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::messages::fetch_request::FetchRequest;
use protocol::messages::metadata_request::MetadataRequest;
use protocol::messages::produce_request::ProduceRequest;

use crate::support::requests::{
    FETCH, METADATA, PRODUCE, batch, fetch, from_offset, only, only_produced, produce, values,
};
use crate::support::{Client, World, ms, run};

fn nothing() -> MetadataRequest {
    MetadataRequest { topics: Some(Vec::new()), ..Default::default() }
}

async fn is_served(client: &mut Client) -> bool {
    client.send(METADATA, &nothing()).await;
    client.frame().await.is_some()
}

/// Virtual seconds until the broker hangs up.
async fn seconds_to_live(world: &World, client: &mut Client) -> u64 {
    let began = world.sim.now();
    assert!(client.is_hung_up().await);
    world.sim.now().since(began).as_secs()
}

#[test]
fn silent_connections_are_closed_half_a_request_or_not() {
    run(&[("connections.max.idle.ms", "60000")], async |world| {
        let mut silent = world.connect().await;
        assert_eq!(seconds_to_live(world, &mut silent).await, 60);
        let mut client = world.connect().await;
        let request = client.encode(METADATA, &nothing());
        for half in [1, 4, 5, request.len() - 1] {
            let mut client = world.connect().await;
            client.send_bytes(&request[..half]).await;
            assert_eq!(seconds_to_live(world, &mut client).await, 60, "after {half} bytes");
        }
        // A byte now and then keeps it.
        let mut slow = world.connect().await;
        for byte in request.chunks(request.len() / 4) {
            slow.send_bytes(byte).await;
            world.sim.sleep(ms(50_000)).await;
        }
        assert!(slow.frame().await.is_some());
    });
}

#[test]
fn who_waits_for_the_broker_is_not_idle() {
    run(&[("connections.max.idle.ms", "10000")], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let request = fetch(FETCH, &topic, vec![from_offset(0, 0)]);
        let request = FetchRequest { max_wait_ms: 100_000, min_bytes: 1, ..request };
        assert_eq!(only(&client.call(FETCH, &request).await).error_code, 0);
    });
}

#[test]
fn above_max_connections_nobody_is_served_until_somebody_goes() {
    run(&[("max.connections", "3")], async |world| {
        let mut inside = Vec::new();
        for _ in 0..3 {
            let mut client = world.connect().await;
            assert!(is_served(&mut client).await);
            inside.push(client);
        }
        let mut outside = world.connect().await;
        outside.send(METADATA, &nothing()).await;
        outside.silence(ms(10_000)).await;
        assert!(is_served(&mut inside[0]).await);
        inside.pop();
        outside.receive::<MetadataRequest>(METADATA).await;
    });
}

#[test]
fn a_flood_from_one_address_does_not_keep_others_out() {
    run(&[("max.connections.per.ip", "2")], async |world| {
        world.add_machine("other");
        let mut inside = [world.connect().await, world.connect().await];
        for client in &mut inside {
            assert!(is_served(client).await);
        }
        for _ in 0..200 {
            assert!(world.connect().await.is_hung_up().await);
        }
        let mut other = world.connect_from("other").await;
        assert!(is_served(&mut other).await);
        let [first, mut second] = inside;
        drop(first);
        world.sim.sleep(ms(10)).await;
        assert!(is_served(&mut world.connect().await).await, "room for one again");
        assert!(is_served(&mut second).await);
    });
}

#[test]
fn a_broken_accept_concerns_one_connection() {
    run(&[], async |world| {
        world.sim.fail_accepts(crate::support::SERVER, 2);
        for _ in 0..2 {
            assert!(!is_served(&mut world.connect().await).await, "out of descriptors, say");
        }
        assert!(is_served(&mut world.connect().await).await);
    });
}

#[test]
fn a_slow_reader_is_held_back_and_holds_back_nobody() {
    run(&[("connections.max.idle.ms", "600000")], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let large = "x".repeat(500_000);
        for _ in 0..4 {
            assert_eq!(client.append_code(&topic, batch(&[&large])).await, ErrorCode::None);
        }
        let mut slow = world.connect().await;
        // 8,000 answers of 2 MB each, if the broker believed that somebody takes them.
        let request = slow.encode(FETCH, &fetch(FETCH, &topic, vec![from_offset(0, 0)]));
        let many: Bytes = request.repeat(8_000).into();
        let mut sent = std::pin::pin!(slow.send_bytes(&many));
        let held_back = tokio::select! {
            biased;
            () = &mut sent => false,
            () = world.sim.sleep(ms(60_000)) => true,
        };
        assert!(held_back, "the broker went on reading requests");
        client.fill(&topic, &["others go on"]).await;
    });
}

#[test]
fn what_a_slow_reader_asked_for_comes_whole_and_in_order() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let large = "x".repeat(300_000);
        for _ in 0..3 {
            assert_eq!(client.append_code(&topic, batch(&[&large])).await, ErrorCode::None);
        }
        for _ in 0..20 {
            client.send(FETCH, &fetch(FETCH, &topic, vec![from_offset(0, 0)])).await;
        }
        world.sim.sleep(ms(30_000)).await;
        for _ in 0..20 {
            let answer = client.receive::<FetchRequest>(FETCH).await;
            assert_eq!(values(only(&answer)), [large.as_str(), &large, &large]);
        }
    });
}

#[test]
fn answers_to_good_requests_leave_before_a_bad_one_ends_the_connection() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let good = client.encode(PRODUCE, &produce(PRODUCE, -1, &topic, &[(0, batch(&["a"]))]));
        let unknown_key = [0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 9, 0xff, 0xff];
        let negative_length = [0xff, 0xff, 0xff, 0xff];
        for (offset, bad) in (0_i64..).zip([&unknown_key[..], &negative_length[..]]) {
            let mut client = world.connect().await;
            client.send_bytes(&[&good[..], bad, &good[..]].concat()).await;
            let frame = client.frame().await.expect("the answer to the first");
            let (_, answer) = protocol::rpc::decode_response::<ProduceRequest>(&frame, PRODUCE).unwrap();
            let part = only_produced(&answer);
            assert_eq!((part.error_code, part.base_offset), (0, offset));
            assert!(client.is_hung_up().await);
        }
        let mut client = world.connect().await;
        assert_eq!(values(&client.read(&topic, 0).await).len(), 2, "what comes behind is not looked at");
    });
}

#[test]
fn a_request_is_answered_however_its_bytes_arrive() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let request = client.encode(PRODUCE, &produce(PRODUCE, -1, &topic, &[(0, batch(&["a"]))]));
        let mut client = world.connect().await;
        for byte in &request {
            client.send_bytes(&[*byte]).await;
            world.sim.sleep(ms(1)).await;
        }
        assert!(client.frame().await.is_some());
        client.send_bytes(&request.repeat(300)).await;
        for _ in 0..300 {
            assert!(client.frame().await.is_some());
        }
    });
}

#[test]
fn a_clean_stop_answers_what_was_begun() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        world.sim.disk(crate::support::SERVER).faults(|faults| faults.sync_time = ms(500)..=ms(500));
        client.send(PRODUCE, &produce(PRODUCE, -1, &topic, &[(0, batch(&["a"]))])).await;
        client.silence(ms(100)).await;
        world.stop().await;
        let answer = client.receive::<ProduceRequest>(PRODUCE).await;
        assert_eq!(only_produced(&answer).error_code, 0);
        assert!(client.is_hung_up().await);
    });
}
