//! [`Kind`]: what the driver has to know of a kind of coordinators.

use std::fmt::Debug;

use coordinator::Coordinator;
use protocol::records::Codec;

use super::changes::TopicsChanged;
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
    fn carry_out(&self, effects: Vec<Effect<Self>>);
}

/// A topic to be made.
#[derive(Debug)]
pub(crate) struct TopicPlan {
    pub(crate) partitions: i32,
    pub(crate) replication_factor: i16,
    pub(crate) configs: Vec<(&'static str, String)>,
}
