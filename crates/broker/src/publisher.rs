//! Carries what the metadata log says to this broker: first to its shards, then to its request handlers.
//!
//! Invariants:
//! * Changes are carried out in the order of the log; those that have piled up are carried out as one.
//! * A view is published when the shards have opened, closed and reconfigured what it changes. A partition that
//!   could not be opened is published too: it answers its error itself.
//! * What the log says up to the registration of this start is one change. Before it, nothing tells of a partition whether
//!   the directory that it is in is here: one that is not must not be made anew, empty, in another.
//!
//! Does not know: why anything changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use host::BoxFuture;
use metadata::config::BrokerConfig;
use metadata::image::Topic;
use metadata::record::{ConfigResource, ResourceKind};
use metadata::{Delta, Image};
use protocol::{ErrorCode, NodeId, TopicId, Uuid};
use storage::PartitionKey;
use tokio::sync::mpsc;

use crate::applier::Applied;
use crate::coordinators::TopicsChanged;
use crate::metadata_view::{MetadataView, TopicSettings, View};
use crate::server::ConnectionLimits;
use crate::shard::{PartitionSpec, Refusal, Shards};
use crate::topic_settings::SettingsSource;

type Opening = BoxFuture<'static, Result<(), Refusal>>;

pub(crate) struct Publisher {
    pub(crate) node_id: NodeId,
    /// Of this start.
    pub(crate) incarnation: Uuid,
    pub(crate) shards: Shards,
    pub(crate) settings: SettingsSource,
    pub(crate) view: Arc<MetadataView>,
    /// What the broker was started with.
    pub(crate) started: BrokerConfig,
    pub(crate) limits: Arc<ConnectionLimits>,
    pub(crate) changes: mpsc::UnboundedReceiver<Applied>,
    /// Hears what becomes of topics, once it has.
    pub(crate) topics: mpsc::UnboundedSender<TopicsChanged>,
}

impl Publisher {
    pub(crate) async fn run(mut self) {
        let Some(Applied { index, delta }) = self.registered().await else { return };
        self.carry_out(index, &delta).await;
        while let Some(Applied { mut index, mut delta }) = self.changes.recv().await {
            while let Ok(next) = self.changes.try_recv() {
                index = next.index;
                delta = delta.then(next.delta);
            }
            self.carry_out(index, &delta).await;
        }
    }

    /// What the log says up to the registration of this start, when that is known.
    async fn registered(&mut self) -> Option<Applied> {
        let mut before: Option<Delta> = None;
        let mut directories = BTreeSet::new();
        loop {
            let Applied { index, delta } = self.changes.recv().await?;
            let delta = match before.take() {
                Some(before) => before.then(delta),
                None => delta,
            };
            if let Some(me) = delta.after().broker(self.node_id) {
                if me.incarnation == self.incarnation {
                    self.miss(delta.after(), directories);
                    return Some(Applied { index, delta });
                }
                directories.extend(me.log_directories.iter().copied());
            }
            before = Some(delta);
        }
    }

    /// Says what is on log directories that are not here, and has nothing made that may be on one of those in `known`.
    fn miss(&self, image: &Image, mut known: BTreeSet<Uuid>) {
        let here = &self.shards.recovery().directory_ids;
        let mut missing: BTreeMap<Uuid, usize> = BTreeMap::new();
        for (topic_id, partition) in image.replicas_on(self.node_id) {
            let state = image.partition(topic_id, partition);
            let directory = state.and_then(|state| state.directory_of(self.node_id));
            if let Some(directory) = directory.filter(|id| !id.is_zero() && !here.contains(id)) {
                *missing.entry(directory).or_default() += 1;
            }
        }
        for (directory, partitions) in &missing {
            tracing::error!(
                %directory,
                partitions,
                "a log directory is missing, and with it these partitions, which are offline: add it to log.dirs again, \
                 or bring its disk back (directory.id in its meta.properties tells which it is); if it is lost, delete \
                 the topics"
            );
        }
        known.extend(missing.into_keys());
        known.retain(|directory| !here.contains(directory));
        if !known.is_empty() {
            let ids: Vec<String> = known.iter().map(Uuid::to_string).collect();
            self.shards.miss(&format!("log directory {}", ids.join(", ")));
        }
    }

    async fn carry_out(&self, index: u64, delta: &Delta) {
        let mut view = View::clone(&self.view.view());
        view.index = index;
        view.image = delta.after().clone();
        let changed = self.reconfigure_broker(delta, &mut view);
        for topic in delta.topics_created() {
            let settings = SettingsSource::of(&view.config.topic_defaults, &view.image, topic);
            view.settings.insert(topic.id(), Arc::new(settings));
        }
        let reconfigured = if changed {
            let topics: Vec<_> = view.image.topics().cloned().collect();
            reconfigured(delta, &mut view, &topics)
        } else {
            let named =
                delta.resources_reconfigured().filter(|resource| resource.kind == ResourceKind::Topic);
            let topics: Vec<_> = named.filter_map(|topic| view.image.topic(&topic.name).cloned()).collect();
            reconfigured(delta, &mut view, &topics)
        };
        for topic in delta.topics_deleted() {
            view.settings.remove(&topic.id());
        }
        self.delete(delta).await;
        self.open_and_lead(delta, &view).await;
        for (topic_id, settings) in reconfigured {
            self.reconfigure(topic_id, &settings, &view).await;
        }
        self.view.publish(view);
        let changed = TopicsChanged::of(delta);
        if !changed.is_empty() {
            // The listener is gone only when the broker stops.
            let _ = self.topics.send(changed);
        }
    }

