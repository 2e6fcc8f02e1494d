//! How an image grows by a record.
//!
//! Invariant: a record is applied whole, or refused and the image is as before.

use std::sync::Arc;

use protocol::{NodeId, Str, TopicId};

use super::{Cluster, Image, ProducerIds, Topic};
use crate::Error;
use crate::record::{BrokerChange, BrokerRegistration, ConfigResource, Partition, PartitionChange, Record};

impl Image {
    /// Applies one record. A record that does not fit means a damaged log or a bug, never a condition to go on with.
    pub fn apply(&mut self, record: &Record) -> Result<(), Error> {
        match record {
            Record::ClusterCreated { cluster_id, created_ms } => {
                self.cluster = Some(Cluster { id: cluster_id.clone(), created_ms: *created_ms });
                Ok(())
            }
            Record::FeatureLevel { name, level } => {
                match level {
                    0 => self.features.remove(name.as_str()),
                    level => self.features.insert(name.clone(), *level),
                };
                Ok(())
            }
            Record::RegisterBroker(broker) => self.register_broker(broker),
            Record::ChangeBroker(change) => self.change_broker(change),
            Record::UnregisterBroker { node_id, epoch } => self.unregister_broker(*node_id, *epoch),
            Record::Topic { topic_id, name } => self.add_topic(*topic_id, name),
            Record::Partition { topic_id, partition, state } => {
                self.add_partition(*topic_id, *partition, state)
            }
            Record::ChangePartition { topic_id, partition, change } => {
                self.change_partition(*topic_id, *partition, change)
            }
            Record::RemoveTopic { topic_id } => self.remove_topic(*topic_id),
            Record::Config { resource, key, value } => {
                self.set_config(resource, key, value.as_ref());
                Ok(())
            }
            Record::ProducerIds { next_producer_id, node_id, broker_epoch } => {
                self.take_producer_ids(*next_producer_id, *node_id, *broker_epoch)
            }
        }
    }

    fn register_broker(&mut self, broker: &BrokerRegistration) -> Result<(), Error> {
        let (node_id, epoch) = (broker.node_id, broker.epoch);
        if let Some(current) = self.broker(node_id).filter(|current| epoch < current.epoch) {
            return Err(Error::StaleBrokerEpoch { node_id, epoch, current: current.epoch });
        }
        self.brokers.insert(node_id, Arc::new(broker.clone()));
        Ok(())
    }

    fn registration(&mut self, node_id: NodeId, epoch: i64) -> Result<&mut BrokerRegistration, Error> {
        let broker = self.brokers.get_mut(&node_id).ok_or(Error::UnknownBroker { node_id })?;
        if broker.epoch != epoch {
            return Err(Error::StaleBrokerEpoch { node_id, epoch, current: broker.epoch });
        }
        Ok(Arc::make_mut(broker))
    }

    fn change_broker(&mut self, change: &BrokerChange) -> Result<(), Error> {
        let broker = self.registration(change.node_id, change.epoch)?;
        broker.fenced = change.fenced.unwrap_or(broker.fenced);
        broker.in_controlled_shutdown =
            change.in_controlled_shutdown.unwrap_or(broker.in_controlled_shutdown);
        if let Some(directories) = &change.log_directories {
            broker.log_directories.clone_from(directories);
        }
        Ok(())
    }

    fn unregister_broker(&mut self, node_id: NodeId, epoch: i64) -> Result<(), Error> {
        self.registration(node_id, epoch)?;
        self.brokers.remove(&node_id);
        Ok(())
    }

    fn add_topic(&mut self, topic_id: TopicId, name: &Str) -> Result<(), Error> {
        if self.topics.contains_key(&topic_id) || self.topic_id(name).is_some() {
            return Err(Error::TopicExists { topic_id, name: name.to_string() });
        }
        self.topics.insert(topic_id, Arc::new(Topic::new(topic_id, name.clone())));
        self.indexes.add_topic(topic_id, name);
        Ok(())
    }

    fn add_partition(&mut self, topic_id: TopicId, partition: i32, state: &Partition) -> Result<(), Error> {
        let topic = self.topics.get_mut(&topic_id).ok_or(Error::UnknownTopic { topic_id })?;
        let next = topic.partition_count();
        if partition < next {
            return Err(Error::PartitionExists { topic_id, partition });
        }
        if partition > next {
            return Err(Error::PartitionGap { topic_id, partition, next });
        }
        Arc::make_mut(topic).push(Arc::new(state.clone()));
        self.indexes.add_partition((topic_id, partition), state);
        Ok(())
    }

    fn change_partition(
        &mut self,
        topic_id: TopicId,
        partition: i32,
        change: &PartitionChange,
    ) -> Result<(), Error> {
        let topic = self.topics.get_mut(&topic_id).ok_or(Error::UnknownTopic { topic_id })?;
        let before = topic.partition(partition).ok_or(Error::UnknownPartition { topic_id, partition })?;
        let (before, after) = (Arc::clone(before), Arc::new(before.changed(change)));
        Arc::make_mut(topic).set(partition, Arc::clone(&after));
        self.indexes.change_partition((topic_id, partition), &before, &after);
        Ok(())
    }

    fn remove_topic(&mut self, topic_id: TopicId) -> Result<(), Error> {
        let topic = self.topics.remove(&topic_id).ok_or(Error::UnknownTopic { topic_id })?;
        self.indexes.remove_topic(topic.name());
        for (partition, state) in topic.partitions() {
            self.indexes.remove_partition((topic_id, partition), state);
        }
        self.configs.remove(&ConfigResource::topic(topic.name().clone()));
        Ok(())
    }

    fn set_config(&mut self, resource: &ConfigResource, key: &Str, value: Option<&Str>) {
        match value {
            Some(value) => {
                self.configs.entry(resource.clone()).or_default().insert(key.clone(), value.clone());
            }
            None => {
                let Some(configs) = self.configs.get_mut(resource) else { return };
                configs.remove(key.as_str());
                if configs.is_empty() {
                    self.configs.remove(resource);
                }
            }
        }
    }

    fn take_producer_ids(&mut self, next: i64, node_id: NodeId, broker_epoch: i64) -> Result<(), Error> {
        if let Some(current) = self.producer_ids.filter(|current| next < current.next) {
            return Err(Error::ProducerIdsReused { current: current.next, next });
        }
        self.producer_ids = Some(ProducerIds { next, node_id, broker_epoch });
        Ok(())
    }
}
