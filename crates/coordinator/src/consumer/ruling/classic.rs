//! Members that use the classic protocol in a group of the consumer protocol: their joins, syncs and heartbeats are steps of
//! the same reconciliation. The generation of such a member is its epoch.

use bytes::Bytes;
use metadata::config::MigrationPolicy;
use protocol::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use protocol::messages::heartbeat_request::HeartbeatRequest;
use protocol::messages::join_group_response::JoinGroupResponse;
use protocol::messages::sync_group_request::SyncGroupRequest;
use protocol::messages::sync_group_response::SyncGroupResponse;
use protocol::{ErrorCode, Str};

use super::super::embedded;
use super::super::group::ConsumerGroup;
use super::super::member::{ClassicMetadata, Member, Metadata, State};
use super::super::partitions::Partitions;
use super::heartbeat::topics;
use super::{Due, Entry, Ruling};
use crate::classic::{CONSUMER, Join};

/// A join that may be carried out.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub entry: Entry,
    subscription: ConsumerProtocolSubscription,
}

impl ConsumerGroup {
    /// Whether a classic member may join; the id is the one that it has or will have.
    pub(crate) fn admit(
        &self,
        options: &crate::Options,
        join: &Join,
        member_id: &Str,
    ) -> Result<Admitted, ErrorCode> {
        let inconsistent = ErrorCode::InconsistentGroupProtocol;
        let can_do = |(name, _): &(Str, Bytes)| self.all_can_do(name);
        if options.consumer_migration == MigrationPolicy::Disabled {
            return Err(inconsistent);
        }
        if !self.has_room_for(options, member_id, join.instance_id.as_ref()) {
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        if join.protocol_type != CONSUMER || !join.protocols.iter().any(can_do) {
            return Err(inconsistent);
        }
        let (_, metadata) = join.protocols.first().ok_or(inconsistent)?;
        let subscription = embedded::subscription(metadata).ok_or(inconsistent)?;
        let entry = Entry::Member(self.member_id(member_id).unwrap_or(member_id).clone());
        let owner = join.instance_id.as_ref().map(|instance_id| self.static_member(instance_id));
        let entry = match owner {
            None => entry,
            Some(None) if join.member_id.is_empty() => entry,
            Some(None) => return Err(ErrorCode::UnknownMemberId),
            Some(Some(before)) if join.member_id.is_empty() => {
                Entry::Replaces(before.clone(), member_id.clone())
            }
            Some(Some(owner)) if *owner != *member_id => return Err(ErrorCode::FencedInstanceId),
            Some(Some(_)) => entry,
        };
        Ok(Admitted { entry, subscription })
    }

    /// Who it is that leaves, or is taken out.
    pub(crate) fn leaving(&self, member_id: &str, instance_id: Option<&Str>) -> Result<Str, ErrorCode> {
        let unknown = ErrorCode::UnknownMemberId;
        let Some(instance_id) = instance_id else {
            return self.member_id(member_id).cloned().ok_or(unknown);
        };
        let owner = self.static_member(instance_id).ok_or(unknown)?;
        if !member_id.is_empty() && *owner != member_id {
            return Err(ErrorCode::FencedInstanceId);
        }
        Ok(owner.clone())
    }

    /// The classic member that a request comes from.
    fn classic_member(&self, id: &str, instance_id: Option<&Str>) -> Result<&Member, ErrorCode> {
        if let Some(instance_id) = instance_id {
            let owner = self.static_member(instance_id).ok_or(ErrorCode::UnknownMemberId)?;
            if *owner != id {
                return Err(ErrorCode::FencedInstanceId);
            }
        }
        let member = self.member(id).filter(|member| member.uses_classic_protocol());
        member.ok_or(ErrorCode::UnknownMemberId)
    }

    /// A member waits although what it waits for is free.
    fn could_get_more(&self, id: &str, member: &Member) -> bool {
        let target = self.target(id).into_iter().flat_map(Partitions::iter);
        let missing = target.filter(|(topic, part)| !member.current.assigned.contains(topic, *part));
        member.current.state == State::UnreleasedPartitions
            && missing.into_iter().all(|(topic, partition)| !self.is_taken(&topic, partition))
    }
}

/// The protocol by which a classic member was told that it joined.
fn protocol_of(member: &Member) -> Option<&(Str, Bytes)> {
    member.metadata.classic.as_ref()?.protocols.first()
}

impl Ruling<'_, '_> {
    /// Takes in what a classic member says; whether it reads other topics than before.
    pub(crate) fn listen_to_join(&mut self, id: &Str, join: &Join, admitted: &Admitted) -> bool {
        let subscription = &admitted.subscription;
        let known = self.member(id).map(|member| member.metadata.clone()).unwrap_or_default();
        let rack_id = subscription.rack_id.as_ref().filter(|rack| !rack.is_empty()).map(Str::detached);
        let classic = ClassicMetadata {
            session_timeout_ms: join.session_timeout_ms,
            protocols: join.protocols.clone(),
        };
        let told = Metadata {
            instance_id: join.instance_id.clone().or(known.instance_id.clone()),
            rack_id: rack_id.or(known.rack_id.clone()),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            topics: topics(&subscription.topics),
            pattern: Str::EMPTY,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            assignor: known.assignor.clone(),
            classic: Some(Box::new(classic)),
        };
        if self.member(id).is_some() && told == known {
            self.catch_up();
            return false;
        }
        self.retell(id, told)
    }

