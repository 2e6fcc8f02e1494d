//! [`Cluster`]: what is known of the cluster, and the connections to its brokers. Producers, consumers and admin
//! clients share one.
//!
//! Owns: the bootstrap list, one connection a broker, the newest metadata, and the pauses between attempts.
//!
//! Invariants:
//! * At most one connection attempt a broker and one Metadata request are under way.
//! * What is known of a partition's leader never goes back to an older leader epoch of the same topic.
//! * It ends when the last handle is dropped.
//!
//! Does not know: records, offsets, what the requests of its users mean.

mod address;
mod service;
mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use host::{Host, Place};
use protocol::wire::Request;
use protocol::{ErrorCode, NodeId, Str};
use tokio::sync::{mpsc, oneshot, watch};

use self::service::{Message, Peer, Service};
pub(crate) use self::snapshot::topic as snapshot_topic;
pub use self::snapshot::{Broker, Partition, Snapshot, Topic};
use crate::{Backoff, Connection, ConnectionOptions, Error};

#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// `host:port` of some brokers; the port may be left out and is then 9092.
    pub bootstrap: Vec<String>,
    pub connection: ConnectionOptions,
    /// Between attempts to connect to one broker.
    pub reconnect_backoff: Backoff,
    /// Between attempts of a request, and between Metadata requests.
    pub retry_backoff: Backoff,
    /// How long a request that any broker may answer is tried, and a topic waited for.
    pub patience: Duration,
    /// Metadata older than this is fetched again when it is used.
    pub metadata_age_max: Duration,
}

impl ClusterOptions {
    pub fn new(bootstrap: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            bootstrap: bootstrap.into_iter().map(Into::into).collect(),
            connection: ConnectionOptions::default(),
            reconnect_backoff: Backoff::millis(50, 1000),
            retry_backoff: Backoff::millis(100, 1000),
            patience: Duration::from_secs(60),
            metadata_age_max: Duration::from_secs(300),
        }
    }
}

/// Requests of the handles that the task has not looked at yet.
const MAILBOX: usize = 256;

/// Cheap handle.
#[derive(Clone, Debug)]
pub struct Cluster {
    host: Host,
    options: Arc<ClusterOptions>,
    mailbox: mpsc::Sender<Message>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
}

impl Cluster {
    /// Starts the task; connects only when something is asked.
    pub fn start(host: &Host, options: ClusterOptions) -> Result<Self, Error> {
        let bootstrap = address::parse_all(&options.bootstrap)?;
        let options = Arc::new(options);
        let (mailbox, receive) = mpsc::channel(MAILBOX);
        let (publish, snapshot) = watch::channel(Arc::default());
        let this = Self { host: host.clone(), options, mailbox, snapshot };
        let service = Service::new(&this, bootstrap, receive, publish);
        host.spawn(this.place(), "client cluster", service.run());
        Ok(this)
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    pub fn options(&self) -> &ClusterOptions {
        &self.options
    }

    pub(crate) fn place(&self) -> Place {
        self.options.connection.place
    }

    /// What is known at the moment; nothing before the first answer.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.borrow().clone()
    }

    /// The connection to a broker, made if need be. Waits out the pause after a failed attempt.
    pub async fn connection(&self, node: NodeId) -> Result<Connection, Error> {
        self.connect(Peer::Node(node.get())).await
    }

    async fn connect(&self, peer: Peer) -> Result<Connection, Error> {
        self.ask(|reply| Message::Connect { peer, reply }).await?
    }

    /// A connection to some broker; the last error when none can be reached.
    pub async fn any(&self) -> Result<Connection, Error> {
        let mut last = Error::Invalid("no bootstrap server is given".to_owned());
        for peer in self.ask(|reply| Message::Candidates { reply }).await? {
            match self.connect(peer).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends a request that any broker can answer, again if a connection breaks. Not being able to reach anybody is
    /// an error at once.
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Response, Error> {
        self.call_for(request, Duration::ZERO).await
    }

    /// As [`Cluster::call`], for a request that may wait so long at the broker.
    pub async fn call_for<R: Request>(&self, request: &R, at_broker: Duration) -> Result<R::Response, Error> {
        let mut retry = Retry::new(self);
        loop {
            let connection = self.any().await?;
            let version = connection.newest::<R>()?;
            match connection.call_in(version, request, at_broker).await {
                Err(error) if error.is_retriable() => retry.pause(error).await?,
                result => return result,
            }
        }
    }

    /// Fetches the metadata of these topics; of the brokers only if there are none.
    pub async fn refresh(&self, topics: Vec<Str>, create: bool) -> Result<(), Error> {
        self.ask(|reply| Message::Refresh { topics, create, reply }).await?
    }

    /// A topic whose partitions are known, fetched again if that was long ago. With `create`, a broker that creates
    /// topics automatically does so.
    pub async fn topic(&self, name: &Str, create: bool) -> Result<Arc<Topic>, Error> {
        let mut retry = Retry::new(self);
        loop {
            let snapshot = self.snapshot();
            if let Some(topic) = snapshot.topics.get(name)
                && topic.error.is_none()
                && self.host.now().since(topic.fetched_at) < self.options.metadata_age_max
            {
                return Ok(topic.clone());
            }
            self.refresh(vec![name.clone()], create).await?;
            let snapshot = self.snapshot();
            let Some(topic) = snapshot.topics.get(name) else {
                retry.pause(refused(name.as_str(), ErrorCode::UnknownTopicOrPartition, None)).await?;
                continue;
            };
            match topic.error {
                ErrorCode::None => return Ok(topic.clone()),
                // Unless it is being created, a topic that is not there will not come.
                code @ ErrorCode::UnknownTopicOrPartition if !create => {
                    return Err(refused(name.as_str(), code, None));
                }
                code if code.is_retriable() => retry.pause(refused(name.as_str(), code, None)).await?,
                code => return Err(refused(name.as_str(), code, None)),
            }
        }
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, Error> {
        let (reply, receive) = oneshot::channel();
        self.mailbox.send(message(reply)).await.map_err(|_| Error::Closed)?;
        receive.await.map_err(|_| Error::Closed)
    }
}

/// What a broker has refused.
pub(crate) fn refused(subject: impl Into<String>, code: ErrorCode, message: Option<&Str>) -> Error {
    // Ours go on behind it.
    let message = message.map(|text| text.trim_end_matches('.').to_owned());
    Error::Refused { subject: subject.into(), code, message }
}

/// Pauses between attempts of one thing, until the patience of the cluster's options is used up.
pub(crate) struct Retry<'a> {
    cluster: &'a Cluster,
    failures: u32,
    deadline: host::Instant,
}

impl<'a> Retry<'a> {
    pub(crate) fn new(cluster: &'a Cluster) -> Self {
        Self::lasting(cluster, Some(cluster.options.patience))
    }

    /// With another patience; `None` for ever.
    pub(crate) fn lasting(cluster: &'a Cluster, patience: Option<Duration>) -> Self {
        Self { cluster, failures: 0, deadline: cluster.host.now().after(patience.unwrap_or(Duration::MAX)) }
    }

    /// Waits, or gives the error back when there is no time left.
    pub(crate) async fn pause(&mut self, error: Error) -> Result<(), Error> {
        let host = &self.cluster.host;
        self.failures += 1;
        let delay = self.cluster.options.retry_backoff.delay(self.failures, &*host.rng);
        if host.now().after(delay) >= self.deadline {
            return Err(error);
        }
        host.clock.sleep(delay).await;
        Ok(())
    }
}
