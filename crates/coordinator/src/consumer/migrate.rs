//! From one protocol to the other while members are there: a classic group becomes a consumer group when the first member of
//! the consumer protocol comes, and a classic group again when the last one has left. Nobody has to stop for that.

use protocol::{ErrorCode, Str};

use super::embedded;
use super::group::{ConsumerGroup, GroupEpoch, TargetEpoch};
use super::member::{ClassicMetadata, Current, Metadata, State};
use super::partitions::{Owned, Partitions};
use super::ruling::{Entry, Refusal, Ruling};
use crate::classic::{CONSUMER, Classic, Member as ClassicMember};
use crate::options::Options;
use crate::record::ConsumerChange;

/// Epoch 0 is that of those who join.
const EPOCH_MIN: i32 = 1;

/// A classic group as a consumer group.
#[derive(Debug)]
pub(crate) struct Upgrade {
    epoch: i32,
    members: Vec<(Str, Metadata, Partitions)>,
}

impl Upgrade {
    /// `None` in the error's place: what a group cannot become is not there for whoever asks.
    pub(crate) fn plan(group: &Classic, options: &Options, image: &metadata::Image) -> Result<Self, Refusal> {
        let refuse = |why: &str| Refusal::new(ErrorCode::GroupIdNotFound, why);
        if !options.consumer_migration.upgrades() {
            return Err(refuse(
                "the group uses the classic protocol, and group.consumer.migration.policy keeps it so",
            ));
        }
        if group.protocol_type().is_none_or(|kind| kind != CONSUMER) {
            return Err(refuse("the group uses the classic protocol, and not for consumers"));
        }
        if group.members().len() > options.consumer_group_max_size {
            return Err(refuse(
                "the group uses the classic protocol, and has more than group.consumer.max.size members",
            ));
        }
        let protocol = group.protocol().cloned().or_else(|| group.select_protocol()).unwrap_or_default();
        let mut members = Vec::with_capacity(group.members().len());
        for (id, member) in group.members() {
            let malformed =
                || refuse("the group uses the classic protocol, and what its members say is malformed");
            let subscription = embedded::subscription(&member.metadata(&protocol)).ok_or_else(malformed)?;
            let assigned = embedded::assigned(&member.assignment, image).ok_or_else(|| {
                refuse("the group uses an assignor of its own: have all members use one of Kafka's, then try again")
            })?;
            let rack_id = subscription.rack_id.as_ref().filter(|rack| !rack.is_empty());
            let metadata = Metadata {
                instance_id: member.instance_id.clone(),
                rack_id: rack_id.map(Str::detached),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                topics: super::ruling::topics(&subscription.topics),
                pattern: Str::EMPTY,
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                assignor: None,
                classic: Some(Box::new(ClassicMetadata {
                    session_timeout_ms: member.session_timeout_ms,
                    protocols: member.protocols.clone(),
                })),
            };
            members.push((id.clone(), metadata, assigned));
        }
        Ok(Self { epoch: group.generation().max(EPOCH_MIN), members })
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// How a member of the consumer protocol comes into what the group will be. A static one takes its old place.
    pub(crate) fn entry(&self, member_id: &Str, instance_id: Option<&Str>) -> Entry {
        let mut members = self.members.iter();
        let before = members
            .find(|(_, metadata, _)| instance_id.is_some() && metadata.instance_id.as_ref() == instance_id);
        match before {
            Some((before, ..)) if before != member_id => Entry::Replaces(before.clone(), member_id.clone()),
            _ => Entry::Member(member_id.detached()),
        }
    }

    pub(crate) fn has(&self, member_id: &str, instance_id: Option<&Str>) -> bool {
        let is_it = |(id, metadata, _): &(Str, Metadata, Partitions)| {
            *id == member_id || (instance_id.is_some() && metadata.instance_id.as_ref() == instance_id)
        };
        self.members.iter().any(is_it)
    }

    /// Writes the group down; the classic one is gone by now. Members go on with what they have.
    pub(crate) fn carry_out(self, ruling: &mut Ruling<'_, '_>) {
        let epoch = self.epoch;
        for (member, metadata, _) in &self.members {
            let change = ConsumerChange::Member { member: member.clone(), metadata: Some(metadata.clone()) };
            ruling.emit(change);
        }
        ruling.set_epoch(epoch);
        for (member, _, partitions) in &self.members {
            let change =
                ConsumerChange::Target { member: member.clone(), partitions: Some(partitions.clone()) };
            ruling.emit(change);
        }
        ruling.emit(ConsumerChange::TargetEpoch(Some(TargetEpoch { epoch, timestamp_ms: 0 })));
        for (member, _, partitions) in self.members {
            let assigned: Owned = partitions.iter().map(|(topic, part)| (topic, part, epoch)).collect();
            let current = Current {
                epoch,
                previous_epoch: epoch,
                state: State::Stable,
                assigned,
                revoking: Owned::default(),
            };
            ruling.emit(ConsumerChange::Current { member, current: Some(current) });
        }
        ruling.resume();
    }
}

impl ConsumerGroup {
    /// Whether a classic group is what is left when some members are gone.
    pub(crate) fn can_downgrade_without(&self, gone: &[Str], options: &Options) -> bool {
        let gone_classic = gone.iter().filter_map(|id| self.member(id));
        let gone_classic = gone_classic.filter(|member| member.uses_classic_protocol()).count();
        let left = self.members().len().saturating_sub(gone.len());
        left > 0 && self.classic_members() - gone_classic == left && may_downgrade(left, options)
    }

