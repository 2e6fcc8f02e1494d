//! The log as readers see it: every entry that is not purged, the vote and the committed log id.

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::watch;

use super::recovery::Recovered;
use super::segment::Segment;
use super::state_file::Loaded;
use crate::raft::{Entry, LogId, Vote};

#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) entries: VecDeque<Entry>,
    pub(crate) purged: Option<LogId>,
    /// The vote that is on disk.
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
}

impl Memory {
    pub(crate) fn last(&self) -> Option<LogId> {
        self.entries.back().map(|entry| entry.log_id).or(self.purged)
    }

    /// The entries with an index in `range` that are there.
    pub(crate) fn read<R: RangeBounds<u64>>(&self, range: R) -> impl Iterator<Item = &Entry> + use<'_, R> {
        let first = self.entries.front().map_or(0, |entry| entry.log_id.index);
        let at = |index: u64| usize::try_from(index.saturating_sub(first)).unwrap_or(usize::MAX);
        let start = match range.start_bound() {
            Bound::Included(index) => at(*index),
            Bound::Excluded(index) => at(index.saturating_add(1)),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(index) => at(index.saturating_add(1)),
            Bound::Excluded(index) => at(*index),
            Bound::Unbounded => usize::MAX,
        };
        self.entries.iter().skip(start).take(end.saturating_sub(start))
    }

    /// Drops the entries behind `after`, all of them without one.
    pub(crate) fn truncate(&mut self, after: Option<&LogId>) {
        while self
            .entries
            .back()
            .is_some_and(|entry| after.is_none_or(|after| entry.log_id.index > after.index))
        {
            self.entries.pop_back();
        }
    }

    pub(crate) fn purge(&mut self, upto: LogId) {
        while self.entries.front().is_some_and(|entry| entry.log_id.index <= upto.index) {
            self.entries.pop_front();
        }
        self.purged = self.purged.max(Some(upto));
    }
}

/// [`Memory`] behind a lock that is only held for a look, and why the log has failed or waits, if it does.
#[derive(Debug)]
pub(crate) struct Shared {
    memory: Mutex<Memory>,
    failure: Mutex<Option<String>>,
    /// What the disk has said for which the writer waits for room.
    full: watch::Sender<Option<String>>,
    given_up: AtomicBool,
}

impl Shared {
    pub(crate) fn recovered(loaded: &Loaded, recovered: Recovered) -> (Self, VecDeque<Segment>) {
        let Recovered { segments, entries } = recovered;
        let mut memory =
            Memory { entries, purged: loaded.durable.purged, vote: loaded.durable.vote, committed: None };
        // The note of what was committed is not synced with the log, and the log may have been cut.
        memory.committed = loaded.progress.committed.min(memory.last());
        let (failure, full) = (Mutex::default(), watch::Sender::default());
        (Self { memory: Mutex::new(memory), failure, full, given_up: AtomicBool::new(false) }, segments)
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("no reader or writer panics with the log locked")
    }

    pub(crate) fn fail(&self, reason: &str) {
        let mut failure = self.failure.lock().expect("nothing panics with this locked");
        failure.get_or_insert_with(|| reason.to_owned());
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().expect("nothing panics with this locked").clone()
    }

    /// Notes that there is no room, or is again; whether that is news.
    pub(crate) fn set_full(&self, reason: Option<String>) -> bool {
        self.full.send_if_modified(|full| {
            let is_news = full.is_some() != reason.is_some();
            *full = reason;
            is_news
        })
    }

    /// Resolves when a write waits for room.
    pub(crate) async fn without_room(&self) -> String {
        let mut full = self.full.subscribe();
        let reason = full.wait_for(Option::is_some).await;
        reason.ok().and_then(|reason| reason.clone()).unwrap_or_default()
    }

    /// From now on a write without room fails: the node stops.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }
}
