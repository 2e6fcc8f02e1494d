//! Bootstrap servers, retries and their limits.

use std::time::Duration;

use client::{Admin, ClusterOptions, Error};
use host::Place;
use protocol::{ApiKey, ErrorCode, NodeId, Str};

use tokio::sync::oneshot;

use super::server::{BROKERS, PORT, Reply, Request, TOPIC, metadata, metadata_error, run};

#[test]
fn any_bootstrap_server_will_do() {
    run(
        |_| None,
        async |world| {
            let servers = ["nowhere:9092".to_owned(), "one:1".to_owned(), format!("two:{PORT}")];
            let cluster = world.cluster_with(ClusterOptions::new(servers));
            cluster.refresh(Vec::new(), false).await.unwrap();
            assert_eq!(cluster.snapshot().brokers.len(), 2);
        },
    );
}

#[test]
fn nobody_there_is_an_error_at_once() {
    run(
        |_| None,
        async |world| {
            let error = Admin::new(&world.cluster_with(ClusterOptions::new(["one:1"]))).list_topics().await;
            assert!(matches!(&error, Err(Error::Connect { address, .. }) if address == "one:1"), "{error:?}");
            assert_eq!(world.seconds(), 0);
        },
    );
}

#[test]
fn a_request_is_repeated_when_its_connection_breaks() {
    let mut left = 3;
    let script = move |request: &Request| match request.key {
        ApiKey::Metadata if left > 0 => {
            left -= 1;
            Some(Reply::HangUp)
        }
        _ => None,
    };
    run(script, async |world| {
        let topics = Admin::new(&world.cluster()).list_topics().await.unwrap();
        assert_eq!((topics[0].name.as_str(), world.count(ApiKey::Metadata)), (TOPIC, 4));
    });
}

#[test]
fn repeating_has_an_end() {
    run(
        |request| (request.key == ApiKey::Metadata).then_some(Reply::HangUp),
        async |world| {
            let error = Admin::new(&world.cluster()).list_topics().await.unwrap_err();
            assert!(matches!(error, Error::Disconnected { .. }), "{error}");
            assert!((58..=60).contains(&world.seconds()), "as long as the options say: {}", world.seconds());
            let attempts = world.count(ApiKey::Metadata);
            assert!((50..=90).contains(&attempts), "with pauses up to a second: {attempts}");
        },
    );
}

/// What the old address belongs to may be another broker by now. Its connection was kept as that of the one that had moved.
#[test]
fn a_broker_that_moves_while_it_is_connected_to_is_reached_where_it_is() {
    let mut asked = 0;
    let script = move |request: &Request| match request.key {
        ApiKey::Metadata => {
            asked += 1;
            let mut response = metadata(2);
            // First it is said to be where the other one is, which is slow to answer.
            response.brokers[1].host = Str::from(BROKERS[usize::from(asked > 1)]);
            Some(request.answer(&response))
        }
        _ => None,
    };
    run(script, async |world| {
        let cluster = world.cluster_with(ClusterOptions::new([format!("two:{PORT}")]));
        cluster.refresh(vec![Str::from(TOPIC)], false).await.unwrap();
        world.sim.pause("one");
        let (tell, connected) = oneshot::channel();
        let of = cluster.clone();
        world.host.spawn(Place::Control, "connect", async move {
            tell.send(of.connection(NodeId(2)).await).unwrap();
        });
        world.sim.sleep(Duration::from_secs(1)).await;
        cluster.refresh(vec![Str::from(TOPIC)], false).await.unwrap();
        world.sim.resume("one");
        assert_eq!(connected.await.unwrap().unwrap().address(), format!("two:{PORT}"));
        assert_eq!(cluster.connection(NodeId(2)).await.unwrap().address(), format!("two:{PORT}"));
    });
}

#[test]
fn a_topic_is_waited_for_while_it_may_come() {
    let mut asked = 0;
    let script = move |request: &Request| {
        (request.key == ApiKey::Metadata).then(|| {
            asked += 1;
            match asked {
                1 => request.answer(&metadata_error(ErrorCode::LeaderNotAvailable)),
                2 => request.answer(&metadata_error(ErrorCode::UnknownTopicOrPartition)),
                _ => request.answer(&metadata(2)),
            }
        })
    };
    run(script, async |world| {
        let topic = world.cluster().topic(&Str::from(TOPIC), true).await.unwrap();
        assert_eq!((topic.leader(0), world.count(ApiKey::Metadata)), (Some(NodeId(2)), 3));
    });
    for (code, attempts) in [(ErrorCode::InvalidTopic, 1), (ErrorCode::UnknownTopicOrPartition, 1)] {
        run(
            move |request| (request.key == ApiKey::Metadata).then(|| request.answer(&metadata_error(code))),
            async |world| {
                let error = world.cluster().topic(&Str::from(TOPIC), false).await.unwrap_err();
                assert_eq!((error.code(), world.count(ApiKey::Metadata)), (Some(code), attempts));
            },
        );
    }
}
