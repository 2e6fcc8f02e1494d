//! One connection: negotiation, answers that are none, answers that do not come.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{Connection, ConnectionOptions, Error};
use protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use protocol::messages::describe_cluster_request::DescribeClusterRequest;
use protocol::messages::metadata_request::MetadataRequest;
use protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::{ApiKey, ErrorCode, Str};

use super::server::{PORT, Reply, Request, World, metadata, run, versions};

async fn open(world: &World) -> Result<Connection, Error> {
    let options = ConnectionOptions { response_bytes_max: 1 << 20, ..ConnectionOptions::default() };
    Connection::open(&world.host, ("one", PORT), Arc::new(options)).await
}

/// What becomes of a request that is answered like this.
fn answered(answer: impl FnMut(&Request) -> Reply + Send + 'static, check: impl Fn(&World, Error)) {
    let mut answer = answer;
    let script = move |request: &Request| (request.key == ApiKey::Metadata).then(|| answer(request));
    run(script, async |world| {
        let connection = open(world).await.unwrap();
        let error = connection.call(&MetadataRequest::default()).await.unwrap_err();
        // The task of the connection hears of it, too.
        world.sim.sleep(Duration::from_millis(1)).await;
        assert!(connection.is_closed(), "{error}");
        check(world, error);
    });
}

#[test]
fn a_broker_that_does_not_know_our_newest_version_is_asked_in_the_oldest() {
    let script = |request: &Request| match (request.key, request.version) {
        (ApiKey::ApiVersions, 0) => Some(request.answer(&versions())),
        (ApiKey::ApiVersions, _) => {
            let refusal =
                ApiVersionsResponse { error_code: ErrorCode::UnsupportedVersion.code(), ..versions() };
            Some(request.answer_in(0, &refusal))
        }
        _ => None,
    };
    run(script, async |world| {
        let connection = open(world).await.unwrap();
        connection.call(&MetadataRequest::default()).await.unwrap();
        let asked: Vec<i16> = world.seen.lock().unwrap().iter().map(|seen| seen.1).collect();
        assert_eq!(asked, [4, 0, ApiKey::Metadata.versions().max]);
    });
}

#[test]
fn nothing_is_sent_that_the_broker_does_not_speak() {
    let range =
        |key: ApiKey, min_version, max_version| ApiVersion { api_key: key.code(), min_version, max_version };
    for ranges in [
        vec![],
        vec![range(ApiKey::DescribeCluster, 100, 200)],
        vec![range(ApiKey::DescribeCluster, 1, 0)],
        vec![range(ApiKey::DescribeCluster, -9, -1)],
        vec![range(ApiKey::Metadata, 0, 4)],
    ] {
        let answer = ApiVersionsResponse { api_keys: ranges, ..Default::default() };
        run(
            move |request| Some(request.answer(&answer)),
            async |world| {
                let error = open(world).await.unwrap().call(&DescribeClusterRequest::default()).await;
                assert!(matches!(error, Err(Error::Unsupported { .. })), "{error:?}");
                assert_eq!(world.seen.lock().unwrap().len(), 1, "only what is spoken was asked");
            },
        );
    }
}

