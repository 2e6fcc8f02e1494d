//! [`Partition`]: a log and those who wait for it.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use protocol::ErrorCode;
use protocol::ids::{LeaderEpoch, Offset};
use storage::log::Gained;
use storage::{Log, Position};

use super::api::{Appended, ReadWaiter, Refusal};
use super::compaction::Compaction;
use super::groups::{Groups, Place};
use super::message::Reply;
use super::reminders::Seldom;

/// Lists of waiting readers are looked through for those that have gone away when they reach this length.
const READERS_TIDY: usize = 64;

/// An append that is answered when the log has come as far as `end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) end: Offset,
    pub(super) place: Place,
    pub(super) appended: Appended,
}

/// Who waits for more to read. A request that has been answered is gone from here, and waits with none of its other partitions.
#[derive(Debug, Default)]
struct Readers {
    waiting: Vec<Weak<ReadWaiter>>,
    /// The length at which those are looked for that have gone away.
    tidy: usize,
}

impl Readers {
    fn register(&mut self, waiter: &Arc<ReadWaiter>) {
        if self.waiting.len() >= self.tidy.max(READERS_TIDY) {
            self.waiting.retain(|reader| reader.strong_count() > 0);
            self.tidy = self.waiting.len() * 2;
        }
        self.waiting.push(Arc::downgrade(waiter));
    }

    fn gained(&mut self, bytes: usize) {
        if bytes > 0 {
            self.waiting.retain(|reader| reader.upgrade().is_some_and(|reader| !reader.gained(bytes)));
        }
    }

    fn wake(&mut self) {
        for reader in self.waiting.drain(..).filter_map(|reader| reader.upgrade()) {
            reader.wake();
        }
    }
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) log: Log,
    /// Index of its directory.
    pub(super) dir: usize,
    /// Answered when written, by growing `end`.
    pub(super) written: VecDeque<Waiting>,
    /// Answered when the high watermark has passed them, by growing `end`.
    pub(super) committed: VecDeque<Waiting>,
    readers: Readers,
    /// Those of committed records.
    committed_readers: Readers,
    /// Asked for until its epoch is synced.
    pub(super) opening: Vec<(LeaderEpoch, Reply<()>)>,
    /// Deletions of records, asked for until the new start is synced.
    pub(super) starting: Vec<(Offset, Reply<Offset>)>,
    /// Asked for until the directory has got its last name.
    pub(super) deleting: Option<Vec<Reply<()>>>,
    pub(super) compaction: Compaction,
    /// Lines about segments that cannot be read.
    pub(super) unreadable: Seldom,
    /// Memory that the budget knows of.
    pub(super) counted: usize,
    /// It stands in its directory's list of partitions to write.
    pub(super) queued: bool,
    /// Where the log ended when it was last looked at for what stays in memory.
    pub(super) swept_end: Offset,
    /// A sync is wanted as soon as everything is written.
    pub(super) sync_wanted: bool,
    /// Its batches have been submitted again and are not synced yet.
    pub(super) again: bool,
    /// Where the first of them was written.
    pub(super) again_at: Option<Position>,
    /// It is deleted because the metadata does not know it: its files stay, under another name.
    pub(super) stray: bool,
    /// Asked for until a stray is written out whole.
    pub(super) setting_aside: Vec<Reply<()>>,
    /// The journal has synced its deletion.
    pub(super) deleted: bool,
    /// Its directory is getting its last name.
    pub(super) renaming: bool,
}

impl Partition {
    pub(super) fn new(log: Log, dir: usize) -> Self {
        Self {
            log,
            dir,
            written: VecDeque::new(),
            committed: VecDeque::new(),
            readers: Readers::default(),
            committed_readers: Readers::default(),
            opening: Vec::new(),
            starting: Vec::new(),
            deleting: None,
            compaction: Compaction::default(),
            unreadable: Seldom::default(),
            counted: 0,
            queued: false,
            swept_end: Offset::ZERO,
            sync_wanted: false,
            again: false,
            again_at: None,
            stray: false,
            setting_aside: Vec::new(),
            deleted: false,
            renaming: false,
        }
    }

