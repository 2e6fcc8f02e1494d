//! InitProducerId (22): an identity for an idempotent producer (KIP-98, KIP-360).

use std::ops::RangeInclusive;
use std::time::Duration;

use protocol::ErrorCode;
use protocol::messages::init_producer_id_request::InitProducerIdRequest;
use protocol::messages::init_producer_id_response::InitProducerIdResponse;

use super::{Call, Handler, Protest};
use crate::wait::within;

/// No id, no epoch.
const NONE: i64 = -1;

/// The request has no time of its own, and a new block of ids may have to wait for room on the disk.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct InitProducerId;

impl Handler for InitProducerId {
    type Request = InitProducerIdRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=5;

    async fn handle(
        call: Call,
        request: InitProducerIdRequest,
    ) -> Result<Option<InitProducerIdResponse>, Protest> {
        let refused = |code: ErrorCode| InitProducerIdResponse {
            error_code: code.code(),
            producer_id: NONE,
            producer_epoch: -1,
            ..Default::default()
        };
        let half_known = (request.producer_id == NONE) != (request.producer_epoch == -1);
        if half_known || request.transactional_id.as_ref().is_some_and(|id| id.is_empty()) {
            return Ok(Some(refused(ErrorCode::InvalidRequest)));
        }
        if request.transactional_id.is_some() {
            // Transactional ids belong to a coordinator of transactions, of which there is none yet.
            return Ok(Some(refused(ErrorCode::NotCoordinator)));
        }
        // Without a transactional id a producer that lost its way starts anew, whatever id it had.
        let late = call.broker.host.clock.sleep(PATIENCE);
        let next = within(call.broker.producer_ids.next(), late).await;
        // What Kafka answers until it has a block of ids; producers ask again.
        Ok(Some(match next.unwrap_or(Err(ErrorCode::CoordinatorLoadInProgress)) {
            Ok(id) => InitProducerIdResponse { producer_id: id.0, producer_epoch: 0, ..Default::default() },
            Err(code) => refused(code),
        }))
    }
}
