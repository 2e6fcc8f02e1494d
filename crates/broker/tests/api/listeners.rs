//! Listeners: what is bound, and what clients of each are told.

use broker::{Node, StartError};
use host::sim::{NodeOptions, Sim};
use metadata::config::{BrokerConfig, StaticConfig};
use protocol::messages::describe_cluster_request::DescribeClusterRequest;
use protocol::messages::fetch_request::{FetchPartition, FetchRequest};
use protocol::messages::metadata_request::MetadataRequest;

use crate::support::requests::{FETCH, METADATA, fetch, from_offset};
use crate::support::{Client, PORT, SERVER, run};

const TWO: [(&str, &str); 3] = [
    ("listeners", "PLAINTEXT://server:9092,OUTSIDE://server:9093"),
    ("advertised.listeners", "OUTSIDE://broker.example:19093"),
    ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,OUTSIDE:PLAINTEXT"),
];

/// Where Metadata and DescribeCluster say that the broker is.
async fn told(client: &mut Client) -> (String, i32) {
    let answer =
        client.call(METADATA, &MetadataRequest { topics: Some(Vec::new()), ..Default::default() }).await;
    let [broker] = answer.brokers.as_slice() else { panic!("{answer:?}") };
    let request = DescribeClusterRequest { endpoint_type: 1, ..Default::default() };
    let described = client.call(2, &request).await;
    assert_eq!((&described.brokers[0].host, described.brokers[0].port), (&broker.host, broker.port));
    (broker.host.to_string(), broker.port)
}

#[test]
fn clients_are_told_the_address_that_is_advertised_for_their_listener() {
    run(&TWO, async |world| {
        assert_eq!(told(&mut world.connect().await).await, (SERVER.to_owned(), 9092));
        let mut outside = world.connect_to(9093).await;
        assert_eq!(told(&mut outside).await, ("broker.example".to_owned(), 19093));
        // It is one broker: what is created on one is there on the other.
        let topic = world.connect().await.create("t", 1, &[]).await;
        outside.fill(&topic, &["a"]).await;
        // The new leader's address of KIP-951 is that of the listener, too.
        world.restart().await;
        for (port, host, told) in [(PORT, SERVER, 9092), (9093, "broker.example", 19093)] {
            let stale = FetchPartition { current_leader_epoch: 0, ..from_offset(0, 0) };
            let request: FetchRequest = fetch(FETCH, &topic, vec![stale]);
            let answer = world.connect_to(port).await.call(FETCH, &request).await;
            let [leader] = answer.node_endpoints.as_slice() else { panic!("{answer:?}") };
            assert_eq!((leader.host.as_str(), leader.port), (host, told));
        }
    });
}

#[test]
fn a_port_of_0_is_told_as_the_port_that_was_found() {
    for advertised in ["", "PLAINTEXT://server:0"] {
        let configs = [("listeners", "PLAINTEXT://server:0"), ("advertised.listeners", advertised)];
        run(&configs, async |world| {
            let endpoints = world.endpoints();
            let [endpoint] = endpoints.as_slice() else { panic!("{endpoints:?}") };
            let port = endpoint.strip_prefix("PLAINTEXT://server:").unwrap().parse().unwrap();
            assert_ne!(port, 0);
            assert_eq!(told(&mut world.connect_to(port).await).await, (SERVER.to_owned(), i32::from(port)));
        });
    }
}

#[test]
fn every_interface_is_told_as_a_name_and_a_fixed_port_is_kept() {
    for (listeners, advertised, expected) in [
        ("PLAINTEXT://:9092", "", ("localhost", 9092)),
        ("PLAINTEXT://0.0.0.0:9092", "", ("localhost", 9092)),
        ("PLAINTEXT://[::]:9092", "", ("localhost", 9092)),
        ("PLAINTEXT://:9092", "PLAINTEXT://outside.example:7", ("outside.example", 7)),
        ("PLAINTEXT://:9092", "PLAINTEXT://[2001:db8::1]:7", ("2001:db8::1", 7)),
    ] {
        run(&[("listeners", listeners), ("advertised.listeners", advertised)], async |world| {
            let (host, port) = told(&mut world.connect().await).await;
            assert_eq!((host.as_str(), port), expected, "{listeners} as {advertised}");
        });
    }
}

/// Starts a node with these configs; why it did not.
fn refused(configs: &[(&str, &str)]) -> String {
    let mut statics = StaticConfig::new();
    statics.set("log.dirs", "/data");
    for (name, value) in configs {
        statics.set(*name, *value);
    }
    let config = match BrokerConfig::load(&statics) {
        Ok((config, _)) => config,
        Err(errors) => return errors[0].to_string(),
    };
    let sim = Sim::new(7);
    let host = sim.node(SERVER, NodeOptions::default());
    let disk = host.disk.files();
    let started: Result<Node, StartError> = sim.block_on_node(SERVER, Node::start(host, statics, config));
    let why = started.map(|_| ()).unwrap_err().to_string();
    assert!(disk.read_dir(std::path::Path::new("/data")).is_err(), "nothing was written: {why}");
    why
}

#[test]
fn combinations_that_cannot_work_are_refused_before_anything_is_written() {
    for (configs, why) in [
        (&[("listeners", "A://x:1")][..], "add A:PLAINTEXT"),
        (&[("listeners", "PLAINTEXT://x:1,plaintext://x:2")], "the name PLAINTEXT is there twice"),
        (&[("listeners", "PLAINTEXT://x:1,SSL://y:1")], "port 1 is there twice"),
        (&[("listeners", "PLAINTEXT://server")], "is not NAME://host:port"),
        (&[("listeners", "")], "a broker needs a listener"),
        (&[("advertised.listeners", "SSL://x:1")], "SSL is not one of listeners"),
        (&[("advertised.listeners", "PLAINTEXT://0.0.0.0:1")], "clients cannot connect to 0.0.0.0"),
        (&[("inter.broker.listener.name", "OTHER")], "OTHER is not one of listeners"),
        (&[("listeners", "SSL://server:1")], "is to speak SSL"),
        (&[("process.roles", "controller"), ("controller.listener.names", "PLAINTEXT")], "add broker to it"),
        (
            &[("listeners", "PLAINTEXT://elsewhere.example:1")],
            "cannot listen on PLAINTEXT://elsewhere.example:1",
        ),
    ] {
        let found = refused(configs);
        assert!(found.contains(why), "{configs:?}: {found}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let sim = Sim::new(7);
    let host = sim.node(SERVER, NodeOptions::default());
    let mut statics = StaticConfig::new();
    statics.set("listeners", "PLAINTEXT://server:9092");
    statics.set("log.dirs", "/data");
    let (config, _) = BrokerConfig::load(&statics).unwrap();
    let why = sim.block_on_node(SERVER, async {
        let _taken = host.net.listen(SERVER, PORT).await.unwrap();
        Node::start(host.clone(), statics, config).await.map(|_| ()).unwrap_err().to_string()
    });
    assert!(why.contains("cannot listen on PLAINTEXT://server:9092"), "{why}");
}
