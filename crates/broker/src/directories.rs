//! Tells the cluster in which log directory each replica is, and which directories work (KIP-858).
//!
//! Invariants:
//! * A replica is told before its directory is told to have failed, if it is known by then: so the controller knows whose
//!   leadership ends.
//! * Nothing is told that the metadata says already.
//!
//! Does not know: what the controller makes of it.

use std::sync::Arc;

use metadata::Image;
use metadata::controller::{self, Decision, Refusal};
use protocol::{NodeId, TopicId, Uuid};
use tokio::sync::watch;

use crate::controller::Controller;
use crate::metadata_view::MetadataView;
use crate::shard::Shards;
use crate::wait::until;

/// The task.
pub(crate) struct Directories {
    pub(crate) node_id: NodeId,
    pub(crate) broker_epoch: i64,
    pub(crate) shards: Shards,
    pub(crate) view: Arc<MetadataView>,
    pub(crate) controller: Controller,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Directories {
    /// Runs until the broker stops.
    pub(crate) async fn run(mut self) {
        let (mut offline, mut published) = (self.shards.offline(), self.view.changes());
        loop {
            offline.borrow_and_update();
            published.borrow_and_update();
            self.tell().await;
            let changed =
                until(async { offline.changed().await.is_ok() }, async { published.changed().await.is_ok() });
            let stopped = async {
                // An error is the end of the broker, too.
                let _ = self.stopping.wait_for(|stopping| *stopping).await;
                false
            };
            if !until(stopped, changed).await {
                return;
            }
        }
    }

    async fn tell(&self) {
        let ids = &self.shards.recovery().directory_ids;
        let found = self.unknown(ids).await;
        if !found.is_empty() {
            self.decide(move |image, node_id, epoch| {
                controller::assign_directories(image, node_id, epoch, &found)
            })
            .await;
        }
        let offline = self.shards.offline().borrow().clone();
        let works = |dir: usize| offline.get(dir).is_some_and(Option::is_none);
        let online: Vec<Uuid> =
            ids.iter().enumerate().filter(|(dir, _)| works(*dir)).map(|(_, id)| *id).collect();
        let view = self.view.view();
        let told = view.image.broker(self.node_id).map(|broker| &broker.log_directories);
        // Without any the process ends, and tells nobody.
        if !online.is_empty() && told != Some(&online) {
            self.decide(move |image, node_id, epoch| {
                controller::set_log_directories(image, node_id, epoch, online)
            })
            .await;
        }
    }

    /// Replicas here whose directory the metadata does not know, and where they are.
    async fn unknown(&self, ids: &[Uuid]) -> Vec<(TopicId, i32, Uuid)> {
        let view = self.view.view();
        let is_unknown = |topic_id, partition| {
            let state = view.image.partition(topic_id, partition);
            state.and_then(|state| state.directory_of(self.node_id)).is_some_and(|id| id.is_zero())
        };
        if !view.image.replicas_on(self.node_id).any(|(topic_id, partition)| is_unknown(topic_id, partition))
        {
            return Vec::new();
        }
        let replicas = self.shards.replicas().await.into_iter();
        let unknown = replicas.filter(|(_, replica)| is_unknown(replica.key.topic_id, replica.key.partition));
        unknown
            .filter_map(|(dir, replica)| Some((replica.key.topic_id, replica.key.partition, *ids.get(dir)?)))
            .collect()
    }

    async fn decide(
        &self,
        decide: impl FnOnce(&Image, NodeId, i64) -> Result<Decision<()>, Refusal> + Send + 'static,
    ) {
        let (node_id, epoch) = (self.node_id, self.broker_epoch);
        let decided = self.controller.decide(move |image| match decide(image, node_id, epoch) {
            Ok((records, ())) => (records, Ok(())),
            Err(refusal) => (Vec::new(), Err(refusal)),
        });
        match decided.await {
            Ok(Ok(())) => {}
            Ok(Err(refusal)) => {
                tracing::warn!(?refusal, "the cluster does not take what is told of log directories")
            }
            Err(code) => tracing::warn!(?code, "could not tell the cluster of log directories"),
        }
    }
}
