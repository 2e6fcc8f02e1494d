//! The member of the consumer protocol (KIP-848): one kind of request tells the coordinator what the member reads and has, and
//! tells the member what it should have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use host::Instant;
use protocol::messages::consumer_group_heartbeat_request::{ConsumerGroupHeartbeatRequest, TopicPartitions};
use protocol::messages::consumer_group_heartbeat_response::{Assignment, ConsumerGroupHeartbeatResponse};
use protocol::{ErrorCode, Str, Uuid};

use super::{Ask, Change, Identity, Learned, Membership, NEVER, Step, Told, Verdict, error_of, passing};
use crate::group::options::{GroupOptions, millis};
use crate::{Error, TopicPartition};

/// A partition as the coordinator names it.
type Place = (Uuid, i32);

const JOINING: i32 = 0;
const LEAVING: i32 = -1;
/// Of a static member, which may come back.
const LEAVING_FOR_NOW: i32 = -2;
/// A topic whose name is not known yet may be on its way to the broker that was asked.
const LEARN_AGAIN_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(in crate::group) struct Modern {
    options: Arc<GroupOptions>,
    member_id: Str,
    epoch: i32,
    is_asked: bool,
    /// The next heartbeat says everything: the coordinator may not know what the ones before said.
    says_all: bool,
    /// What the coordinator knows that we have.
    known: Option<BTreeSet<Place>>,
    /// What the heartbeat that is under way tells it.
    telling: Option<BTreeSet<Place>>,
    /// What we should have.
    target: BTreeSet<Place>,
    names: BTreeMap<Uuid, Str>,
    owned: BTreeSet<Place>,
    /// The change that is to be or being carried out, and what we have then.
    change: Option<Change>,
    becoming: Option<BTreeSet<Place>>,
    /// The coordinator does not know us any more; said while a change was being carried out.
    is_lost: bool,
    beat_at: Instant,
    not_before: Instant,
    learn_at: Instant,
}

impl Modern {
    /// The member id is the client's choice.
    pub(in crate::group) fn new(options: Arc<GroupOptions>, member_id: Str, now: Instant) -> Self {
        Self {
            options,
            member_id,
            epoch: JOINING,
            is_asked: false,
            says_all: true,
            known: None,
            telling: None,
            target: BTreeSet::new(),
            names: BTreeMap::new(),
            owned: BTreeSet::new(),
            change: None,
            becoming: None,
            is_lost: false,
            beat_at: now,
            not_before: now,
            learn_at: now,
        }
    }

    /// What we should have and can name.
    fn reachable(&self) -> BTreeSet<Place> {
        self.target.iter().filter(|place| self.names.contains_key(&place.0)).copied().collect()
    }

    fn named(&self, places: &BTreeSet<Place>) -> BTreeSet<TopicPartition> {
        let name = |(id, partition): &Place| {
            Some(TopicPartition { topic: self.names.get(id)?.clone(), partition: *partition })
        };
        places.iter().filter_map(name).collect()
    }

    /// Plans to have these partitions and no others.
    fn become_owner_of(&mut self, places: BTreeSet<Place>, lost: bool) {
        let difference = |one: &BTreeSet<Place>, other| one.difference(other).copied().collect();
        let give = self.named(&difference(&self.owned, &places));
        let take = self.named(&difference(&places, &self.owned));
        self.change = Some(Change { give, lost, take });
        self.becoming = Some(places);
    }

    /// We are no member any more, and join again.
    fn lose(&mut self) {
        self.epoch = JOINING;
        self.says_all = true;
        self.known = None;
        self.target.clear();
        if self.becoming.is_some() {
            self.is_lost = true;
        } else if !self.owned.is_empty() {
            self.become_owner_of(BTreeSet::new(), true);
        }
    }

    fn request(&mut self) -> ConsumerGroupHeartbeatRequest {
        let options = &self.options;
        let mut request = ConsumerGroupHeartbeatRequest {
            group_id: options.group.clone(),
            member_id: self.member_id.clone(),
            member_epoch: self.epoch,
            instance_id: options.instance_id.clone(),
            ..Default::default()
        };
        if self.says_all {
            request.rack_id = options.rack.clone();
            request.rebalance_timeout_ms = millis(options.rebalance_timeout);
            request.subscribed_topic_names = Some(options.topics.clone());
            request.server_assignor = options.server_assignor.clone();
        }
        let is_news = self.becoming.is_none() && self.known.as_ref() != Some(&self.owned);
        self.telling = (self.says_all || is_news).then(|| self.owned.clone());
        request.topic_partitions = self.telling.as_ref().map(by_topic);
        request
    }

