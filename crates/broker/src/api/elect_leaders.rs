//! ElectLeaders (43): preferred and unclean elections (KIP-183, KIP-460).

use std::ops::RangeInclusive;

use metadata::controller::{self, ElectionKind, Refusal};
use protocol::messages::elect_leaders_request::ElectLeadersRequest;
use protocol::messages::elect_leaders_response::{
    ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use protocol::{ErrorCode, Str};

use super::{Call, Handler, Protest};

pub(crate) struct ElectLeaders;

impl Handler for ElectLeaders {
    type Request = ElectLeadersRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=2;

    async fn handle(
        call: Call,
        request: ElectLeadersRequest,
    ) -> Result<Option<ElectLeadersResponse>, Protest> {
        let named = request.topic_partitions.map(|topics| {
            topics.into_iter().map(|topic| (topic.topic.detached(), topic.partitions)).collect::<Vec<_>>()
        });
        let Some(kind) = ElectionKind::from_id(request.election_type) else {
            let message =
                format!("election type {} is not known; 0 is preferred, 1 is unclean", request.election_type);
            return Ok(Some(refused(named, &Refusal::new(ErrorCode::InvalidRequest, message))));
        };
        let wanted = named.clone();
        let decided = call
            .broker
            .decide(request.timeout_ms, move |context| {
                controller::elect_leaders(context.image, kind, wanted.as_deref())
            })
            .await;
        Ok(Some(match decided {
            Ok(elected) => ElectLeadersResponse {
                replica_election_results: elected.into_iter().map(show).collect(),
                ..Default::default()
            },
            Err(code) => refused(named, &Refusal::new(code, code.message())),
        }))
    }
}

fn show((topic, partitions): controller::Elected) -> ReplicaElectionResult {
    let partition_result = |(partition_id, result): (i32, Result<(), Refusal>)| match result {
        Ok(()) => PartitionResult { partition_id, error_code: 0, error_message: None },
        Err(Refusal { code, message }) => {
            PartitionResult { partition_id, error_code: code.code(), error_message: Some(Str::from(message)) }
        }
    };
    ReplicaElectionResult { topic, partition_result: partitions.into_iter().map(partition_result).collect() }
}

/// The same for all, and for each that is named.
fn refused(named: Option<Vec<(Str, Vec<i32>)>>, refusal: &Refusal) -> ElectLeadersResponse {
    let each = |(topic, partitions): (Str, Vec<i32>)| {
        show((topic, partitions.into_iter().map(|partition| (partition, Err(refusal.clone()))).collect()))
    };
    ElectLeadersResponse {
        error_code: refusal.code.code(),
        replica_election_results: named.unwrap_or_default().into_iter().map(each).collect(),
        ..Default::default()
    }
}
