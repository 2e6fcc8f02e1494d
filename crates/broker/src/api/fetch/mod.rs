//! Fetch (1): reads record batches, waiting for them if asked to (KIP-74, KIP-227, KIP-320, KIP-516).

mod session;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use protocol::messages::fetch_request::FetchRequest;
use protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch,
    NodeEndpoint, PartitionData,
};
use protocol::wire::Piece;
use protocol::{ErrorCode, LeaderEpoch, Offset, Str, TopicId};

pub(crate) use session::FetchSessions;
use session::{Ask, Closing, Context, Key, Told, TopicRef, Wanted};

use super::{Call, Handler, Protest};
use crate::metadata_view::View;
use crate::server::Held;
use crate::shard::{Read, ReadReply, ReadWaiter};
use crate::wait::within;

/// Topics are named by id from this version on (KIP-516).
const BY_ID: i16 = 13;
/// Answers name the current leader from this version on (KIP-951).
const CURRENT_LEADER: i16 = 16;
/// Readers before this version do not know KAFKA_STORAGE_ERROR.
const STORAGE_ERROR: i16 = 6;
const READ_COMMITTED: i8 = 1;

pub(crate) struct Fetch;

impl Handler for Fetch {
    type Request = FetchRequest;

    const ADVERTISED: RangeInclusive<i16> = 4..=18;

    async fn handle(call: Call, request: FetchRequest) -> Result<Option<FetchResponse>, Protest> {
        let sessions = &call.broker.fetch_sessions;
        let context = match sessions.open(ask(&request, call.version), call.broker.host.now()) {
            Ok(context) => context,
            Err(error_code) => {
                return Ok(Some(FetchResponse { error_code: error_code.code(), ..Default::default() }));
            }
        };
        let view = call.broker.metadata.view();
        let (reads, mut answers) = sort(&call, &view, &request, context.wanted());
        let replies = read_or_wait(&call, &request, reads, !answers.is_empty()).await;
        answers.extend(replies);
        Ok(Some(close(&call, &context, answers)))
    }
}

/// One partition's part of the answer.
#[derive(Debug)]
struct PartAnswer {
    key: Key,
    data: PartitionData,
}

fn ask(request: &FetchRequest, version: i16) -> Ask {
    let topic_ref = |name: &Str, id: TopicId| {
        if version >= BY_ID { TopicRef::Id(id) } else { TopicRef::Name(name.detached()) }
    };
    let mut wanted = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let key = (topic_ref(&topic.topic, TopicId(topic.topic_id)), partition.partition);
            wanted.push((
                key,
                Wanted {
                    fetch_offset: partition.fetch_offset,
                    partition_max_bytes: partition.partition_max_bytes,
                    current_leader_epoch: partition.current_leader_epoch,
                    last_fetched_epoch: partition.last_fetched_epoch,
                    log_start_offset: partition.log_start_offset,
                },
            ));
        }
    }
    let forgotten = request.forgotten_topics_data.iter();
    let forgotten = forgotten.flat_map(|topic| {
        let topic_ref = topic_ref(&topic.topic, TopicId(topic.topic_id));
        topic.partitions.iter().map(move |partition| (topic_ref.clone(), *partition))
    });
    Ask {
        session_id: request.session_id,
        epoch: request.session_epoch,
        uses_topic_ids: version >= BY_ID,
        forgotten: forgotten.collect(),
        wanted,
    }
}

/// Splits what is wanted into reads and the answers that are clear without reading.
fn sort(
    call: &Call,
    view: &View,
    request: &FetchRequest,
    wanted: &[(Key, Wanted)],
) -> (Vec<(Key, Read)>, Vec<PartAnswer>) {
    let mut reads = Vec::with_capacity(wanted.len());
    let mut answers = Vec::new();
    let from_follower = request.replica_id >= 0 || request.replica_state.replica_id >= 0;
    for (key, wanted) in wanted {
        let found = match &key.0 {
            TopicRef::Id(id) => view.image.topic_by_id(*id).ok_or(ErrorCode::UnknownTopicId),
            TopicRef::Name(name) => view.image.topic(name).ok_or(ErrorCode::UnknownTopicOrPartition),
        };
        let led = found.and_then(|topic| {
            // Nobody follows here: replication has no other nodes yet.
            if from_follower {
                Err(ErrorCode::NotLeaderOrFollower)
            } else {
                call.broker.led_here(topic, key.1)
            }
        });
        match led {
            Ok(partition) => reads.push((key.clone(), read(request, partition, wanted))),
            Err(code) => {
                let data = failed(key.1, known(call, code));
                answers.push(PartAnswer { key: key.clone(), data });
            }
        }
    }
    (reads, answers)
}

