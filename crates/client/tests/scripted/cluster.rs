//! Bootstrap servers, retries and their limits.

use client::{Admin, ClusterOptions, Error};
use protocol::{ApiKey, ErrorCode, NodeId, Str};

use super::server::{PORT, Reply, Request, TOPIC, metadata, metadata_error, run};

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
