//! [`Classic`]: a group of the classic protocol that has members, or somebody who was told a member id.
//!
//! Owns: states, generations, members and the sessions that keep them, parked joins and syncs.
//!
//! Invariants:
//! * Soft state: what must survive is written as one group metadata record when a generation is complete, and a loaded
//!   group begins from that, stable.
//! * Whoever leaves the group, for whatever reason, has had its parked requests answered.
//! * A group without members and pending ids is not kept: its record is enough.
//!
//! Does not know: committed offsets, and groups without members.

mod convert;
mod heartbeat;
mod join;
mod leave;
mod member;
mod members;
mod rebalance;
mod rejoin;
mod sync;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use protocol::Str;

pub(crate) use join::MEMBER_ID_REQUIRED;
pub(crate) use member::{Join, Member, Session};
pub(crate) use view::CONSUMER;

use crate::env::Env;
use crate::groups::LoggedGroup;
use crate::record::{Change, GroupMetadata};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody is a member, or nobody yet.
    Empty,
    /// The members are to join.
    PreparingRebalance,
    /// The members have joined, and the leader is to say who gets what.
    CompletingRebalance,
    Stable,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// How long the first members of a group wait for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct InitialDelay {
    delay_ms: i32,
    /// By how much it can be extended when more members come.
    remaining_ms: i32,
    grew: bool,
}

#[derive(Debug)]
pub(crate) struct Classic {
    id: Str,
    state: State,
    /// When it came into this state, on the wall clock.
    since_ms: i64,
    generation: i32,
    protocol_type: Option<Str>,
    /// What the generation goes by.
    protocol: Option<Str>,
    leader: Option<Str>,
    members: BTreeMap<Str, Member>,
    /// Member ids of the static members, by instance id.
    instances: BTreeMap<Str, Str>,
    /// Ids that were given to clients who have not joined with them yet (KIP-394), and until when.
    pending: BTreeMap<Str, u64>,
    /// Who has not asked for its assignment in this generation.
    unsynced: BTreeSet<Str>,
    /// How many members have a join parked.
    joining: usize,
    /// How many members can do each protocol.
    supported: BTreeMap<Str, usize>,
    initial: Option<InitialDelay>,
    join_due_ms: Option<u64>,
    sync_due_ms: Option<u64>,
}

impl Classic {
    /// Before anybody has joined, or after everybody has left.
    pub(crate) fn begin(id: Str, logged: Option<&LoggedGroup>) -> Self {
        let metadata = logged.and_then(|logged| logged.metadata.as_ref());
        Self {
            id,
            state: State::Empty,
            since_ms: metadata.map_or(-1, |metadata| metadata.state_timestamp),
            generation: metadata.map_or(0, |metadata| metadata.generation),
            protocol_type: logged.and_then(LoggedGroup::protocol_type).cloned(),
            protocol: metadata.and_then(|metadata| metadata.protocol.clone()),
            leader: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            pending: BTreeMap::new(),
            unsynced: BTreeSet::new(),
            joining: 0,
            supported: BTreeMap::new(),
            initial: None,
            join_due_ms: None,
            sync_due_ms: None,
        }
    }

    /// As the log remembers a group with members: stable, and every session begins anew.
    pub(crate) fn load(id: &Str, env: &mut Env<'_>) -> Option<Self> {
        let logged = env.logged.group(id)?;
        let metadata = logged.metadata.as_ref().filter(|metadata| !metadata.members.is_empty())?;
        let protocol = metadata.protocol.as_ref()?;
        let mut group = Self::begin(id.clone(), Some(logged));
        group.state = State::Stable;
        for member in &metadata.members {
            group.insert(Member::load(member, protocol));
        }
        let led = metadata.leader.as_ref().filter(|leader| group.members.contains_key(*leader));
        if let Some(leader) = led.cloned() {
            group.leader = Some(leader);
        }
        let members: Vec<Str> = group.members.keys().cloned().collect();
        for member in &members {
            group.keep_alive(env, member);
        }
        if group.members.len() > env.options.group_max_size {
            // The limit was lowered: whoever joins last does not come in again.
            group.prepare_rebalance(env);
        }
        Some(group)
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn members(&self) -> &BTreeMap<Str, Member> {
        &self.members
    }

    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    /// What the generation goes by.
    pub(crate) fn protocol(&self) -> Option<&Str> {
        self.protocol.as_ref()
    }

    /// Its record says all there is.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Empty && self.members.is_empty() && self.pending.is_empty()
    }

    /// The group was deleted: timers have nobody to wake.
    pub(crate) fn abandon(mut self, env: &mut Env<'_>) {
        let pending: Vec<Str> = self.pending.keys().cloned().collect();
        for id in pending {
            self.remove_pending(env, &id);
        }
    }

    fn enter(&mut self, env: &Env<'_>, state: State) {
        self.state = state;
        self.since_ms = env.now.wall_ms;
    }

    fn is_leader(&self, member: &str) -> bool {
        self.leader.as_ref().is_some_and(|leader| leader == member)
    }

    /// Writes the generation down.
    fn log(&self, env: &mut Env<'_>) {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let metadata = GroupMetadata {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_timestamp: self.since_ms,
            members: self.members.values().map(|member| member.logged(protocol)).collect(),
        };
        env.emit(Change::Group { group: self.id.clone(), metadata: Some(metadata) });
    }

    /// Somebody is about to join for the first time: the group is there from now on.
    pub(crate) fn log_beginning(&self, env: &mut Env<'_>) {
        let metadata = GroupMetadata {
            protocol_type: Str::EMPTY,
            generation: 0,
            protocol: None,
            leader: None,
            state_timestamp: env.now.wall_ms,
            members: Vec::new(),
        };
        env.emit(Change::Group { group: self.id.clone(), metadata: Some(metadata) });
    }
}

#[cfg(test)]
impl Classic {
    /// What holds whenever nobody is in the middle of something.
    pub(crate) fn check(&self) {
        let parked = self.members.values().filter(|member| member.join.is_some()).count();
        assert_eq!(self.joining, parked);
        assert_eq!(self.members.is_empty(), self.leader.is_none());
        assert!(self.leader.iter().all(|leader| self.members.contains_key(leader)));
        let instances = self.members.values().filter(|member| member.instance_id.is_some()).count();
        assert_eq!(self.instances.len(), instances);
        assert!(self.instances.values().all(|id| self.members.contains_key(id)));
        assert!(self.pending.keys().all(|id| !self.members.contains_key(id)));
        assert!(self.unsynced.iter().all(|id| self.members.contains_key(id)));
        assert!(self.state != State::Stable || self.members.values().all(|member| member.sync.is_none()));
        assert!(self.state == State::PreparingRebalance || parked == 0);
        assert_eq!(self.join_due_ms.is_some(), self.state == State::PreparingRebalance);
        for member in self.members.values() {
            let waits = member.join.is_some() || member.sync.is_some();
            assert!(member.session.scheduled_ms.is_some() || waits, "{} has no end", member.id);
        }
    }
}
