//! [`Registration`]: what a broker says of itself to the cluster when it starts.

use host::Host;
use metadata::Image;
use metadata::config::Endpoint;
use metadata::controller::{self, BrokerStart, Decision, Refusal};
use metadata::record;
use protocol::{ErrorCode, NodeId, Str, Uuid};
use quorum::MetadataLog;

use crate::controller::Controller;
use crate::features;
use crate::node::StartError;

/// What this broker tells the cluster of itself at each start.
pub(crate) struct Registration<'a> {
    pub(crate) node_id: NodeId,
    pub(crate) rack: Option<Str>,
    pub(crate) endpoints: &'a [Endpoint],
    pub(crate) log_directories: Vec<Uuid>,
    /// Of this start.
    pub(crate) incarnation: Uuid,
}

impl Registration<'_> {
    /// Waits until this node leads the quorum, creates the cluster if it is not there, and registers. Returns the
    /// broker epoch; by then every partition led here is open under its new leader epoch.
    pub(crate) async fn carry_out(
        self,
        host: &Host,
        log: &MetadataLog,
        controller: &Controller,
    ) -> Result<i64, StartError> {
        let identity = log.identity();
        let cluster_id = Str::from(identity.cluster_id.clone());
        let created_ms = host.clock.wall_ms();
        let start = BrokerStart {
            node_id: self.node_id,
            incarnation: self.incarnation,
            cluster_id: Some(cluster_id.clone()),
            listeners: self.endpoints.iter().map(listener).collect(),
            features: features::supported(),
            rack: self.rack,
            log_directories: self.log_directories,
            fenced: false,
        };
        // Indexes of entries only grow, so an epoch of at least the next one was never given before.
        let epoch_min = i64::try_from(log.status().last_index.unwrap_or(0) + 1).unwrap_or(i64::MAX);
        let decided =
            controller.decide(move |image| match register(image, cluster_id, created_ms, start, epoch_min) {
                Ok((records, epoch)) => (records, Ok(epoch)),
                Err(refusal) => (Vec::new(), Err(refusal)),
            });
        match decided.await {
            Ok(Ok(epoch)) => Ok(epoch),
            Ok(Err(refusal)) => Err(StartError::Register { code: refusal.code, reason: refusal.message }),
            Err(code) => Err(StartError::Register { code, reason: code.message().to_owned() }),
        }
    }
}

/// The first decision of every start: a cluster if there is none, and this broker in it.
fn register(
    image: &Image,
    cluster_id: Str,
    created_ms: i64,
    start: BrokerStart,
    epoch_min: i64,
) -> Result<Decision<i64>, Refusal> {
    let mut records = Vec::new();
    let mut founded = image.clone();
    if image.cluster().is_none() {
        records = controller::create_cluster(image, cluster_id, created_ms, &features::newest())?.0;
        for record in &records {
            founded
                .apply(record)
                .map_err(|error| Refusal::new(ErrorCode::UnknownServerError, error.to_string()))?;
        }
    }
    // This node has just been elected as the only voter, so no other process runs as this broker.
    let (registration, epoch) = controller::register_broker(&founded, start, epoch_min, false)?;
    records.extend(registration);
    Ok((records, epoch))
}

fn listener(endpoint: &Endpoint) -> record::Listener {
    record::Listener {
        name: Str::from(endpoint.name.as_str()),
        host: Str::from(endpoint.host.as_str()),
        port: endpoint.port,
        protocol: endpoint.protocol,
    }
}