    fn taken_in(&mut self, response: ConsumerGroupHeartbeatResponse, now: Instant) {
        if let Some(id) = response.member_id.filter(|id| !id.is_empty()) {
            self.member_id = id.detached();
        }
        self.epoch = response.member_epoch;
        let interval = u64::try_from(response.heartbeat_interval_ms).unwrap_or(0);
        self.beat_at = now.after(Duration::from_millis(interval));
        self.says_all = false;
        if let Some(told) = self.telling.take() {
            self.known = Some(told);
        }
        if let Some(assignment) = &response.assignment {
            self.target = places(assignment);
            self.learn_at = now;
        }
    }
}

impl Membership for Modern {
    fn next(&mut self, now: Instant) -> Step {
        if let Some(change) = self.change.take() {
            return Step::Change(change);
        }
        let is_changing = self.becoming.is_some();
        if self.is_asked || (is_changing && self.epoch == JOINING) {
            return Step::Wait(now.after(NEVER));
        }
        let mut wake = now.after(NEVER);
        if !is_changing && self.epoch != JOINING {
            let reachable = self.reachable();
            if reachable.len() < self.target.len() {
                if now >= self.learn_at {
                    self.learn_at = now.after(LEARN_AGAIN_AFTER);
                    return Step::Learn(self.options.topics.clone());
                }
                wake = self.learn_at;
            }
            if reachable != self.owned {
                self.become_owner_of(reachable, false);
                return self.next(now);
            }
        }
        let has_news = !is_changing && self.known.as_ref() != Some(&self.owned);
        let at = if self.says_all || has_news { self.not_before } else { self.beat_at.max(self.not_before) };
        if now < at {
            return Step::Wait(at.min(wake));
        }
        self.is_asked = true;
        Step::Ask(Ask::Beat(self.request()))
    }

    fn answered(
        &mut self,
        result: Result<Told, Error>,
        now: Instant,
        pause: Duration,
    ) -> Result<Verdict, Error> {
        self.is_asked = false;
        let Some(error) = error_of(&self.options.group, &result) else {
            if let Ok(Told::Beat(response)) = result {
                self.taken_in(response, now);
            }
            return Ok(Verdict::Well);
        };
        self.not_before = now.after(pause);
        self.says_all = true;
        self.telling = None;
        match error.code() {
            Some(ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId) => {
                self.lose();
                Ok(Verdict::Again)
            }
            _ => passing(&error).ok_or(error),
        }
    }

    fn changed(&mut self, _now: Instant) {
        if let Some(owned) = self.becoming.take() {
            self.owned = owned;
        }
        if std::mem::take(&mut self.is_lost) && !self.owned.is_empty() {
            self.become_owner_of(BTreeSet::new(), true);
        }
    }

    fn learned(&mut self, topics: &[Learned], _now: Instant) {
        // Names of topics that we still have stay: a topic of the same name may have come in its place.
        self.names.extend(topics.iter().map(|topic| (topic.id, topic.name.clone())));
    }

    fn leave(&self) -> Option<Ask> {
        let epoch = if self.options.instance_id.is_some() { LEAVING_FOR_NOW } else { LEAVING };
        (self.epoch != JOINING).then(|| {
            Ask::Beat(ConsumerGroupHeartbeatRequest {
                group_id: self.options.group.clone(),
                member_id: self.member_id.clone(),
                member_epoch: epoch,
                instance_id: self.options.instance_id.clone(),
                ..Default::default()
            })
        })
    }

    fn identity(&self) -> Identity {
        Identity {
            member_id: self.member_id.clone(),
            epoch: (self.epoch != JOINING).then_some(self.epoch),
            instance_id: self.options.instance_id.clone(),
            is_modern: true,
        }
    }
}

fn by_topic(places: &BTreeSet<Place>) -> Vec<TopicPartitions> {
    let mut topics: Vec<TopicPartitions> = Vec::new();
    for (topic_id, partition) in places {
        match topics.last_mut().filter(|last| last.topic_id == *topic_id) {
            Some(last) => last.partitions.push(*partition),
            None => topics.push(TopicPartitions { topic_id: *topic_id, partitions: vec![*partition] }),
        }
    }
    topics
}

fn places(assignment: &Assignment) -> BTreeSet<Place> {
    let topics = assignment.topic_partitions.iter();
    topics.flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic_id, *partition))).collect()
}
