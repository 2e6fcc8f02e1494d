//! Requests about consumer groups (KIP-848), up to the ruling; and when such a group begins, ends, or becomes another.

use protocol::messages::consumer_group_describe_response::DescribedGroup;
use protocol::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use protocol::messages::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;
use protocol::{ErrorCode, Str};

use super::Turn;
use crate::classic::Classic;
use crate::consumer::{
    AWAY, ConsumerGroup, Current, Due, Entry, LEAVING, Partitions, Refusal, Ruling, Upgrade, check_request,
    owned,
};
use crate::record::{Change, ConsumerChange};
use crate::search::Found;
use crate::{Caller, Reply, Ticket};

/// What a member of the consumer protocol comes into.
enum Standing {
    Consumer,
    /// Without members: whatever it was, it is a consumer group from now on.
    Empty,
    Classic(Upgrade),
}

impl Turn<'_> {
    /// Rules on a consumer group, and lets go what only groups with members need.
    pub(super) fn rule<T>(&mut self, id: &Str, rule: impl FnOnce(&mut Ruling<'_, '_>) -> T) -> T {
        let attendance = self.attendances.entry(id.clone()).or_default();
        let result = rule(&mut Ruling { id: id.clone(), attendance, env: &mut self.env });
        if attendance.is_empty() {
            self.attendances.remove(id);
        }
        result
    }

    pub(super) fn consumer_group(&self, id: &str) -> Option<&ConsumerGroup> {
        self.env.logged.consumer_group(id)
    }

    pub(super) fn consumer_heartbeat(
        &mut self,
        ticket: Ticket,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
    ) {
        let response = self.try_consumer_heartbeat(caller, request).unwrap_or_else(|refusal| {
            ConsumerGroupHeartbeatResponse {
                error_code: refusal.code.code(),
                error_message: refusal.message,
                ..Default::default()
            }
        });
        self.reply(ticket, Reply::ConsumerGroupHeartbeat(response));
    }

    fn try_consumer_heartbeat(
        &mut self,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        check_request(caller, request, self.env.options)?;
        if matches!(request.member_epoch, AWAY | LEAVING) {
            return self.leave_consumer_group(request);
        }
        let owned = owned(request);
        let (standing, entry) = self.standing(request, owned.as_ref())?;
        Ruling::check_pattern(self.consumer_group(&request.group_id), request)?;
        let id = self.shared_group_id(&request.group_id);
        match standing {
            Standing::Consumer => {}
            Standing::Empty => self.clear_classic(&id),
            Standing::Classic(upgrade) => {
                self.clear_classic(&id);
                self.rule(&id, |ruling| upgrade.carry_out(ruling));
            }
        }
        self.rule(&id, |ruling| ruling.heartbeat(caller, request, entry, owned.as_ref()))
    }

    pub(super) fn shared_group_id(&self, id: &Str) -> Str {
        self.env.logged.group_id(id).cloned().unwrap_or_else(|| id.detached())
    }

    /// Whether the request may be carried out, and how the member comes in.
    fn standing(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
        owned: Option<&Partitions>,
    ) -> Result<(Standing, Entry), Refusal> {
        let options = self.env.options;
        let full = || {
            let why = format!("the group has {} members", options.consumer_group_max_size);
            Refusal::new(ErrorCode::GroupMaxSizeReached, why)
        };
        let fresh = Str::from(self.env.now.fresh_id.to_string());
        let member_id = if request.member_id.is_empty() { &fresh } else { &request.member_id };
        let instance_id = request.instance_id.as_ref();
        let joins = request.member_epoch == 0;
        if let Some(group) = self.consumer_group(&request.group_id) {
            if !group.has_room_for(options, member_id, instance_id) {
                return Err(full());
            }
            let entry = group.entry(request, member_id, owned)?;
            return Ok((Standing::Consumer, entry));
        }
        if !joins {
            return Err(not_found(&request.group_id));
        }
        let live = self.live.get(&request.group_id).filter(|group| group.has_members());
        let Some(classic) = live else { return Ok((Standing::Empty, Entry::Member(member_id.detached()))) };
        let upgrade = Upgrade::plan(classic, options, &self.env.cluster.image)?;
        if upgrade.len() >= options.consumer_group_max_size && !upgrade.has(member_id, instance_id) {
            return Err(full());
        }
        let entry = upgrade.entry(member_id, instance_id);
        Ok((Standing::Classic(upgrade), entry))
    }

    /// A classic group is none any more: who waits joins again, and hears then of the protocol that the group has now.
    fn clear_classic(&mut self, id: &Str) {
        if self.env.logged.group(id).is_some_and(|group| group.metadata.is_some()) {
            self.env.emit(Change::Group { group: id.clone(), metadata: None });
        }
        if let Some(group) = self.live.remove(id) {
            group.dissolve(&mut self.env);
        }
    }

    fn leave_consumer_group(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let group = self.consumer_group(&request.group_id).ok_or_else(|| not_found(&request.group_id))?;
        let member = match &request.instance_id {
            None => group.member_id(&request.member_id),
            Some(instance_id) => match group.static_member(instance_id) {
                Some(owner) if *owner != request.member_id => {
                    return Err(ErrorCode::FencedInstanceId.into());
                }
                owner => owner,
            },
        };
        let member = member.cloned().ok_or(ErrorCode::UnknownMemberId)?;
        let id = self.shared_group_id(&request.group_id);
        // Whoever is no static member any more has no place to come back to.
        if request.member_epoch == AWAY {
            self.rule(&id, |ruling| ruling.go_away(&member));
        } else {
            self.give_up(&id, &[member]);
        }
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(request.member_id.clone()),
            member_epoch: request.member_epoch,
            ..Default::default()
        })
    }

    /// Takes members out. What is left may be a classic group.
    pub(super) fn give_up(&mut self, id: &Str, members: &[Str]) {
        let Some(group) = self.consumer_group(id) else { return };
        if !group.can_downgrade_without(members, self.env.options) {
            self.rule(id, |ruling| ruling.remove(members));
            return;
        }
        self.downgrade(id, members);
        self.with_live(id, Classic::rebalance_anew);
    }

    /// What is left of a consumer group when some members are gone becomes a classic group.
    pub(super) fn downgrade(&mut self, id: &Str, without: &[Str]) {
        let Some(group) = self.consumer_group(id) else { return };
        let members = group.classic_members_of(without, &self.env.cluster.image);
        let generation = group.epoch.epoch;
        self.rule(id, |ruling| ruling.bury());
        let group = Classic::adopt(id.clone(), generation, members, &mut self.env);
        self.live.insert(id.clone(), group);
    }

    /// A timer of a member has come.
    pub(super) fn member_timed_out(&mut self, id: &Str, member: &Str, due: Due) {
        if self.attendances.contains_key(id) && self.rule(id, |ruling| ruling.is_overdue(member, due)) {
            self.give_up(id, std::slice::from_ref(member));
        }
    }

    pub(super) fn describe_consumer_group(&mut self, ticket: Ticket, group_id: Str) {
        let assignor = self.env.options.default_assignor().name();
        let described = match self.consumer_group(&group_id) {
            Some(group) => group.describe(group_id, &self.env.cluster.image, assignor),
            None => DescribedGroup {
                error_code: ErrorCode::GroupIdNotFound.code(),
                error_message: not_found(&group_id).message,
                group_id,
                ..DescribedGroup::default()
            },
        };
        self.reply(ticket, Reply::ConsumerGroupDescribe(described));
    }

    pub(super) fn found(&mut self, ticket: Ticket, found: Found) {
        if self.attendances.contains_key(&found.group) {
            let id = found.group.clone();
            self.rule(&id, |ruling| ruling.resolved(found.topics, found.version));
        }
        self.reply(ticket, Reply::Done);
    }

    /// Topics were created, deleted, or are on other racks or in more partitions than before.
    pub(super) fn topics_changed(&mut self, ticket: Ticket, topics: &[Str]) {
        for (id, attendance) in self.attendances.iter_mut() {
            let Some(group) = self.env.logged.consumer_group(id) else { continue };
            if topics.iter().any(|topic| group.subscriptions().contains(topic)) {
                attendance.is_current = false;
            }
        }
        self.reply(ticket, Reply::Done);
    }
}

impl Ruling<'_, '_> {
    /// A static member will be back; nobody else gets what it has until its session ends.
    fn go_away(&mut self, member: &Str) {
        let Some(current) = self.group().member(member).map(|member| &member.current) else { return };
        let current = Current {
            epoch: AWAY,
            assigned: current.assigned.at_epoch(0),
            revoking: Default::default(),
            ..current.clone()
        };
        self.emit(ConsumerChange::Current { member: member.clone(), current: Some(current) });
    }
}

fn not_found(group_id: &Str) -> Refusal {
    Refusal::new(ErrorCode::GroupIdNotFound, format!("there is no consumer group {group_id}"))
}
