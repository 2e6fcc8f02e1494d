//! PushTelemetry (72): metrics of a client (KIP-714).

use std::ops::RangeInclusive;

use protocol::messages::push_telemetry_request::PushTelemetryRequest;
use protocol::messages::push_telemetry_response::PushTelemetryResponse;

use super::{Call, Handler, Protest};
use crate::telemetry::Push;

pub(crate) struct PushTelemetry;

impl Handler for PushTelemetry {
    type Request = PushTelemetryRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=0;

    async fn handle(
        call: Call,
        request: PushTelemetryRequest,
    ) -> Result<Option<PushTelemetryResponse>, Protest> {
        let push = Push {
            id: request.client_instance_id,
            subscription_id: request.subscription_id,
            terminating: request.terminating,
            compression_type: request.compression_type,
        };
        let taken = call.broker.telemetry.push(&call, &push, request.metrics).await;
        let error_code = taken.err().map_or(0, |code| code.code());
        Ok(Some(PushTelemetryResponse { error_code, ..Default::default() }))
    }
}
