//! FindCoordinator (10): there are no coordinators here yet, and the answer says so.
//!
//! It is served all the same: librdkafka takes its presence for the sign of a broker that knows lz4 (its feature table
//! asks for FindCoordinator 0), and without it sends uncompressed what it was told to compress.

use std::ops::RangeInclusive;

use protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use protocol::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use protocol::{ErrorCode, Str};

use super::{Call, Handler, Protest};

/// Keys come in a batch from this version on (KIP-699).
const BATCHED: i16 = 4;
const NOWHERE: i32 = -1;
const WHY: &str = "this broker has no group, transaction or share coordinator";

/// The key type of consumer groups; the others are transactions and share groups.
const GROUP: i8 = 0;

/// librdkafka looks for the coordinator of its group id even when the partitions were assigned by hand, shows its
/// user every error that is final, and goes on fetching beside one that is not. Whoever wants a transaction or a share
/// group can do nothing without it: those get what Kafka answers to protocols that are switched off.
const fn why(key_type: i8) -> ErrorCode {
    if key_type == GROUP { ErrorCode::CoordinatorNotAvailable } else { ErrorCode::UnsupportedVersion }
}

pub(crate) struct FindCoordinator;

impl Handler for FindCoordinator {
    type Request = FindCoordinatorRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=6;

    async fn handle(
        call: Call,
        request: FindCoordinatorRequest,
    ) -> Result<Option<FindCoordinatorResponse>, Protest> {
        let error_code = why(request.key_type).code();
        if call.version < BATCHED {
            return Ok(Some(FindCoordinatorResponse {
                error_code,
                error_message: Some(Str::from(WHY)),
                node_id: NOWHERE,
                port: NOWHERE,
                ..Default::default()
            }));
        }
        let nowhere = |key| Coordinator {
            key,
            node_id: NOWHERE,
            port: NOWHERE,
            error_code,
            error_message: Some(Str::from(WHY)),
            ..Default::default()
        };
        let coordinators = request.coordinator_keys.into_iter().map(nowhere).collect();
        Ok(Some(FindCoordinatorResponse { coordinators, ..Default::default() }))
    }
}