fn read(request: &FetchRequest, key: storage::PartitionKey, wanted: &Wanted) -> Read {
    let epoch = |epoch: i32| (epoch >= 0).then_some(LeaderEpoch(epoch));
    Read {
        key,
        offset: Offset(wanted.fetch_offset),
        bytes_max: usize::try_from(wanted.partition_max_bytes).unwrap_or(0),
        current_leader_epoch: epoch(wanted.current_leader_epoch),
        last_fetched_epoch: epoch(wanted.last_fetched_epoch),
        committed_only: request.isolation_level == READ_COMMITTED,
        from_file: false,
    }
}

/// Reads; if that brings less than `min_bytes` and nothing that must be told at once, waits for more and reads again.
async fn read_or_wait(
    call: &Call,
    request: &FetchRequest,
    reads: Vec<(Key, Read)>,
    answer_now: bool,
) -> Vec<PartAnswer> {
    let broker = &call.broker;
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    // Who has gone away without a word is found when there is something to send.
    let wait = wait.min(broker.limits.idle_max);
    let (keys, reads): (Vec<Key>, Vec<Read>) = reads.into_iter().unzip();
    let limit = Limit::of(call, request, &reads);
    let bytes_min = usize::try_from(request.min_bytes).unwrap_or(0).min(limit.bytes_max);
    let may_wait = !answer_now && !reads.is_empty() && bytes_min > 0 && !wait.is_zero();
    let again = may_wait.then(|| (ReadWaiter::unarmed(), reads.clone()));
    let waiter = again.as_ref().map(|(waiter, _)| waiter.clone());
    let deadline = broker.host.now().after(wait);
    let (mut replies, room_bytes) = read_once(call, limit, reads, waiter).await;
    if let Some((waiter, reads)) = again {
        // What did not fit counts as far as it would have: to wait for more would bring nothing.
        let bytes = replies.iter().map(|reply| reply.taken_bytes).fold(0, usize::saturating_add);
        // With little room the answer is small, and enough when it is full.
        let bytes_min = bytes_min.min(room_bytes);
        // What comes out of a file ends with it, and more may be behind it: nothing to wait for, as in Kafka for
        // segments that are not the newest.
        let from_file =
            |reply: &ReadReply| reply.records.pieces().iter().any(|piece| matches!(piece, Piece::Extern(_)));
        let pressing = replies
            .iter()
            .any(|reply| reply.error != ErrorCode::None || reply.diverging.is_some() || from_file(reply));
        if bytes < bytes_min && !pressing {
            // What was read is not kept while nobody gets it.
            drop(std::mem::take(&mut replies));
            waiter.arm(bytes_min - bytes);
            let mut stopping = broker.stopping.subscribe();
            let stopped = stopping.wait_for(|stopping| *stopping);
            let end = async {
                // Whichever comes first.
                let _ = within(stopped, broker.host.clock.sleep_until(deadline)).await;
            };
            within(waiter.satisfied(), end).await;
            (replies, _) = read_once(call, limit, reads, None).await;
        }
    }
    let answers = keys.into_iter().zip(replies);
    let committed_only = request.isolation_level == READ_COMMITTED;
    answers.map(|(key, reply)| PartAnswer { data: answer(call, key.1, reply, committed_only), key }).collect()
}

/// Reads as much as there is room for, and says how much that is.
async fn read_once(
    call: &Call,
    limit: Limit,
    mut reads: Vec<Read>,
    waiter: Option<Arc<ReadWaiter>>,
) -> (Vec<ReadReply>, usize) {
    let memory = &call.broker.reply_memory;
    // Who gets an answer while others do not take theirs gets one that holds nothing, if it can be.
    let from_file = memory.is_exhausted();
    reads.iter_mut().for_each(|read| read.from_file = from_file);
    let room = memory.for_read(limit.wanted);
    let bytes = limit.with(&room);
    (call.broker.shards.read(reads, bytes, true, waiter).await, bytes)
}

/// How much an answer may hold.
#[derive(Clone, Copy)]
struct Limit {
    /// By the request and fetch.max.bytes.
    bytes_max: usize,
    /// What its partitions may bring, the first batch apart.
    wanted: usize,
}

impl Limit {
    fn of(call: &Call, request: &FetchRequest, reads: &[Read]) -> Self {
        let asked = usize::try_from(request.max_bytes).unwrap_or(0);
        let bytes_max = asked.min(call.broker.limits.fetch_bytes_max);
        let of_partitions = reads.iter().map(|read| read.bytes_max).fold(0, usize::saturating_add);
        Self { bytes_max, wanted: bytes_max.min(of_partitions) }
    }

    /// In so much room.
    fn with(self, room: &Held) -> usize {
        if room.bytes() < self.wanted { room.bytes() } else { self.bytes_max }
    }
}

