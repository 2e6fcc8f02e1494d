//! The member of the classic protocol: it joins, one member assigns for all, everybody hears what it got, and heartbeats go on
//! until somebody comes or goes.
//!
//! Whoever uses an assignor that is not cooperative has nothing while it joins (eager); else it keeps what it has, and joins
//! once more when it had to give something up (KIP-429).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use host::Instant;
use protocol::messages::heartbeat_request::HeartbeatRequest;
use protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use protocol::messages::sync_group_response::SyncGroupResponse;
use protocol::{ErrorCode, Str};

use super::{Ask, Change, Identity, Learned, Membership, NEVER, Step, Told, Verdict, error_of, passing};
use crate::group::assignor::{self, Assignor, Counts};
use crate::group::embedded;
use crate::group::options::{GroupOptions, millis};
use crate::{Error, TopicPartition};

const PROTOCOL_TYPE: &str = "consumer";
const NO_GENERATION: i32 = -1;

#[derive(Debug)]
enum Phase {
    /// Gives up what it has before it joins.
    Preparing,
    Joining,
    /// It leads, and asks how many partitions there are.
    Counting(Vec<JoinGroupResponseMember>),
    Syncing(Vec<SyncGroupRequestAssignment>),
    /// Takes and gives up what the assignment says.
    Settling,
    Stable,
}

/// What to do after the change that is being carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum After {
    #[default]
    Nothing,
    Rejoin,
    /// The coordinator does not know us any more.
    Lose,
}

#[derive(Debug)]
pub(in crate::group) struct Classic {
    options: Arc<GroupOptions>,
    is_cooperative: bool,
    member_id: Str,
    generation: i32,
    /// The assignor that the group has agreed on.
    protocol: Option<Str>,
    phase: Phase,
    is_asked: bool,
    owned: BTreeSet<TopicPartition>,
    change: Option<Change>,
    after: After,
    /// The leader's: what it has assigned by. It assigns anew when topics have grown.
    counted: Option<Counts>,
    recount_at: Instant,
    recount_every: Duration,
    beat_at: Instant,
    not_before: Instant,
}

impl Classic {
    pub(in crate::group) fn new(options: Arc<GroupOptions>, recount_every: Duration, now: Instant) -> Self {
        Self {
            is_cooperative: options.assignors.iter().all(|assignor| assignor.is_cooperative()),
            options,
            member_id: Str::EMPTY,
            generation: NO_GENERATION,
            protocol: None,
            phase: Phase::Joining,
            is_asked: false,
            owned: BTreeSet::new(),
            change: None,
            after: After::Nothing,
            counted: None,
            recount_at: now,
            recount_every,
            beat_at: now,
            not_before: now,
        }
    }

    fn is_changing(&self) -> bool {
        matches!(self.phase, Phase::Preparing | Phase::Settling)
    }

    fn rejoin(&mut self) {
        if self.is_changing() {
            self.after = self.after.max(After::Rejoin);
        } else if self.is_cooperative || self.owned.is_empty() {
            self.phase = Phase::Joining;
        } else {
            self.give_up_all(false);
        }
    }

    fn give_up_all(&mut self, lost: bool) {
        self.change = Some(Change { give: std::mem::take(&mut self.owned), lost, take: BTreeSet::new() });
        self.phase = Phase::Preparing;
    }

    /// We are no member any more, and join again; with the same member id, if the coordinator knows that.
    fn lose(&mut self, code: ErrorCode) {
        self.generation = NO_GENERATION;
        if code != ErrorCode::IllegalGeneration {
            self.member_id = Str::EMPTY;
        }
        self.counted = None;
        if self.is_changing() {
            self.after = After::Lose;
        } else if self.owned.is_empty() {
            self.phase = Phase::Joining;
        } else {
            self.give_up_all(true);
        }
    }

    fn join(&self) -> JoinGroupRequest {
        let options = &self.options;
        let protocol = |assignor: &Assignor| JoinGroupRequestProtocol {
            name: Str::from(assignor.name()),
            metadata: embedded::subscription(*assignor, options, &self.owned, self.generation),
        };
        JoinGroupRequest {
            group_id: options.group.clone(),
            session_timeout_ms: millis(options.session_timeout),
            rebalance_timeout_ms: millis(options.rebalance_timeout),
            member_id: self.member_id.clone(),
            group_instance_id: options.instance_id.clone(),
            protocol_type: Str::from(PROTOCOL_TYPE),
            protocols: options.assignors.iter().map(protocol).collect(),
            reason: None,
        }
    }

    fn sync(&self, assignments: &[SyncGroupRequestAssignment]) -> SyncGroupRequest {
        SyncGroupRequest {
            group_id: self.options.group.clone(),
            generation_id: self.generation,
            member_id: self.member_id.clone(),
            group_instance_id: self.options.instance_id.clone(),
            protocol_type: Some(Str::from(PROTOCOL_TYPE)),
            protocol_name: self.protocol.clone(),
            assignments: assignments.to_vec(),
        }
    }

    fn joined(&mut self, response: JoinGroupResponse) {
        self.member_id = response.member_id.detached();
        self.generation = response.generation_id;
        self.protocol = response.protocol_name.as_ref().map(Str::detached);
        self.counted = None;
        let leads = response.leader == self.member_id;
        self.phase = match leads && !response.skip_assignment {
            true => Phase::Counting(response.members),
            false => Phase::Syncing(Vec::new()),
        };
    }

