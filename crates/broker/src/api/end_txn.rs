//! EndTxn (26): a producer commits or aborts its transaction. It is answered when that is decided; its partitions hear of it
//! then.

use std::ops::RangeInclusive;

use coordinator::Producer;
use coordinator::transactions::Request;
use protocol::messages::end_txn_request::EndTxnRequest;
use protocol::messages::end_txn_response::EndTxnResponse;
use protocol::{ProducerEpoch, ProducerId};

use super::transactions::{NOBODY, ask_for_producer, fenced};
use super::{Call, Handler, Protest};

/// PRODUCER_FENCED is told from this version on (KIP-588).
const FENCED: i16 = 2;
/// From this version on the producer speaks transaction version 2 and goes on with another epoch (KIP-890).
const NEXT_EPOCH: i16 = 5;

pub(crate) struct EndTxn;

impl Handler for EndTxn {
    type Request = EndTxnRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=5;

    async fn handle(call: Call, request: EndTxnRequest) -> Result<Option<EndTxnResponse>, Protest> {
        let client_version = if call.version >= NEXT_EPOCH { 2 } else { 0 };
        let transactional_id = request.transactional_id.detached();
        let producer =
            Producer { id: ProducerId(request.producer_id), epoch: ProducerEpoch(request.producer_epoch) };
        let end = |fresh| Request::EndTxn {
            transactional_id: transactional_id.clone(),
            producer,
            commit: request.committed,
            client_version,
            fresh,
        };
        let result = ask_for_producer(&call, &transactional_id, end).await;
        let next = result.unwrap_or(NOBODY);
        let code = fenced(result.err().unwrap_or_default(), call.version, FENCED);
        Ok(Some(EndTxnResponse {
            error_code: code.code(),
            producer_id: next.id.0,
            producer_epoch: next.epoch.0,
            ..Default::default()
        }))
    }
}
