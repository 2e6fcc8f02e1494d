//! Produce (0): appends record batches.
//!
//! Versions 0 to 2 are advertised though nobody may use them: older librdkafka otherwise believes that the broker
//! cannot take compressed batches (KAFKA-18659).

mod check;
mod transactions;

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use protocol::messages::produce_request::ProduceRequest;
use protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, NodeEndpoint, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use protocol::records;
use protocol::{ErrorCode, Str};
use storage::PartitionKey;

use super::handler::Turn;
use super::{Call, Handler, Protest};
use crate::shard::{Acks, Append, Appended, Refusal};
use crate::wait::within;
use check::{Checked, Large, check};

/// Topics are named by id from this version on (KIP-516).
const BY_ID: i16 = 13;
/// Zstandard may be sent from this version on (KIP-110).
const ZSTD: i16 = 7;
/// Answers name the current leader from this version on (KIP-951).
const CURRENT_LEADER: i16 = 10;

pub(crate) struct Produce;

impl Handler for Produce {
    type Request = ProduceRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=13;
    const ACCEPTED: RangeInclusive<i16> = 3..=13;

    async fn handle(call: Call, request: ProduceRequest) -> Result<Option<ProduceResponse>, Protest> {
        let acks = match request.acks {
            0 => Some(Acks::None),
            1 => Some(Acks::Leader),
            -1 => Some(Acks::All),
            _ => None,
        };
        let view = call.broker.metadata.view();
        let mut sorted = Sorted::default();
        let mut topics = Vec::with_capacity(request.topic_data.len());
        for topic in request.topic_data {
            let mut responses = Vec::with_capacity(topic.partition_data.len());
            let found = view.topic(&topic.name, topic.topic_id.into(), call.version >= BY_ID);
            for partition in topic.partition_data {
                let place = (topics.len(), responses.len());
                responses.push(unanswered(partition.index));
                let checked = match (acks, &found) {
                    (None, _) => Err(ErrorCode::InvalidRequiredAcks.into()),
                    (_, Err(code)) => Err((*code).into()),
                    (_, Ok(topic)) => check(&call, &view, topic, partition),
                };
                match checked {
                    Ok(Checked::Good(append)) => sorted.add(place, append),
                    Ok(Checked::Large(large)) => sorted.large.push((place, large)),
                    Err(fault) => sorted.refused.push((place, fault)),
                }
            }
            topics.push(TopicProduceResponse {
                name: topic.name,
                topic_id: topic.topic_id,
                partition_responses: responses,
            });
        }
        let turn = sorted.check_large(&call).await;
        let turn = sorted.verify(&call, request.transactional_id.as_ref(), turn).await;
        let outcomes = append(&call, acks.unwrap_or(Acks::None), request.timeout_ms, sorted, turn);
        let mut response = ProduceResponse { responses: topics, ..Default::default() };
        let faults = fill(&mut response, outcomes.await);
        if acks == Some(Acks::None) {
            // The client does not listen for an answer; a closed connection is how it learns of a failure.
            return faults.into_iter().next().map_or(Ok(None), |(code, message)| {
                let message = message.unwrap_or_default();
                Err(Protest::UnacknowledgedWrite(format!("{code:?} {message}")))
            });
        }
        if call.version >= CURRENT_LEADER {
            name_leaders(&call, &mut response);
        }
        Ok(Some(response))
    }
}

/// Where a partition stands in the response.
type Place = (usize, usize);

/// What is wrong with one partition's part.
#[derive(Debug)]
struct Fault {
    code: ErrorCode,
    message: Option<String>,
    record_errors: Vec<BatchIndexAndErrorMessage>,
}

impl From<ErrorCode> for Fault {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None, record_errors: Vec::new() }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code, message: refusal.message, record_errors: Vec::new() }
    }
}

impl From<records::Refusal> for Fault {
    fn from(refusal: records::Refusal) -> Self {
        let error = |error: &records::RecordError| BatchIndexAndErrorMessage {
            batch_index: error.batch_index,
            batch_index_error_message: Some(Str::from(error.fault.to_string())),
        };
        Self {
            code: refusal.error_code(),
            message: Some(refusal.to_string()),
            record_errors: refusal.record_errors().iter().map(error).collect(),
        }
    }
}

/// A request's partitions: those to append, each with its place, and those refused.
#[derive(Default)]
struct Sorted {
    appends: Vec<Append>,
    places: Vec<Place>,
    refused: Vec<(Place, Fault)>,
    /// Not known yet.
    large: Vec<(Place, Large)>,
    /// The partitions of `appends` once they are many.
    seen: HashSet<PartitionKey>,
}

