//! What members of the classic protocol put into joins, and what its leader puts into syncs.

use std::collections::BTreeSet;

use bytes::Bytes;
use protocol::Str;
use protocol::messages::consumer_protocol_assignment::{
    ConsumerProtocolAssignment, TopicPartition as Assigned,
};
use protocol::messages::consumer_protocol_subscription::{
    ConsumerProtocolSubscription, TopicPartition as Owned,
};
use protocol::messages::join_group_response::JoinGroupResponseMember;
use protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use protocol::wire::{self, Message};

use super::assignor::{Assignment, Assignor, Reader};
use super::options::GroupOptions;
use crate::TopicPartition;

const NO_GENERATION: i32 = -1;

pub(super) fn subscription(
    assignor: Assignor,
    options: &GroupOptions,
    owned: &BTreeSet<TopicPartition>,
    generation: i32,
) -> Bytes {
    let mut topics = options.topics.clone();
    topics.sort();
    topics.dedup();
    let owned_partitions =
        by_topic(owned).into_iter().map(|(topic, partitions)| Owned { topic, partitions }).collect();
    // Before subscriptions had a generation, this assignor kept one here.
    let user_data = assignor.is_cooperative().then(|| Bytes::copy_from_slice(&generation.to_be_bytes()));
    let subscription = ConsumerProtocolSubscription {
        topics,
        user_data,
        owned_partitions,
        generation_id: generation,
        rack_id: options.rack.clone(),
    };
    // Names that a user gives may be too long for a message; the coordinator refuses what is empty.
    subscription.to_versioned_bytes(ConsumerProtocolSubscription::VERSIONS.max).unwrap_or_default()
}

/// The members as their subscriptions show them. Whose subscription cannot be read gets nothing.
pub(super) fn readers(members: &[JoinGroupResponseMember]) -> Vec<Reader> {
    members.iter().map(reader).collect()
}

fn reader(member: &JoinGroupResponseMember) -> Reader {
    let (_, subscription) =
        ConsumerProtocolSubscription::read_versioned(&member.metadata).unwrap_or_default();
    let owned = subscription.owned_partitions.iter();
    let generation = match (&subscription.user_data, subscription.generation_id) {
        (Some(data), NO_GENERATION) => {
            data.first_chunk().map_or(NO_GENERATION, |bytes| i32::from_be_bytes(*bytes))
        }
        (_, generation) => generation,
    };
    Reader {
        id: member.member_id.detached(),
        instance_id: member.group_instance_id.as_ref().map(Str::detached),
        topics: subscription.topics.iter().map(Str::detached).collect(),
        owned: owned.flat_map(|topic| named(&topic.topic, &topic.partitions)).collect(),
        generation,
    }
}

/// Everything that somebody reads.
pub(super) fn topics(members: &[JoinGroupResponseMember]) -> Vec<Str> {
    let all: BTreeSet<Str> = readers(members).into_iter().flat_map(|reader| reader.topics).collect();
    all.into_iter().collect()
}

pub(super) fn assignments(assignment: &Assignment) -> Vec<SyncGroupRequestAssignment> {
    let one = |(member_id, partitions): (&Str, &BTreeSet<TopicPartition>)| {
        let topics = by_topic(partitions).into_iter();
        let assigned_partitions = topics.map(|(topic, partitions)| Assigned { topic, partitions }).collect();
        let assignment = ConsumerProtocolAssignment { assigned_partitions, user_data: None };
        let bytes = assignment.to_versioned_bytes(ConsumerProtocolAssignment::VERSIONS.max);
        // Names of topics that exist fit into messages.
        SyncGroupRequestAssignment { member_id: member_id.clone(), assignment: bytes.unwrap_or_default() }
    };
    assignment.iter().map(one).collect()
}

pub(super) fn assigned(bytes: &Bytes) -> Result<BTreeSet<TopicPartition>, wire::Error> {
    if bytes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let (_, assignment) = ConsumerProtocolAssignment::read_versioned(bytes)?;
    let topics = assignment.assigned_partitions.iter();
    Ok(topics.flat_map(|topic| named(&topic.topic, &topic.partitions)).collect())
}

fn named(topic: &Str, partitions: &[i32]) -> impl Iterator<Item = TopicPartition> {
    let topic = topic.detached();
    partitions.iter().map(move |partition| TopicPartition { topic: topic.clone(), partition: *partition })
}

pub(super) fn by_topic<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Vec<(Str, Vec<i32>)> {
    let mut topics: Vec<(Str, Vec<i32>)> = Vec::new();
    for one in partitions {
        match topics.last_mut().filter(|last| last.0 == one.topic) {
            Some(last) => last.1.push(one.partition),
            None => topics.push((one.topic.clone(), vec![one.partition])),
        }
    }
    topics
}
