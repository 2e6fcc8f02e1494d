//! [`Ruling`]: one decision about a consumer group.
//!
//! Invariant: what can be refused is refused before anything is written: records are applied as they are made, and nothing
//! takes them back.

mod attendance;
mod classic;
mod describe;
mod epochs;
mod heartbeat;
mod patterns;

use std::sync::LazyLock;

use protocol::{ErrorCode, Str};

use super::group::ConsumerGroup;
use super::member::Member;
use crate::env::Env;
use crate::record::{Change, ConsumerChange};

pub(crate) use attendance::{Attendance, Due};
pub(crate) use classic::Admitted;
pub(super) use heartbeat::topics;
pub(crate) use heartbeat::{Entry, check_request, owned};

/// A group before its first record.
static NOTHING: LazyLock<ConsumerGroup> = LazyLock::new(ConsumerGroup::default);

/// Why a request is not carried out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub code: ErrorCode,
    pub message: Option<Str>,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(Str::from(message.into())) }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: Some(Str::from_static(code.message())) }
    }
}

#[derive(Debug)]
pub(crate) struct Ruling<'a, 'e> {
    pub id: Str,
    pub attendance: &'a mut Attendance,
    pub env: &'a mut Env<'e>,
}

impl Ruling<'_, '_> {
    pub(crate) fn group(&self) -> &ConsumerGroup {
        self.env.logged.consumer_group(&self.id).unwrap_or(&NOTHING)
    }

    fn member(&self, id: &str) -> Option<&Member> {
        self.group().member(id)
    }

    pub(crate) fn emit(&mut self, change: ConsumerChange) {
        self.env.emit(Change::Consumer { group: self.id.clone(), change });
    }

    /// Takes a member out, whose place nobody takes.
    fn forget_member(&mut self, id: &Str) {
        self.cancel_all(id);
        self.emit(ConsumerChange::Current { member: id.clone(), current: None });
        self.emit(ConsumerChange::Target { member: id.clone(), partitions: None });
        self.emit(ConsumerChange::Member { member: id.clone(), metadata: None });
    }

    /// Takes members out: their partitions are free for others.
    pub(crate) fn remove(&mut self, ids: &[Str]) {
        if ids.is_empty() {
            return;
        }
        let read_by = |ids: &[Str]| {
            let gone = ids.iter().filter_map(|id| self.member(id));
            gone.filter(|member| member.metadata.has_pattern())
                .map(|member| member.metadata.pattern.clone())
                .collect::<Vec<_>>()
        };
        let patterns = read_by(ids);
        for id in ids {
            self.forget_member(id);
        }
        for pattern in patterns {
            self.forget_pattern_unless_read(pattern);
        }
        self.bump();
        if self.group().is_empty() {
            // The next one who comes does not wait for the time of the next assignment.
            let epoch = self.group().epoch.epoch;
            self.emit(ConsumerChange::TargetEpoch(Some(super::TargetEpoch { epoch, timestamp_ms: 0 })));
        }
    }
}
