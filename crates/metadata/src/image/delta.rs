//! [`Delta`]: what changed between two images.
//!
//! Invariant: it lists what is different, not what was written: a topic created and deleted in between is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::{NodeId, Str, TopicId};

use super::{Image, Topic};
use crate::Error;
use crate::record::{BrokerRegistration, ConfigResource, Partition, Record};

/// Two images and what may differ between them.
#[derive(Clone, Debug, Default)]
pub struct Delta {
    before: Image,
    after: Image,
    touched: Touched,
}

/// Every difference between the two images is in here; what is in here need not be different.
#[derive(Clone, Debug, Default)]
struct Touched {
    features: BTreeSet<Str>,
    brokers: BTreeSet<NodeId>,
    topics: BTreeMap<TopicId, BTreeSet<i32>>,
    configs: BTreeMap<ConfigResource, BTreeSet<Str>>,
}

/// A partition that was created, changed or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionDelta<'a> {
    pub topic: &'a Topic,
    pub partition: i32,
    /// `None` for a new one.
    pub before: Option<&'a Partition>,
    /// `None` for a deleted one.
    pub after: Option<&'a Partition>,
}

/// A broker that registered, changed or left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerDelta<'a> {
    pub node_id: NodeId,
    pub before: Option<&'a BrokerRegistration>,
    pub after: Option<&'a BrokerRegistration>,
}

/// A config that was set, changed or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigDelta<'a> {
    pub resource: &'a ConfigResource,
    pub key: &'a Str,
    pub before: Option<&'a Str>,
    pub after: Option<&'a Str>,
}

impl Delta {
    /// No change of `image` yet.
    pub fn new(image: Image) -> Delta {
        Delta { after: image.clone(), before: image, touched: Touched::default() }
    }

