//! [`Node`]: the parts of a broker, started in order and stopped in reverse.
//!
//! Invariants:
//! * Listeners are bound first, so that a taken port is found before anything is written, and so is a log directory of
//!   another node or cluster; listeners accept last, when the
//!   broker leads what it leads.
//! * A start ends the earlier leaderships of this broker: its registration gives every partition that it leads a new
//!   leader epoch before the first append.
//! * A clean stop answers what was begun, writes out every tail, and leaves empty journals.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use host::{Files, Host, Op, Place};
use metadata::Image;
use metadata::config::{BrokerConfig, Endpoint, StaticConfig};
use metadata::record::SecurityProtocol;
use protocol::{ErrorCode, NodeId};
use quorum::MetadataLog;
use storage::PartitionKey;
use tokio::sync::{mpsc, watch};

use crate::api::FetchSessions;
use crate::applier::{Applier, Outlets};
use crate::broker::{Broker, Limits};
use crate::controller::Controller;
use crate::coordinators::{
    Coordinators, GroupCoordinators, Groups, Kind, Searches, Supervisor, TopicsChanged,
    TransactionCoordinators, Transactions,
};
use crate::directories::Directories;
use crate::listening::bind;
use crate::loggers::Loggers;
use crate::metadata_view::MetadataView;
use crate::ownership::{self, OwnershipError};
use crate::producer_ids::ProducerIds;
use crate::publisher::Publisher;
use crate::random;
use crate::registration::Registration;
use crate::server::{ConnectionLimits, ReplyMemory};
use crate::serving::{Serving, Usage, serve, shares};
use crate::shard::{CleanerOptions, ScrubOptions, Shards, ShardsOptions};
use crate::telemetry::Telemetry;
use crate::topic_settings::SettingsSource;
use crate::wait::{until, within};
use crate::workers::Workers;

/// The metadata log's own directory beside the partitions: it has an identity and a lock of its own.
const METADATA_DIR: &str = "metadata";

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "cannot listen on {listener}: {error}; choose another address with --set listeners=…, or stop what uses it"
    )]
    Listen { listener: String, error: std::io::Error },
    #[error(
        "{listener} is to speak {protocol}, which this broker cannot yet; only PLAINTEXT listeners are served"
    )]
    Protocol { listener: String, protocol: SecurityProtocol },
    #[error(
        "process.roles has no broker: a node that is only a controller is not there yet; add broker to it"
    )]
    NotABroker,
    #[error(transparent)]
    Metadata(#[from] quorum::Error),
    #[error(transparent)]
    Ownership(#[from] Box<OwnershipError>),
    #[error(transparent)]
    Shards(#[from] crate::shard::StartError),
    #[error("{}, which holds the metadata log, cannot be used: {reason}", path.display())]
    MetadataDirectory { path: PathBuf, reason: String },
    #[error(
        "{}: missing, although the log directories hold {partitions} partitions, which nobody would know without the \
         metadata; restore it, or empty the log directories to start as a new node", path.display()
    )]
    MetadataMissing { path: PathBuf, partitions: usize },
    #[error("could not register with the cluster: {reason} ({})", code.name())]
    Register { code: ErrorCode, reason: String },
}

/// A running broker.
#[derive(Debug)]
pub struct Node {
    broker: Arc<Broker>,
    log: MetadataLog,
    endpoints: Vec<Endpoint>,
    serving: Serving,
    /// Says why the metadata log could not be applied.
    broken: watch::Receiver<Option<String>>,
}

impl Node {
    /// Brings up a broker; when this returns, clients can use it.
    pub async fn start(host: Host, statics: StaticConfig, config: BrokerConfig) -> Result<Self, StartError> {
        Self::start_with(host, statics, config, Loggers::default()).await
    }

