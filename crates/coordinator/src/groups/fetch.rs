//! OffsetFetch.
//!
//! A group that is not there has committed nothing, and that is no error. Members of classic groups are not asked whether
//! they still are, those of consumer groups say their epochs.

use protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use protocol::{ErrorCode, Str, Uuid};

use super::{LoggedGroup, Turn};
use crate::record::OffsetCommit;
use crate::{Reply, Ticket};

impl Turn<'_> {
    pub(super) fn fetch(&mut self, ticket: Ticket, request: OffsetFetchRequestGroup, require_stable: bool) {
        let group = self.env.logged.group(&request.group_id);
        let checked = group
            .and_then(|group| group.consumer.as_ref())
            .map_or(Ok(()), |group| group.check_fetch(request.member_id.as_ref(), request.member_epoch));
        if let Err(error) = checked {
            self.reply(ticket, Reply::OffsetFetch(refused(request, error)));
            return;
        }
        let topics = match request.topics {
            Some(topics) => topics.into_iter().map(|topic| fetch_topic(group, topic)).collect(),
            None => group.map(fetch_all).unwrap_or_default(),
        };
        let topics = match group.filter(|group| require_stable && group.pending.is_some()) {
            Some(group) => stable(group, topics),
            None => topics,
        };
        let response = OffsetFetchResponseGroup { group_id: request.group_id, topics, error_code: 0 };
        self.reply(ticket, Reply::OffsetFetch(response));
    }
}

fn fetch_topic(group: Option<&LoggedGroup>, topic: OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    let offsets = group.and_then(|group| group.offsets.get(&topic.name));
    let partitions = topic.partition_indexes.iter().map(|&partition| {
        let commit = offsets.and_then(|offsets| offsets.get(&partition));
        // What was committed for a topic that was deleted says nothing about its successor of the same name.
        fetched(partition, commit.filter(|commit| is_of(commit, &topic.topic_id)))
    });
    let partitions = partitions.collect();
    OffsetFetchResponseTopics { name: topic.name, topic_id: topic.topic_id, partitions }
}

/// Who reads where a transaction may still commit would read records of it again: it has to ask again (KIP-447).
fn stable(group: &LoggedGroup, mut topics: Vec<OffsetFetchResponseTopics>) -> Vec<OffsetFetchResponseTopics> {
    for topic in &mut topics {
        let name = &topic.name;
        for part in topic.partitions.iter_mut().filter(|part| group.is_pending(name, part.partition_index)) {
            let error_code = ErrorCode::UnstableOffsetCommit.code();
            *part = OffsetFetchResponsePartitions { error_code, ..fetched(part.partition_index, None) };
        }
    }
    topics
}

/// Nothing of all that was asked for.
fn refused(request: OffsetFetchRequestGroup, error: ErrorCode) -> OffsetFetchResponseGroup {
    let topics = request.topics.into_iter().flatten().map(|topic| OffsetFetchResponseTopics {
        partitions: topic
            .partition_indexes
            .iter()
            .map(|&partition| OffsetFetchResponsePartitions {
                error_code: error.code(),
                ..fetched(partition, None)
            })
            .collect(),
        name: topic.name,
        topic_id: topic.topic_id,
    });
    OffsetFetchResponseGroup {
        topics: topics.collect(),
        group_id: request.group_id,
        error_code: error.code(),
    }
}

fn is_of(commit: &OffsetCommit, topic_id: &Uuid) -> bool {
    commit.topic_id.is_zero() || topic_id.is_zero() || commit.topic_id == *topic_id
}

/// Topics with the ids that commits were made for: whoever knows which topic has the name now leaves out those of earlier
/// ones. So a topic may be there more than once, in a row.
fn fetch_all(group: &LoggedGroup) -> Vec<OffsetFetchResponseTopics> {
    let mut topics: Vec<OffsetFetchResponseTopics> = Vec::new();
    for (name, offsets) in group.offsets.iter() {
        let first = topics.len();
        for (&partition, commit) in offsets.iter() {
            let of_topic = topics.iter_mut().skip(first).find(|topic| topic.topic_id == commit.topic_id);
            let part = fetched(partition, Some(commit));
            match of_topic {
                Some(topic) => topic.partitions.push(part),
                None => topics.push(OffsetFetchResponseTopics {
                    name: name.clone(),
                    topic_id: commit.topic_id,
                    partitions: vec![part],
                }),
            }
        }
    }
    topics
}

fn fetched(partition_index: i32, commit: Option<&OffsetCommit>) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: commit.map_or(-1, |commit| commit.offset),
        committed_leader_epoch: commit.map_or(-1, |commit| commit.leader_epoch),
        metadata: Some(commit.map_or(Str::EMPTY, |commit| commit.metadata.clone())),
        error_code: 0,
    }
}
