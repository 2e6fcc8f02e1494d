//! OffsetFetch (9): how far groups have read.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use coordinator::{Reply, Request};
use protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use protocol::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use protocol::{ErrorCode, Str, Uuid};

use super::groups::{ask, failure};
use super::{Call, Handler, Protest};
use crate::metadata_view::View;

/// Several groups come in one request from this version on (KIP-709).
const BATCHED: i16 = 8;
/// Topics are named by id from this version on (KIP-848).
const BY_ID: i16 = 10;
/// Up to this version an error of the group is told of every partition.
const PARTITION_ERRORS_ONLY: i16 = 1;
const NO_OFFSET: i64 = -1;

pub(crate) struct OffsetFetch;

impl Handler for OffsetFetch {
    type Request = OffsetFetchRequest;

    const ADVERTISED: RangeInclusive<i16> = 1..=10;

    async fn handle(call: Call, request: OffsetFetchRequest) -> Result<Option<OffsetFetchResponse>, Protest> {
        let require_stable = request.require_stable;
        if call.version < BATCHED {
            let topics = request.topics.map(|topics| {
                let named = |topic: protocol::messages::offset_fetch_request::OffsetFetchRequestTopic| {
                    OffsetFetchRequestTopics {
                        name: topic.name,
                        partition_indexes: topic.partition_indexes,
                        ..Default::default()
                    }
                };
                topics.into_iter().map(named).collect()
            });
            let mut group =
                OffsetFetchRequestGroup { group_id: request.group_id, topics, ..Default::default() };
            Seen::default().leaves_new(&mut group);
            let found = fetch(&call, group, require_stable).await;
            return Ok(Some(single(call.version, found)));
        }
        let mut groups = Vec::with_capacity(request.groups.len());
        let mut seen = Seen::default();
        for mut group in request.groups {
            if seen.leaves_new(&mut group) {
                groups.push(fetch(&call, group, require_stable).await);
            }
        }
        Ok(Some(OffsetFetchResponse { groups, ..Default::default() }))
    }
}

/// What a request has asked for already. Each offset is told once: a few bytes could ask for all offsets of a group, or for
/// kilobytes of metadata, a million times.
#[derive(Default)]
struct Seen {
    /// Groups of which everything was asked for.
    all: HashSet<Str>,
    partitions: HashMap<(Str, Str, Uuid), HashSet<i32>>,
}

impl Seen {
    /// Takes away what was asked for before; false if that was everything.
    fn leaves_new(&mut self, group: &mut OffsetFetchRequestGroup) -> bool {
        let id = &group.group_id;
        let Some(topics) = &mut group.topics else { return self.all.insert(id.clone()) };
        let was_empty = topics.is_empty();
        topics.retain_mut(|topic| {
            let was_empty = topic.partition_indexes.is_empty();
            let key = (id.clone(), topic.name.clone(), topic.topic_id);
            let seen = self.partitions.entry(key).or_default();
            topic.partition_indexes.retain(|partition| seen.insert(*partition));
            was_empty || !topic.partition_indexes.is_empty()
        });
        was_empty || !topics.is_empty()
    }
}

async fn fetch(
    call: &Call,
    mut group: OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let view = call.broker.metadata.view();
    let by_id = call.version >= BY_ID;
    let mut unknown = Vec::new();
    if let Some(topics) = &mut group.topics {
        topics.retain_mut(|topic| match view.topic(&topic.name, topic.topic_id.into(), by_id) {
            // With its id in every version: what was committed for an earlier topic of the name does not count.
            Ok(found) => {
                topic.name = found.name().clone();
                topic.topic_id = found.id().0;
                true
            }
            // Its offsets may be there still, and Kafka tells them to those who know it by name.
            Err(_) if !by_id => true,
            Err(code) => {
                unknown.push(none_of(topic, code));
                false
            }
        });
    }
    let group_id = group.group_id.clone();
    let asked = group.topics.clone();
    let asked_for = Request::OffsetFetch { group, require_stable };
    let mut found = match ask(call, &group_id, asked_for).await {
        Ok(Reply::OffsetFetch(found)) => found,
        other => {
            let code = failure(other);
            let topics = asked.iter().flatten().map(|topic| none_of(topic, code)).collect();
            OffsetFetchResponseGroup { group_id, topics, error_code: code.code() }
        }
    };
    if asked.is_none() {
        leave_out_earlier_topics(&view, &mut found, by_id);
    }
    found.topics.extend(unknown);
    found
}

/// A topic without offsets.
fn none_of(topic: &OffsetFetchRequestTopics, code: ErrorCode) -> OffsetFetchResponseTopics {
    let nothing = |partition: &i32| OffsetFetchResponsePartitions {
        partition_index: *partition,
        committed_offset: NO_OFFSET,
        committed_leader_epoch: -1,
        metadata: Some(Str::EMPTY),
        error_code: code.code(),
    };
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.iter().map(nothing).collect(),
    }
}

/// Of all topics of a group: what was committed for an earlier topic of the name does not count, and those that are gone
/// cannot be named by id. What is left of a topic comes together.
fn leave_out_earlier_topics(view: &View, group: &mut OffsetFetchResponseGroup, by_id: bool) {
    let mut topics: Vec<OffsetFetchResponseTopics> = Vec::with_capacity(group.topics.len());
    for mut topic in std::mem::take(&mut group.topics) {
        match view.image.topic(&topic.name).map(|found| found.id().0) {
            Some(id) if topic.topic_id.is_zero() || topic.topic_id == id => topic.topic_id = id,
            None if !by_id => {}
            _ => continue,
        }
        match topics.last_mut().filter(|last| last.name == topic.name) {
            Some(last) => last.partitions.append(&mut topic.partitions),
            None => topics.push(topic),
        }
    }
    group.topics = topics;
}

/// The reply of versions that know one group.
fn single(version: i16, group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
    let error_code = group.error_code;
    let partition = |part: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: part.partition_index,
        committed_offset: part.committed_offset,
        committed_leader_epoch: part.committed_leader_epoch,
        metadata: part.metadata,
        error_code: if version <= PARTITION_ERRORS_ONLY && error_code != 0 {
            error_code
        } else {
            part.error_code
        },
    };
    let topic = |topic: OffsetFetchResponseTopics| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    };
    OffsetFetchResponse {
        topics: group.topics.into_iter().map(topic).collect(),
        error_code,
        ..Default::default()
    }
}