    /// A classic member joins; it will ask for its assignment.
    pub(crate) fn join(
        &mut self,
        id: &Str,
        join: &Join,
        admitted: &Admitted,
        has_resubscribed: bool,
    ) -> JoinGroupResponse {
        let owned = embedded::owned(&admitted.subscription, &self.env.cluster.image);
        self.retarget();
        // Only a state of a newer version is refused, and a member in one begins anew.
        let _ = self.reconcile(id, Some(&owned), has_resubscribed);
        self.cancel(id, Due::Join);
        self.keep_alive(id, join.session_timeout_ms);
        self.expect_sync(id, join.rebalance_timeout_ms);
        self.joined(id)
    }

    /// What a classic member hears when it has joined.
    pub(crate) fn joined(&self, id: &Str) -> JoinGroupResponse {
        let member = self.member(id);
        JoinGroupResponse {
            generation_id: member.map_or(-1, |member| member.current.epoch),
            protocol_type: Some(Str::from_static(CONSUMER)),
            protocol_name: member.and_then(protocol_of).map(|(name, _)| name.clone()),
            member_id: id.clone(),
            ..JoinGroupResponse::default()
        }
    }

    pub(crate) fn sync(&mut self, request: &SyncGroupRequest) -> Result<SyncGroupResponse, ErrorCode> {
        let group = self.group();
        let member = group.classic_member(&request.member_id, request.group_instance_id.as_ref())?;
        if member.current.epoch != request.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        let protocol = protocol_of(member).map(|(name, _)| name);
        let is_other_type = request.protocol_type.as_ref().is_some_and(|kind| *kind != CONSUMER);
        if is_other_type || request.protocol_name.as_ref().is_some_and(|name| Some(name) != protocol) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let id = request.member_id.clone();
        let is_behind = group.target_epoch.epoch > member.current.epoch;
        if is_behind && member.current.state != State::UnrevokedPartitions {
            let timeout_ms = member.metadata.rebalance_timeout_ms;
            self.expect_join(&id, timeout_ms);
            return Err(ErrorCode::RebalanceInProgress);
        }
        let version = protocol_of(member).map_or(0, |(_, metadata)| embedded::version(metadata));
        let assignment =
            embedded::assignment(&member.current.assigned.partitions(), version, &self.env.cluster.image);
        self.cancel(&id, Due::Sync);
        let timeout_ms = self.session_timeout_ms(&id);
        self.keep_alive(&id, timeout_ms);
        Ok(SyncGroupResponse {
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment,
            ..SyncGroupResponse::default()
        })
    }

    pub(crate) fn classic_heartbeat(&mut self, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
        let group = self.group();
        let member = group.classic_member(&request.member_id, request.group_instance_id.as_ref())?;
        if member.current.epoch != request.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        // There may be nobody of the consumer protocol any more to see to that.
        self.catch_up();
        let group = self.group();
        let Some(member) = group.member(&request.member_id) else { return Ok(()) };
        let must_join = member.current.epoch < group.target_epoch.epoch
            || member.current.state == State::UnrevokedPartitions
            || group.could_get_more(&request.member_id, member);
        let join_ms = member.metadata.rebalance_timeout_ms;
        let id = request.member_id.clone();
        let timeout_ms = self.session_timeout_ms(&id);
        self.keep_alive(&id, timeout_ms);
        if must_join {
            self.expect_join(&id, join_ms);
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }
}