impl Sorted {
    /// So many are looked through faster than hashed.
    const FEW: usize = 16;

    fn is_new(&mut self, key: PartitionKey) -> bool {
        if self.appends.len() < Self::FEW {
            return self.appends.iter().all(|other| other.key != key);
        }
        if self.seen.is_empty() {
            self.seen.extend(self.appends.iter().map(|append| append.key));
        }
        self.seen.insert(key)
    }

    /// Waits for what is checked elsewhere. The connection's next request has to wait, too, until this one's batches have
    /// gone to their shards: a producer counts on their order.
    async fn check_large(&mut self, call: &Call) -> Option<Turn> {
        if self.large.is_empty() {
            return None;
        }
        let turn = call.client.take_turn();
        for (place, large) in std::mem::take(&mut self.large) {
            match large.check(&call.broker.workers).await {
                Ok(append) => self.add(place, append),
                Err(fault) => self.refused.push((place, fault)),
            }
        }
        Some(turn)
    }

    fn add(&mut self, place: Place, append: Append) {
        if !self.is_new(append.key) {
            // Kafka keeps one of the two and does not say which.
            let message = Some("the request names this partition twice".to_owned());
            self.refused
                .push((place, Fault { code: ErrorCode::InvalidRequest, message, record_errors: Vec::new() }));
            return;
        }
        self.appends.push(append);
        self.places.push(place);
    }
}

/// A partition's response before its outcome is known.
fn unanswered(index: i32) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: -1,
        ..Default::default()
    }
}

type Outcomes = Vec<(Place, Result<Appended, Fault>)>;

/// Appends and waits for what `acks` asks, for at most the request's timeout. A batch that has not got there by then
/// may still do so: the answer says only that nobody waited.
async fn append(call: &Call, acks: Acks, timeout_ms: i32, sorted: Sorted, turn: Option<Turn>) -> Outcomes {
    let mut outcomes: Outcomes =
        sorted.refused.into_iter().map(|(place, fault)| (place, Err(fault))).collect();
    if sorted.appends.is_empty() {
        return outcomes;
    }
    let appended = call.broker.shards.append(acks, sorted.appends);
    drop(turn);
    let results = if acks == Acks::All {
        let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
        within(appended, call.broker.host.clock.sleep(timeout)).await
    } else {
        Some(appended.await)
    };
    match results {
        Some(results) => {
            let results = results.into_iter().map(|(_, result)| result.map_err(Fault::from));
            outcomes.extend(sorted.places.into_iter().zip(results));
        }
        None => {
            let late = |place| (place, Err(ErrorCode::RequestTimedOut.into()));
            outcomes.extend(sorted.places.into_iter().map(late));
        }
    }
    outcomes
}

/// Writes outcomes into the response; returns what went wrong.
fn fill(response: &mut ProduceResponse, outcomes: Outcomes) -> Vec<(ErrorCode, Option<String>)> {
    let mut faults = Vec::new();
    for ((topic, partition), outcome) in outcomes {
        let topic = response.responses.get_mut(topic);
        let Some(part) = topic.and_then(|topic| topic.partition_responses.get_mut(partition)) else {
            continue;
        };
        match outcome {
            Ok(appended) => {
                part.base_offset = appended.base_offset.0;
                part.log_append_time_ms = appended.log_append_time_ms;
                part.log_start_offset = appended.log_start_offset.0;
            }
            Err(fault) => {
                part.error_code = fault.code.code();
                part.error_message = fault.message.clone().map(Str::from);
                part.record_errors = fault.record_errors;
                faults.push((fault.code, fault.message));
            }
        }
    }
    faults
}

/// Tells clients that came to the wrong node where to go (KIP-951).
fn name_leaders(call: &Call, response: &mut ProduceResponse) {
    let stale = ErrorCode::NotLeaderOrFollower.code();
    let view = call.broker.metadata.view();
    let mut any = false;
    for topic in &mut response.responses {
        let found = view.topic(&topic.name, topic.topic_id.into(), call.version >= BY_ID);
        for part in topic.partition_responses.iter_mut().filter(|part| part.error_code == stale) {
            any = true;
            let partition = found.as_ref().ok().and_then(|topic| topic.partition(part.index));
            if let Some(partition) = partition {
                part.current_leader.leader_id = partition.leader.0;
                part.current_leader.leader_epoch = partition.leader_epoch.0;
            }
        }
    }
    if any {
        let endpoint = |(node_id, host, port, rack)| NodeEndpoint { node_id, host, port, rack };
        response.node_endpoints = view.endpoints(&call.client.listener).map(endpoint).collect();
    }
}
