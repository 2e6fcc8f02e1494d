//! What others may ask of a consumer group: a description, and whether a commit or a fetch is from a member.

use protocol::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member as DescribedMember, TopicPartitions,
};
use protocol::{ErrorCode, Str, Uuid};

use super::super::group::{ConsumerGroup, all_owned};
use super::super::member::{LEAVING, Member};
use super::super::partitions::Partitions;

/// From here OffsetCommit knows the errors of the consumer protocol.
const COMMIT_BY_EPOCH: i16 = 9;
/// Kinds of members.
const CLASSIC: i8 = 0;
const CONSUMER: i8 = 1;

impl ConsumerGroup {
    pub(crate) fn describe(
        &self,
        group_id: Str,
        image: &metadata::Image,
        assignor: &'static str,
    ) -> DescribedGroup {
        let described = |(id, member): (&Str, &Member)| DescribedMember {
            member_id: id.clone(),
            instance_id: member.metadata.instance_id.clone(),
            rack_id: member.metadata.rack_id.clone(),
            member_epoch: member.current.epoch,
            client_id: member.metadata.client_id.clone(),
            client_host: member.metadata.client_host.clone(),
            subscribed_topic_names: member.metadata.topics.clone(),
            subscribed_topic_regex: Some(member.metadata.pattern.clone()),
            assignment: assignment(&all_owned(&member.current).partitions(), image),
            target_assignment: self.target(id).map(|target| assignment(target, image)).unwrap_or_default(),
            member_type: if member.uses_classic_protocol() { CLASSIC } else { CONSUMER },
        };
        DescribedGroup {
            group_id,
            group_state: Str::from_static(self.state()),
            group_epoch: self.epoch.epoch,
            assignment_epoch: self.target_epoch.epoch,
            assignor_name: self.preferred_assignor().cloned().unwrap_or(Str::from_static(assignor)),
            members: self.members().iter().map(described).collect(),
            ..DescribedGroup::default()
        }
    }

    /// Whether somebody may commit in this version of OffsetCommit, and for what.
    pub(crate) fn check_commit(
        &self,
        version: i16,
        member_id: &str,
        epoch: i32,
    ) -> Result<Committer<'_>, ErrorCode> {
        let uses_classic = self.member(member_id).is_none_or(Member::uses_classic_protocol);
        if !uses_classic && version < COMMIT_BY_EPOCH {
            return Err(ErrorCode::UnsupportedVersion);
        }
        self.committer(member_id, epoch)
    }

    /// As [`Self::check_commit`], in a transaction: whoever does not say that it is a member is taken for a producer that
    /// chooses its partitions itself.
    pub(crate) fn check_commit_in_transaction(
        &self,
        member_id: &str,
        instance_id: Option<&Str>,
        epoch: i32,
    ) -> Result<Committer<'_>, ErrorCode> {
        if epoch == LEAVING && member_id.is_empty() && instance_id.is_none() {
            return Ok(Committer::Anybody);
        }
        self.committer(member_id, epoch)
    }

    fn committer(&self, member_id: &str, epoch: i32) -> Result<Committer<'_>, ErrorCode> {
        if epoch < 0 && self.is_empty() {
            return Ok(Committer::Anybody);
        }
        let member = self.member(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        match epoch.cmp(&member.current.epoch) {
            std::cmp::Ordering::Equal => Ok(Committer::Anybody),
            std::cmp::Ordering::Greater => Err(stale(member)),
            std::cmp::Ordering::Less => Ok(Committer::Late { member, epoch }),
        }
    }

    /// Whether somebody may know what was committed.
    pub(crate) fn check_fetch(&self, member_id: Option<&Str>, epoch: i32) -> Result<(), ErrorCode> {
        if member_id.is_none() && epoch < 0 {
            return Ok(());
        }
        let member = member_id.and_then(|id| self.member(id)).ok_or(ErrorCode::UnknownMemberId)?;
        if member.current.epoch == epoch { Ok(()) } else { Err(stale(member)) }
    }
}

/// The error by which a member learns that its epoch is another one.
fn stale(member: &Member) -> ErrorCode {
    match member.uses_classic_protocol() {
        true => ErrorCode::IllegalGeneration,
        false => ErrorCode::StaleMemberEpoch,
    }
}

/// Who commits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Committer<'a> {
    /// Whoever may commit for every partition.
    Anybody,
    /// A member that has not heard of its newest epoch yet. It may commit for what it has had ever since (KIP-1251).
    Late { member: &'a Member, epoch: i32 },
}

impl Committer<'_> {
    pub(crate) fn check(self, topic: &Uuid, partition: i32) -> Result<(), ErrorCode> {
        let Committer::Late { member, epoch } = self else { return Ok(()) };
        let current = &member.current;
        let given = current.assigned.epoch_of(topic, partition);
        match given.or_else(|| current.revoking.epoch_of(topic, partition)) {
            Some(given) if epoch >= given => Ok(()),
            _ => Err(stale(member)),
        }
    }
}

fn assignment(partitions: &Partitions, image: &metadata::Image) -> Assignment {
    let topics = partitions.topics().filter_map(|(topic_id, partitions)| {
        let topic_name = image.topic_by_id(topic_id.into())?.name().clone();
        Some(TopicPartitions { topic_id, topic_name, partitions: partitions.to_vec() })
    });
    Assignment { topic_partitions: topics.collect() }
}
