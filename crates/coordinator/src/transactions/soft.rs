//! [`Soft`]: what no record says. It is gone when another coordinator loads the partition.

use std::collections::{BTreeMap, BTreeSet};

use protocol::Str;

use super::request::Request;
use super::transaction::Partitions;
use crate::Ticket;
use crate::timers::Timers;

#[derive(Debug, Default)]
pub(super) struct Soft {
    pub(super) live: BTreeMap<Str, Live>,
    /// When the transactions that run must have ended, on the monotonic clock.
    pub(super) deadlines: BTreeSet<(u64, Str)>,
    pub(super) timers: Timers<Timer>,
    /// Where the search for ids that have expired goes on.
    pub(super) expired_up_to: Option<Str>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Transactions may have run for too long.
    Timeouts,
    /// Transactional ids may have expired.
    Expiration,
    /// Who waits for the end of a transaction may have waited long enough.
    Patience { id: Str },
}

/// One transactional id.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// The epoch before the current one, if that was told to the same producer: whoever names it has not heard of the
    /// current one.
    pub(super) last_epoch: Option<i16>,
    /// The end of the transaction that runs, in [`Soft::deadlines`].
    pub(super) deadline_ms: Option<u64>,
    /// Partitions without a marker of the transaction that is being completed.
    pub(super) unmarked: Partitions,
    /// In the order in which they came.
    pub(super) waiting: Vec<Waiting>,
}

/// A request that cannot be answered before the transaction is complete.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) ticket: Ticket,
    pub(super) request: Request,
    pub(super) until_ms: u64,
}

impl Live {
    pub(super) fn is_nothing(&self) -> bool {
        self.last_epoch.is_none()
            && self.deadline_ms.is_none()
            && self.unmarked.is_empty()
            && self.waiting.is_empty()
    }
}
