//! CreatePartitions (37): more partitions for topics that exist.

use std::ops::RangeInclusive;

use metadata::controller::{self, NewPartitions, Refusal};
use protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use protocol::messages::create_partitions_response::{CreatePartitionsResponse, CreatePartitionsTopicResult};
use protocol::{NodeId, Str};

use super::{Call, Handler, Protest};
use crate::random;

pub(crate) struct CreatePartitions;

impl Handler for CreatePartitions {
    type Request = CreatePartitionsRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=3;

    async fn handle(
        call: Call,
        request: CreatePartitionsRequest,
    ) -> Result<Option<CreatePartitionsResponse>, Protest> {
        let topics: Vec<NewPartitions> = request.topics.into_iter().map(new_partitions).collect();
        let names: Vec<Str> = topics.iter().map(|topic| topic.name.clone()).collect();
        let start = random::start(&call.broker.host);
        let validate_only = request.validate_only;
        let decided = call
            .broker
            .decide(request.timeout_ms, move |context| {
                controller::create_partitions(context, &topics, validate_only, start)
            })
            .await;
        let results = match decided {
            Ok(results) => results.into_iter().map(|(name, result)| show(name, result)).collect(),
            Err(code) => {
                let failed =
                    |name| CreatePartitionsTopicResult { name, error_code: code.code(), error_message: None };
                names.into_iter().map(failed).collect()
            }
        };
        Ok(Some(CreatePartitionsResponse { results, ..Default::default() }))
    }
}

fn new_partitions(topic: CreatePartitionsTopic) -> NewPartitions {
    let nodes = |ids: Vec<i32>| ids.into_iter().map(NodeId).collect();
    let assignments = topic
        .assignments
        .map(|assignments| assignments.into_iter().map(|assignment| nodes(assignment.broker_ids)).collect());
    NewPartitions { name: topic.name.detached(), count: topic.count, assignments }
}

fn show(name: Str, result: Result<(), Refusal>) -> CreatePartitionsTopicResult {
    match result {
        Ok(()) => CreatePartitionsTopicResult { name, error_code: 0, error_message: None },
        Err(refusal) => CreatePartitionsTopicResult {
            name,
            error_code: refusal.code.code(),
            error_message: Some(Str::from(refusal.message)),
        },
    }
}
