//! GetTelemetrySubscriptions (71): which of its metrics a client is to push, and how often (KIP-714).

use std::ops::RangeInclusive;

use protocol::messages::get_telemetry_subscriptions_request::GetTelemetrySubscriptionsRequest;
use protocol::messages::get_telemetry_subscriptions_response::GetTelemetrySubscriptionsResponse;
use protocol::records::Codec;

use super::{Call, Handler, Protest};
use crate::random;

/// Best first.
const ACCEPTED: [Codec; 4] = [Codec::Zstd, Codec::Lz4, Codec::Gzip, Codec::Snappy];

pub(crate) struct GetTelemetrySubscriptions;

impl Handler for GetTelemetrySubscriptions {
    type Request = GetTelemetrySubscriptionsRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=0;

    async fn handle(
        call: Call,
        request: GetTelemetrySubscriptionsRequest,
    ) -> Result<Option<GetTelemetrySubscriptionsResponse>, Protest> {
        let known = Some(request.client_instance_id).filter(|id| !id.is_zero());
        let id = known.unwrap_or_else(|| random::uuid(&call.broker.host));
        let subscribed = match call.broker.telemetry.subscribe(&call, id) {
            Ok(subscribed) => subscribed,
            Err(code) => {
                let error_code = code.code();
                return Ok(Some(GetTelemetrySubscriptionsResponse { error_code, ..Default::default() }));
            }
        };
        let bytes_max = call.broker.config.limits.telemetry_max_bytes;
        Ok(Some(GetTelemetrySubscriptionsResponse {
            client_instance_id: id,
            subscription_id: subscribed.id,
            accepted_compression_types: ACCEPTED.iter().map(|codec| codec.id().cast_signed()).collect(),
            push_interval_ms: subscribed.interval_ms,
            telemetry_max_bytes: i32::try_from(bytes_max).unwrap_or(i32::MAX),
            delta_temporality: true,
            requested_metrics: subscribed.metrics,
            ..Default::default()
        }))
    }
}
