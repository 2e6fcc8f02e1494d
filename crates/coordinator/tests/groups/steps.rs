//! [`Beat`]: heartbeats of the consumer protocol, written short, and what a test wants to know of the answers.

use std::collections::BTreeMap;

use coordinator::{Reply, Request};
use metadata::Image;
use metadata::record::{Partition, Record};
use protocol::messages::consumer_group_describe_response::DescribedGroup;
use protocol::messages::consumer_group_heartbeat_request::{ConsumerGroupHeartbeatRequest, TopicPartitions};
use protocol::messages::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;
use protocol::{ErrorCode, NodeId, Str, TopicId, Uuid};

use crate::talk::{GROUP, Talk};

/// The id of a topic: its name, so that it can be read.
pub(crate) fn topic_id(name: &str) -> Uuid {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Uuid::from_bytes(bytes)
}

/// A cluster with these topics and so many partitions of each.
pub(crate) fn image(topics: &[(&str, i32)]) -> Image {
    let mut image = Image::new();
    for (name, partitions) in topics {
        let topic_id = TopicId(topic_id(name));
        image.apply(&Record::Topic { topic_id, name: Str::from(*name) }).unwrap();
        for partition in 0..*partitions {
            let state = Partition::new(vec![NodeId(1)], vec![Uuid::ZERO], vec![NodeId(1)]);
            image.apply(&Record::Partition { topic_id, partition, state }).unwrap();
        }
    }
    image
}

/// One heartbeat.
#[derive(Clone, Debug)]
pub(crate) struct Beat {
    pub version: i16,
    pub request: ConsumerGroupHeartbeatRequest,
}

/// Of a member that has nothing to say.
pub(crate) fn beat(member: &str, epoch: i32) -> Beat {
    let request = ConsumerGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: member.into(),
        member_epoch: epoch,
        rebalance_timeout_ms: -1,
        ..Default::default()
    };
    Beat { version: 1, request }
}

/// Of somebody who joins.
pub(crate) fn joins(member: &str, topics: &[&str]) -> Beat {
    let mut beat = beat(member, 0).owning("").reading(topics);
    beat.request.rebalance_timeout_ms = 60_000;
    beat
}

impl Beat {
    /// `orders:0,1 users:2`
    pub(crate) fn owning(mut self, partitions: &str) -> Self {
        let topic = |part: &str| {
            let (topic, partitions) = part.split_once(':').unwrap();
            let partitions = partitions.split(',').map(|partition| partition.parse().unwrap()).collect();
            TopicPartitions { topic_id: topic_id(topic), partitions }
        };
        self.request.topic_partitions = Some(partitions.split_whitespace().map(topic).collect());
        self
    }

    pub(crate) fn reading(mut self, topics: &[&str]) -> Self {
        self.request.subscribed_topic_names = Some(topics.iter().map(|topic| Str::from(*topic)).collect());
        self
    }

    pub(crate) fn matching(mut self, pattern: &str) -> Self {
        self.request.subscribed_topic_regex = Some(pattern.into());
        self.request.subscribed_topic_names = Some(Vec::new());
        self
    }

    pub(crate) fn instance(mut self, id: &str) -> Self {
        self.request.instance_id = Some(id.into());
        self
    }

    pub(crate) fn assignor(mut self, name: &str) -> Self {
        self.request.server_assignor = Some(name.into());
        self
    }

    pub(crate) fn version(mut self, version: i16) -> Self {
        self.version = version;
        self
    }
}

/// What a member hears: its epoch, and what it has if it is told.
pub(crate) type Heard<'a> = (i32, Option<&'a str>);

impl Talk {
    /// A conversation in a cluster.
    pub(crate) fn about(topics: &[(&str, i32)]) -> Self {
        let mut talk = Self::new();
        talk.set_image(topics);
        talk
    }

    pub(crate) fn set_image(&mut self, topics: &[(&str, i32)]) {
        self.versions += 1;
        self.image = image(topics);
        self.groups.set_image(self.image.clone(), self.versions);
    }

    /// The cluster is another one, and coordinators hear of it.
    pub(crate) fn change_topics(&mut self, topics: &[(&str, i32)], changed: &[&str], are_new: bool) {
        self.set_image(topics);
        let topics = changed.iter().map(|topic| Str::from(*topic)).collect();
        let ticket = self.ask(0, "", Request::TopicsChanged { topics, are_new });
        assert_eq!(self.answer(ticket), Some(&Reply::Done));
    }

    pub(crate) fn beats(&mut self, beat: &Beat) -> ConsumerGroupHeartbeatResponse {
        let request = Request::ConsumerGroupHeartbeat(beat.request.clone());
        let ticket = self.ask(beat.version, "app", request);
        match self.answer(ticket) {
            Some(Reply::ConsumerGroupHeartbeat(response)) => response.clone(),
            other => panic!("no answer to a heartbeat: {other:?}"),
        }
    }

    /// What somebody hears who heartbeats so.
    #[track_caller]
    pub(crate) fn hears(&mut self, beat: &Beat, expected: Heard<'_>) {
        let heard = self.beats(beat);
        assert_eq!(ErrorCode::from(heard.error_code), ErrorCode::None, "{:?}", heard.error_message);
        assert_eq!(heard.member_id.as_ref(), Some(&beat.request.member_id));
        let names: BTreeMap<Uuid, Str> =
            self.image.topics().map(|topic| (topic.id().0, topic.name().clone())).collect();
        let text = heard.assignment.map(|assignment| {
            let mut topics: Vec<String> = Vec::new();
            for topic in &assignment.topic_partitions {
                let name = names.get(&topic.topic_id).map_or("gone", |name| name);
                let partitions: Vec<String> = topic.partitions.iter().map(i32::to_string).collect();
                topics.push(format!("{name}:{}", partitions.join(",")));
            }
            topics.sort();
            topics.join(" ")
        });
        assert_eq!((heard.member_epoch, text.as_deref()), expected);
    }

    #[track_caller]
    pub(crate) fn refuses(&mut self, beat: &Beat, error: ErrorCode) {
        let written = self.records.len();
        let heard = self.beats(beat);
        assert_eq!(ErrorCode::from(heard.error_code), error, "{:?}", heard.error_message);
        assert!(heard.error_message.is_some() && heard.assignment.is_none());
        assert_eq!(self.records.len(), written, "what is refused is not written");
    }

    pub(crate) fn described(&mut self) -> DescribedGroup {
        let ticket = self.ask(1, "app", Request::ConsumerGroupDescribe { group_id: GROUP.into() });
        match self.answer(ticket) {
            Some(Reply::ConsumerGroupDescribe(group)) => group.clone(),
            other => panic!("no description: {other:?}"),
        }
    }

    /// State and epoch of the group.
    #[track_caller]
    pub(crate) fn is(&mut self, state: &str, epoch: i32) {
        let group = self.described();
        assert_eq!((group.group_state.as_str(), group.group_epoch), (state, epoch));
    }
}
