//! One Fetch request to one leader, without a session.

use std::collections::BTreeMap;

use protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use protocol::messages::fetch_response::FetchResponse;
use protocol::records::{self, Batches, Limits, Record, Records, Scratch};
use protocol::{ErrorCode, LeaderEpoch, NodeId, Offset, Str, TopicId};

use super::ConsumerOptions;
use super::aborted::Aborted;
use crate::cluster::refused;
use crate::offsets::Isolation;
use crate::{Cluster, Error, TopicPartition};

/// From here on topics go by their ids.
const VERSION_WITH_IDS: i16 = 13;

#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) partition: TopicPartition,
    pub(super) topic_id: TopicId,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) offset: Offset,
}

/// What a fetch brought for one partition.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) partition: TopicPartition,
    /// Where the fetch began.
    pub(super) offset: Offset,
    pub(super) error: ErrorCode,
    pub(super) high_watermark: Offset,
    pub(super) batches: Batches,
    /// Batches that have been taken.
    pub(super) whole: usize,
    pub(super) aborted: Aborted,
}

/// The records of one batch, and the offset behind it.
pub(super) struct Opened {
    pub(super) records: Vec<Record>,
    pub(super) next_offset: Offset,
}

impl Fetched {
    /// Opens the next batch, for a reader who wants the offsets from `from` and below `end`. `None` when no whole batch
    /// is left.
    pub(super) fn open_next(
        &mut self,
        from: Offset,
        end: Option<Offset>,
        scratch: &mut Scratch,
        limits: &Limits,
    ) -> Result<Option<Opened>, Error> {
        let subject = self.partition.to_string();
        let corrupt = |offset| move |error| Error::Corrupt { subject, offset, error };
        let batch = match self.batches.next() {
            None => return Ok(None),
            Some(Ok(batch)) => batch,
            // The broker cuts the last batch off at its limit; the first one is always whole.
            Some(Err(records::Error::Truncated { .. })) if self.whole > 0 => return Ok(None),
            Some(Err(error)) => return Err(corrupt(from)(error)),
        };
        self.whole += 1;
        let (base_offset, next_offset) = (batch.header().base_offset, batch.header().next_offset());
        let records = match self.aborted.hides(&batch) {
            Ok(true) => Ok(Vec::new()),
            Ok(false) => Records::open(&batch, scratch, limits).and_then(|all| {
                let wanted = |offset| offset >= from && end.is_none_or(|end| offset < end);
                all.filter(|one| one.as_ref().map_or(true, |record| wanted(record.offset))).collect()
            }),
            Err(error) => Err(error),
        };
        Ok(Some(Opened { records: records.map_err(corrupt(base_offset))?, next_offset }))
    }
}

pub(super) async fn fetch(
    cluster: &Cluster,
    leader: NodeId,
    wanted: &[Wanted],
    options: &ConsumerOptions,
) -> Result<Vec<Fetched>, Error> {
    let connection = cluster.connection(leader).await?;
    let newest = connection.newest::<FetchRequest>()?;
    let by_id = newest >= VERSION_WITH_IDS && wanted.iter().all(|one| !one.topic_id.is_zero());
    let version = if by_id { newest } else { newest.min(VERSION_WITH_IDS - 1) };
    let request = request(wanted, by_id, options);
    let response = connection.call_in(version, &request, options.wait_max).await?;
    match ErrorCode::from(response.error_code) {
        ErrorCode::None => sort_out(response, wanted, by_id, options),
        code => Err(refused("Fetch", code, None)),
    }
}

fn request(wanted: &[Wanted], by_id: bool, options: &ConsumerOptions) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for one in wanted {
        let (topic, topic_id) = key(one, by_id);
        let partition = FetchPartition {
            partition: one.partition.partition,
            current_leader_epoch: one.leader_epoch.get(),
            fetch_offset: one.offset.get(),
            partition_max_bytes: options.partition_bytes_max,
            ..FetchPartition::default()
        };
        match topics.last_mut().filter(|last| last.topic == topic && last.topic_id == topic_id.0) {
            Some(last) => last.partitions.push(partition),
            None => topics.push(FetchTopic { topic, topic_id: topic_id.0, partitions: vec![partition] }),
        }
    }
    FetchRequest {
        max_wait_ms: i32::try_from(options.wait_max.as_millis()).unwrap_or(i32::MAX),
        min_bytes: options.fetch_bytes_min,
        max_bytes: options.fetch_bytes_max,
        isolation_level: options.isolation.code(),
        topics,
        ..FetchRequest::default()
    }
}

fn key(one: &Wanted, by_id: bool) -> (Str, TopicId) {
    if by_id { (Str::EMPTY, one.topic_id) } else { (one.partition.topic.clone(), TopicId::ZERO) }
}

fn sort_out(
    response: FetchResponse,
    wanted: &[Wanted],
    by_id: bool,
    options: &ConsumerOptions,
) -> Result<Vec<Fetched>, Error> {
    let asked: BTreeMap<(Str, TopicId, i32), &Wanted> = wanted
        .iter()
        .map(|one| {
            let (name, id) = key(one, by_id);
            ((name, id, one.partition.partition), one)
        })
        .collect();
    let mut fetched = Vec::new();
    for topic in response.responses {
        for part in topic.partitions {
            let key = (topic.topic.clone(), TopicId(topic.topic_id), part.partition_index);
            let Some(one) = asked.get(&key) else { continue };
            let records = part.records.unwrap_or_default();
            let bytes = records.to_bytes().map_err(|error| Error::Invalid(error.to_string()))?;
            let aborted = match (options.isolation, &part.aborted_transactions) {
                (Isolation::Committed, Some(transactions)) => Aborted::new(transactions),
                _ => Aborted::default(),
            };
            fetched.push(Fetched {
                partition: one.partition.clone(),
                offset: one.offset,
                error: ErrorCode::from(part.error_code),
                high_watermark: Offset(part.high_watermark),
                batches: Batches::new(bytes),
                whole: 0,
                aborted,
            });
        }
    }
    Ok(fetched)
}