    /// As [`Node::start`], in a process whose log changes with `loggers`.
    pub async fn start_with(
        host: Host,
        statics: StaticConfig,
        config: BrokerConfig,
        loggers: Loggers,
    ) -> Result<Self, StartError> {
        let bound = bind(&host, &config).await?;
        let endpoints: Vec<Endpoint> = bound.iter().map(|bound| bound.advertised.clone()).collect();
        let (shards, log, outlets) = open_disks(&host, &config).await?;
        let node_id = NodeId(log.identity().node_id);
        let view = Arc::new(MetadataView::new(config.clone()));
        let limits = Arc::new(ConnectionLimits::new(&config.sockets));
        let settings = SettingsSource::new(Arc::new(statics), node_id);
        let (topics, topics_changed) = mpsc::unbounded_channel();
        let incarnation = random::uuid(&host);
        let publisher = Publisher {
            node_id,
            incarnation,
            shards: shards.clone(),
            settings: settings.clone(),
            view: view.clone(),
            started: config.clone(),
            limits: limits.clone(),
            changes: outlets.changes,
            topics,
        };
        host.spawn(Place::Control, "publisher", publisher.run());
        let (controller, controller_task) = Controller::new(outlets.image, log.clone(), view.clone());
        host.spawn(Place::Control, "controller", controller_task.run());
        let registration = Registration {
            node_id,
            rack: config.rack.clone(),
            endpoints: &endpoints,
            log_directories: shards.recovery().directory_ids.clone(),
            incarnation,
        };
        let registered = registration.carry_out(&host, &log, &controller);
        let broker_epoch = until(registered, async { Err(log.without_room().await.into()) }).await?;
        shards.remove_strays(Arc::new(partitions_of(&view.view().image, node_id))).await;
        let (producer_ids, producer_ids_task) = ProducerIds::new(controller.clone(), node_id, broker_epoch);
        host.spawn(Place::Control, "producer ids", producer_ids_task.run());

        let broker = Arc::new(Broker {
            reply_memory: ReplyMemory::new(shares(&config).replies),
            telemetry: Telemetry::new(&host, config.limits.telemetry_max_bytes),
            workers: Workers::new(&host, "records", host.tasks.shards() / 2),
            host,
            node_id,
            limits: Limits::of(&config),
            fetch_sessions: FetchSessions::new(config.limits.fetch_sessions_max),
            config,
            settings,
            metadata: view,
            controller,
            quorum: log.clone(),
            shards,
            producer_ids,
            groups: GroupCoordinators::default(),
            transactions: TransactionCoordinators::default(),
            loggers,
            stopping: watch::Sender::new(false),
        });
        settle(&broker, broker_epoch, topics_changed);
        let serving = serve(&broker, bound, limits);
        Ok(Self { broker, log, endpoints, serving, broken: outlets.broken })
    }

    /// Where clients connect, listener by listener.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    pub fn node_id(&self) -> NodeId {
        self.broker.node_id
    }

    /// What clients make it hold.
    pub fn usage(&self) -> Usage {
        self.serving.usage(&self.broker)
    }

    /// Resolves, with the reason, when the node cannot go on: its metadata log or its last log directory has failed.
    pub async fn failed(&self) -> String {
        let log = async { self.log.ended().await.to_string() };
        let mut broken = self.broken.clone();
        let broken = async {
            let reason = broken.wait_for(Option::is_some).await.map(|reason| reason.clone());
            match reason {
                Ok(reason) => reason.unwrap_or_default(),
                // The log has been dropped; nothing breaks any more.
                Err(_) => std::future::pending().await,
            }
        };
        let (mut log, mut broken) = (std::pin::pin!(log), std::pin::pin!(broken));
        let mut shards = std::pin::pin!(self.broker.shards.failed());
        std::future::poll_fn(|cx| {
            let futures: [Pin<&mut (dyn Future<Output = String> + Send)>; 3] =
                [log.as_mut(), broken.as_mut(), shards.as_mut()];
            let ready = futures.into_iter().map(|future| future.poll(cx)).find(Poll::is_ready);
            ready.unwrap_or(Poll::Pending)
        })
        .await
    }

    /// Stops cleanly: no new requests, answers to those begun, tails written out.
    pub async fn stop(mut self) {
        self.broker.stopping.send_replace(true);
        let drained = async { while self.serving.alive.recv().await.is_some() {} };
        let patience = u64::try_from(self.broker.config.shutdown_timeout_ms).unwrap_or(0);
        let late = self.broker.host.clock.sleep(Duration::from_millis(patience));
        if within(drained, late).await.is_none() {
            tracing::warn!("some clients have not taken their answers in time");
        }
        self.broker.shards.stop().await;
        self.log.shutdown().await;
    }
}

/// Everything of before this start is open: groups are served, and the cluster is told of the log directories from here on,
/// if there is more to tell than at the start.
fn settle(broker: &Arc<Broker>, broker_epoch: i64, topics: mpsc::UnboundedReceiver<TopicsChanged>) {
    coordinate(broker, topics);
    broker.shards.settle();
    // The only one is known at the start, and without it the process ends.
    if broker.config.directories.log.len() < 2 {
        return;
    }
    let directories = Directories {
        node_id: broker.node_id,
        broker_epoch,
        shards: broker.shards.clone(),
        view: broker.metadata.clone(),
        controller: broker.controller.clone(),
        stopping: broker.stopping.subscribe(),
    };
    broker.host.spawn(Place::Control, "directories", directories.run());
}

/// Begins to serve groups and transactions.
fn coordinate(broker: &Arc<Broker>, topics: mpsc::UnboundedReceiver<TopicsChanged>) {
    let (searches, wanted) = mpsc::unbounded_channel();
    let searching = Searches {
        wanted,
        workers: Workers::new(&broker.host, "topic patterns", 1),
        view: broker.metadata.clone(),
        coordinators: broker.groups.clone(),
    };
    broker.host.spawn(Place::Control, "topic patterns", searching.run());
    supervise(broker, Groups { searches }, &broker.groups, Some(topics));
    supervise(broker, Transactions { broker: Arc::downgrade(broker) }, &broker.transactions, None);
}

fn supervise<K: Kind>(
    broker: &Broker,
    kind: K,
    coordinators: &Coordinators<K>,
    topics: Option<mpsc::UnboundedReceiver<TopicsChanged>>,
) {
    let supervisor = Supervisor {
        kind,
        host: broker.host.clone(),
        node_id: broker.node_id,
        shards: broker.shards.clone(),
        view: broker.metadata.clone(),
        coordinators: coordinators.clone(),
        topics,
        stopping: broker.stopping.subscribe(),
    };
    broker.host.spawn(Place::Control, K::TASK, supervisor.run());
}

