//! AddOffsetsToTxn (25): the partition that keeps a group becomes part of a transaction, which is to commit offsets there.

use std::ops::RangeInclusive;

use coordinator::Producer;
use coordinator::transactions::{Reply, Request};
use protocol::messages::add_offsets_to_txn_request::AddOffsetsToTxnRequest;
use protocol::messages::add_offsets_to_txn_response::AddOffsetsToTxnResponse;
use protocol::{ErrorCode, ProducerEpoch, ProducerId, Str};

use super::transactions::{ask, fenced};
use super::{Call, Handler, Protest};
use crate::coordinators::{Groups, Kind, ensure, partition_of};

/// PRODUCER_FENCED is told from this version on (KIP-588).
const FENCED: i16 = 2;

pub(crate) struct AddOffsetsToTxn;

impl Handler for AddOffsetsToTxn {
    type Request = AddOffsetsToTxnRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=4;

    async fn handle(
        call: Call,
        request: AddOffsetsToTxnRequest,
    ) -> Result<Option<AddOffsetsToTxnResponse>, Protest> {
        let code = add(&call, request).await.err().unwrap_or_default();
        let error_code = fenced(code, call.version, FENCED).code();
        Ok(Some(AddOffsetsToTxnResponse { error_code, ..Default::default() }))
    }
}

async fn add(call: &Call, request: AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
    // Producers add the group before they look for its coordinator.
    ensure::<Groups>(&call.broker).await.map_err(|_| ErrorCode::CoordinatorNotAvailable)?;
    let view = call.broker.metadata.view();
    let partition = partition_of(&view, Groups::TOPIC, &request.group_id);
    let partition = partition.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let transactional_id = request.transactional_id.detached();
    let add = Request::AddPartitions {
        transactional_id: transactional_id.clone(),
        producer: Producer {
            id: ProducerId(request.producer_id),
            epoch: ProducerEpoch(request.producer_epoch),
        },
        topics: vec![(Str::from_static(Groups::TOPIC), vec![partition])],
        client_version: 0,
    };
    match ask(call, &transactional_id, add).await? {
        Reply::Added(result) => result,
        // A coordinator answers a request with the reply of its kind.
        _ => Err(ErrorCode::UnknownServerError),
    }
}
