//! SaslHandshake (17) and SaslAuthenticate (36): there is no SASL listener, so either comes at the wrong moment, as on
//! a PLAINTEXT listener of Kafka.

use std::ops::RangeInclusive;

use protocol::messages::sasl_authenticate_request::SaslAuthenticateRequest;
use protocol::messages::sasl_authenticate_response::SaslAuthenticateResponse;
use protocol::messages::sasl_handshake_request::SaslHandshakeRequest;
use protocol::messages::sasl_handshake_response::SaslHandshakeResponse;
use protocol::{ErrorCode, Str};

use super::{Call, Handler, Protest};

const WHY: &str = "this listener does not authenticate; use security.protocol=PLAINTEXT";

pub(crate) struct SaslHandshake;

impl Handler for SaslHandshake {
    type Request = SaslHandshakeRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=1;

    async fn handle(_: Call, _: SaslHandshakeRequest) -> Result<Option<SaslHandshakeResponse>, Protest> {
        let error_code = ErrorCode::IllegalSaslState.code();
        Ok(Some(SaslHandshakeResponse { error_code, ..Default::default() }))
    }
}

pub(crate) struct SaslAuthenticate;

impl Handler for SaslAuthenticate {
    type Request = SaslAuthenticateRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=2;

    async fn handle(
        _: Call,
        _: SaslAuthenticateRequest,
    ) -> Result<Option<SaslAuthenticateResponse>, Protest> {
        Ok(Some(SaslAuthenticateResponse {
            error_code: ErrorCode::IllegalSaslState.code(),
            error_message: Some(Str::from(WHY)),
            ..Default::default()
        }))
    }
}
