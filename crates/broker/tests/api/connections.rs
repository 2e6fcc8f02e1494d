//! Connections: how many, for how long, and what one of them can do to the others.

use bytes::Bytes;
use host::sim::Options;
use protocol::ErrorCode;
use protocol::messages::fetch_request::FetchRequest;
use protocol::messages::metadata_request::MetadataRequest;
use protocol::messages::produce_request::ProduceRequest;

use crate::alter_configs::set;
use crate::support::requests::{
    FETCH, METADATA, PRODUCE, batch, fetch, from_offset, only, only_produced, produce, values,
};
use crate::support::{Client, World, ms, run, run_in};

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
fn the_listeners_of_a_broker_share_max_connections() {
    let configs = [
        ("listeners", "PLAINTEXT://server:9092,OTHER://server:9093"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT"),
        ("max.connections", "1"),
    ];
    run(&configs, async |world| {
        for port in [9093, 9092, 9093] {
            let mut inside = world.connect_to(port).await;
            assert!(is_served(&mut inside).await, "a listener that waits for nobody holds no connection");
            let mut outside = world.connect().await;
            outside.send(METADATA, &nothing()).await;
            outside.silence(ms(10_000)).await;
            drop(inside);
            outside.receive::<MetadataRequest>(METADATA).await;
            drop(outside);
            world.sim.sleep(ms(10)).await;
        }
        // Nor does one that waits keep the broker from stopping.
        let _inside = world.connect().await;
        let _outside = world.connect_to(9093).await;
        world.stop().await;
    });
}

#[test]
fn a_listener_may_have_limits_of_its_own() {
    let configs = [
        ("listeners", "PLAINTEXT://server:9092,OTHER://server:9093"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT"),
        ("listener.name.other.max.connections", "1"),
        ("listener.name.plaintext.max.connection.creation.rate", "0"),
    ];
    run(&configs, async |world| {
        let mut inside = world.connect_to(9093).await;
        assert!(is_served(&mut inside).await);
        let mut outside = world.connect_to(9093).await;
        outside.send(METADATA, &nothing()).await;
        outside.silence(ms(10_000)).await;
        drop(inside);
        outside.receive::<MetadataRequest>(METADATA).await;
        let mut nobody = world.connect().await;
        nobody.send(METADATA, &nothing()).await;
        nobody.silence(ms(100_000)).await;
        // Both follow while the broker runs.
        set(&mut outside, (4, ""), "listener.name.other.max.connections", "2").await;
        let mut second = world.connect_to(9093).await;
        assert!(is_served(&mut second).await);
        set(&mut outside, (4, ""), "listener.name.plaintext.max.connection.creation.rate", "5").await;
        nobody.receive::<MetadataRequest>(METADATA).await;
        world.stop().await;
    });
}

#[test]
fn connections_above_the_creation_rate_wait() {
    run(&[("max.connection.creation.rate", "2")], async |world| {
        let began = world.sim.now();
        let mut seconds = Vec::new();
        let mut clients = Vec::new();
        for _ in 0..26 {
            clients.push(world.connect().await);
        }
        for client in &mut clients {
            assert!(is_served(client).await, "nobody is turned away");
            seconds.push(world.sim.now().since(began).as_millis() / 500);
        }
        // What ten seconds allow comes at once, and then two a second.
        assert!(seconds[..20].iter().all(|halves| *halves == 0), "{seconds:?}");
        assert_eq!(seconds[20..], [1, 2, 3, 4, 5, 6]);
        // Who is inside does not notice.
        let before = world.sim.now();
        assert!(is_served(&mut clients[0]).await);
        assert!(world.sim.now().since(before) < ms(100));
    });
}

#[test]
fn an_address_may_have_a_limit_of_its_own() {
    // The simulated machines have the addresses 10.0.0.1, 10.0.0.2, ... in the order in which they were made.
    let configs =
        [("max.connections.per.ip", "1"), ("max.connections.per.ip.overrides", "10.0.0.2:3,[::1]:9")];
    run(&configs, async |world| {
        world.add_machine("other");
        let mut inside = Vec::new();
        for _ in 0..3 {
            let mut client = world.connect().await;
            assert!(is_served(&mut client).await);
            inside.push(client);
        }
        assert!(world.connect().await.is_hung_up().await);
        let mut other = world.connect_from("other").await;
        assert!(is_served(&mut other).await);
        assert!(world.connect_from("other").await.is_hung_up().await);
    });
}

#[test]
fn no_idle_limit_means_none() {
    run(&[("connections.max.idle.ms", "-1")], async |world| {
        let mut client = world.connect().await;
        client.silence(ms(20 * 3_600_000)).await;
        assert!(is_served(&mut client).await);
    });
}

#[test]
fn a_request_above_socket_request_max_bytes_ends_its_connection() {
    run(&[("socket.request.max.bytes", "1000")], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let overhead = client.encode(PRODUCE, &produce(PRODUCE, -1, &topic, &[(0, batch(&[""]))])).len() - 4;
        for (len, served) in [(1000 - overhead - 10, true), (1001, false)] {
            let mut client = world.connect().await;
            let request = produce(PRODUCE, -1, &topic, &[(0, batch(&["x".repeat(len).as_str()]))]);
            client.send(PRODUCE, &request).await;
            assert_eq!(client.frame().await.is_some(), served, "{len}");
        }
        // The largest that is allowed, to the byte.
        let mut client = world.connect().await;
        client.send_bytes(&1000_i32.to_be_bytes()).await;
        client.silence(ms(1_000)).await;
    });
}

#[test]
fn requests_above_queued_max_request_bytes_wait_until_others_are_answered() {
    // Half of it is for whole requests, half for those on their way in.
    run(&[("queued.max.request.bytes", "2000000"), ("connections.max.idle.ms", "60000")], async |world| {
        let mut first = world.connect().await;
        let topic = first.create("t", 1, &[]).await;
        world.sim.disk(crate::support::SERVER).faults(|faults| faults.sync_time = ms(5_000)..=ms(5_000));
        let large = produce(PRODUCE, -1, &topic, &[(0, batch(&["x".repeat(900_000).as_str()]))]);
        first.send(PRODUCE, &large).await;
        first.silence(ms(1_000)).await;
        let mut second = world.connect().await;
        second.send(PRODUCE, &large).await;
        first.receive::<ProduceRequest>(PRODUCE).await;
        second.silence(ms(4_000)).await;
        let answer = second.receive::<ProduceRequest>(PRODUCE).await;
        assert_eq!(only_produced(&answer).base_offset, 1, "it was started when the first was done");
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
fn pipelined_requests_of_one_client_leave_others_their_turns() {
    // Both requests arrive at the same moment, and whole.
    let options = Options { in_turns: true, latency: ms(1)..=ms(1), short_io_ppm: 0, ..Options::new(7) };
    run_in(options, &[], async |world| {
        let (mut many, mut one) = (world.connect().await, world.connect().await);
        let requests: Vec<Bytes> = (0..64).map(|_| many.encode(METADATA, &nothing())).collect();
        world.sim.trace().set_verbose(true);
        many.send_bytes(&requests.concat()).await;
        one.send(METADATA, &nothing()).await;
        for _ in 0..64 {
            many.receive::<MetadataRequest>(METADATA).await;
        }
        one.receive::<MetadataRequest>(METADATA).await;
        world.sim.trace().set_verbose(false);
        let lines = world.sim.trace().lines();
        let turn = |line: &String| {
            Some(line.split_once("turn of Task(")?.1.split_once(" connection)")?.0.to_owned())
        };
        let turns: Vec<String> = lines.iter().filter_map(turn).collect();
        let first = turns.first().unwrap();
        let of_other = turns.iter().position(|task| task != first).unwrap();
        let left = turns[of_other..].iter().filter(|task| *task == first).count();
        assert!(of_other <= 2 && left >= 6, "turns of tasks {turns:?}");
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
