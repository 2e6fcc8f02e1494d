//! Which versions there are, and how clients find out.

use protocol::messages::alter_configs_request::AlterConfigsRequest;
use protocol::messages::api_versions_request::ApiVersionsRequest;
use protocol::messages::create_partitions_request::CreatePartitionsRequest;
use protocol::messages::create_topics_request::CreateTopicsRequest;
use protocol::messages::delete_records_request::DeleteRecordsRequest;
use protocol::messages::delete_topics_request::DeleteTopicsRequest;
use protocol::messages::describe_cluster_request::DescribeClusterRequest;
use protocol::messages::describe_configs_request::DescribeConfigsRequest;
use protocol::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use protocol::messages::describe_producers_request::DescribeProducersRequest;
use protocol::messages::describe_topic_partitions_request::DescribeTopicPartitionsRequest;
use protocol::messages::fetch_request::FetchRequest;
use protocol::messages::incremental_alter_configs_request::IncrementalAlterConfigsRequest;
use protocol::messages::init_producer_id_request::InitProducerIdRequest;
use protocol::messages::list_config_resources_request::ListConfigResourcesRequest;
use protocol::messages::list_offsets_request::ListOffsetsRequest;
use protocol::messages::metadata_request::MetadataRequest;
use protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderEpochRequest;
use protocol::messages::produce_request::ProduceRequest;
use protocol::messages::update_features_request::UpdateFeaturesRequest;
use protocol::wire::{Codec, Reader, Request};
use protocol::{ApiKey, ErrorCode, Str};

use crate::support::{Client, run};

/// What Kafka 4.4 advertises of the keys that are served here.
const VERSIONS: &[(i16, i16, i16)] = &[
    (0, 0, 13),
    (1, 4, 18),
    (2, 1, 11),
    (3, 0, 13),
    (8, 2, 10),
    (9, 1, 10),
    (10, 0, 6),
    (11, 0, 9),
    (12, 0, 4),
    (13, 0, 5),
    (14, 0, 5),
    (15, 0, 6),
    (16, 0, 5),
    (17, 0, 1),
    (18, 0, 5),
    (19, 2, 7),
    (20, 1, 6),
    (21, 0, 2),
    (22, 0, 5),
    (23, 2, 4),
    (24, 0, 5),
    (25, 0, 4),
    (26, 0, 5),
    (27, 1, 2),
    (28, 0, 6),
    (29, 1, 3),
    (30, 1, 3),
    (31, 1, 3),
    (32, 1, 4),
    (33, 0, 2),
    (35, 1, 5),
    (36, 0, 2),
    (37, 0, 3),
    (38, 1, 3),
    (39, 1, 2),
    (40, 1, 2),
    (41, 1, 3),
    (42, 0, 3),
    (43, 0, 2),
    (44, 0, 1),
    (45, 0, 1),
    (46, 0, 0),
    (47, 0, 0),
    (55, 0, 2),
    (57, 0, 2),
    (60, 0, 2),
    (61, 0, 0),
    (65, 0, 0),
    (66, 0, 2),
    (68, 0, 1),
    (69, 0, 1),
    (74, 0, 1),
    (75, 0, 0),
];

/// How many versions of all keys are answered; Produce is from 3 on.
pub(crate) fn count() -> usize {
    let of = |(key, min, max): (i16, i16, i16)| max - if key == 0 { 3 } else { min } + 1;
    VERSIONS.iter().copied().map(|versions| usize::try_from(of(versions)).unwrap()).sum()
}

fn named() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: Str::from("test"),
        client_software_version: Str::from("1.0"),
        node_id: -1,
        ..Default::default()
    }
}

#[test]
fn the_advertised_ranges_are_those_of_kafka_4_4() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        for version in 0..=5 {
            let answer = client.call(version, &named()).await;
            assert_eq!(answer.error_code, 0);
            let found: Vec<_> =
                answer.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
            assert_eq!(found, VERSIONS);
        }
    });
}

