//! Brokers: registration, fencing, shutdown, directories.

use std::collections::BTreeSet;

use protocol::{ErrorCode, NodeId, Str, TopicId, Uuid};

use super::elections::{Event, changes};
use super::{Decision, Refusal};
use crate::Image;
use crate::record::{
    BrokerChange, BrokerFeature, BrokerRegistration, Listener, Partition, PartitionChange, Record,
};

/// What a broker says of itself when it starts.
#[derive(Clone, Debug)]
pub struct BrokerStart {
    pub node_id: NodeId,
    /// Drawn by this start of the process.
    pub incarnation: Uuid,
    /// The cluster that its data belongs to; `None` for a node without any.
    pub cluster_id: Option<Str>,
    pub listeners: Vec<Listener>,
    pub features: Vec<BrokerFeature>,
    pub rack: Option<Str>,
    pub log_directories: Vec<Uuid>,
    /// Whether it has yet to catch up with the metadata before it may lead. A broker that decides about itself, as
    /// leader of the quorum, need not.
    pub fenced: bool,
}

fn refuse<T>(code: ErrorCode, message: String) -> Result<T, Refusal> {
    Err(Refusal::new(code, message))
}

/// The first records of a cluster.
pub fn create_cluster(
    image: &Image,
    cluster_id: Str,
    created_ms: i64,
    features: &[(Str, i16)],
) -> Result<Decision<()>, Refusal> {
    if let Some(cluster) = image.cluster() {
        let message = format!("there is a cluster already, {}", cluster.id);
        return refuse(ErrorCode::InconsistentClusterId, message);
    }
    let features =
        features.iter().map(|(name, level)| Record::FeatureLevel { name: name.clone(), level: *level });
    let created = Record::ClusterCreated { cluster_id, created_ms };
    Ok((std::iter::once(created).chain(features).collect(), ()))
}

/// Registers a broker and gives it its epoch, which is at least `epoch_min`: the index that the record will have in
/// the log, so that an epoch is never given twice. Every registration of another process than before ends the earlier
/// leaderships of the broker: what it had not synced is gone, and it must not write other records at the same offsets
/// under the same leader epoch.
///
/// `is_alive` says whether the process that is registered now was heard of within its session.
pub fn register_broker(
    image: &Image,
    start: BrokerStart,
    epoch_min: i64,
    is_alive: bool,
) -> Result<Decision<i64>, Refusal> {
    check_start(image, &start)?;
    let before = image.broker(start.node_id);
    let mut registration = BrokerRegistration {
        node_id: start.node_id,
        incarnation: start.incarnation,
        epoch: epoch_min.max(image.broker_epoch_max().saturating_add(1)),
        listeners: start.listeners,
        features: start.features,
        rack: start.rack,
        log_directories: start.log_directories,
        fenced: start.fenced,
        in_controlled_shutdown: false,
    };
    match before {
        Some(before) if before.incarnation == start.incarnation => {
            // The answer was lost and it asks again: the same process has lost nothing.
            registration.epoch = before.epoch;
            registration.fenced = before.fenced;
            registration.in_controlled_shutdown = before.in_controlled_shutdown;
            let changed = **before != registration;
            let records = changed.then_some(Record::RegisterBroker(registration));
            return Ok((records.into_iter().collect(), before.epoch));
        }
        Some(before) if is_alive && !before.fenced => {
            let message = format!("another process is running as broker {}", start.node_id);
            return refuse(ErrorCode::DuplicateBrokerRegistration, message);
        }
        _ => {}
    }
    let epoch = registration.epoch;
    let event = Event::Restarts { active: registration.is_active() };
    let on_missing = |partition: &Partition| {
        let directory = partition.directory_of(start.node_id).filter(|directory| !directory.is_zero());
        directory.is_some_and(|directory| !registration.log_directories.contains(&directory))
    };
    let back = changes(image, start.node_id, event, |partition| !on_missing(partition));
    // What is on a directory that did not come back with its broker cannot be led by it.
    let gone = changes(image, start.node_id, Event::Leaves, on_missing);
    let elections: Vec<Record> = back.into_iter().chain(gone).collect();
    Ok((std::iter::once(Record::RegisterBroker(registration)).chain(elections).collect(), epoch))
}

fn check_start(image: &Image, start: &BrokerStart) -> Result<(), Refusal> {
    let node_id = start.node_id;
    if let (Some(theirs), Some(cluster)) = (&start.cluster_id, image.cluster())
        && *theirs != cluster.id
    {
        let message =
            format!("broker {node_id} has data of cluster {theirs}, this is cluster {}", cluster.id);
        return refuse(ErrorCode::InconsistentClusterId, message);
    }
    let invalid = |why: String| refuse(ErrorCode::InvalidRegistration, format!("broker {node_id}: {why}"));
    if node_id.is_none() {
        return invalid("the number is negative".to_owned());
    }
    let names: BTreeSet<&Str> = start.listeners.iter().map(|listener| &listener.name).collect();
    if names.is_empty() || names.len() < start.listeners.len() {
        return invalid("it needs listeners, each of another name".to_owned());
    }
    let directories: BTreeSet<&Uuid> = start.log_directories.iter().collect();
    if directories.is_empty() || directories.len() < start.log_directories.len() {
        return invalid("it needs log directories, each with an id of its own".to_owned());
    }
    let others = || image.brokers().filter(|broker| broker.node_id != node_id);
    for directory in directories {
        if directory.is_zero() {
            return invalid("a log directory has no id".to_owned());
        }
        if let Some(other) = others().find(|broker| broker.log_directories.contains(directory)) {
            return invalid(format!("log directory {directory} belongs to broker {}", other.node_id));
        }
    }
    for (name, level) in image.features() {
        let known = start.features.iter().find(|feature| feature.name == *name);
        if !known.is_some_and(|feature| (feature.min_level..=feature.max_level).contains(&level)) {
            let message = format!("broker {node_id} does not know feature {name} at level {level}");
            return refuse(ErrorCode::UnsupportedVersion, message);
        }
    }
    Ok(())
}

