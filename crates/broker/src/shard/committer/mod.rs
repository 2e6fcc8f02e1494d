//! The committer of a log directory: the task that drives its [`Journal`] with lanes and answers the shards.
//!
//! Invariants:
//! * One write and one sync of the journal are under way at most, each in a lane of its own, so the write of a
//!   round overlaps the sync of the one before.
//! * Everything in the mailbox is taken before a round is begun.
//! * After a failed write or sync all shards are told, and nothing is written any more.
//! * A checkpoint is written only when all entries that its states speak of are synced, and only then does the
//!   journal release what it no longer asks for.
//!
//! Does not know: partitions, segments, clients.

mod background;
mod checkpoints;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use host::disk::Lock;
use host::{Host, Instant, LaneRef, Op, Place, Sleep, Task};
use storage::checkpoint::{Writer, Written};
use storage::directory::Opened;
use storage::journal::{Journal, Progress, Report, ToCommitter};
use tokio::sync::mpsc;

use background::{Background, Grown};
use checkpoints::Checkpoints;

use super::directory::SendToCommitter;

/// Tells shard `n` something.
pub(super) type ReportToShard = Arc<dyn Fn(usize, Report) + Send + Sync>;

#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// The ring does not grow into this much free space.
    pub(super) disk_reserve_bytes: u64,
    /// A checkpoint is written this often while anything changes, however little it frees.
    pub(super) checkpoint_interval: Duration,
}

impl Options {
    pub(super) fn new(disk_reserve_bytes: u64) -> Self {
        Self { disk_reserve_bytes, checkpoint_interval: Duration::from_secs(30) }
    }
}

#[derive(Debug)]
enum Message {
    FromShard(ToCommitter),
    Wrote(io::Result<()>),
    Synced(io::Result<()>),
    Grown(Grown),
    Checkpointed(io::Result<Written>),
}

/// Where completions put their results. Gone once the directory has failed: the task ends then when no shard is
/// left, since those do not say that they have stopped.
type Mailbox = Option<mpsc::UnboundedSender<Message>>;

struct Committer {
    host: Host,
    dir: usize,
    path: PathBuf,
    journal: Journal,
    writer: Writer,
    /// Held as long as the directory may be written to.
    _lock: Box<dyn Lock>,
    mailbox: mpsc::UnboundedReceiver<Message>,
    to_self: Mailbox,
    report: ReportToShard,
    shards: usize,
    writes: LaneRef,
    syncs: LaneRef,
    checkpoints: Checkpoints,
    background: Background,
    /// The earliest of the times that something waits for, and the timer that is set for it or earlier.
    timer: Option<(Instant, Sleep)>,
    /// Why no round fits into the ring: said once.
    stall: Option<Stall>,
    failed: bool,
    ended: bool,
}

/// Starts the committer of `opened`, whose partitions have been taken out of it already.
pub(super) fn start(
    host: &Host,
    place: Place,
    dir: usize,
    opened: Opened,
    options: Options,
    shards: usize,
    report: ReportToShard,
) -> (SendToCommitter, Task) {
    let (sender, mailbox) = mpsc::unbounded_channel();
    let committer = Committer {
        dir,
        checkpoints: Checkpoints::new(shards, host.now(), options.checkpoint_interval),
        background: Background::new(host, &opened.path, options.disk_reserve_bytes),
        path: opened.path,
        journal: opened.journal,
        writer: opened.checkpoint,
        _lock: opened.lock,
        mailbox,
        to_self: Some(sender.clone()),
        report,
        shards,
        writes: host.disk.lane("journal writes"),
        syncs: host.disk.lane("journal syncs"),
        timer: None,
        stall: None,
        failed: false,
        ended: false,
        host: host.clone(),
    };
    let task = host.spawn(place, "committer", committer.run());
    // A committer that has ended has told the shards why.
    (Arc::new(move |message| drop(sender.send(Message::FromShard(message)))), task)
}

/// A completion that puts what `wrap` makes of a result into the mailbox.
fn completion(
    to_self: &Mailbox,
    wrap: impl FnOnce(io::Result<Bytes>) -> Message + Send + 'static,
) -> host::disk::Completion {
    let mailbox = to_self.clone();
    Box::new(move |result| {
        if let Some(mailbox) = mailbox {
            // The task has ended if nobody receives.
            let _ = mailbox.send(wrap(result));
        }
    })
}

impl Committer {
    async fn run(mut self) {
        self.drive();
        while !self.ended {
            match self.next_message().await {
                Next::Message(message) => self.handle(message),
                Next::Time => {}
                Next::Closed => break,
            }
            while let Ok(message) = self.mailbox.try_recv() {
                self.handle(message);
            }
            self.drive();
        }
    }

    async fn next_message(&mut self) -> Next {
        self.set_timer();
        let (mailbox, timer) = (&mut self.mailbox, &mut self.timer);
        let next = std::future::poll_fn(|cx| match mailbox.poll_recv(cx) {
            Poll::Ready(Some(message)) => Poll::Ready(Next::Message(message)),
            Poll::Ready(None) => Poll::Ready(Next::Closed),
            Poll::Pending => match timer.as_mut().map(|(_, sleep)| Pin::new(sleep).poll(cx)) {
                Some(Poll::Ready(())) => Poll::Ready(Next::Time),
                _ => Poll::Pending,
            },
        })
        .await;
        if matches!(next, Next::Time) {
            self.timer = None;
        }
        next
    }