#[test]
fn produce_is_advertised_from_0_and_refused_below_3() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let answer = client.call(4, &named()).await;
        let produce = answer.api_keys.iter().find(|api| api.api_key == ApiKey::Produce.code()).unwrap();
        assert_eq!((produce.min_version, produce.max_version), (0, 13));
        for version in 0..=2_i16 {
            let mut client = world.connect().await;
            let frame =
                [&[0, 0, 0, 10, 0, 0][..], &version.to_be_bytes(), &[0, 0, 0, 1, 0xff, 0xff]].concat();
            client.send_bytes(&frame).await;
            assert!(client.is_hung_up().await);
        }
    });
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        for version in [6_i16, 99, i16::MAX, -1] {
            let mut body = vec![0, 18];
            body.extend_from_slice(&version.to_be_bytes());
            body.extend_from_slice(&[0, 0, 0, 77, 0xff, 0xff]);
            // A newer header has tags, and whatever follows it is not understood.
            body.extend_from_slice(&[0, 3, 1, 4, 1, 5]);
            let len = u32::try_from(body.len()).unwrap();
            client.send_bytes(&[&len.to_be_bytes()[..], &body].concat()).await;
            let frame = client.frame().await.unwrap();
            let mut reader = Reader::new(&frame);
            assert_eq!(reader.i32().unwrap(), 77);
            let answer =
                protocol::messages::api_versions_response::ApiVersionsResponse::read(&mut reader, 0).unwrap();
            reader.finish().unwrap();
            assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::UnsupportedVersion);
            let [api] = answer.api_keys.as_slice() else { panic!("{answer:?}") };
            assert_eq!((api.api_key, api.min_version, api.max_version), (18, 0, 5));
        }
        // The connection goes on.
        assert_eq!(client.call(5, &named()).await.error_code, 0);
    });
}

#[test]
fn api_versions_tells_who_meant_another_cluster_or_node() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let cluster =
            client.call(2, &DescribeClusterRequest { endpoint_type: 1, ..Default::default() }).await;
        let me = cluster.brokers[0].broker_id;
        let expecting = |cluster_id: &str, node_id| ApiVersionsRequest {
            cluster_id: Some(Str::from(cluster_id)),
            node_id,
            ..named()
        };
        for (request, code) in [
            (expecting(&cluster.cluster_id, me), ErrorCode::None),
            (expecting("another", me), ErrorCode::RebootstrapRequired),
            (expecting(&cluster.cluster_id, me + 1), ErrorCode::RebootstrapRequired),
            (expecting(&cluster.cluster_id, -1), ErrorCode::None),
            (ApiVersionsRequest { node_id: me, ..named() }, ErrorCode::None),
            (ApiVersionsRequest { node_id: me + 1, ..named() }, ErrorCode::RebootstrapRequired),
        ] {
            assert_eq!(ErrorCode::from(client.call(5, &request).await.error_code), code);
        }
        assert_eq!(ErrorCode::RebootstrapRequired.code(), 129);
    });
}

#[test]
fn api_versions_refuses_names_of_clients_that_are_none() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        for version in 3..=5 {
            let unnamed = ApiVersionsRequest { client_software_name: Str::from("a b"), ..named() };
            let answer = client.call(version, &unnamed).await;
            assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::InvalidRequest);
        }
    });
}

/// Asks in every version that is advertised.
async fn every_version<R: Request>(client: &mut Client, request: R) {
    let (_, min, max) = VERSIONS.iter().copied().find(|(key, ..)| *key == R::KEY.code()).unwrap();
    let min = if R::KEY == ApiKey::Produce { 3 } else { min };
    for version in min..=max {
        client.call(version, &request).await;
    }
}