/// The registration of `node_id` if `epoch` is its epoch.
pub(super) fn check_epoch(
    image: &Image,
    node_id: NodeId,
    epoch: i64,
) -> Result<&BrokerRegistration, Refusal> {
    let Some(broker) = image.broker(node_id) else {
        return refuse(ErrorCode::BrokerIdNotRegistered, format!("broker {node_id} is not registered"));
    };
    if broker.epoch != epoch {
        let message = format!("broker {node_id} is at epoch {}, not {epoch}", broker.epoch);
        return refuse(ErrorCode::StaleBrokerEpoch, message);
    }
    Ok(broker)
}

/// Lets a broker lead that has caught up with the metadata.
pub fn unfence_broker(image: &Image, node_id: NodeId, epoch: i64) -> Result<Decision<()>, Refusal> {
    let broker = check_epoch(image, node_id, epoch)?;
    if !broker.fenced {
        return Ok((Vec::new(), ()));
    }
    let change = BrokerChange { fenced: Some(false), ..BrokerChange::of(broker) };
    let returns = !broker.in_controlled_shutdown;
    let elections = if returns { changes(image, node_id, Event::Returns, |_| true) } else { Vec::new() };
    Ok((std::iter::once(Record::ChangeBroker(change)).chain(elections).collect(), ()))
}

/// Fences a broker that was not heard of for too long.
pub fn fence_broker(image: &Image, node_id: NodeId, epoch: i64) -> Result<Decision<()>, Refusal> {
    let broker = check_epoch(image, node_id, epoch)?;
    if broker.fenced {
        return Ok((Vec::new(), ()));
    }
    let change = BrokerChange { fenced: Some(true), ..BrokerChange::of(broker) };
    let elections = changes(image, node_id, Event::Leaves, |_| true);
    Ok((std::iter::once(Record::ChangeBroker(change)).chain(elections).collect(), ()))
}

/// Takes the leaderships from a broker that wants to stop.
pub fn start_controlled_shutdown(
    image: &Image,
    node_id: NodeId,
    epoch: i64,
) -> Result<Decision<()>, Refusal> {
    let broker = check_epoch(image, node_id, epoch)?;
    if broker.in_controlled_shutdown {
        return Ok((Vec::new(), ()));
    }
    let change = BrokerChange { in_controlled_shutdown: Some(true), ..BrokerChange::of(broker) };
    let elections = changes(image, node_id, Event::Leaves, |_| true);
    Ok((std::iter::once(Record::ChangeBroker(change)).chain(elections).collect(), ()))
}

/// Notes which directories of a broker are online; what is on the others is led elsewhere or by nobody.
pub fn set_log_directories(
    image: &Image,
    node_id: NodeId,
    epoch: i64,
    online: Vec<Uuid>,
) -> Result<Decision<()>, Refusal> {
    let broker = check_epoch(image, node_id, epoch)?;
    if broker.log_directories == online {
        return Ok((Vec::new(), ()));
    }
    let lost: Vec<Uuid> =
        broker.log_directories.iter().copied().filter(|directory| !online.contains(directory)).collect();
    let elections = changes(image, node_id, Event::Leaves, |partition| {
        partition.directory_of(node_id).is_some_and(|directory| lost.contains(&directory))
    });
    let change = BrokerChange { log_directories: Some(online), ..BrokerChange::of(broker) };
    Ok((std::iter::once(Record::ChangeBroker(change)).chain(elections).collect(), ()))
}

/// Notes in which of its directories a broker keeps replicas. Who leads them stays as it is: a directory that fails is
/// told by [`set_log_directories`].
pub fn assign_directories(
    image: &Image,
    node_id: NodeId,
    epoch: i64,
    assignments: &[(TopicId, i32, Uuid)],
) -> Result<Decision<()>, Refusal> {
    check_epoch(image, node_id, epoch)?;
    let record = |(topic_id, partition, directory): &(TopicId, i32, Uuid)| {
        let state = image.partition(*topic_id, *partition)?;
        let place = state.replicas.iter().position(|replica| *replica == node_id)?;
        let mut directories = state.directories.clone();
        directories.resize(state.replicas.len(), Uuid::ZERO);
        let slot = directories.get_mut(place).filter(|slot| **slot != *directory)?;
        *slot = *directory;
        let change = PartitionChange { directories: Some(directories), ..PartitionChange::default() };
        Some(Record::ChangePartition { topic_id: *topic_id, partition: *partition, change })
    };
    Ok((assignments.iter().filter_map(record).collect(), ()))
}

/// Forgets a broker that will not come back.
pub fn unregister_broker(image: &Image, node_id: NodeId) -> Result<Decision<()>, Refusal> {
    let Some(broker) = image.broker(node_id) else {
        return refuse(ErrorCode::BrokerIdNotRegistered, format!("broker {node_id} is not registered"));
    };
    let mut records = changes(image, node_id, Event::Leaves, |_| true);
    records.push(Record::UnregisterBroker { node_id, epoch: broker.epoch });
    Ok((records, ()))
}