    /// Answers everybody whose `end` has been reached.
    pub(super) fn answer(&mut self, groups: &mut Groups) {
        let log_start_offset = self.log.log_start();
        let ends = [self.log.written_end(), self.log.high_watermark()];
        for (waiting, reached) in [&mut self.written, &mut self.committed].into_iter().zip(ends) {
            while let Some(next) = waiting.front().copied().filter(|next| next.end <= reached) {
                waiting.pop_front();
                groups.answer(next.place, Ok(Appended { log_start_offset, ..next.appended }));
            }
        }
    }

    /// Puts an append in its place among those that wait. Most come last; a duplicate waits where its original does.
    pub(super) fn wait(queue: &mut VecDeque<Waiting>, waiting: Waiting) {
        let index = match queue.back() {
            Some(last) if last.end > waiting.end => queue.partition_point(|other| other.end <= waiting.end),
            _ => queue.len(),
        };
        queue.insert(index, waiting);
    }

    /// Tells everybody who waits for an append why it will never be done.
    pub(super) fn refuse_all(&mut self, groups: &mut Groups, refusal: &Refusal) {
        for waiting in self.written.drain(..).chain(self.committed.drain(..)) {
            groups.answer(waiting.place, Err(refusal.clone()));
        }
        for (_, reply) in self.opening.drain(..) {
            // The asker may be gone.
            let _ = reply.send(Err(refusal.clone()));
        }
        for (_, reply) in self.starting.drain(..) {
            let _ = reply.send(Err(refusal.clone()));
        }
        self.wake();
    }

    /// Whoever waits for more, of committed records only or of all.
    pub(super) fn register(&mut self, waiter: &Arc<ReadWaiter>, committed_only: bool) {
        let readers = if committed_only { &mut self.committed_readers } else { &mut self.readers };
        readers.register(waiter);
    }

    /// Readers have so much more.
    pub(super) fn gained(&mut self, gained: Gained) {
        self.readers.gained(gained.bytes);
        self.committed_readers.gained(gained.committed_bytes);
    }

    /// Whether nothing is in memory only, unsynced or under way.
    pub(super) fn is_written_out(&self) -> bool {
        self.log.unwritten_bytes() == 0 && !self.log.needs_sync() && !self.log.is_busy()
    }

    /// Readers must look again.
    pub(super) fn wake(&mut self) {
        self.readers.wake();
        self.committed_readers.wake();
    }

    /// Compares what a client believes of the leadership with what is so.
    pub(super) fn check_epoch(&self, believed: Option<LeaderEpoch>) -> Result<(), ErrorCode> {
        match believed.and_then(LeaderEpoch::known) {
            Some(believed) if believed < self.log.leader_epoch() => Err(ErrorCode::FencedLeaderEpoch),
            Some(believed) if believed > self.log.leader_epoch() => Err(ErrorCode::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// They were looked for by who else held them, and the other partitions of their requests did: for ever, and every append went
    /// through all of them. Consumers that always find something to read cost the broker 15 MiB a minute.
    #[test]
    fn requests_that_have_been_answered_wait_nowhere() {
        let mut partitions = [Readers::default(), Readers::default()];
        let waiting = ReadWaiter::unarmed();
        partitions.iter_mut().for_each(|readers| readers.register(&waiting));
        for _ in 0..10 * READERS_TIDY {
            let answered_at_once = ReadWaiter::unarmed();
            partitions.iter_mut().for_each(|readers| readers.register(&answered_at_once));
            let most = partitions.iter().map(|readers| readers.waiting.len()).max();
            assert!(most <= Some(READERS_TIDY), "{most:?}");
        }
        for readers in &mut partitions {
            readers.gained(10);
            assert_eq!(readers.waiting.len(), 1);
        }
        waiting.arm(30);
        let [one, other] = &mut partitions;
        one.gained(9);
        assert_eq!(one.waiting.len(), 1);
        other.gained(1);
        assert!(other.waiting.is_empty());
    }
}
