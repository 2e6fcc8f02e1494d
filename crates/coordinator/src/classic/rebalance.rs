//! From one generation to the next: everybody joins, a protocol and a leader are chosen.

use protocol::ErrorCode;

use super::{Classic, InitialDelay, State, Str};
use crate::env::Env;
use crate::timers::Timer;

impl Classic {
    /// Somebody came, left or changed: begin a rebalance, or see whether the one under way is complete.
    pub(super) fn rebalance(&mut self, env: &mut Env<'_>) {
        if self.state == State::PreparingRebalance {
            self.complete_if_everybody_joined(env);
        } else {
            self.prepare_rebalance(env);
        }
    }

    pub(super) fn prepare_rebalance(&mut self, env: &mut Env<'_>) {
        if self.state == State::CompletingRebalance {
            self.cancel_assignments(env);
        }
        self.unsynced.clear();
        self.cancel_sync_timer(env);
        let is_initial = self.state == State::Empty;
        self.enter(env, State::PreparingRebalance);
        if is_initial {
            let delay_ms = env.options.group_initial_rebalance_delay_ms;
            let remaining_ms = self.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
            self.initial = Some(InitialDelay { delay_ms, remaining_ms, grew: false });
            self.schedule_join(env, delay_ms);
        } else if self.everybody_joined() {
            self.complete_join(env);
        } else {
            self.schedule_join(env, self.rebalance_timeout_ms());
        }
    }

    /// The first members wait out the delay even when all of them are there.
    pub(super) fn complete_if_everybody_joined(&mut self, env: &mut Env<'_>) {
        if self.state == State::PreparingRebalance && self.initial.is_none() && self.everybody_joined() {
            self.complete_join(env);
        }
    }

    pub(crate) fn join_timed_out(&mut self, env: &mut Env<'_>) {
        self.join_due_ms = None;
        match self.initial {
            Some(initial) if initial.grew && initial.remaining_ms > 0 => {
                let delay_ms = env.options.group_initial_rebalance_delay_ms.min(initial.remaining_ms);
                let remaining_ms = (initial.remaining_ms - initial.delay_ms).max(0);
                self.initial = Some(InitialDelay { delay_ms, remaining_ms, grew: false });
                self.schedule_join(env, delay_ms);
            }
            _ => self.complete_join(env),
        }
    }

    pub(super) fn complete_join(&mut self, env: &mut Env<'_>) {
        self.cancel_join_timer(env);
        let is_late = |member: &&super::Member| member.join.is_none() && member.instance_id.is_none();
        let late: Vec<Str> = self.members.values().filter(is_late).map(|member| member.id.clone()).collect();
        for id in late {
            self.remove(env, &id, ErrorCode::UnknownMemberId);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            // Static members only, none of which joined: they stay until their sessions end.
            self.initial = None;
            self.schedule_join(env, self.rebalance_timeout_ms());
            return;
        }
        self.initial = None;
        self.generation = self.generation.checked_add(1).unwrap_or(0);
        self.protocol = self.select_protocol();
        self.unsynced.clear();
        if self.members.is_empty() {
            self.enter(env, State::Empty);
            self.log(env);
        } else {
            self.enter(env, State::CompletingRebalance);
            self.begin_generation(env);
        }
    }

    /// The leader stays if it joined.
    fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |id: &Str| self.members.get(id).is_some_and(|member| member.join.is_some());
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let joined = self.members.values().find(|member| member.join.is_some());
        let Some(joined) = joined else { return false };
        self.leader = Some(joined.id.clone());
        true
    }

    fn begin_generation(&mut self, env: &mut Env<'_>) {
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        for id in &ids {
            let response = self.joined(id, self.is_leader(id));
            self.answer_join(env, id, response);
            if let Some(member) = self.members.get_mut(id) {
                member.is_new = false;
            }
            self.keep_alive(env, id);
        }
        self.unsynced.extend(ids);
        let at_ms = env.deadline(self.rebalance_timeout_ms());
        self.sync_due_ms = Some(at_ms);
        env.schedule(at_ms, Timer::Sync { group: self.id.clone() });
    }

    fn schedule_join(&mut self, env: &mut Env<'_>, after_ms: i32) {
        self.cancel_join_timer(env);
        let at_ms = env.deadline(after_ms);
        self.join_due_ms = Some(at_ms);
        env.schedule(at_ms, Timer::Join { group: self.id.clone() });
    }

    pub(super) fn cancel_join_timer(&mut self, env: &mut Env<'_>) {
        if let Some(at_ms) = self.join_due_ms.take() {
            env.cancel(at_ms, Timer::Join { group: self.id.clone() });
        }
    }

    pub(super) fn cancel_sync_timer(&mut self, env: &mut Env<'_>) {
        if let Some(at_ms) = self.sync_due_ms.take() {
            env.cancel(at_ms, Timer::Sync { group: self.id.clone() });
        }
    }
}
