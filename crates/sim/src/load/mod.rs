//! What the clients of a run do, each on a node of its own.
//!
//! Invariants: every one of them ends when it is told to, and tells the history what it saw in the order in which it
//! saw it.

mod admin;
mod audit;
mod consumer;
mod fetch;
mod producer;
mod watcher;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use client::{Backoff, Cluster, ClusterOptions, ConnectionOptions};
use host::sim::{Control, NodeOptions};
use host::{Host, Place};
use protocol::records::Record;
use tokio::sync::watch;

pub(crate) use self::audit::audit;
use crate::dice::Dice;
use crate::event::{Reader, Seen};
use crate::history::History;
use crate::scenario::{BROKER, PORT, Scenario};
use crate::value::Id;

/// What every client has.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) history: History,
    pub(crate) host: Host,
    pub(crate) dice: Dice,
    stop: watch::Receiver<bool>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Clients that have not ended, and records without a result.
    working: AtomicUsize,
    readers: AtomicUsize,
    /// Partitions that each topic certainly has; it may grow.
    partitions: Vec<AtomicU64>,
}

/// The clients of a run.
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    shared: Arc<Shared>,
    pub(crate) names: Vec<String>,
}

impl Load {
    /// Starts them all. Topics are made already.
    pub(crate) fn start(control: &Control, scenario: &Arc<Scenario>, history: &History) -> Self {
        let (stop, stopped) = watch::channel(false);
        let partitions = scenario.topics.iter().map(|topic| u64::from(topic.partitions.unsigned_abs()));
        let shared =
            Arc::new(Shared { partitions: partitions.map(AtomicU64::new).collect(), ..Shared::default() });
        let mut this = Self { stop, shared, names: Vec::new() };
        let mut context = |name: String| {
            let host = control.node(&name, NodeOptions::default());
            this.names.push(name);
            let (scenario, history) = (Arc::clone(scenario), history.clone());
            let (stop, shared, dice) = (stopped.clone(), Arc::clone(&this.shared), Dice::of(&host));
            Context { scenario, history, host, dice, stop, shared }
        };
        for index in 0..scenario.producers.len() {
            context(format!("producer{index}")).spawn("producer", move |on| producer::run(on, index));
        }
        for index in 0..scenario.watchers {
            context(format!("watcher{index}")).spawn("watcher", watcher::run);
        }
        for index in 0..scenario.consumers {
            context(format!("consumer{index}")).spawn("consumer", consumer::run);
        }
        if scenario.admin {
            context("admin".to_owned()).spawn("admin", admin::run);
        }
        this
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether all have ended and every record has its result.
    pub(crate) fn is_done(&self) -> bool {
        self.shared.working.load(Ordering::Relaxed) == 0
    }
}

impl Context {
    fn spawn<F: Future<Output = ()> + Send + 'static>(
        self,
        name: &'static str,
        work: impl FnOnce(Self) -> F + Send + 'static,
    ) {
        let working = Working::begin(&self);
        let host = self.host.clone();
        host.spawn(Place::Control, name, async move {
            work(self).await;
            drop(working);
        });
    }

    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Sleeps, or less when it is time to stop.
    async fn pause(&self, time: Duration) {
        let mut sleep = self.host.clock.sleep(time);
        let mut stop = self.stop.clone();
        let mut stopped = std::pin::pin!(stop.wait_for(|stop| *stop));
        std::future::poll_fn(|cx| match stopped.as_mut().poll(cx) {
            std::task::Poll::Ready(_) => std::task::Poll::Ready(()),
            std::task::Poll::Pending => sleep.as_mut().poll(cx),
        })
        .await;
    }

    fn reader(&self) -> Reader {
        self.shared.readers.fetch_add(1, Ordering::Relaxed)
    }

    /// How many partitions a topic has by now, at least.
    fn partitions(&self, topic: usize) -> i32 {
        let count = self.shared.partitions.get(topic).map_or(1, |count| count.load(Ordering::Relaxed));
        i32::try_from(count).unwrap_or(1)
    }

    fn has_grown(&self, topic: usize, partitions: i32) {
        if let Some(count) = self.shared.partitions.get(topic) {
            count.fetch_max(u64::from(partitions.unsigned_abs()), Ordering::Relaxed);
        }
    }

    fn cluster(&self) -> Cluster {
        cluster(&self.host)
    }
}

/// Counts for as long as it lives.
struct Working(Arc<Shared>);

impl Working {
    fn begin(context: &Context) -> Self {
        context.shared.working.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&context.shared))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Impatient, so that a short run sees many attempts.
pub(crate) fn cluster(host: &Host) -> Cluster {
    let connection = ConnectionOptions {
        connect_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(3),
        ..ConnectionOptions::default()
    };
    let options = ClusterOptions {
        connection,
        reconnect_backoff: Backoff::millis(20, 500),
        retry_backoff: Backoff::millis(20, 500),
        patience: Duration::from_secs(20),
        metadata_age_max: Duration::from_secs(10),
        ..ClusterOptions::new([format!("{BROKER}:{PORT}")])
    };
    Cluster::start(host, options).expect("an address of our own")
}

fn seen(records: &[Record]) -> Vec<Seen> {
    let seen = records.iter().map(|record| {
        let id = Id::parse(record);
        Seen { offset: record.offset, id, whole: id.is_some_and(|id| id.is_whole(record)) }
    });
    seen.collect()
}
