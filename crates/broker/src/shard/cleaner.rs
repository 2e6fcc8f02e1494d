//! [`Cleaner`]: the task that compacts one log after the other, the dirtiest of the node first, in small steps on a lane of
//! its own.
//!
//! Invariants:
//! * After each step it rests at least as long as that took, and as `log.cleaner.io.max.bytes.per.second` asks: the disk
//!   and the processor belong to those who write and read.
//! * It owns no state of a log. What it has made is offered to the log's shard, which decides.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use host::{Host, LaneRef, Place, Task};
use metadata::config::CleanerConfig;
use storage::PartitionKey;
use storage::clean::{Cleaning, Options, Step};
use storage::segment::OpenFiles;
use tokio::sync::{mpsc, oneshot, watch};

use super::compaction::{Begun, Candidate, CleaningEnd};
use super::directory::call;
use super::message::Message;
use super::shard_of;

/// `log.cleaner.*`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanerOptions {
    /// How many logs are compacted at once, at most [`CLEANERS_MAX`]; none with 0.
    pub threads: usize,
    /// `log.cleaner.dedupe.buffer.size`: what they may take for keys, together.
    pub map_bytes_max: usize,
    pub io_bytes_per_second: f64,
    /// Between two looks for something to do.
    pub backoff: Duration,
}

impl Default for CleanerOptions {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            threads: 1,
            map_bytes_max: 128 << 20,
            io_bytes_per_second: f64::MAX,
            backoff: Duration::from_secs(15),
        }
    }
}

/// More would compete for the same disks.
const CLEANERS_MAX: usize = 16;

pub(super) struct Cleaner {
    /// It works if this is below the number of threads.
    index: usize,
    host: Host,
    mailboxes: Arc<[mpsc::UnboundedSender<Message>]>,
    /// Made when there is something to do: it is a thread.
    lane: OnceLock<LaneRef>,
    open: Arc<OpenFiles>,
    disk_reserve_bytes: u64,
    options: watch::Receiver<CleanerOptions>,
    stop: watch::Receiver<bool>,
}

impl From<&CleanerConfig> for CleanerOptions {
    fn from(config: &CleanerConfig) -> Self {
        Self {
            threads: if config.enable { config.threads } else { 0 },
            map_bytes_max: config.dedupe_buffer_bytes,
            io_bytes_per_second: config.io_max_bytes_per_second,
            backoff: Duration::from_millis(config.backoff_ms),
        }
    }
}

/// The handle of the cleaners.
#[derive(Clone, Debug)]
pub(super) struct Cleaners {
    tasks: Arc<[Task]>,
    options: Arc<watch::Sender<CleanerOptions>>,
    stop: Arc<watch::Sender<bool>>,
}

impl Cleaners {
    /// Starts the cleaners. As many of them work as the options say.
    pub(super) fn start(
        host: &Host,
        mailboxes: &Arc<[mpsc::UnboundedSender<Message>]>,
        open: &Arc<OpenFiles>,
        options: CleanerOptions,
        disk_reserve_bytes: u64,
    ) -> Self {
        let (options, stop) = (watch::Sender::new(options), watch::Sender::new(false));
        let start = |index| {
            let cleaner = Cleaner {
                index,
                host: host.clone(),
                mailboxes: mailboxes.clone(),
                lane: OnceLock::new(),
                open: open.clone(),
                disk_reserve_bytes,
                options: options.subscribe(),
                stop: stop.subscribe(),
            };
            host.spawn(Place::Control, "cleaner", cleaner.run())
        };
        let tasks = (0..CLEANERS_MAX).map(start).collect();
        Self { tasks, options: Arc::new(options), stop: Arc::new(stop) }
    }

    /// They go by these from now on, also those that rest.
    pub(super) fn set(&self, options: CleanerOptions) {
        self.options.send_if_modified(|now| std::mem::replace(now, options) != options);
    }

    /// Ends them. What they have offered is carried out, what they are writing is given up.
    pub(super) async fn stop(&self) {
        self.stop.send_replace(true);
        for task in self.tasks.iter() {
            task.ended().await;
        }
    }
}