    fn synced(&mut self, response: &SyncGroupResponse, now: Instant) -> Result<(), Error> {
        let assigned = embedded::assigned(&response.assignment).map_err(|error| {
            Error::Invalid(format!("the leader of group {} assigns: {error}", self.options.group))
        })?;
        let change = Change {
            give: self.owned.difference(&assigned).cloned().collect(),
            lost: false,
            take: assigned.difference(&self.owned).cloned().collect(),
        };
        // What was given up goes to others in the next round.
        self.after = if change.give.is_empty() { After::Nothing } else { After::Rejoin };
        self.owned = assigned;
        self.change = Some(change);
        self.phase = Phase::Settling;
        self.beat_at = now.after(self.options.heartbeat_interval);
        Ok(())
    }

    /// What there is to do between joins.
    fn attend(&mut self, now: Instant) -> Step {
        let at = self.beat_at.max(self.not_before);
        if self.generation != NO_GENERATION && now >= at {
            self.is_asked = true;
            return Step::Ask(Ask::Heartbeat(HeartbeatRequest {
                group_id: self.options.group.clone(),
                generation_id: self.generation,
                member_id: self.member_id.clone(),
                group_instance_id: self.options.instance_id.clone(),
            }));
        }
        let recounts = self.counted.is_some() && matches!(self.phase, Phase::Stable);
        if recounts && now >= self.recount_at {
            self.recount_at = now.after(self.recount_every);
            return Step::Learn(self.options.topics.clone());
        }
        let wake = if self.generation == NO_GENERATION { now.after(NEVER) } else { at };
        Step::Wait(if recounts { wake.min(self.recount_at) } else { wake })
    }
}

impl Membership for Classic {
    fn next(&mut self, now: Instant) -> Step {
        if let Some(change) = self.change.take() {
            return Step::Change(change);
        }
        if self.is_asked {
            return Step::Wait(now.after(NEVER));
        }
        let ask = match &self.phase {
            Phase::Preparing | Phase::Settling | Phase::Stable => return self.attend(now),
            Phase::Counting(members) => {
                self.is_asked = true;
                return Step::Learn(embedded::topics(members));
            }
            _ if now < self.not_before => return Step::Wait(self.not_before),
            Phase::Joining => Ask::Join(self.join()),
            Phase::Syncing(assignments) => Ask::Sync(self.sync(assignments)),
        };
        self.is_asked = true;
        Step::Ask(ask)
    }

    fn answered(
        &mut self,
        result: Result<Told, Error>,
        now: Instant,
        pause: Duration,
    ) -> Result<Verdict, Error> {
        self.is_asked = false;
        let Some(error) = error_of(&self.options.group, &result) else {
            match result {
                Ok(Told::Join(response)) => self.joined(response),
                Ok(Told::Sync(response)) => self.synced(&response, now)?,
                _ => self.beat_at = now.after(self.options.heartbeat_interval),
            }
            return Ok(Verdict::Well);
        };
        let code = error.code();
        match (code, result.ok()) {
            (Some(ErrorCode::MemberIdRequired), Some(Told::Join(response))) => {
                self.member_id = response.member_id.detached();
                return Ok(Verdict::Well);
            }
            (Some(ErrorCode::RebalanceInProgress), Some(Told::Heartbeat(_) | Told::Sync(_))) => {
                self.beat_at = now.after(self.options.heartbeat_interval);
                self.rejoin();
                return Ok(Verdict::Well);
            }
            _ => self.not_before = now.after(pause),
        }
        match code {
            Some(code @ (ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration)) => {
                self.lose(code);
                Ok(Verdict::Again)
            }
            Some(ErrorCode::RebalanceInProgress) => Ok(Verdict::Again),
            _ => {
                let verdict = passing(&error).ok_or(error)?;
                if let Phase::Syncing(_) = self.phase {
                    // The round that this belonged to may be over.
                    self.phase = Phase::Joining;
                }
                Ok(verdict)
            }
        }
    }

    fn changed(&mut self, now: Instant) {
        let was_settling = matches!(self.phase, Phase::Settling);
        self.phase = if was_settling { Phase::Stable } else { Phase::Joining };
        self.recount_at = now.after(self.recount_every);
        match std::mem::take(&mut self.after) {
            After::Nothing => {}
            After::Rejoin => self.rejoin(),
            After::Lose if self.owned.is_empty() => self.phase = Phase::Joining,
            After::Lose => self.give_up_all(true),
        }
    }

    fn learned(&mut self, topics: &[Learned], _now: Instant) {
        let counts: Counts = topics.iter().map(|topic| (topic.name.clone(), topic.partitions)).collect();
        if let Phase::Counting(members) = &self.phase {
            self.is_asked = false;
            let assignor = self.protocol.as_deref().and_then(Assignor::named).unwrap_or(Assignor::Range);
            let assignment = assignor::assign(assignor, embedded::readers(members), &counts);
            self.phase = Phase::Syncing(embedded::assignments(&assignment));
            self.counted = Some(counts);
        } else if let (Phase::Stable, Some(counted)) = (&self.phase, &self.counted)
            && counts.iter().any(|(name, count)| counted.get(name) != Some(count))
        {
            self.rejoin();
        }
    }

    fn leave(&self) -> Option<Ask> {
        // A static member that leaves for good is removed by an admin; until its session ends it may come back.
        let leaves = self.options.instance_id.is_none() && !self.member_id.is_empty();
        leaves.then(|| {
            Ask::Leave(LeaveGroupRequest {
                group_id: self.options.group.clone(),
                member_id: Str::EMPTY,
                members: vec![MemberIdentity { member_id: self.member_id.clone(), ..Default::default() }],
            })
        })
    }

    fn identity(&self) -> Identity {
        Identity {
            member_id: self.member_id.clone(),
            epoch: (self.generation != NO_GENERATION).then_some(self.generation),
            instance_id: self.options.instance_id.clone(),
            is_modern: false,
        }
    }
}
