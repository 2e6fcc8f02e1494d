//! [`Kind`]: what the driver has to know of a kind of coordinators.

use std::fmt::Debug;

use coordinator::Coordinator;
use protocol::ids::LeaderEpoch;
use protocol::records::Codec;
use tokio::sync::mpsc;

use super::changes::TopicsChanged;
use super::partition::Message;
use crate::metadata_view::View;

pub(super) type Request<K> = <<K as Kind>::Coordinator as Coordinator>::Request;
pub(super) type Reply<K> = <<K as Kind>::Coordinator as Coordinator>::Reply;
pub(super) type Effect<K> = <<K as Kind>::Coordinator as Coordinator>::Effect;

/// One value serves every coordinator of the kind.
pub(crate) trait Kind: Clone + Debug + Send + Sync + 'static {
    type Coordinator: Coordinator<Request: Debug + Send, Reply: Debug + Send, Effect: Send> + Send;

    /// The topic that keeps what the coordinators know.
    const TOPIC: &'static str;
    /// Of its tasks.
    const TASK: &'static str;
    /// What is in the topic, for the log.
    const CONTENT: &'static str;

    /// The topic, as it is made when somebody looks for a coordinator for the first time.
    fn topic(view: &View) -> TopicPlan;

    /// A coordinator that knows nothing yet.
    fn coordinator(&self, view: &View) -> Self::Coordinator;

    /// How much is read at a time when a partition is loaded.
    fn load_buffer_bytes(view: &View) -> usize;

    /// What batches are compressed with.
    fn codec(view: &View) -> Codec;

    /// Has a coordinator go by this view of the metadata. Called before it is asked anything, and again when there is another.
    fn tell(coordinator: &mut Self::Coordinator, view: &View);

    /// What coordinators are to do when topics are others than before.
    fn topics_changed(changed: &TopicsChanged) -> Vec<Request<Self>>;

    /// What is to happen now that the records are committed.
    fn carry_out(&self, led: &Led<Self>, effects: Vec<Effect<Self>>);
}

/// The partition that a coordinator keeps, and the way back to it, which does not keep it alive.
#[derive(Clone, Debug)]
pub(crate) struct Led<K: Kind> {
    pub(super) partition: i32,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) mailbox: mpsc::WeakUnboundedSender<Message<K>>,
}

/// A topic to be made.
#[derive(Debug)]
pub(crate) struct TopicPlan {
    pub(crate) partitions: i32,
    pub(crate) replication_factor: i16,
    /// No more than there are replicas.
    pub(crate) min_insync_replicas: Option<i32>,
    pub(crate) configs: Vec<(&'static str, String)>,
}
