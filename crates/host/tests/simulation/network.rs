//! Latency, partitions, resets, and what peers hear of a crash.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use host::sim::{NodeOptions, Sim};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{PORT, ask, ms, server};

#[test]
fn peers_of_a_crashed_node_hear_a_reset_or_nothing() {
    let mut heard = BTreeSet::new();
    for seed in 0..30 {
        let sim = Sim::new(seed);
        server(&sim, "server");
        let client = sim.node("client", NodeOptions::default());
        heard.insert(sim.block_on(async {
            let mut stream = client.net.connect("server", PORT).await.unwrap();
            assert_eq!(ask(&mut stream, 4).await.unwrap(), 8);
            sim.crash("server");
            let mut byte = [0];
            tokio::select! {
                biased;
                read = stream.read(&mut byte) => Some(read.map_err(|error| error.kind())),
                () = sim.sleep(ms(10_000)) => {
                    // After the restart the machine knows nothing of the connection and says so.
                    sim.restart("server");
                    stream.write_all(&byte).await.unwrap();
                    assert_eq!(stream.read(&mut byte).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
                    None
                }
            }
        }));
    }
    assert_eq!(heard, BTreeSet::from([None, Some(Err(ErrorKind::ConnectionReset))]));
}

#[test]
fn a_killed_process_has_its_connections_closed_and_its_ports_refused() {
    let sim = Sim::new(2);
    server(&sim, "server");
    let client = sim.node("client", NodeOptions::default());
    sim.block_on(async {
        let mut stream = client.net.connect("server", PORT).await.unwrap();
        assert_eq!(ask(&mut stream, 1).await.unwrap(), 2);
        sim.kill("server");
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        let refused = client.net.connect("server", PORT).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        sim.restart("server");
        sim.crash("server");
        let before = sim.now();
        let silent = client.net.connect("server", PORT).await.unwrap_err();
        assert_eq!(silent.kind(), ErrorKind::TimedOut);
        assert!(sim.now().since(before) >= Duration::from_secs(30));
    });
}

#[test]
fn partitions_hold_back_and_lose_nothing() {
    for one_way in [false, true] {
        let sim = Sim::new(3);
        server(&sim, "server");
        let client = sim.node("client", NodeOptions::default());
        sim.block_on(async {
            let mut stream = client.net.connect("server", PORT).await.unwrap();
            assert_eq!(ask(&mut stream, 1).await.unwrap(), 2);
            if one_way {
                sim.block("server", "client")
            } else {
                sim.partition("client", "server")
            }
            let asked = ask(&mut stream, 2);
            tokio::pin!(asked);
            tokio::select! {
                biased;
                _ = &mut asked => panic!("an answer through a cut"),
                () = sim.sleep(ms(60_000)) => {}
            }
            let connect = client.net.connect("server", PORT);
            tokio::pin!(connect);
            tokio::select! {
                biased;
                _ = &mut connect => panic!("a connection through a cut"),
                () = sim.sleep(ms(5_000)) => {}
            }
            sim.heal("client", "server");
            assert_eq!(asked.await.unwrap(), 4);
            connect.await.unwrap();
        });
    }
}

#[test]
fn links_have_their_latency() {
    let sim = Sim::new(3);
    server(&sim, "server");
    let client = sim.node("client", NodeOptions::default());
    sim.set_latency("client", "server", ms(100)..=ms(100));
    sim.set_latency("server", "client", ms(20)..=ms(20));
    sim.block_on(async {
        let mut stream = client.net.connect("server", PORT).await.unwrap();
        assert_eq!(sim.now(), host::Instant::ZERO.after(ms(120)));
        let before = sim.now();
        assert_eq!(ask(&mut stream, 1).await.unwrap(), 2);
        let after = sim.now().since(before);
        assert!((ms(120)..ms(121)).contains(&after), "{after:?}");
    });
}

#[test]
fn connections_can_be_reset() {
    let sim = Sim::new(3);
    server(&sim, "server");
    let client = sim.node("client", NodeOptions::default());
    sim.block_on(async {
        let mut stream = client.net.connect("server", PORT).await.unwrap();
        sim.reset_connections("server", "client");
        assert_eq!(ask(&mut stream, 1).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        sim.fail_accepts("server", 1);
        let mut stream = client.net.connect("server", PORT).await.unwrap();
        assert!(ask(&mut stream, 1).await.is_err());
        let mut stream = client.net.connect("server", PORT).await.unwrap();
        assert_eq!(ask(&mut stream, 1).await.unwrap(), 2);
    });
}