    /// Has the broker go by what was set on it or on all brokers. Whether topics may go by something else now.
    fn reconfigure_broker(&self, delta: &Delta, view: &mut View) -> bool {
        let me = ConfigResource::broker(self.node_id);
        let concerned =
            |resource: &ConfigResource| *resource == me || *resource == ConfigResource::all_brokers();
        if !delta.resources_reconfigured().any(concerned) {
            return false;
        }
        let config = self.settings.of_broker(&view.image, &self.started);
        if config.sockets != view.config.sockets {
            self.limits.change(&config.sockets);
        }
        let expiration_ms = u64::try_from(config.producer_id_expiration_ms).unwrap_or(0);
        self.shards.set_producer_id_expiration(expiration_ms);
        let cordoned: Vec<PathBuf> = config.directories.cordoned.iter().map(PathBuf::from).collect();
        self.shards.set_cordoned(&cordoned);
        self.shards.set_cleaner((&config.cleaner).into());
        let topics_follow = config.topic_defaults != view.config.topic_defaults;
        view.config = Arc::new(config);
        topics_follow
    }

    async fn delete(&self, delta: &Delta) {
        let mut deletions = Vec::new();
        for topic in delta.topics_deleted() {
            for (partition, state) in topic.partitions() {
                if state.replicas.contains(&self.node_id) {
                    let key = PartitionKey { topic_id: topic.id(), partition };
                    let is_offline = delta.before().offline_replicas(state).contains(&self.node_id);
                    deletions.push((topic.name().clone(), key, is_offline, self.shards.delete(key)));
                }
            }
        }
        let mut away = 0;
        for (topic, key, is_offline, deletion) in deletions {
            match deletion.await {
                Ok(()) => {}
                Err(refusal) if is_offline && refusal.code == ErrorCode::UnknownTopicOrPartition => away += 1,
                Err(refusal) => {
                    tracing::error!(%topic, partition = key.partition, ?refusal, "could not delete a partition");
                }
            }
        }
        if away > 0 {
            tracing::info!(
                partitions = away,
                "deleted partitions are on a log directory that is offline: they go when a start finds it again"
            );
        }
    }

    async fn open_and_lead(&self, delta: &Delta, view: &View) {
        let mut openings = Vec::new();
        for change in delta.partitions() {
            let Some(after) = change.after else { continue };
            if after.leader != self.node_id {
                continue;
            }
            let key = PartitionKey { topic_id: change.topic.id(), partition: change.partition };
            let topic: Arc<str> = Arc::from(change.topic.name().as_str());
            match change.before {
                Some(before) if before.leader == self.node_id => {
                    if before.leader_epoch != after.leader_epoch {
                        let leading: Opening = Box::pin(self.shards.lead(key, after.leader_epoch));
                        openings.push((topic, key, leading));
                    }
                }
                _ => {
                    let Some(settings) = view.settings.get(&key.topic_id) else { continue };
                    let spec = PartitionSpec {
                        key,
                        topic: topic.clone(),
                        leader_epoch: after.leader_epoch,
                        config: settings.log.clone(),
                        directory: after.directory_of(self.node_id).unwrap_or_default(),
                    };
                    openings.push((topic, key, Box::pin(self.shards.open(spec))));
                }
            }
        }
        for (topic, key, opening) in openings {
            if let Err(refusal) = opening.await {
                tracing::error!(%topic, partition = key.partition, ?refusal, "could not open a partition");
            }
        }
    }

    async fn reconfigure(&self, topic_id: TopicId, settings: &TopicSettings, view: &View) {
        let Some(topic) = view.image.topic_by_id(topic_id) else { return };
        let led = topic.partitions().filter(|(_, state)| state.leader == self.node_id);
        let changes: Vec<_> = led
            .map(|(partition, _)| {
                let key = PartitionKey { topic_id, partition };
                (partition, self.shards.configure(key, settings.log.clone()))
            })
            .collect();
        for (partition, change) in changes {
            if let Err(refusal) = change.await {
                tracing::error!(topic = %topic.name(), partition, ?refusal, "could not reconfigure a partition");
            }
        }
    }
}

/// Those of `topics` that were there before and whose settings are others now.
fn reconfigured(delta: &Delta, view: &mut View, topics: &[Arc<Topic>]) -> Vec<(TopicId, Arc<TopicSettings>)> {
    let mut changed = Vec::new();
    for topic in topics.iter().filter(|topic| delta.before().topic_by_id(topic.id()).is_some()) {
        let settings = SettingsSource::of(&view.config.topic_defaults, &view.image, topic);
        if view.settings.get(&topic.id()).is_none_or(|before| **before != settings) {
            let settings = Arc::new(settings);
            view.settings.insert(topic.id(), settings.clone());
            changed.push((topic.id(), settings));
        }
    }
    changed
}