#[test]
fn every_version_of_every_api_is_answered() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let client = &mut client;
        every_version(client, ProduceRequest { acks: -1, ..Default::default() }).await;
        every_version(client, FetchRequest { replica_id: -1, session_epoch: -1, ..Default::default() }).await;
        every_version(client, ListOffsetsRequest { replica_id: -1, ..Default::default() }).await;
        every_version(client, MetadataRequest { topics: Some(Vec::new()), ..Default::default() }).await;
        every_version(client, named()).await;
        every_version(client, CreateTopicsRequest::default()).await;
        every_version(client, DeleteTopicsRequest::default()).await;
        let none = InitProducerIdRequest { producer_id: -1, producer_epoch: -1, ..Default::default() };
        every_version(client, none).await;
        every_version(client, OffsetForLeaderEpochRequest { replica_id: -2, ..Default::default() }).await;
        every_version(client, DescribeConfigsRequest::default()).await;
        every_version(client, CreatePartitionsRequest::default()).await;
        every_version(client, AlterConfigsRequest::default()).await;
        every_version(client, UpdateFeaturesRequest::default()).await;
        every_version(client, DeleteRecordsRequest::default()).await;
        every_version(client, DescribeLogDirsRequest::default()).await;
        every_version(client, DescribeProducersRequest::default()).await;
        every_version(client, IncrementalAlterConfigsRequest::default()).await;
        every_version(client, ListConfigResourcesRequest::default()).await;
        every_version(client, DescribeClusterRequest { endpoint_type: 1, ..Default::default() }).await;
        every_version(client, DescribeTopicPartitionsRequest::default()).await;
    });
}

#[test]
fn versions_and_keys_that_are_not_served_end_the_connection() {
    run(&[], async |world| {
        // One version past the newest and one before the oldest of each API, keys that are not served, keys that are none.
        let mut wrong: Vec<(i16, i16)> = Vec::new();
        for (key, min, max) in VERSIONS.iter().copied().filter(|(key, ..)| *key != 18) {
            wrong.extend([(key, max + 1), (key, min - 1)]);
        }
        wrong.extend([(4, 0), (6, 0), (59, 0), (999, 0), (-1, 0), (i16::MAX, 3)]);
        for (key, version) in wrong {
            let mut client = world.connect().await;
            let header =
                [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 1, 0xff, 0xff, 0]].concat();
            let frame = [&[0, 0, 0, 11][..], &header].concat();
            client.send_bytes(&frame).await;
            assert!(client.is_hung_up().await, "key {key} version {version}");
        }
    });
}

#[test]
fn coordinators_that_are_not_there_are_refused_for_good() {
    use protocol::messages::find_coordinator_request::FindCoordinatorRequest;
    run(&[], async |world| {
        let mut client = world.connect().await;
        for (key_type, code) in [(2, ErrorCode::InvalidRequest), (3, ErrorCode::InvalidRequest)] {
            for version in 1..=6 {
                let keys = vec![Str::from("g")];
                let request = if version < 4 {
                    FindCoordinatorRequest { key: Str::from("g"), key_type, ..Default::default() }
                } else {
                    FindCoordinatorRequest { coordinator_keys: keys, key_type, ..Default::default() }
                };
                let answer = client.call(version, &request).await;
                let told = answer.coordinators.first().map_or(answer.error_code, |found| found.error_code);
                assert_eq!(ErrorCode::from(told), code, "version {version}");
            }
        }
    });
}

#[test]
fn a_listener_without_sasl_says_that_it_comes_at_the_wrong_moment() {
    use protocol::messages::sasl_authenticate_request::SaslAuthenticateRequest;
    use protocol::messages::sasl_handshake_request::SaslHandshakeRequest;
    run(&[], async |world| {
        let mut client = world.connect().await;
        for version in 0..=1 {
            let request = SaslHandshakeRequest { mechanism: Str::from("PLAIN") };
            let answer = client.call(version, &request).await;
            assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::IllegalSaslState);
        }
        for version in 0..=2 {
            let answer = client.call(version, &SaslAuthenticateRequest::default()).await;
            assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::IllegalSaslState);
            assert!(answer.error_message.is_some());
        }
        // It never had a flexible version, so its header never has tags (KIP-482).
        assert_eq!(ApiKey::SaslHandshake.request_header_version(1), 1);
    });
}
