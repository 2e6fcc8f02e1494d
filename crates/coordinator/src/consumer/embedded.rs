//! The consumer's part of the classic protocol: what it puts into the metadata of joins, and what it gets as assignment. Both
//! begin with a version, and a version contains the ones before.

use bytes::Bytes;
use metadata::Image;
use protocol::messages::consumer_protocol_assignment::{ConsumerProtocolAssignment, TopicPartition};
use protocol::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use protocol::wire::{Message, Reader};

use super::partitions::Partitions;

/// Newer versions are read as the newest that we know.
pub(super) fn version(bytes: &Bytes) -> i16 {
    let version = Reader::new(bytes).i16().unwrap_or(0);
    version.clamp(0, ConsumerProtocolAssignment::VERSIONS.max)
}

/// `None`: it is malformed.
pub(super) fn subscription(metadata: &Bytes) -> Option<ConsumerProtocolSubscription> {
    ConsumerProtocolSubscription::read_versioned(metadata).ok().map(|(_, subscription)| subscription)
}

/// What a member says that it has of the topics that there are.
pub(super) fn owned(subscription: &ConsumerProtocolSubscription, image: &Image) -> Partitions {
    let topics = subscription.owned_partitions.iter();
    by_id(topics.map(|topic| (topic.topic.as_str(), topic.partitions.as_slice())), image)
}

/// What the leader of a group has given a member. `None`: it is malformed, or means more than partitions.
pub(super) fn assigned(assignment: &Bytes, image: &Image) -> Option<Partitions> {
    if assignment.is_empty() {
        return Some(Partitions::default());
    }
    let (_, read) = ConsumerProtocolAssignment::read_versioned(assignment).ok()?;
    if read.user_data.is_some_and(|data| !data.is_empty()) {
        return None;
    }
    let topics = read.assigned_partitions.iter();
    Some(by_id(topics.map(|topic| (topic.topic.as_str(), topic.partitions.as_slice())), image))
}

fn by_id<'a>(topics: impl Iterator<Item = (&'a str, &'a [i32])>, image: &Image) -> Partitions {
    let known = topics.filter_map(|(name, partitions)| Some((image.topic_id(name)?.0, partitions)));
    known.flat_map(|(id, partitions)| partitions.iter().map(move |part| (id, *part))).collect()
}

/// An assignment in a version that the member reads.
pub(super) fn assignment(partitions: &Partitions, version: i16, image: &Image) -> Bytes {
    let topics = partitions.topics().filter_map(|(id, partitions)| {
        let topic = image.topic_by_id(id.into())?.name().clone();
        Some(TopicPartition { topic, partitions: partitions.to_vec() })
    });
    let assignment = ConsumerProtocolAssignment { assigned_partitions: topics.collect(), user_data: None };
    // Names of topics that exist fit into messages.
    assignment.to_versioned_bytes(version).unwrap_or_default()
}
