//! Epochs of a group, targets of an epoch, and the way of a member to its target.

use protocol::{ErrorCode, Str, Uuid};

use super::super::assign::{self, Assignor, Input, Reader};
use super::super::group::{ConsumerGroup, GroupEpoch, TargetEpoch};
use super::super::hash::hash_of_topics;
use super::super::member::{Current, Metadata, State};
use super::super::partitions::Partitions;
use super::super::reconcile::Facts;
use super::{Refusal, Ruling};
use crate::record::ConsumerChange;

impl Ruling<'_, '_> {
    /// Something is different: a new epoch.
    pub(super) fn bump(&mut self) {
        let metadata_hash = self.metadata_hash();
        let epoch = self.group().epoch.epoch.checked_add(1).unwrap_or(1);
        self.emit(ConsumerChange::Epoch(Some(GroupEpoch { epoch, metadata_hash })));
        self.settle_hash();
    }

    /// A new epoch, if the topics are not what they were when the last one began.
    pub(super) fn bump_if_topics_changed(&mut self) {
        if self.metadata_hash() == self.group().epoch.metadata_hash {
            self.settle_hash();
        } else {
            self.bump();
        }
    }

    /// Sees to what has happened since somebody was heard the last time.
    pub(super) fn catch_up(&mut self) {
        self.search_if_due();
        if !self.attendance.is_current {
            self.bump_if_topics_changed();
        }
        self.retarget();
    }

    fn settle_hash(&mut self) {
        self.attendance.is_current = true;
        if self.group().has_subscription_metadata {
            self.emit(ConsumerChange::SubscriptionMetadata { is_there: false });
        }
    }

    pub(crate) fn metadata_hash(&self) -> i64 {
        hash_of_topics(&self.env.cluster.image, self.group().subscriptions().topics())
    }

    /// Computes the targets of the epoch, unless the last time was too short ago.
    pub(super) fn retarget(&mut self) {
        if self.group().target_epoch.epoch >= self.group().epoch.epoch || !self.may_assign() {
            return;
        }
        let assignor = self.assignor();
        for (member, partitions) in changed_targets(self.group(), &self.env.cluster.image, assignor) {
            self.emit(ConsumerChange::Target { member, partitions: Some(partitions) });
        }
        let (epoch, timestamp_ms) = (self.group().epoch.epoch, self.env.now.wall_ms);
        self.emit(ConsumerChange::TargetEpoch(Some(TargetEpoch { epoch, timestamp_ms })));
    }

    /// A clock that was set back does not keep a group waiting.
    fn may_assign(&self) -> bool {
        let last_ms = self.group().target_epoch.timestamp_ms;
        let since_ms = self.env.now.wall_ms.saturating_sub(last_ms);
        let interval_ms = i64::from(self.env.consumer_assignment_interval_ms(&self.id));
        last_ms == 0 || since_ms < 0 || since_ms >= interval_ms
    }

    /// What most members prefer of what there is.
    pub(super) fn assignor(&self) -> Assignor {
        let preferred = self.group().preferred_assignor().and_then(|name| Assignor::named(name));
        let allowed = &self.env.options.consumer_assignors;
        let preferred = preferred.filter(|assignor| allowed.contains(assignor));
        preferred.or(allowed.first().copied()).unwrap_or(Assignor::Uniform)
    }

    /// Takes a member one step further to its target. Whether it has other partitions than before.
    pub(super) fn reconcile(
        &mut self,
        id: &Str,
        owned: Option<&Partitions>,
        has_resubscribed: bool,
    ) -> Result<bool, Refusal> {
        let group = self.group();
        let Some(member) = group.member(id) else { return Ok(false) };
        if !has_resubscribed && member.is_reconciled_to(group.target_epoch.epoch) {
            return Ok(false);
        }
        let next = self.next_of(id, &member.metadata, &member.current, owned, has_resubscribed)?;
        if next == member.current {
            return Ok(false);
        }
        let has_others = !next.assigned.partitions_eq(&member.current.assigned);
        let (is_classic, rebalance_ms) =
            (member.uses_classic_protocol(), member.metadata.rebalance_timeout_ms);
        let (state, epoch) = (next.state, next.epoch);
        self.emit(ConsumerChange::Current { member: id.clone(), current: Some(next) });
        if !is_classic {
            match state {
                State::UnrevokedPartitions => self.expect_revocation(id, epoch, rebalance_ms),
                _ => self.cancel(id, super::Due::Rebalance),
            }
        }
        Ok(has_others)
    }

    fn next_of(
        &self,
        id: &Str,
        metadata: &Metadata,
        current: &Current,
        owned: Option<&Partitions>,
        has_resubscribed: bool,
    ) -> Result<Current, Refusal> {
        let group = self.group();
        let nothing = Partitions::default();
        let reads = |topic: &Uuid| {
            let topic = self.env.cluster.image.topic_by_id((*topic).into());
            topic.is_some_and(|topic| group.reads(metadata, topic.name()))
        };
        let facts = Facts {
            current,
            target_epoch: group.target_epoch.epoch,
            target: group.target(id).unwrap_or(&nothing),
            has_resubscribed,
            owned,
            reads,
            is_taken: |topic: &Uuid, partition: i32| group.is_taken(topic, partition),
        };
        facts.next().map_err(|_| Refusal::from(ErrorCode::FencedMemberEpoch))
    }
}

/// The targets that are others than before.
fn changed_targets(
    group: &ConsumerGroup,
    image: &metadata::Image,
    assignor: Assignor,
) -> Vec<(Str, Partitions)> {
    let input = input(group, image);
    let assigned = assign::assign(assignor, &input);
    let all = input.readers.iter().zip(assigned);
    let changed = all.filter(|(reader, partitions)| group.target(reader.id) != Some(partitions));
    changed.map(|(reader, partitions)| (reader.id.clone(), partitions)).collect()
}

fn input<'a>(group: &'a ConsumerGroup, image: &metadata::Image) -> Input<'a> {
    let subscriptions = group.subscriptions();
    let topics = subscriptions.topics().filter_map(|name| image.topic(name));
    let topics = topics.map(|topic| (topic.id().0, topic.partition_count())).collect();
    let alike = subscriptions.are_alike(group.members().len());
    let mut shared: Option<Vec<Uuid>> = None;
    let readers = group.members().iter().map(|(id, member)| {
        let topics = match &shared {
            Some(shared) if alike => shared.clone(),
            _ => topics_of(group, &member.metadata, image),
        };
        if alike && shared.is_none() {
            shared = Some(topics.clone());
        }
        let instance_id = member.metadata.instance_id.as_ref();
        Reader { id, instance_id, topics, before: group.target(id) }
    });
    Input { readers: readers.collect(), alike, topics }
}

/// Topics that a member reads and that exist, by id, ascending.
fn topics_of(group: &ConsumerGroup, member: &Metadata, image: &metadata::Image) -> Vec<Uuid> {
    let by_pattern = group.pattern(&member.pattern).filter(|_| member.has_pattern());
    let by_pattern = by_pattern.into_iter().flat_map(|resolved| &resolved.topics);
    let names = member.topics.iter().chain(by_pattern);
    let mut ids: Vec<Uuid> = names.filter_map(|name| image.topic_id(name)).map(|id| id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
