//! InitProducerId (22): an identity for an idempotent producer (KIP-98, KIP-360), or the producer of a transactional id from
//! now on, who fences those before.

use std::ops::RangeInclusive;

use coordinator::Producer;
use coordinator::transactions::Request;
use protocol::messages::init_producer_id_request::InitProducerIdRequest;
use protocol::messages::init_producer_id_response::InitProducerIdResponse;
use protocol::{ErrorCode, ProducerEpoch, ProducerId};

use super::transactions::{NOBODY, ask_for_producer, fenced, fresh_producer_id};
use super::{Call, Handler, Protest};

/// PRODUCER_FENCED is told from this version on (KIP-588).
const FENCED: i16 = 4;

pub(crate) struct InitProducerId;

impl Handler for InitProducerId {
    type Request = InitProducerIdRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=5;

    async fn handle(
        call: Call,
        request: InitProducerIdRequest,
    ) -> Result<Option<InitProducerIdResponse>, Protest> {
        let result = init(&call, request).await;
        let Producer { id, epoch } = result.unwrap_or(NOBODY);
        let code = fenced(result.err().unwrap_or_default(), call.version, FENCED);
        Ok(Some(InitProducerIdResponse {
            error_code: code.code(),
            producer_id: id.0,
            producer_epoch: epoch.0,
            ..Default::default()
        }))
    }
}

async fn init(call: &Call, request: InitProducerIdRequest) -> Result<Producer, ErrorCode> {
    let current =
        Producer { id: ProducerId(request.producer_id), epoch: ProducerEpoch(request.producer_epoch) };
    if (current.id == NOBODY.id) != (current.epoch == NOBODY.epoch) {
        return Err(ErrorCode::InvalidRequest);
    }
    let current = Some(current).filter(|current| *current != NOBODY);
    match &request.transactional_id {
        // A producer that lost its way starts anew, whatever id it had.
        None => Ok(Producer { id: fresh_producer_id(call).await?, epoch: ProducerEpoch(0) }),
        Some(id) if id.is_empty() => Err(ErrorCode::InvalidRequest),
        Some(id) => {
            let transactional_id = id.detached();
            let init = |fresh| Request::InitProducerId {
                transactional_id: transactional_id.clone(),
                timeout_ms: request.transaction_timeout_ms,
                current,
                fresh,
            };
            ask_for_producer(call, &transactional_id, init).await
        }
    }
}