    /// Whether a classic group is what the group becomes when a classic member takes the place of this one.
    pub(crate) fn can_downgrade_replacing(&self, id: &str, options: &Options) -> bool {
        let is_last = self.member(id).is_some_and(|member| !member.uses_classic_protocol())
            && self.classic_members() + 1 == self.members().len();
        is_last && may_downgrade(self.members().len(), options)
    }

    /// Its members as those of a classic group. All of them use the classic protocol; each has what was meant for it.
    pub(crate) fn classic_members_of(&self, without: &[Str], image: &metadata::Image) -> Vec<ClassicMember> {
        let left = self.members().iter().filter(|(id, _)| !without.contains(id));
        let classic = left.filter_map(|(id, member)| {
            let metadata = &member.metadata;
            let classic = metadata.classic.as_ref()?;
            let version = classic.protocols.first().map_or(0, |(_, bytes)| embedded::version(bytes));
            let target = self.target(id).cloned().unwrap_or_default();
            Some(ClassicMember {
                id: id.clone(),
                instance_id: metadata.instance_id.clone(),
                client_id: metadata.client_id.clone(),
                client_host: metadata.client_host.clone(),
                rebalance_timeout_ms: metadata.rebalance_timeout_ms,
                session_timeout_ms: classic.session_timeout_ms,
                protocols: classic.protocols.clone(),
                assignment: embedded::assignment(&target, version, image),
                is_new: false,
                join: None,
                sync: None,
                session: crate::classic::Session::default(),
            })
        });
        classic.collect()
    }
}

fn may_downgrade(members: usize, options: &Options) -> bool {
    options.consumer_migration.downgrades() && members <= options.group_max_size
}

impl Ruling<'_, '_> {
    /// An epoch that is not the next one.
    fn set_epoch(&mut self, epoch: i32) {
        let metadata_hash = self.metadata_hash();
        self.emit(ConsumerChange::Epoch(Some(GroupEpoch { epoch, metadata_hash })));
        self.attendance.is_current = true;
    }

    /// Takes away all that was written of the group; its timers wake nobody.
    pub(crate) fn bury(&mut self) {
        let members: Vec<Str> = self.group().members().keys().cloned().collect();
        let watched: Vec<Str> = self.attendance.members().cloned().collect();
        for id in watched {
            self.cancel_all(&id);
        }
        for member in &members {
            self.emit(ConsumerChange::Current { member: member.clone(), current: None });
        }
        let targets: Vec<Str> = self.group().targets().keys().cloned().collect();
        for member in targets {
            self.emit(ConsumerChange::Target { member, partitions: None });
        }
        self.emit(ConsumerChange::TargetEpoch(None));
        for member in members {
            self.emit(ConsumerChange::Member { member, metadata: None });
        }
        let patterns: Vec<Str> = self.group().patterns().map(|(pattern, _)| pattern.clone()).collect();
        for pattern in patterns {
            self.emit(ConsumerChange::Pattern { pattern, resolved: None });
        }
        if self.group().has_subscription_metadata {
            self.emit(ConsumerChange::SubscriptionMetadata { is_there: false });
        }
        self.emit(ConsumerChange::Epoch(None));
    }
}