/// The code as readers of the version know it.
fn known(call: &Call, code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::KafkaStorageError if call.version < STORAGE_ERROR => ErrorCode::NotLeaderOrFollower,
        code => code,
    }
}

fn answer(call: &Call, partition: i32, reply: ReadReply, committed_only: bool) -> PartitionData {
    let error_code = known(call, reply.error);
    let is_read = reply.error == ErrorCode::None && reply.diverging.is_none();
    let diverging_epoch = reply.diverging.map_or_else(EpochEndOffset::default, |end| EpochEndOffset {
        epoch: end.leader_epoch.0,
        end_offset: end.end_offset.0,
    });
    PartitionData {
        partition_index: partition,
        error_code: error_code.code(),
        high_watermark: reply.high_watermark.0,
        last_stable_offset: reply.last_stable_offset.0,
        log_start_offset: reply.log_start_offset.0,
        diverging_epoch,
        // Told beside records only: what failed has none.
        aborted_transactions: (committed_only && is_read).then(|| aborted(&reply)),
        preferred_read_replica: -1,
        records: Some(reply.records),
        ..Default::default()
    }
}

fn aborted(reply: &ReadReply) -> Vec<AbortedTransaction> {
    let aborted = reply.aborted.iter().map(|aborted| AbortedTransaction {
        producer_id: aborted.producer_id.0,
        first_offset: aborted.first_offset.0,
    });
    aborted.collect()
}

fn failed(partition: i32, error_code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index: partition,
        error_code: error_code.code(),
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        aborted_transactions: None,
        preferred_read_replica: -1,
        records: Some(protocol::RecordSet::default()),
        ..Default::default()
    }
}

/// Leaves out what the session's reader knows, and groups the rest by topic.
fn close(call: &Call, context: &Context, answers: Vec<PartAnswer>) -> FetchResponse {
    let told: Vec<(Key, Told)> = answers.iter().map(|part| (part.key.clone(), told(&part.data))).collect();
    let rng = &call.broker.host.rng;
    let new_id = || i32::try_from(rng.next_u64() >> 33).unwrap_or(1);
    let Closing { session_id, error, named } =
        call.broker.fetch_sessions.close(context, &told, call.broker.host.now(), new_id);
    let mut response = FetchResponse { error_code: error.code(), session_id, ..Default::default() };
    let mut stale_leaders = false;
    for (part, _) in answers.into_iter().zip(named).filter(|(_, named)| *named) {
        let mut data = part.data;
        if call.version >= CURRENT_LEADER && is_stale_leader(ErrorCode::from(data.error_code)) {
            stale_leaders = true;
            let (leader_id, leader_epoch) = current_leader(call, &part.key);
            data.current_leader = LeaderIdAndEpoch { leader_id, leader_epoch };
        }
        push(&mut response.responses, part.key.0, data);
    }
    if stale_leaders {
        response.node_endpoints = node_endpoints(call);
    }
    response
}

fn is_stale_leader(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch)
}

fn told(data: &PartitionData) -> Told {
    Told {
        error: ErrorCode::from(data.error_code),
        high_watermark: data.high_watermark,
        log_start_offset: data.log_start_offset,
        records_bytes: data.records.as_ref().map_or(0, protocol::RecordSet::len),
        diverging: data.diverging_epoch.epoch >= 0,
    }
}

fn current_leader(call: &Call, key: &Key) -> (i32, i32) {
    let view = call.broker.metadata.view();
    let topic = match &key.0 {
        TopicRef::Id(id) => view.image.topic_by_id(*id),
        TopicRef::Name(name) => view.image.topic(name),
    };
    let partition = topic.and_then(|topic| topic.partition(key.1));
    partition.map_or((-1, -1), |partition| (partition.leader.0, partition.leader_epoch.0))
}

fn node_endpoints(call: &Call) -> Vec<NodeEndpoint> {
    let endpoint = |(node_id, host, port, rack)| NodeEndpoint { node_id, host, port, rack };
    call.broker.metadata.view().endpoints(&call.client.listener).map(endpoint).collect()
}

/// Appends to the topic's group, which is the last one unless a session's order mixes topics.
fn push(topics: &mut Vec<FetchableTopicResponse>, topic: TopicRef, data: PartitionData) {
    let is_same = |group: &FetchableTopicResponse| match &topic {
        TopicRef::Id(id) => group.topic_id == id.0,
        TopicRef::Name(name) => group.topic == *name,
    };
    if let Some(group) = topics.last_mut().filter(|group| is_same(group)) {
        group.partitions.push(data);
        return;
    }
    let (name, topic_id) = match topic {
        TopicRef::Id(id) => (Str::default(), id),
        TopicRef::Name(name) => (name, TopicId::default()),
    };
    let partitions = vec![data];
    topics.push(FetchableTopicResponse { topic: name, topic_id: topic_id.0, partitions });
}
