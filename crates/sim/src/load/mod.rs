//! What the clients of a run do, each on a node of its own.
//!
//! Invariants: every one of them ends when it is told to, and tells the history what it saw in the order in which it
//! saw it.

mod aborted;
mod admin;
mod audit;
mod consumer;
mod fetch;
mod follower;
mod operator;
mod probe;
mod producer;
mod sluggard;
mod transactor;
mod watcher;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use client::{Backoff, Cluster, ClusterOptions, ConnectionOptions};
use host::sim::{Control, NodeOptions};
use host::{Host, Place};
use protocol::records::Record;
use tokio::sync::watch;

pub(crate) use self::audit::audit;
pub(crate) use self::probe::probe;
use crate::dice::Dice;
use crate::event::{Reader, Seen};
use crate::history::History;
use crate::scenario::{BROKER, PORT, Scenario};
use crate::value::Id;

/// Two clients whose dead lives may have asked for what happens later.
pub(crate) const ADMIN: &str = "admin";
pub(crate) const OPERATOR: &str = "operator";

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
    /// How many records each producer has made, in all its lives, and all that are no producers together.
    made: Vec<AtomicU64>,
    made_by_others: AtomicU64,
}

/// What a client does.
#[derive(Clone, Copy, Debug)]
enum Role {
    Producer(usize),
    Watcher,
    Consumer,
    Admin,
    Follower,
    Sluggard,
    Operator,
    Transactor(usize),
}

/// The clients of a run.
pub(crate) struct Load {
    control: Control,
    scenario: Arc<Scenario>,
    history: History,
    stop: watch::Sender<bool>,
    shared: Arc<Shared>,
    clients: Vec<(String, Role)>,
}

impl Load {
    /// Starts them all. Topics are made already.
    pub(crate) fn start(control: &Control, scenario: &Arc<Scenario>, history: &History) -> Self {
        let partitions = scenario.topics.iter().map(|topic| u64::from(topic.partitions.unsigned_abs()));
        let shared = Shared {
            partitions: partitions.map(AtomicU64::new).collect(),
            made: scenario.producers.iter().map(|_| AtomicU64::new(0)).collect(),
            ..Shared::default()
        };
        let mut clients = Vec::new();
        let mut add = |name: String, role| clients.push((name, role));
        for index in 0..scenario.producers.len() {
            add(format!("producer{index}"), Role::Producer(index));
        }
        (0..scenario.watchers).for_each(|index| add(format!("watcher{index}"), Role::Watcher));
        (0..scenario.transactors)
            .for_each(|index| add(format!("transactor{index}"), Role::Transactor(index)));
        (0..scenario.consumers).for_each(|index| add(format!("consumer{index}"), Role::Consumer));
        let others = [
            (scenario.admin, ADMIN, Role::Admin),
            (scenario.follower, "follower", Role::Follower),
            (scenario.sluggard, "sluggard", Role::Sluggard),
            (scenario.has_operator(), OPERATOR, Role::Operator),
        ];
        for (_, name, role) in others.into_iter().filter(|(wanted, ..)| *wanted) {
            add(name.to_owned(), role);
        }
        let this = Self {
            control: control.clone(),
            scenario: Arc::clone(scenario),
            history: history.clone(),
            stop: watch::Sender::new(false),
            shared: Arc::new(shared),
            clients,
        };
        for (name, role) in &this.clients {
            this.begin(control.node(name, NodeOptions::default()), *role);
        }
        this
    }

    fn begin(&self, host: Host, role: Role) {
        let context = Context {
            scenario: Arc::clone(&self.scenario),
            history: self.history.clone(),
            dice: Dice::of(&host),
            host,
            stop: self.stop.subscribe(),
            shared: Arc::clone(&self.shared),
        };
        match role {
            Role::Producer(index) => context.spawn("producer", move |on| producer::run(on, index)),
            Role::Watcher => context.spawn("watcher", watcher::run),
            Role::Consumer => context.spawn("consumer", consumer::run),
            Role::Admin => context.spawn("admin", admin::run),
            Role::Follower => context.spawn("follower", follower::run),
            Role::Sluggard => context.spawn("sluggard", sluggard::run),
            Role::Operator => context.spawn("operator", operator::run),
            Role::Transactor(index) => {
                context.spawn("transactor", move |on| transactor::run(on, index));
            }
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.clients.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Starts a client again whose process has ended.
    pub(crate) fn restart(&self, name: &str) {
        let role = self.clients.iter().find(|(other, _)| other == name).map(|(_, role)| *role);
        if let Some(role) = role.filter(|_| !self.control.is_up(name)) {
            self.begin(self.control.restart(name), role);
        }
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
        // `None` if it is time to stop.
        let _ = self.until_stopped(self.host.clock.sleep(time)).await;
    }

    /// What the work gives, or `None` if it is time to stop before.
    async fn until_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut stop = self.stop.clone();
        let (mut stopped, mut work) = (std::pin::pin!(stop.wait_for(|stop| *stop)), std::pin::pin!(work));
        std::future::poll_fn(|cx| match stopped.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => work.as_mut().poll(cx).map(Some),
        })
        .await
    }

    fn reader(&self) -> Reader {
        self.shared.readers.fetch_add(1, Ordering::Relaxed)
    }

    /// How many partitions a topic has by now, at least.
    fn partitions(&self, topic: usize) -> i32 {
        let count = self.shared.partitions.get(topic).map_or(1, |count| count.load(Ordering::Relaxed));
        i32::try_from(count).unwrap_or(1)
    }

    /// The number of a producer's next record; they go on where its last life has ended.
    fn next_number(&self, producer: usize) -> u64 {
        self.shared.made.get(producer).map_or(0, |made| made.fetch_add(1, Ordering::Relaxed))
    }

    fn next_extra(&self) -> u64 {
        self.shared.made_by_others.fetch_add(1, Ordering::Relaxed)
    }

    fn made_by_others(&self) -> u64 {
        self.shared.made_by_others.load(Ordering::Relaxed)
    }

    fn made(&self, producer: usize) -> u64 {
        self.shared.made.get(producer).map_or(0, |made| made.load(Ordering::Relaxed))
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
        let whole = id.is_some_and(|id| id.is_whole(record));
        let in_time = id.is_some_and(|id| id.timestamp() == record.timestamp);
        Seen { offset: record.offset, id, whole, in_time }
    });
    seen.collect()
}
