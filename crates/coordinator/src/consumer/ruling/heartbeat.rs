//! ConsumerGroupHeartbeat: joining, subscribing, acknowledging and staying, all in one.

use protocol::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use protocol::messages::consumer_group_heartbeat_response::{
    Assignment, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use protocol::{ErrorCode, Str};

use super::super::assign::Assignor;
use super::super::group::ConsumerGroup;
use super::super::member::{AWAY, Current, LEAVING, Member, Metadata, State};
use super::super::partitions::{Owned, Partitions};
use super::super::pattern;
use super::patterns::PatternChange;
use super::{Refusal, Ruling};
use crate::record::ConsumerChange;
use crate::{Caller, Options};

/// From here members choose their ids themselves.
const OWN_MEMBER_ID: i16 = 1;
const JOINING: i32 = 0;
/// A field that does not change is not sent.
const UNCHANGED_MS: i32 = -1;

/// What is wrong with a request whatever the group is.
pub(crate) fn check_request(
    caller: &Caller,
    request: &ConsumerGroupHeartbeatRequest,
    options: &Options,
) -> Result<(), Refusal> {
    let invalid = |why: &str| Err(Refusal::new(ErrorCode::InvalidRequest, why));
    let is_blank = |text: Option<&Str>| text.is_some_and(|text| text.trim().is_empty());
    let epoch = request.member_epoch;
    let must_have_id = caller.version >= OWN_MEMBER_ID || epoch > JOINING || epoch == LEAVING;
    if must_have_id && request.member_id.trim().is_empty() {
        return invalid("MemberId is empty");
    }
    if request.group_id.trim().is_empty() {
        return invalid("GroupId is empty");
    }
    if is_blank(request.instance_id.as_ref()) {
        return invalid("InstanceId is empty");
    }
    if is_blank(request.rack_id.as_ref()) {
        return invalid("RackId is empty");
    }
    match epoch {
        JOINING if request.rebalance_timeout_ms == UNCHANGED_MS => {
            return invalid("who joins says its RebalanceTimeoutMs");
        }
        JOINING if request.topic_partitions.as_ref().is_none_or(|topics| !topics.is_empty()) => {
            return invalid("who joins has no TopicPartitions, and says so");
        }
        JOINING if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() => {
            return invalid("who joins says its SubscribedTopicNames or its SubscribedTopicRegex");
        }
        AWAY if request.instance_id.is_none() => {
            return invalid("only a member with an InstanceId can leave for a while");
        }
        ..AWAY => return invalid("MemberEpoch is less than -2"),
        _ => {}
    }
    match &request.server_assignor {
        Some(name) if !options.consumer_assignors.iter().any(|assignor| assignor.name() == *name) => {
            let names: Vec<&str> = options.consumer_assignors.iter().copied().map(Assignor::name).collect();
            let why = format!("there is no assignor {name}, but {}", names.join(", "));
            Err(Refusal::new(ErrorCode::UnsupportedAssignor, why))
        }
        _ => Ok(()),
    }
}

/// How a member comes into a decision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    /// It is there, or is to be.
    Member(Str),
    /// A static member has a new process, which takes the place of the first id under the second one.
    Replaces(Str, Str),
}

impl ConsumerGroup {
    /// Who it is that heartbeats, if it may.
    pub(crate) fn entry(
        &self,
        request: &ConsumerGroupHeartbeatRequest,
        member_id: &Str,
        owned: Option<&Partitions>,
    ) -> Result<Entry, Refusal> {
        let joins = request.member_epoch == JOINING;
        let known = self.member(member_id);
        let entry = Entry::Member(self.member_id(member_id).unwrap_or(member_id).clone());
        let Some(instance_id) = &request.instance_id else {
            return match known {
                Some(member) => check_epoch(member, request.member_epoch, owned).map(|()| entry),
                None if joins => Ok(entry),
                None => Err(ErrorCode::UnknownMemberId.into()),
            };
        };
        match self.static_member(instance_id) {
            None if joins => Ok(entry),
            None => Err(ErrorCode::UnknownMemberId.into()),
            Some(before) if joins && *before != *member_id => {
                let released = self
                    .member(before)
                    .is_none_or(|before| before.current.epoch == AWAY || before.uses_classic_protocol());
                match released {
                    true => Ok(Entry::Replaces(before.clone(), member_id.clone())),
                    false => Err(ErrorCode::UnreleasedInstanceId.into()),
                }
            }
            Some(owner) if *owner != *member_id => Err(ErrorCode::FencedInstanceId.into()),
            Some(_) => {
                known.map_or(Ok(()), |known| check_epoch(known, request.member_epoch, owned)).map(|()| entry)
            }
        }
    }