    /// A timer that goes off early is harmless, so most turns need no new one.
    fn set_timer(&mut self) {
        let now = self.host.now();
        let stalled = self.journal.is_full();
        let times =
            [self.journal.held_until(now), self.checkpoints.next_time(), self.background.next_time(stalled)];
        let wanted = times.into_iter().flatten().min().filter(|_| !self.failed);
        let set = self.timer.as_ref().map(|(at, _)| *at);
        if let Some(wanted) = wanted
            && set.is_none_or(|set| wanted < set)
        {
            self.timer = Some((wanted, self.host.clock.sleep_until(wanted)));
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::FromShard(message) => self.hear(message),
            Message::Wrote(result) => match self.journal.written(result) {
                Ok(progress) => self.tell(&progress, true),
                Err(failed) => self.fail(&failed.0),
            },
            Message::Synced(result) => match self.journal.synced(self.host.now(), result) {
                Ok(progress) => self.tell(&progress, false),
                Err(failed) => self.fail(&failed.0),
            },
            Message::Grown(grown) => self.grown(grown),
            Message::Checkpointed(result) => self.checkpointed(result),
        }
    }

    fn hear(&mut self, message: ToCommitter) {
        match message {
            ToCommitter::Submit(submit) => {
                if !self.failed {
                    self.journal.take(submit);
                }
            }
            ToCommitter::Released(released) => {
                self.checkpoints.released(released.shard, released.oldest_needed);
            }
            ToCommitter::CheckpointPart(part) => {
                self.journal.watch(part.shard);
                self.checkpoints.take(part);
            }
            ToCommitter::Stopped { shard } => {
                self.checkpoints.stopped(shard);
                self.ended |= self.failed && self.checkpoints.all_stopped();
            }
            ToCommitter::CheckpointSoon => self.checkpoints.soon = true,
            ToCommitter::Failed { error } => self.fail(&error),
        }
    }

    /// Begins whatever can be begun. Nothing once it has ended: a section that says that nothing remains would do away with
    /// what the journal still has to give to the next start.
    fn drive(&mut self) {
        if self.failed || self.ended {
            return;
        }
        let now = self.host.now();
        if let Some(write) = self.journal.next_write(now) {
            let op = Op::Write { file: write.file, offset: write.offset, pieces: vec![write.bytes] };
            self.writes.submit(op, completion(&self.to_self, |result| Message::Wrote(result.map(drop))));
        }
        if let Some(file) = self.journal.next_sync() {
            let done = completion(&self.to_self, |result| Message::Synced(result.map(drop)));
            self.syncs.submit(Op::Sync { file }, done);
        }
        self.note_full();
        if let Some(free_up_to) = self.journal.pressure() {
            let full = self.journal.blocked_up_to();
            self.report_all(&Report::RingPressure { dir: self.dir, free_up_to, full });
        }
        self.checkpoint(now);
        self.grow(now);
    }

    fn tell(&self, progress: &Progress, written: bool) {
        let (dir, position) = (self.dir, progress.position);
        for (shard, up_to_seq) in progress.shards.iter().copied() {
            let report = if written {
                Report::Written { dir, up_to_seq, position }
            } else {
                Report::Synced { dir, up_to_seq }
            };
            (self.report)(shard, report);
        }
    }

    fn report_all(&self, report: &Report) {
        for shard in 0..self.shards {
            (self.report)(shard, report.clone());
        }
    }

    fn note_full(&mut self) {
        let stall = Stall::of(&self.journal);
        if stall == self.stall {
            return;
        }
        let before = std::mem::replace(&mut self.stall, stall);
        let (used, total) = (self.journal.used_bytes(), self.journal.ring_bytes());
        let path = self.path.display();
        match (before, stall) {
            (_, Some(Stall::Full)) => {
                tracing::warn!(dir = %path, used, total, "the journal is full: appends wait for segments to be synced");
            }
            (_, Some(Stall::Growing)) => {
                tracing::debug!(dir = %path, used, total, "the journal is full and grows");
            }
            (_, Some(Stall::LargeEntry)) => {
                tracing::info!(dir = %path, used, total, "a batch is larger than each file of the journal, which grows for it");
            }
            (Some(Stall::Full), None) => {
                tracing::info!(dir = %path, used, total, "the journal has room again");
            }
            (_, None) => {}
        }
    }

    /// The directory is offline, for good.
    fn fail(&mut self, error: &Arc<str>) {
        if std::mem::replace(&mut self.failed, true) {
            return;
        }
        tracing::error!(dir = %self.path.display(), "the directory has failed: {error}");
        self.to_self = None;
        self.report_all(&Report::Failed { dir: self.dir, error: error.clone() });
        self.ended |= self.checkpoints.all_stopped();
    }
}

/// Why no round can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stall {
    /// What is in the ring is still needed.
    Full,
    /// The same, and it is about to grow.
    Growing,
    /// The next entry fits into none of its files.
    LargeEntry,
}

impl Stall {
    fn of(journal: &Journal) -> Option<Self> {
        match journal.is_full() {
            // It has no files yet.
            true if journal.ring_bytes() == 0 => None,
            true if journal.needs_larger_file() => Some(Self::LargeEntry),
            true if !journal.is_full_grown() => Some(Self::Growing),
            true => Some(Self::Full),
            false => None,
        }
    }
}

enum Next {
    Message(Message),
    Time,
    Closed,
}

/// How long to wait before something is tried again that a full disk has prevented.
const FULL_DISK_PAUSE: Duration = Duration::from_secs(5);

fn is_full_disk(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether a pause is over.
fn is_over(pause: Option<Instant>, now: Instant) -> bool {
    pause.is_none_or(|until| until <= now)
}
