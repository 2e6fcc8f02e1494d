//! [`Admin`]: makes, changes and describes topics, configs and the cluster.
//!
//! Invariants:
//! * A result belongs to one thing that was asked for, in the order of asking; a broker that leaves one out is an
//!   error for that one.
//! * A request is sent again when its connection breaks, so a creation may answer that the topic is there already.
//!
//! Does not know: which broker is the controller; every broker passes such requests on.

mod configs;
mod log_dirs;
mod records;
mod topics;

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::messages::describe_cluster_request::DescribeClusterRequest;
use protocol::{ErrorCode, NodeId, Str};

pub use self::configs::{
    AlterOp, ConfigDetails, ConfigEntry, ConfigKind, ConfigResource, ConfigSource, ConfigSynonym,
};
pub use self::log_dirs::{LogDir, LogDirReplica};
pub use self::topics::{CreatedTopic, NewTopic, PartitionDescription, TopicDescription, TopicListing};
use crate::cluster::{Broker, refused};
use crate::offsets::{self, Isolation, ListedOffset, OffsetSpec};
use crate::{Cluster, Error, TopicPartition};

/// Cheap handle.
#[derive(Clone, Debug)]
pub struct Admin {
    cluster: Cluster,
    /// How long brokers may take for a change.
    timeout: Duration,
}

/// The result of each thing, with its name.
pub type Results<T> = Vec<(Str, Result<T, Error>)>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDescription {
    pub cluster_id: Option<Str>,
    pub controller: Option<NodeId>,
    pub brokers: Vec<Broker>,
}

const TIMEOUT: Duration = Duration::from_secs(60);

impl Admin {
    pub fn new(cluster: &Cluster) -> Self {
        Self { cluster: cluster.clone(), timeout: TIMEOUT }
    }

    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn timeout_ms(&self) -> i32 {
        i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX)
    }

    pub async fn describe_cluster(&self) -> Result<ClusterDescription, Error> {
        let request = DescribeClusterRequest { endpoint_type: 1, ..DescribeClusterRequest::default() };
        let response = match self.cluster.call(&request).await {
            Err(Error::Unsupported { .. }) => return self.cluster_from_metadata().await,
            result => result?,
        };
        match ErrorCode::from(response.error_code) {
            ErrorCode::None => {}
            code => return Err(refused("DescribeCluster", code, response.error_message.as_ref())),
        }
        let mut brokers: Vec<Broker> = response
            .brokers
            .iter()
            .map(|broker| Broker {
                id: NodeId(broker.broker_id),
                host: broker.host.detached(),
                port: u16::try_from(broker.port).unwrap_or(0),
                rack: broker.rack.as_ref().map(Str::detached),
            })
            .collect();
        brokers.sort_by_key(|broker| broker.id);
        Ok(ClusterDescription {
            cluster_id: Some(response.cluster_id.detached()),
            controller: NodeId(response.controller_id).known(),
            brokers,
        })
    }

    /// For brokers before Kafka 2.8.
    async fn cluster_from_metadata(&self) -> Result<ClusterDescription, Error> {
        self.cluster.refresh(Vec::new(), false).await?;
        let snapshot = self.cluster.snapshot();
        Ok(ClusterDescription {
            cluster_id: snapshot.cluster_id.clone(),
            controller: snapshot.controller,
            brokers: snapshot.brokers.values().cloned().collect(),
        })
    }

    pub async fn list_offsets(
        &self,
        partitions: impl IntoIterator<Item = (TopicPartition, OffsetSpec)>,
        isolation: Isolation,
    ) -> Result<BTreeMap<TopicPartition, Result<ListedOffset, Error>>, Error> {
        offsets::list(&self.cluster, partitions, isolation).await
    }
}

/// Puts answers in the order of `names`.
fn in_order<T>(
    names: impl IntoIterator<Item = Str>,
    mut answers: BTreeMap<Str, Result<T, Error>>,
) -> Results<T> {
    let unanswered = |name: &Str| {
        let text = Str::from("the broker did not answer for it");
        Err(refused(name.as_str(), ErrorCode::UnknownServerError, Some(&text)))
    };
    names
        .into_iter()
        .map(|name| {
            let answer = answers.remove(&name).unwrap_or_else(|| unanswered(&name));
            (name, answer)
        })
        .collect()
}

fn outcome<T>(subject: &Str, code: i16, message: Option<&Str>, value: T) -> Result<T, Error> {
    match ErrorCode::from(code) {
        ErrorCode::None => Ok(value),
        code => Err(refused(subject.as_str(), code, message)),
    }
}