    /// What `records` change of `image`; if one of them does not fit, none is applied.
    pub fn of<'a>(image: Image, records: impl IntoIterator<Item = &'a Record>) -> Result<Delta, Error> {
        let mut delta = Delta::new(image);
        for record in records {
            delta.apply(record)?;
        }
        Ok(delta)
    }

    /// What is different in `after`, however it came about (a snapshot was installed).
    pub fn between(before: Image, after: Image) -> Delta {
        let mut touched = Touched::default();
        for image in [&before, &after] {
            touched.features.extend(image.features.keys().cloned());
            touched.brokers.extend(image.brokers.keys().copied());
            for (resource, configs) in &image.configs {
                touched.configs.entry(resource.clone()).or_default().extend(configs.keys().cloned());
            }
        }
        for (id, topic) in &after.topics {
            if let Some(old) = before.topics.get(id).filter(|old| !Arc::ptr_eq(old, topic)) {
                let partitions = 0..old.partition_count().max(topic.partition_count());
                touched.topics.insert(*id, partitions.collect());
            } else if !before.topics.contains_key(id) {
                touched.topics.entry(*id).or_default();
            }
        }
        let deleted = before.topics.keys().filter(|id| !after.topics.contains_key(*id));
        touched.topics.extend(deleted.map(|id| (*id, BTreeSet::new())));
        Delta { before, after, touched }
    }

    /// One record more.
    pub fn apply(&mut self, record: &Record) -> Result<(), Error> {
        if let Record::RemoveTopic { topic_id } = record
            && let Some(topic) = self.after.topic_by_id(*topic_id)
        {
            let resource = ConfigResource::topic(topic.name().clone());
            let keys: Vec<Str> =
                self.after.configs_of(&resource).into_iter().flat_map(|c| c.keys()).cloned().collect();
            self.touched.configs.entry(resource).or_default().extend(keys);
        }
        self.after.apply(record)?;
        self.touched.note(record);
        Ok(())
    }

    /// This change and then `later`, which must begin where this one ends.
    pub fn then(mut self, later: Delta) -> Delta {
        self.touched.merge(later.touched);
        Delta { before: self.before, after: later.after, touched: self.touched }
    }

    pub fn before(&self) -> &Image {
        &self.before
    }

    pub fn after(&self) -> &Image {
        &self.after
    }

    pub fn into_after(self) -> Image {
        self.after
    }

    pub fn is_empty(&self) -> bool {
        !self.cluster_changed()
            && !self.producer_ids_changed()
            && self.features().next().is_none()
            && self.brokers().next().is_none()
            && self.topics_created().next().is_none()
            && self.topics_deleted().next().is_none()
            && self.partitions().next().is_none()
            && self.configs().next().is_none()
    }

    pub fn cluster_changed(&self) -> bool {
        self.before.cluster != self.after.cluster
    }

    pub fn producer_ids_changed(&self) -> bool {
        self.before.producer_ids != self.after.producer_ids
    }

    /// Features with their level before and after, 0 for none.
    pub fn features(&self) -> impl Iterator<Item = (&Str, i16, i16)> {
        let levels =
            |name: &Str| (self.before.feature_level(name.as_str()), self.after.feature_level(name.as_str()));
        self.touched.features.iter().filter_map(move |name| {
            let (before, after) = levels(name);
            (before != after).then_some((name, before, after))
        })
    }

    pub fn brokers(&self) -> impl Iterator<Item = BrokerDelta<'_>> {
        self.touched.brokers.iter().filter_map(|node_id| {
            let before = self.before.broker(*node_id).map(Arc::as_ref);
            let after = self.after.broker(*node_id).map(Arc::as_ref);
            (before != after).then_some(BrokerDelta { node_id: *node_id, before, after })
        })
    }

    pub fn topics_created(&self) -> impl Iterator<Item = &Arc<Topic>> {
        let new = |id: &&TopicId| !self.before.topics.contains_key(*id);
        self.touched.topics.keys().filter(new).filter_map(|id| self.after.topics.get(id))
    }

    pub fn topics_deleted(&self) -> impl Iterator<Item = &Arc<Topic>> {
        let gone = |id: &&TopicId| !self.after.topics.contains_key(*id);
        self.touched.topics.keys().filter(gone).filter_map(|id| self.before.topics.get(id))
    }

    /// Every partition that is different, those of new and of deleted topics too.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionDelta<'_>> {
        self.touched.topics.iter().flat_map(|(id, touched)| {
            let before = self.before.topics.get(id).map(Arc::as_ref);
            let after = self.after.topics.get(id).map(Arc::as_ref);
            let all = match (before, after) {
                (Some(topic), None) | (None, Some(topic)) => 0..topic.partition_count(),
                _ => 0..0,
            };
            let one = all.is_empty().then_some(touched).into_iter().flatten().copied();
            all.chain(one).filter_map(move |partition| {
                let topic = after.or(before)?;
                let before = before.and_then(|topic| topic.partition(partition)).map(Arc::as_ref);
                let after = after.and_then(|topic| topic.partition(partition)).map(Arc::as_ref);
                if before == after {
                    return None;
                }
                Some(PartitionDelta { topic, partition, before, after })
            })
        })
    }

    pub fn configs(&self) -> impl Iterator<Item = ConfigDelta<'_>> {
        self.touched.configs.iter().flat_map(move |(resource, keys)| {
            keys.iter().filter_map(move |key| {
                let before = self.before.config(resource, key);
                let after = self.after.config(resource, key);
                (before != after).then_some(ConfigDelta { resource, key, before, after })
            })
        })
    }

    /// Resources of which at least one config is different.
    pub fn resources_reconfigured(&self) -> impl Iterator<Item = &ConfigResource> {
        self.touched
            .configs
            .keys()
            .filter(|resource| self.before.configs_of(resource) != self.after.configs_of(resource))
    }
}

impl Touched {
    fn note(&mut self, record: &Record) {
        match record {
            Record::ClusterCreated { .. } | Record::ProducerIds { .. } => {}
            Record::FeatureLevel { name, .. } => {
                self.features.insert(name.clone());
            }
            Record::RegisterBroker(BrokerRegistration { node_id, .. })
            | Record::UnregisterBroker { node_id, .. } => {
                self.brokers.insert(*node_id);
            }
            Record::ChangeBroker(change) => {
                self.brokers.insert(change.node_id);
            }
            Record::Topic { topic_id, .. } | Record::RemoveTopic { topic_id } => {
                self.topics.entry(*topic_id).or_default();
            }
            Record::Partition { topic_id, partition, .. }
            | Record::ChangePartition { topic_id, partition, .. } => {
                self.topics.entry(*topic_id).or_default().insert(*partition);
            }
            Record::Config { resource, key, .. } => {
                self.configs.entry(resource.clone()).or_default().insert(key.clone());
            }
        }
    }

    fn merge(&mut self, later: Touched) {
        self.features.extend(later.features);
        self.brokers.extend(later.brokers);
        for (id, partitions) in later.topics {
            self.topics.entry(id).or_default().extend(partitions);
        }
        for (resource, keys) in later.configs {
            self.configs.entry(resource).or_default().extend(keys);
        }
    }
}
