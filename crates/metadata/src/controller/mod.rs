//! What the controller decides.
//!
//! Owns: the decisions about brokers, topics, partitions, configs and producer ids, each a function from an image and a
//! request to records and a reply.
//!
//! Invariants:
//! - the image that a decision is given includes everything that was decided before, committed or not;
//! - the records of a decision apply to that image, in order, all of them or none;
//! - a request that asks for several things is answered for each; one refusal does not stop the others;
//! - what is refused is refused with Kafka's error code, and says which limit or name it met.
//!
//! Does not know: when records are committed, who may ask (authorisation), or how requests travel.

mod assignment;
mod brokers;
mod configs;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod elections;
mod features;
mod leader_election;
mod names;
mod placement;
mod producer_ids;
mod reassignments;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use brokers::{
    BrokerStart, assign_directories, create_cluster, fence_broker, register_broker, set_log_directories,
    start_controlled_shutdown, unfence_broker, unregister_broker,
};
pub use configs::{AlterOp, ConfigChange, alter_configs, incremental_alter_configs};
pub use create_partitions::{NewPartitions, create_partitions};
pub use create_topics::{CreatedTopic, NewTopic, TopicResult, create_topics};
pub use delete_topics::{DeletedTopic, TopicRef, delete_topics};
pub use features::{FeatureUpdate, UpgradeType, update_features};
pub use leader_election::{Elected, ElectionKind, elect_leaders};
pub use names::{check_topic_name, is_valid_topic_name};
pub use producer_ids::{PRODUCER_ID_BLOCK, allocate_producer_ids};
pub use reassignments::{Reassignment, check_reassignment};

use protocol::ErrorCode;

use crate::Image;
use crate::config::{BrokerConfig, Layers, StaticConfig};
use crate::record::Record;
use protocol::NodeId;

/// Partitions that one request may create (Kafka's limit).
pub const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// Records to propose, and the reply to give once they are committed.
pub type Decision<T> = (Vec<Record>, T);

/// Why a request, or a part of it, is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: ErrorCode,
    /// For the one who asked.
    pub message: String,
}

impl Refusal {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into() }
    }
}

/// What decisions about topics and configs go by.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub image: &'a Image,
    /// Of the broker that leads the quorum.
    pub config: &'a BrokerConfig,
    pub statics: &'a StaticConfig,
    pub node_id: NodeId,
}

impl<'a> Context<'a> {
    /// The broker, if any, that has no log directory for new replicas. What the others have cordoned is not known here.
    fn cordoned(&self) -> Option<NodeId> {
        self.config.directories.are_all_cordoned().then_some(self.node_id)
    }

    fn layers(&self) -> Layers<'a> {
        Layers::of_broker(self.image, self.statics, self.node_id)
    }
}