#[test]
fn a_broker_that_refuses_to_say_what_it_speaks_is_none() {
    let script = |request: &Request| {
        let error_code = ErrorCode::ClusterAuthorizationFailed.code();
        Some(request.answer(&ApiVersionsResponse { error_code, ..Default::default() }))
    };
    run(script, async |world| {
        let error = open(world).await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::ClusterAuthorizationFailed));
    });
    run(
        |_| Some(Reply::Send(Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n"))),
        async |world| {
            let error = open(world).await.unwrap_err().to_string();
            assert!(error.contains("one:9092") && error.contains("length"), "{error}");
        },
    );
}

#[test]
fn an_answer_to_another_request_ends_the_connection() {
    let other = |request: &Request| {
        let mut next = request.clone();
        next.correlation_id += 1;
        next.answer(&metadata(1))
    };
    answered(other, |_, error| {
        assert!(
            matches!(&error, Error::Disconnected { reason, .. } if reason.contains("correlation")),
            "{error}"
        );
    });
}

#[test]
fn what_is_no_answer_ends_the_connection() {
    let frame = |bytes: &[u8]| {
        let mut all = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        all.extend(bytes);
        Bytes::from(all)
    };
    for lie in [
        Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff]),
        Bytes::from_static(&[0xff, 0xff, 0xff, 0xff]),
        Bytes::from_static(&[0, 0x10, 0, 1]),
        frame(&[]),
        frame(&[0, 0]),
    ] {
        answered(
            move |_| Reply::Send(lie.clone()),
            |_, error| assert!(matches!(error, Error::Disconnected { .. }), "{error}"),
        );
    }
    // The right correlation id, and behind it nothing, or a count of what cannot be there.
    for rest in [&b""[..], &[0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
        let rest = rest.to_vec();
        answered(
            move |request| Reply::Send(frame(&[&request.correlation_id.to_be_bytes()[..], &rest].concat())),
            |_, error| assert!(matches!(error, Error::Malformed { .. }), "{error}"),
        );
    }
}

#[test]
fn an_answer_that_breaks_off_is_none() {
    for keep in [0, 3, 4, 20] {
        answered(
            move |request| match request.answer(&metadata(1)) {
                Reply::Send(bytes) => Reply::SendAndHangUp(bytes.slice(..keep)),
                other => other,
            },
            |_, error| assert!(matches!(error, Error::Disconnected { .. }), "{error}"),
        );
    }
}

#[test]
fn an_answer_that_nobody_asked_for_ends_the_connection() {
    let twice = |request: &Request| match (request.key, request.answer(&metadata(1))) {
        (ApiKey::Metadata, Reply::Send(bytes)) => Some(Reply::Send([bytes.clone(), bytes].concat().into())),
        _ => None,
    };
    run(twice, async |world| {
        let connection = open(world).await.unwrap();
        connection.call(&MetadataRequest::default()).await.unwrap();
        world.sim.sleep(Duration::from_secs(1)).await;
        assert!(connection.is_closed());
    });
}

#[test]
fn silence_ends_the_connection_for_all_who_wait() {
    run(
        |request| (request.key == ApiKey::Metadata).then_some(Reply::Silence),
        async |world| {
            let connection = open(world).await.unwrap();
            let version = connection.newest::<MetadataRequest>().unwrap();
            let first = connection.send(version, &MetadataRequest::default()).await.unwrap();
            let second = connection.send(version, &MetadataRequest::default()).await.unwrap();
            let error = first.response(Duration::ZERO).await.unwrap_err();
            assert!(matches!(error, Error::TimedOut { ms: 30_000, .. }), "{error}");
            assert_eq!(world.seconds(), 30);
            let error = second.response(Duration::ZERO).await.unwrap_err().to_string();
            assert!(error.contains("Metadata was not answered within 30000 ms"), "{error}");
            assert_eq!(world.seconds(), 30, "the second has not waited on its own");
        },
    );
}

/// Requests without answers have nobody who notices that they are not read: the sender waited for ever.
#[test]
fn a_broker_that_reads_nothing_is_noticed_without_an_answer_too() {
    run(
        |request| (request.key == ApiKey::Produce).then_some(Reply::Deaf),
        async |world| {
            let connection = open(world).await.unwrap();
            let data = PartitionProduceData {
                records: Some(Bytes::from(vec![0; 1 << 20]).into()),
                ..Default::default()
            };
            let topic =
                TopicProduceData { name: Str::from("t"), partition_data: vec![data], ..Default::default() };
            let request = ProduceRequest { topic_data: vec![topic], ..Default::default() };
            let mut sent = 0;
            let error = loop {
                match connection.send_unanswered(9, &request).await {
                    Ok(_) => sent += 1,
                    Err(error) => break error,
                }
            };
            assert!(sent < 100, "{sent}");
            assert!(matches!(error, Error::TimedOut { .. }), "{error}");
            assert_eq!(world.seconds(), 30);
        },
    );
}