impl Cleaner {
    async fn run(mut self) {
        let mut has_cleaned = false;
        while !self.is_stopped() {
            if !has_cleaned {
                let index = self.index;
                let is_off = move |options: &CleanerOptions| index >= options.threads;
                self.rest(None, |options| if is_off(options) { Duration::MAX } else { options.backoff })
                    .await;
            }
            has_cleaned = match self.dirtiest().await {
                Some(candidate) => self.clean(candidate.key).await,
                None => false,
            };
        }
    }

    /// Also when nobody is left who could say so.
    fn is_stopped(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }

    /// Sleeps as long as the options ask, whenever they change, or until the stop, or until the pass is to end.
    async fn rest(
        &mut self,
        cancelled: Option<&watch::Receiver<bool>>,
        duration: impl Fn(&CleanerOptions) -> Duration,
    ) {
        let began = self.host.now();
        loop {
            let mut options = self.options.clone();
            let until = began.after(duration(&options.borrow_and_update()));
            let mut sleep = self.host.clock.sleep_until(until);
            let mut changed = std::pin::pin!(async move {
                // Without a sender nothing changes any more, and the stop comes.
                if options.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            });
            let mut cancelled = std::pin::pin!(async {
                match cancelled.cloned() {
                    // Without a sender the partition has gone.
                    Some(mut cancelled) => drop(cancelled.wait_for(|cancelled| *cancelled).await),
                    None => std::future::pending().await,
                }
            });
            let rested = std::future::poll_fn(|cx| {
                let over = Pin::new(&mut sleep).poll(cx).is_ready() || cancelled.as_mut().poll(cx).is_ready();
                match changed.as_mut().poll(cx) {
                    _ if over => Poll::Ready(true),
                    Poll::Ready(()) => Poll::Ready(false),
                    Poll::Pending => Poll::Pending,
                }
            });
            if self.or_stop(rested).await != Some(false) {
                return;
            }
        }
    }

