//! [`Attendance`]: what no record says of a consumer group: until when each member may be silent, and what is to be looked at
//! again.

use std::collections::BTreeMap;

use protocol::Str;

use super::Ruling;
use crate::classic::Session;
use crate::timers::Timer;

/// Of a group with members.
#[derive(Debug, Default)]
pub(crate) struct Attendance {
    /// What was hashed for the group's epoch is what its topics are, as far as is known.
    pub is_current: bool,
    /// The topics of its patterns are being searched for.
    pub is_resolving: bool,
    /// When that was last begun.
    pub searched_ms: Option<u64>,
    members: BTreeMap<Str, Deadlines>,
}

/// When a member is given up.
#[derive(Debug, Default)]
struct Deadlines {
    session: Session,
    /// Most of the time there are none.
    others: Option<Box<Others>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Others {
    /// To give up partitions, and the epoch that it is to leave.
    rebalance: Option<(u64, i32)>,
    /// To join again, of a classic member that was told to.
    join: Option<u64>,
    /// To ask for its assignment, of a classic member that has joined.
    sync: Option<u64>,
}

/// Why a member may be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    Session,
    Rebalance,
    Join,
    Sync,
}

impl Attendance {
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Str> {
        self.members.keys()
    }
}

impl Ruling<'_, '_> {
    fn timer(&self, member: &Str, due: Due) -> Timer {
        Timer::Consumer { group: self.id.clone(), member: member.clone(), due }
    }

    fn deadlines(&mut self, member: &Str) -> &mut Deadlines {
        // One buffer for each id, however many hold it.
        if !self.attendance.members.contains_key(member) {
            let id = self.group().member_id(member).cloned().unwrap_or_else(|| member.detached());
            self.attendance.members.insert(id, Deadlines::default());
        }
        self.attendance.members.entry(member.clone()).or_default()
    }

    /// The member is there. A later deadline leaves the timer alone; an earlier one moves it.
    pub(super) fn keep_alive(&mut self, member: &Str, timeout_ms: i32) {
        let deadline_ms = self.env.deadline(timeout_ms);
        let session = &mut self.deadlines(member).session;
        session.deadline_ms = deadline_ms;
        let scheduled_ms = session.scheduled_ms;
        match scheduled_ms {
            Some(at_ms) if at_ms <= deadline_ms => return,
            Some(at_ms) => self.env.cancel(at_ms, self.timer(member, Due::Session)),
            None => {}
        }
        self.deadlines(member).session.scheduled_ms = Some(deadline_ms);
        self.env.schedule(deadline_ms, self.timer(member, Due::Session));
    }

    fn others(&mut self, member: &Str) -> &mut Others {
        self.deadlines(member).others.get_or_insert_default()
    }

    /// It is to have given up what it must, and to have left this epoch, by then.
    pub(super) fn expect_revocation(&mut self, member: &Str, epoch: i32, timeout_ms: i32) {
        self.cancel(member, Due::Rebalance);
        let at_ms = self.env.deadline(timeout_ms);
        self.others(member).rebalance = Some((at_ms, epoch));
        self.env.schedule(at_ms, self.timer(member, Due::Rebalance));
    }

    /// A classic member is to have joined again by then; the first time that it is told counts.
    pub(super) fn expect_join(&mut self, member: &Str, timeout_ms: i32) {
        if self.others(member).join.is_none() {
            let at_ms = self.env.deadline(timeout_ms);
            self.others(member).join = Some(at_ms);
            self.env.schedule(at_ms, self.timer(member, Due::Join));
        }
    }

    /// A classic member that has joined is to have asked for its assignment by then.
    pub(super) fn expect_sync(&mut self, member: &Str, timeout_ms: i32) {
        self.cancel(member, Due::Sync);
        let at_ms = self.env.deadline(timeout_ms);
        self.others(member).sync = Some(at_ms);
        self.env.schedule(at_ms, self.timer(member, Due::Sync));
    }

    /// What was expected has happened.
    pub(super) fn cancel(&mut self, member: &Str, due: Due) {
        let Some(deadlines) = self.attendance.members.get_mut(member) else { return };
        let at_ms = match (due, &mut deadlines.others) {
            (Due::Session, _) => deadlines.session.scheduled_ms.take(),
            (_, None) => None,
            (Due::Rebalance, Some(others)) => others.rebalance.take().map(|(at_ms, _)| at_ms),
            (Due::Join, Some(others)) => others.join.take(),
            (Due::Sync, Some(others)) => others.sync.take(),
        };
        if deadlines.others.as_deref() == Some(&Others::default()) {
            deadlines.others = None;
        }
        if let Some(at_ms) = at_ms {
            self.env.cancel(at_ms, self.timer(member, due));
        }
    }

    /// The member is gone.
    pub(crate) fn cancel_all(&mut self, member: &Str) {
        for due in [Due::Session, Due::Rebalance, Due::Join, Due::Sync] {
            self.cancel(member, due);
        }
        self.attendance.members.remove(member);
    }

    /// A timer has come: whether the member is to be given up.
    pub(crate) fn is_overdue(&mut self, member: &Str, due: Due) -> bool {
        let now_ms = self.env.now.monotonic_ms;
        let epoch = self.member(member).map(|member| member.current.epoch);
        let Some(deadlines) = self.attendance.members.get_mut(member) else { return false };
        match (due, &mut deadlines.others) {
            (Due::Session, _) => {
                let session = &mut deadlines.session;
                session.scheduled_ms = None;
                if session.deadline_ms <= now_ms {
                    return true;
                }
                let at_ms = session.deadline_ms;
                session.scheduled_ms = Some(at_ms);
                self.env.schedule(at_ms, self.timer(member, Due::Session));
                false
            }
            (_, None) => false,
            // At another epoch it has done what it was to do.
            (Due::Rebalance, Some(others)) => {
                others.rebalance.take().is_some_and(|(_, expected)| epoch == Some(expected))
            }
            (Due::Join, Some(others)) => others.join.take().is_some(),
            (Due::Sync, Some(others)) => others.sync.take().is_some(),
        }
    }

    /// The partition was loaded: every session begins anew.
    pub(crate) fn resume(&mut self) {
        let ids: Vec<Str> = self.group().members().keys().cloned().collect();
        for id in ids {
            let Some(member) = self.member(&id) else { continue };
            let (current, rebalance_ms) = (&member.current, member.metadata.rebalance_timeout_ms);
            let (state, epoch) = (current.state, current.epoch);
            let timeout_ms = self.session_timeout_ms(&id);
            self.keep_alive(&id, timeout_ms);
            if state == crate::consumer::MemberState::UnrevokedPartitions {
                self.expect_revocation(&id, epoch, rebalance_ms);
            }
        }
    }

    /// Classic members choose their own, the others go by that of the group.
    pub(super) fn session_timeout_ms(&self, member: &str) -> i32 {
        let classic = self.member(member).and_then(|member| member.metadata.classic.as_ref());
        match classic {
            Some(classic) => classic.session_timeout_ms,
            None => self.env.consumer_session_timeout_ms(&self.id),
        }
    }
}
