//! GetTelemetrySubscriptions and PushTelemetry (KIP-714): offered when somebody has subscribed, and answered as Kafka does.

use bytes::Bytes;
use protocol::messages::api_versions_request::ApiVersionsRequest;
use protocol::messages::get_telemetry_subscriptions_request::GetTelemetrySubscriptionsRequest;
use protocol::messages::get_telemetry_subscriptions_response::GetTelemetrySubscriptionsResponse;
use protocol::messages::push_telemetry_request::PushTelemetryRequest;
use protocol::records::compression::compress;
use protocol::records::{Codec, Compression};
use protocol::{ApiKey, ErrorCode, Str, Uuid};

use crate::alter_configs::{delete, set};
use crate::support::{Client, World, ms, run};

const METRICS: i8 = 16;

/// Whether the two are offered.
async fn offered(client: &mut Client) -> bool {
    let answer = client.call(4, &named()).await;
    let found = |key: ApiKey| answer.api_keys.iter().any(|api| api.api_key == key.code());
    assert_eq!(found(ApiKey::GetTelemetrySubscriptions), found(ApiKey::PushTelemetry));
    found(ApiKey::PushTelemetry)
}

fn named() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: Str::from("test-client"),
        client_software_version: Str::from("1.0"),
        ..Default::default()
    }
}

async fn ask(client: &mut Client, client_instance_id: Uuid) -> GetTelemetrySubscriptionsResponse {
    client.call(0, &GetTelemetrySubscriptionsRequest { client_instance_id }).await
}

/// A client that has been told that it may push: with its request.
async fn told(world: &World) -> (Client, PushTelemetryRequest) {
    let mut client = world.connect().await;
    let told = ask(&mut client, Uuid::ZERO).await;
    assert_eq!(told.error_code, 0);
    let push = PushTelemetryRequest {
        client_instance_id: told.client_instance_id,
        subscription_id: told.subscription_id,
        metrics: gauge(),
        ..Default::default()
    };
    (client, push)
}

async fn push(client: &mut Client, request: &PushTelemetryRequest) -> ErrorCode {
    ErrorCode::from(client.call(0, request).await.error_code)
}

/// One gauge `a` of 1.0, as OpenTelemetry writes it.
fn gauge() -> Bytes {
    let wrap = |number: u8, content: &[u8]| {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()][..], content].concat()
    };
    let point = wrap(1, &[&[4 << 3 | 1][..], &1_f64.to_le_bytes()].concat());
    let metric = [wrap(1, b"a"), wrap(5, &point)].concat();
    Bytes::from(wrap(1, &wrap(2, &wrap(2, &metric))))
}

#[test]
fn metrics_are_asked_for_while_somebody_has_subscribed() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        assert!(!offered(&mut client).await);
        set(&mut client, (METRICS, "s"), "metrics", "a.,b.").await;
        set(&mut client, (METRICS, "s"), "match", "client_software_name=test-.*").await;
        set(&mut client, (METRICS, "s"), "interval.ms", "1000").await;
        assert!(offered(&mut client).await);
        let told = ask(&mut client, Uuid::ZERO).await;
        assert_eq!((told.error_code, told.push_interval_ms, told.telemetry_max_bytes), (0, 1000, 1 << 20));
        assert_eq!(told.accepted_compression_types, [4, 3, 1, 2]);
        assert_eq!(told.requested_metrics, [Str::from("a."), Str::from("b.")]);
        assert!(told.delta_temporality && !told.client_instance_id.is_zero());
        let early = ask(&mut client, told.client_instance_id).await;
        assert_eq!(ErrorCode::from(early.error_code), ErrorCode::ThrottlingQuotaExceeded);
        // A client of another name has nothing to push.
        let mut other = world.connect().await;
        let answer = ask(&mut other, Uuid::ZERO).await;
        assert_eq!((answer.requested_metrics.len(), answer.push_interval_ms), (0, 300_000));
        for name in ["metrics", "match", "interval.ms"] {
            delete(&mut client, (METRICS, "s"), name).await;
        }
        assert!(!offered(&mut client).await);
        let again = ask(&mut client, told.client_instance_id).await;
        assert_eq!((again.error_code, again.requested_metrics.len()), (0, 0), "who asks anyway is told so");
    });
}

#[test]
fn pushes_are_taken_packed_in_any_way_once_an_interval() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        set(&mut client, (METRICS, "s"), "metrics", "*").await;
        set(&mut client, (METRICS, "s"), "interval.ms", "1000").await;
        let (mut client, mut request) = told(world).await;
        for codec in Codec::ALL {
            let mut packed = Vec::new();
            compress(Compression::from(codec), &gauge(), &mut packed).unwrap();
            request.metrics = packed.into();
            request.compression_type = codec.id().cast_signed();
            assert_eq!(push(&mut client, &request).await, ErrorCode::None, "{codec}");
            assert_eq!(push(&mut client, &request).await, ErrorCode::ThrottlingQuotaExceeded);
            world.sim.sleep(ms(1000)).await;
        }
        request.metrics = Bytes::new();
        request.terminating = true;
        assert_eq!(push(&mut client, &request).await, ErrorCode::None, "the last may be empty");
        assert_eq!(push(&mut client, &request).await, ErrorCode::InvalidRequest);
    });
}

#[test]
fn pushes_that_are_no_good_are_refused() {
    run(&[("telemetry.max.bytes", "1000")], async |world| {
        let mut client = world.connect().await;
        set(&mut client, (METRICS, "s"), "metrics", "*").await;
        let zstd = |bytes: &[u8]| {
            let mut packed = Vec::new();
            compress(Compression::from(Codec::Zstd), bytes, &mut packed).unwrap();
            (Bytes::from(packed), 4)
        };
        for ((metrics, compression_type), code) in [
            ((Bytes::from_static(b"no metrics"), 0), ErrorCode::InvalidRecord),
            ((Bytes::from_static(b"no zstd"), 4), ErrorCode::InvalidRecord),
            ((Bytes::from(vec![0; 1001]), 0), ErrorCode::TelemetryTooLarge),
            // Four times as much may come out.
            (zstd(&vec![0; 4001]), ErrorCode::TelemetryTooLarge),
            (zstd(&gauge()), ErrorCode::None),
            ((gauge(), 5), ErrorCode::UnsupportedCompressionType),
        ] {
            let (mut client, request) = told(world).await;
            let request = PushTelemetryRequest { metrics, compression_type, ..request };
            assert_eq!(push(&mut client, &request).await, code, "{request:?}");
        }
        let (mut client, request) = told(world).await;
        let unknown = PushTelemetryRequest { subscription_id: !request.subscription_id, ..request.clone() };
        assert_eq!(push(&mut client, &unknown).await, ErrorCode::UnknownSubscriptionId);
        let nobody = PushTelemetryRequest { client_instance_id: Uuid::ZERO, ..request };
        assert_eq!(push(&mut client, &nobody).await, ErrorCode::InvalidRequest);
    });
}