    /// The last ones who come do not come in when there are too many.
    pub(crate) fn has_room_for(&self, options: &Options, member_id: &str, instance_id: Option<&Str>) -> bool {
        self.members().len() < options.consumer_group_max_size
            || self.member(member_id).is_some()
            || instance_id.is_some_and(|instance_id| self.static_member(instance_id).is_some())
    }
}

/// A member says the epoch that it was told; or the one before, when it has not heard and so has nothing that it should not.
fn check_epoch(member: &Member, epoch: i32, owned: Option<&Partitions>) -> Result<(), Refusal> {
    let current = &member.current;
    let begins_anew = owned.is_some_and(Partitions::is_empty);
    if current.state == State::Unknown && !begins_anew {
        return Err(ErrorCode::FencedMemberEpoch.into());
    }
    if epoch == JOINING || epoch == current.epoch {
        return Ok(());
    }
    let has_not_heard = epoch < current.epoch
        && epoch == current.previous_epoch
        && owned.is_some_and(|owned| {
            owned.iter().all(|(topic, partition)| current.assigned.contains(&topic, partition))
        });
    match has_not_heard {
        true => Ok(()),
        false => Err(ErrorCode::FencedMemberEpoch.into()),
    }
}

/// What a member says that it has.
pub(crate) fn owned(request: &ConsumerGroupHeartbeatRequest) -> Option<Partitions> {
    let topics = request.topic_partitions.as_ref()?;
    let pairs = topics.iter().flat_map(|topic| topic.partitions.iter().map(|part| (topic.topic_id, *part)));
    Some(pairs.collect())
}

impl Ruling<'_, '_> {
    /// Whether the pattern of a request may be subscribed by.
    pub(crate) fn check_pattern(
        group: Option<&ConsumerGroup>,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<(), Refusal> {
        let Some(pattern) = request.subscribed_topic_regex.as_ref().filter(|pattern| !pattern.is_empty())
        else {
            return Ok(());
        };
        let is_known = group.is_some_and(|group| group.subscriptions().members_by(pattern) > 0);
        if is_known {
            return Ok(());
        }
        pattern::check(pattern).map_err(|invalid| {
            let why =
                format!("SubscribedTopicRegex {pattern} is not a valid regular expression: {}", invalid.0);
            Refusal::new(ErrorCode::InvalidRegularExpression, why)
        })
    }

    /// A request that may be carried out.
    pub(crate) fn heartbeat(
        &mut self,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
        entry: Entry,
        owned: Option<&Partitions>,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let id = self.enter(entry);
        let has_resubscribed = self.listen(&id, caller, request);
        self.retarget();
        let has_others = self.reconcile(&id, owned, has_resubscribed)?;
        let timeout_ms = self.session_timeout_ms(&id);
        self.keep_alive(&id, timeout_ms);
        let Some(member) = self.member(&id) else { return Err(ErrorCode::UnknownMemberId.into()) };
        let is_full = request.rebalance_timeout_ms != UNCHANGED_MS
            && (request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some())
            && owned.is_some();
        let is_told = request.member_epoch == JOINING || is_full || has_others;
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(id.clone()),
            member_epoch: member.current.epoch,
            heartbeat_interval_ms: self.env.consumer_heartbeat_interval_ms(
                &self.id,
                self.group().members().len(),
                member.current.state == State::UnreleasedPartitions,
            ),
            assignment: is_told.then(|| assignment(&member.current.assigned)),
            ..ConsumerGroupHeartbeatResponse::default()
        })
    }

    /// The member id by which the decision goes on.
    pub(crate) fn enter(&mut self, entry: Entry) -> Str {
        match entry {
            Entry::Member(id) => id,
            Entry::Replaces(before, id) => {
                let id = id.detached();
                self.replace(&before, &id);
                id
            }
        }
    }

    /// The new process of a static member has what the old one had, and begins at epoch 0.
    fn replace(&mut self, before: &Str, id: &Str) {
        let Some(member) = self.member(before).cloned() else { return };
        let target = self.group().target(before).cloned().unwrap_or_default();
        self.forget_member(before);
        self.emit(ConsumerChange::Member { member: id.clone(), metadata: Some(member.metadata) });
        self.emit(ConsumerChange::Target { member: id.clone(), partitions: Some(target) });
        let current = Current { epoch: 0, previous_epoch: 0, ..member.current };
        self.emit(ConsumerChange::Current { member: id.clone(), current: Some(current) });
    }

    /// Takes in what a member says of itself. Whether it reads other topics than before.
    fn listen(&mut self, id: &Str, caller: &Caller, request: &ConsumerGroupHeartbeatRequest) -> bool {
        let known = self.member(id).map(|member| &member.metadata);
        let told = match known {
            Some(known) if !may_say_something_new(known, caller, request) => None,
            Some(known) => Some(told(known.clone(), caller, request)).filter(|told| told != known),
            None => Some(told(Metadata::default(), caller, request)),
        };
        if let Some(told) = told {
            return self.retell(id, told);
        }
        self.catch_up();
        false
    }

    /// Writes down what a member says of itself. Whether it reads other topics than before.
    pub(super) fn retell(&mut self, id: &Str, told: Metadata) -> bool {
        let before = self.member(id).map(|member| member.metadata.clone()).unwrap_or_default();
        let assignor = self.assignor();
        let (topics, pattern) = (told.topics.clone(), told.pattern.clone());
        self.emit(ConsumerChange::Member { member: id.clone(), metadata: Some(told) });
        let by_pattern = self.change_pattern(before.pattern, &pattern);
        self.search_if_due();
        let by_name = before.topics != topics;
        let by_assignor = assignor != self.assignor();
        if by_name || by_assignor || by_pattern == PatternChange::Resolved {
            self.bump();
        } else if !self.attendance.is_current {
            self.bump_if_topics_changed();
        }
        by_name || by_pattern != PatternChange::None
    }
}

