//! What the APIs of transactions have in common.

use std::time::Duration;

use coordinator::Producer;
use coordinator::transactions::{Reply, Request};
use protocol::{ErrorCode, ProducerEpoch, ProducerId};

use super::Call;
use crate::coordinators::caller;
use crate::wait::within;

/// A new block of ids may have to wait for room on the disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who is nobody.
pub(super) const NOBODY: Producer = Producer { id: ProducerId::NONE, epoch: ProducerEpoch::NONE };

/// Asks the coordinator of a transactional id, if it is here.
pub(super) async fn ask(call: &Call, transactional_id: &str, request: Request) -> Result<Reply, ErrorCode> {
    let view = call.broker.metadata.view();
    call.broker.transactions.ask(&view, transactional_id, caller(call), request).await
}

/// Asks for what may take a producer id that nobody has.
pub(super) async fn ask_for_producer(
    call: &Call,
    transactional_id: &str,
    request: impl Fn(Option<ProducerId>) -> Request,
) -> Result<Producer, ErrorCode> {
    let mut reply = ask(call, transactional_id, request(None)).await?;
    if reply == Reply::ProducerIdWanted {
        let fresh = fresh_producer_id(call).await?;
        reply = ask(call, transactional_id, request(Some(fresh))).await?;
    }
    match reply {
        Reply::Producer(result) => result,
        // A coordinator answers a request with the reply of its kind.
        _ => Err(ErrorCode::UnknownServerError),
    }
}

/// An id that nobody has had.
pub(super) async fn fresh_producer_id(call: &Call) -> Result<ProducerId, ErrorCode> {
    let late = call.broker.host.clock.sleep(PATIENCE);
    // What Kafka answers until it has a block of ids; producers ask again.
    within(call.broker.producer_ids.next(), late).await.unwrap_or(Err(ErrorCode::CoordinatorLoadInProgress))
}

/// Older clients do not know PRODUCER_FENCED, which is told from the version `since` on.
pub(super) fn fenced(code: ErrorCode, version: i16, since: i16) -> ErrorCode {
    match code {
        ErrorCode::ProducerFenced if version < since => ErrorCode::InvalidProducerEpoch,
        code => code,
    }
}