/// Opens what is on disk: the log directories, and the metadata log, which says whose they are.
async fn open_disks(
    host: &Host,
    config: &BrokerConfig,
) -> Result<(Shards, MetadataLog, Outlets), StartError> {
    let files = host.disk.files();
    let directory = metadata_directory(config);
    let options = shards_options(config, host.disk.open_files_max());
    let log_dirs = options.log_dirs.clone();
    ownership::check(&*files, &directory, &log_dirs)?;
    let shards = Shards::start(host, options).await?;
    log_recovery(&shards);
    check_metadata_directory(config, &shards)?;
    check_metadata_log(host, &directory, &shards).await?;
    let (applier, outlets) = Applier::new();
    let options = quorum::Options { node_id: config.node_id.map(|id| id.0), ..quorum::Options::default() };
    let log = MetadataLog::open(host, &directory, options, applier).await?;
    ownership::claim(&*files, log.identity(), usable(&log_dirs, &shards));
    Ok((shards, log, outlets))
}

fn metadata_directory(config: &BrokerConfig) -> PathBuf {
    PathBuf::from(&config.directories.metadata).join(METADATA_DIR)
}

/// The log directories that were not offline at the start.
fn usable<'a>(log_dirs: &'a [PathBuf], shards: &'a Shards) -> impl Iterator<Item = &'a PathBuf> {
    let offline = &shards.recovery().offline;
    log_dirs.iter().filter(move |dir| !offline.iter().any(|(path, _)| path == *dir))
}

/// What the metadata has on this node.
fn partitions_of(image: &Image, node_id: NodeId) -> BTreeSet<PartitionKey> {
    let mut keys = BTreeSet::new();
    for topic in image.topics() {
        let here = topic.partitions().filter(|(_, state)| state.replicas.contains(&node_id));
        keys.extend(here.map(|(partition, _)| PartitionKey { topic_id: topic.id(), partition }));
    }
    keys
}

/// Segment files that are kept open: of what the process may open, the rest is for connections. More would cost kernel
/// memory and save little.
const SEGMENT_FILES_MAX: usize = 8192;

fn shards_options(config: &BrokerConfig, open_files_max: usize) -> ShardsOptions {
    let ms = |ms: i64| u64::try_from(ms).unwrap_or(0);
    ShardsOptions {
        log_dirs: config.directories.log.iter().map(PathBuf::from).collect(),
        cordoned: config.directories.cordoned.iter().map(PathBuf::from).collect(),
        journal_bytes_max: config.directories.journal_max_bytes,
        memory_bytes_max: shares(config).records,
        producer_id_expiration_ms: ms(config.producer_id_expiration_ms),
        retention_check_interval: Duration::from_millis(ms(config.retention_check_interval_ms)),
        disk_reserve_bytes: config.directories.reserve_bytes,
        cleaner: CleanerOptions::from(&config.cleaner),
        open_files_max: (open_files_max / 4).min(SEGMENT_FILES_MAX),
        scrub: ScrubOptions {
            interval: u64::try_from(config.directories.scrub_interval_ms).ok().map(Duration::from_millis),
            bytes_per_second: config.directories.scrub_bytes_per_second,
        },
    }
}

/// A broker does without one log directory of several, but not without the metadata log in it.
fn check_metadata_directory(config: &BrokerConfig, shards: &Shards) -> Result<(), StartError> {
    let metadata = PathBuf::from(&config.directories.metadata);
    let offline = shards.recovery().offline.iter().find(|(path, _)| *path == metadata);
    offline.map_or(Ok(()), |(path, reason)| {
        Err(StartError::MetadataDirectory { path: path.clone(), reason: reason.clone() })
    })
}

/// A node that has partitions has had a metadata log. With a new one they would be set aside as those of nobody.
async fn check_metadata_log(host: &Host, directory: &Path, shards: &Shards) -> Result<(), StartError> {
    let partitions = shards.recovery().partitions;
    if partitions == 0 {
        return Ok(());
    }
    let path = directory.join("meta.properties");
    let file = path.clone();
    let look = move |files: &dyn Files| {
        files.exists(&file).map(|exists| Bytes::from_static(if exists { b"there" } else { b"" }))
    };
    match host.disk.lane("start").run(Op::Call(Box::new(look))).await {
        Ok(found) if !found.is_empty() => Ok(()),
        Ok(_) => Err(StartError::MetadataMissing { path, partitions }),
        Err(error) => Err(StartError::MetadataDirectory { path, reason: error.to_string() }),
    }
}

fn log_recovery(shards: &Shards) {
    let found = shards.recovery();
    if found.partitions > 0 {
        tracing::info!(
            partitions = found.partitions,
            broken = found.broken,
            batches = found.batches,
            bytes = found.bytes,
            clean = found.clean,
            elapsed_ms = u64::try_from(found.elapsed.as_millis()).unwrap_or(u64::MAX),
            "opened the log directories"
        );
    }
}
