//! FindCoordinator (10): where a group or a transactional id is coordinated. The topics that keep them are made when the first
//! one is looked for.
//!
//! Other coordinators are not there. librdkafka takes the presence of this API for the sign of a broker that knows lz4 (its
//! feature table asks for FindCoordinator 0).

use std::ops::RangeInclusive;

use protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use protocol::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use protocol::{ErrorCode, Str};

use super::{Call, Handler, Protest};
use crate::coordinators::{Groups, Kind, Transactions, ensure, partition_of};

/// Keys come in a batch from this version on (KIP-699).
const BATCHED: i16 = 4;
const NOWHERE: i32 = -1;

/// Key types.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(crate) struct FindCoordinator;

impl Handler for FindCoordinator {
    type Request = FindCoordinatorRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=6;

    async fn handle(
        call: Call,
        request: FindCoordinatorRequest,
    ) -> Result<Option<FindCoordinatorResponse>, Protest> {
        let ready = match request.key_type {
            GROUP => ready::<Groups>(&call).await,
            TRANSACTION => ready::<Transactions>(&call).await,
            _ => Err(ErrorCode::InvalidRequest),
        };
        let find = |key: Str| {
            let found = ready.and_then(|topic| locate(&call, topic, &key));
            let (node_id, host, port) = found.clone().unwrap_or((NOWHERE, Str::EMPTY, NOWHERE));
            let code = found.err().unwrap_or(ErrorCode::None);
            let error_message = found_message(code);
            Coordinator { key, node_id, host, port, error_code: code.code(), error_message }
        };
        if call.version < BATCHED {
            let found = find(request.key);
            return Ok(Some(FindCoordinatorResponse {
                error_code: found.error_code,
                error_message: found.error_message,
                node_id: found.node_id,
                host: found.host,
                port: found.port,
                ..Default::default()
            }));
        }
        let coordinators = request.coordinator_keys.into_iter().map(find).collect();
        Ok(Some(FindCoordinatorResponse { coordinators, ..Default::default() }))
    }
}

fn found_message(code: ErrorCode) -> Option<Str> {
    (code != ErrorCode::None).then(|| Str::from_static(code.message()))
}

/// The topic of a kind, which is there.
async fn ready<K: Kind>(call: &Call) -> Result<&'static str, ErrorCode> {
    ensure::<K>(&call.broker).await.map(|()| K::TOPIC).map_err(|_| ErrorCode::CoordinatorNotAvailable)
}

/// The leader of the partition of a topic that keeps an id, as this listener names it.
fn locate(call: &Call, topic: &str, id: &str) -> Result<(i32, Str, i32), ErrorCode> {
    let view = call.broker.metadata.view();
    let nowhere = ErrorCode::CoordinatorNotAvailable;
    let partition = partition_of(&view, topic, id).ok_or(nowhere)?;
    let topic = view.image.topic(topic).ok_or(nowhere)?;
    let leader = topic.partition(partition).ok_or(nowhere)?.leader;
    let mut endpoints = view.endpoints(&call.client.listener);
    let (node_id, host, port, _) = endpoints.find(|(id, ..)| *id == leader.0).ok_or(nowhere)?;
    Ok((node_id, host, port))
}
