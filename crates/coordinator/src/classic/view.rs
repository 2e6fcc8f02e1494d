//! What others may ask of a group: a description, whether a commit is from a member, which topics it reads.

use std::collections::BTreeSet;

use bytes::Bytes;
use protocol::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use protocol::wire::{Codec, Reader};
use protocol::{ErrorCode, Str};

use super::{Classic, State};

/// The protocol type of consumers, whose metadata we can read.
pub(crate) const CONSUMER: &str = "consumer";

impl Classic {
    pub(crate) fn protocol_type(&self) -> Option<&Str> {
        self.protocol_type.as_ref()
    }

    pub(crate) fn has_members(&self) -> bool {
        self.state != State::Empty
    }

    /// A generation below zero is that of somebody who is no member.
    pub(crate) fn check_commit(
        &self,
        member_id: &str,
        instance_id: Option<&Str>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        let claims_membership = generation >= 0 || !member_id.is_empty() || instance_id.is_some();
        if self.state == State::Empty && generation < 0 {
            return Ok(());
        }
        if !claims_membership {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.check_member(member_id, instance_id)?;
        if generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if self.state == State::CompletingRebalance {
            // The member has joined and does not know yet whether the partition stays with it.
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// As [`Self::check_commit`], in a transaction: who has been assigned its partitions before may commit while the group
    /// rebalances, and old clients do not say who they are.
    pub(crate) fn check_commit_in_transaction(
        &self,
        member_id: &str,
        instance_id: Option<&Str>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        let claims_membership = generation >= 0 || !member_id.is_empty() || instance_id.is_some();
        if !claims_membership || (self.state == State::Empty && generation < 0) {
            return Ok(());
        }
        self.check_member(member_id, instance_id)?;
        if generation != self.generation { Err(ErrorCode::IllegalGeneration) } else { Ok(()) }
    }

    pub(crate) fn describe(&self) -> DescribedGroup {
        let protocol = self.protocol.as_ref().filter(|_| self.state == State::Stable);
        let members = self.members.values().map(|member| DescribedGroupMember {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            member_metadata: protocol.map(|name| member.metadata(name)).unwrap_or_default(),
            member_assignment: member.assignment.clone(),
        });
        DescribedGroup {
            group_id: self.id.clone(),
            group_state: Str::from_static(self.state.name()),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_data: protocol.cloned().unwrap_or_default(),
            members: members.collect(),
            ..DescribedGroup::default()
        }
    }

    /// `None`: they are consumers, and it cannot be known; they may be reading anything.
    pub(crate) fn subscribed_topics(&self) -> Option<BTreeSet<Str>> {
        if self.protocol_type.as_ref().is_none_or(|kind| kind != CONSUMER) {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol.as_ref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscription(&member.metadata(protocol))?);
        }
        Some(topics)
    }
}

/// Every version of the metadata begins like version 0.
fn subscription(metadata: &Bytes) -> Option<Vec<Str>> {
    let mut r = Reader::new(metadata);
    let version = r.i16().ok()?;
    if version < 0 {
        return None;
    }
    ConsumerProtocolSubscription::read(&mut r, 0).ok().map(|subscription| subscription.topics)
}