/// Nearly always it does not, and nothing is to be copied to find out.
fn may_say_something_new(known: &Metadata, caller: &Caller, request: &ConsumerGroupHeartbeatRequest) -> bool {
    let differs = |ours: &Option<Str>, theirs: &Option<Str>| theirs.is_some() && ours != theirs;
    let same_topics = |names: &Vec<Str>| {
        names.len() == known.topics.len() && names.iter().all(|name| known.topics.binary_search(name).is_ok())
    };
    known.classic.is_some()
        || known.client_id != caller.client_id
        || known.client_host != caller.client_host
        || differs(&known.instance_id, &request.instance_id)
        || differs(&known.rack_id, &request.rack_id)
        || differs(&known.assignor, &request.server_assignor)
        || request.subscribed_topic_regex.as_ref().is_some_and(|pattern| *pattern != known.pattern)
        || request.subscribed_topic_names.as_ref().is_some_and(|names| !same_topics(names))
        || (request.rebalance_timeout_ms != UNCHANGED_MS
            && request.rebalance_timeout_ms != known.rebalance_timeout_ms)
}

/// What is not sent stays. Nothing that is kept holds on to the request.
fn told(known: Metadata, caller: &Caller, request: &ConsumerGroupHeartbeatRequest) -> Metadata {
    let or = |ours: Option<Str>, theirs: &Option<Str>| theirs.as_ref().map(Str::detached).or(ours);
    Metadata {
        instance_id: or(known.instance_id, &request.instance_id),
        rack_id: or(known.rack_id, &request.rack_id),
        client_id: caller.client_id.detached(),
        client_host: caller.client_host.detached(),
        topics: request.subscribed_topic_names.as_deref().map_or(known.topics, topics),
        pattern: or(Some(known.pattern), &request.subscribed_topic_regex).unwrap_or_default(),
        rebalance_timeout_ms: match request.rebalance_timeout_ms {
            UNCHANGED_MS => known.rebalance_timeout_ms,
            timeout_ms => timeout_ms,
        },
        assignor: or(known.assignor, &request.server_assignor),
        classic: None,
    }
}

/// In order, each once.
pub(crate) fn topics(names: &[Str]) -> Vec<Str> {
    let mut topics: Vec<Str> = names.iter().map(Str::detached).collect();
    topics.sort_unstable();
    topics.dedup();
    topics
}

fn assignment(assigned: &Owned) -> Assignment {
    let topics = assigned.topics().map(|(topic_id, partitions)| TopicPartitions {
        topic_id,
        partitions: partitions.iter().map(|(partition, _)| *partition).collect(),
    });
    Assignment { topic_partitions: topics.collect() }
}