    /// What `future` answers, unless the stop comes first.
    async fn or_stop<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        let mut stop = self.stop.clone();
        let mut stopped = std::pin::pin!(async move {
            // Without a sender nobody can say stop, and nobody is left.
            let _ = stop.wait_for(|stop| *stop).await;
        });
        std::future::poll_fn(|cx| match Pin::new(&mut future).poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => stopped.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    async fn dirtiest(&mut self) -> Option<Candidate> {
        let asked: Vec<_> = self
            .mailboxes
            .iter()
            .map(|mailbox| {
                let (reply, receive) = oneshot::channel();
                // A shard that has ended drops the reply, which is an answer, too.
                let _ = mailbox.send(Message::Dirtiest { reply });
                receive
            })
            .collect();
        let mut best = None;
        for candidate in asked {
            best = best.max(self.or_stop(candidate).await.and_then(Result::ok).flatten());
        }
        best
    }

    /// A whole pass. False if there was nothing to do, or it could not be done.
    async fn clean(&mut self, key: PartitionKey) -> bool {
        let secret = [self.host.rng.next_u64(), self.host.rng.next_u64()];
        let CleanerOptions { map_bytes_max, threads, .. } = *self.options.borrow();
        let options = Options {
            map_bytes_max: map_bytes_max / threads.clamp(1, CLEANERS_MAX),
            secret,
            disk_reserve_bytes: self.disk_reserve_bytes,
        };
        let (reply, receive) = oneshot::channel();
        self.send(key, Message::BeginCleaning { key, options, reply });
        let Some(Ok(Some(begun))) = self.or_stop(receive).await else { return false };
        let topic = begun.topic.clone();
        let began = self.host.now();
        let (end, stats) = self.pass(key, begun).await;
        let is_cleaned = matches!(end, CleaningEnd::Cleaned { .. });
        if let CleaningEnd::Cleaned { up_to } = end {
            let elapsed_ms = u64::try_from(self.host.now().since(began).as_millis()).unwrap_or(u64::MAX);
            tracing::info!(%topic, partition = key.partition, %up_to, elapsed_ms, ?stats, "compacted a log");
        }
        self.send(key, Message::EndCleaning { key, end });
        is_cleaned
    }

    async fn pass(&mut self, key: PartitionKey, begun: Begun) -> (CleaningEnd, storage::clean::Stats) {
        let Begun { mut cleaning, cancelled, .. } = begun;
        loop {
            if self.is_stopped() || *cancelled.borrow() {
                let stats = cleaning.stats();
                return (self.abandon(cleaning).await, stats);
            }
            let before = self.host.now();
            let (returned, result) = self.step(cleaning).await;
            let Some(same) = returned else { return (CleaningEnd::Abandoned, Default::default()) };
            cleaning = same;
            match result {
                Ok(Step::Partly { bytes }) if bytes > 0 => {
                    let took = self.host.now().since(before);
                    self.rest(Some(&cancelled), |options| took.max(time_for(bytes, options))).await;
                }
                Ok(Step::Partly { .. }) => {}
                Ok(Step::Done { cleaned }) => {
                    return (CleaningEnd::Cleaned { up_to: cleaned }, cleaning.stats());
                }
                Ok(Step::Replace(replacement)) => {
                    let (reply, receive) = oneshot::channel();
                    self.send(key, Message::Replace { key, replacement: replacement.clone(), reply });
                    let taken = self.or_stop(receive).await;
                    if !matches!(taken, Some(Ok(true))) {
                        if matches!(taken, Some(Ok(false))) {
                            cleaning.refused(&replacement);
                        }
                        let stats = cleaning.stats();
                        return (self.abandon(cleaning).await, stats);
                    }
                }
                Err(error) => {
                    let stats = cleaning.stats();
                    return (self.fail(cleaning, error).await, stats);
                }
            }
        }
    }

    /// A step on the lane. Without the pass if the lane has lost it.
    async fn step(&self, mut cleaning: Cleaning) -> (Option<Cleaning>, std::io::Result<Step>) {
        let (send, receive) = oneshot::channel();
        let work = move |files: &dyn host::Files, _: &OpenFiles| {
            let result = cleaning.step(files);
            Ok((cleaning, result))
        };
        call(self.lane(), self.open.clone(), work, move |done| drop(send.send(done)));
        match receive.await {
            Ok(Ok((cleaning, result))) => (Some(cleaning), result),
            Ok(Err(error)) => (None, Err(error)),
            Err(_) => (None, Err(std::io::Error::other("the lane has ended"))),
        }
    }

    async fn abandon(&self, cleaning: Cleaning) -> CleaningEnd {
        drop(self.tidy(cleaning).await);
        CleaningEnd::Abandoned
    }

    async fn fail(&self, cleaning: Cleaning, error: std::io::Error) -> CleaningEnd {
        match self.tidy(cleaning).await {
            Some(cleaning) => CleaningEnd::Failed { error, cleaning: Box::new(cleaning) },
            None => CleaningEnd::Abandoned,
        }
    }

    /// Removes what the pass has left.
    async fn tidy(&self, mut cleaning: Cleaning) -> Option<Cleaning> {
        let (send, receive) = oneshot::channel();
        let work = move |files: &dyn host::Files, _: &OpenFiles| {
            if let Err(error) = cleaning.abandon(files) {
                // The next start removes it.
                tracing::warn!("could not remove what a compaction has written: {error}");
            }
            Ok(cleaning)
        };
        call(self.lane(), self.open.clone(), work, move |done| drop(send.send(done)));
        receive.await.ok().and_then(Result::ok)
    }

    fn lane(&self) -> &LaneRef {
        self.lane.get_or_init(|| self.host.disk.background_lane("cleaner"))
    }

    fn send(&self, key: PartitionKey, message: Message) {
        if let Some(mailbox) = self.mailboxes.get(shard_of(&key, self.mailboxes.len())) {
            // A shard that has ended drops the reply, which is an answer, too.
            let _ = mailbox.send(message);
        }
    }
}

/// How long so many bytes should take at least.
fn time_for(bytes: usize, options: &CleanerOptions) -> Duration {
    #[allow(clippy::cast_precision_loss)]
    let seconds = bytes as f64 / options.io_bytes_per_second.max(1.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}
