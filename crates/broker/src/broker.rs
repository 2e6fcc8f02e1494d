//! [`Broker`]: what every request handler can reach.

use std::sync::Arc;
use std::time::Duration;

use host::Host;
use metadata::config::BrokerConfig;
use metadata::controller::{Context, Decision};
use metadata::image::Topic;
use protocol::{ErrorCode, NodeId};
use quorum::MetadataLog;
use storage::PartitionKey;
use tokio::sync::watch;

use crate::api::FetchSessions;
use crate::controller::Controller;
use crate::coordinators::{GroupCoordinators, TransactionCoordinators};
use crate::loggers::Loggers;
use crate::metadata_view::MetadataView;
use crate::producer_ids::ProducerIds;
use crate::server::ReplyMemory;
use crate::shard::Shards;
use crate::telemetry::Telemetry;
use crate::topic_settings::SettingsSource;
use crate::wait::within;
use crate::workers::Workers;

/// What one request or connection may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// `socket.request.max.bytes`
    pub(crate) request_bytes_max: usize,
    /// What a request may take when it is decoded: `bourn.memory.max.bytes`
    pub(crate) decoded_bytes_max: usize,
    /// `fetch.max.bytes`
    pub(crate) fetch_bytes_max: usize,
    /// `connections.max.idle.ms`
    pub(crate) idle_max: Duration,
}

impl Limits {
    pub(crate) fn of(config: &BrokerConfig) -> Self {
        let idle_ms = config.sockets.max_idle_ms.and_then(|ms| u64::try_from(ms).ok());
        Self {
            request_bytes_max: config.limits.request_max_bytes,
            decoded_bytes_max: usize::try_from(config.limits.memory_max_bytes).unwrap_or(usize::MAX),
            fetch_bytes_max: config.limits.fetch_max_bytes,
            idle_max: idle_ms.map_or(NEVER, Duration::from_millis),
        }
    }
}

/// Clients that give no time mean no harm: a healthy disk is done by then.
const DECISION_TIME_MIN: Duration = Duration::from_secs(1);

/// Longer than any connection lives.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) host: Host,
    pub(crate) node_id: NodeId,
    /// What it was started with; what has changed since is in the view of the metadata.
    pub(crate) config: BrokerConfig,
    /// Bounds derived from the config, as the hot paths want them.
    pub(crate) limits: Limits,
    pub(crate) settings: SettingsSource,
    pub(crate) metadata: Arc<MetadataView>,
    pub(crate) controller: Controller,
    /// What the controller's decisions are written down in.
    pub(crate) quorum: MetadataLog,
    pub(crate) shards: Shards,
    pub(crate) fetch_sessions: FetchSessions,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) groups: GroupCoordinators,
    pub(crate) transactions: TransactionCoordinators,
    pub(crate) reply_memory: ReplyMemory,
    pub(crate) loggers: Loggers,
    pub(crate) telemetry: Telemetry,
    /// For records that take long to unpack.
    pub(crate) workers: Workers,
    /// Nothing new is begun, and nobody waits any longer for what may come.
    pub(crate) stopping: watch::Sender<bool>,
}

impl Broker {
    /// Has the controller take a decision (see [`Controller::decide`]), and answers `RequestTimedOut` after `timeout_ms`: while the
    /// metadata log waits for room on a full disk, whoever asks does not have to.
    pub(crate) async fn decide<T: Send + 'static>(
        self: &Arc<Self>,
        timeout_ms: i32,
        decide: impl FnOnce(&Context<'_>) -> Decision<T> + Send + 'static,
    ) -> Result<T, ErrorCode> {
        let this = self.clone();
        let decided = self.controller.decide(move |image| {
            let view = this.metadata.view();
            decide(&Context {
                image,
                config: &view.config,
                statics: this.settings.statics(),
                node_id: this.node_id,
            })
        });
        let patience = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0)).max(DECISION_TIME_MIN);
        let late = self.host.clock.sleep(patience);
        within(decided, late).await.unwrap_or(Err(ErrorCode::RequestTimedOut))
    }

    /// The partition's key if this broker leads it; otherwise Kafka's error code.
    pub(crate) fn led_here(&self, topic: &Topic, partition: i32) -> Result<PartitionKey, ErrorCode> {
        let state = topic.partition(partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if state.leader != self.node_id {
            // Nobody leads it, for its directory here is offline: Kafka answers why.
            let view = self.metadata.view();
            let is_here = state.replicas.contains(&self.node_id) && view.image.is_active(self.node_id);
            let offline = is_here && view.image.offline_replicas(state).contains(&self.node_id);
            return Err(if offline { ErrorCode::KafkaStorageError } else { ErrorCode::NotLeaderOrFollower });
        }
        Ok(PartitionKey { topic_id: topic.id(), partition })
    }
}
