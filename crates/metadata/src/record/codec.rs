//! The bytes of records, `docs/format/metadata-records.md`.
//!
//! Invariants:
//! - fields that an older version may ignore are appended to a record, and skipped by it; a change that it must
//!   understand raises the record's version, and is refused by it;
//! - any bytes decode to records or to an [`Error`], in time and memory proportional to their length.

use bytes::{BufMut, Bytes, BytesMut};
use protocol::{LeaderEpoch, NodeId, TopicId};

use super::bytes_io::{
    Present, Reader, put_count, put_nodes, put_optional_str, put_str, put_uuid, put_uuids,
};
use super::{
    BrokerChange, BrokerFeature, BrokerRegistration, ConfigResource, LeaderRecovery, Listener, Partition,
    PartitionChange, Record, ResourceKind, SecurityProtocol,
};
use crate::Error;

/// The first byte of a batch.
pub const FORMAT: u8 = 1;

/// The version of every record there is so far.
const VERSION: u8 = 1;

/// Tag, version and length of an empty record.
const RECORD_BYTES_MIN: usize = 4;

/// The bytes of `records`, to be read by [`decode_batch`].
pub fn encode_batch(records: &[Record]) -> Bytes {
    let mut out = BytesMut::with_capacity(16 + records.len() * 64);
    let mut body = BytesMut::new();
    out.put_u8(FORMAT);
    put_count(&mut out, records.len());
    for record in records {
        body.clear();
        encode_body(&mut body, record);
        out.put_u16(tag(record));
        out.put_u8(VERSION);
        put_count(&mut out, body.len());
        out.put_slice(&body);
    }
    out.freeze()
}

/// What [`encode_batch`] wrote.
pub fn decode_batch(bytes: &Bytes) -> Result<Vec<Record>, Error> {
    let mut input = Reader::new(bytes.clone());
    let format = input.u8("format")?;
    if format != FORMAT {
        return Err(Error::UnknownFormat { format, supported: FORMAT });
    }
    let count = input.count("record count", RECORD_BYTES_MIN)?;
    let mut records = Vec::new();
    for _ in 0..count {
        let tag = input.u16("record kind")?;
        let version = input.u8("record version")?;
        let length = input.varint("record length")? as usize;
        let body = input.bytes("record", length)?;
        records.push(decode_body(tag, version, body)?);
    }
    match input.remaining() {
        0 => Ok(records),
        bytes => Err(Error::TrailingBytes { bytes }),
    }
}

const CLUSTER_CREATED: u16 = 1;
const FEATURE_LEVEL: u16 = 2;
const REGISTER_BROKER: u16 = 3;
const CHANGE_BROKER: u16 = 4;
const UNREGISTER_BROKER: u16 = 5;
const TOPIC: u16 = 6;
const PARTITION: u16 = 7;
const CHANGE_PARTITION: u16 = 8;
const REMOVE_TOPIC: u16 = 9;
const CONFIG: u16 = 10;
const PRODUCER_IDS: u16 = 11;

const fn tag(record: &Record) -> u16 {
    match record {
        Record::ClusterCreated { .. } => CLUSTER_CREATED,
        Record::FeatureLevel { .. } => FEATURE_LEVEL,
        Record::RegisterBroker(_) => REGISTER_BROKER,
        Record::ChangeBroker(_) => CHANGE_BROKER,
        Record::UnregisterBroker { .. } => UNREGISTER_BROKER,
        Record::Topic { .. } => TOPIC,
        Record::Partition { .. } => PARTITION,
        Record::ChangePartition { .. } => CHANGE_PARTITION,
        Record::RemoveTopic { .. } => REMOVE_TOPIC,
        Record::Config { .. } => CONFIG,
        Record::ProducerIds { .. } => PRODUCER_IDS,
    }
}

const fn name_of(tag: u16) -> Option<&'static str> {
    Some(match tag {
        CLUSTER_CREATED => "cluster created",
        FEATURE_LEVEL => "feature level",
        REGISTER_BROKER => "register broker",
        CHANGE_BROKER => "change broker",
        UNREGISTER_BROKER => "unregister broker",
        TOPIC => "topic",
        PARTITION => "partition",
        CHANGE_PARTITION => "change partition",
        REMOVE_TOPIC => "remove topic",
        CONFIG => "config",
        PRODUCER_IDS => "producer ids",
        _ => return None,
    })
}

fn encode_body(out: &mut BytesMut, record: &Record) {
    match record {
        Record::ClusterCreated { cluster_id, created_ms } => {
            put_str(out, cluster_id);
            out.put_i64(*created_ms);
        }
        Record::FeatureLevel { name, level } => {
            put_str(out, name);
            out.put_i16(*level);
        }
        Record::RegisterBroker(broker) => put_registration(out, broker),
        Record::ChangeBroker(change) => put_broker_change(out, change),
        Record::UnregisterBroker { node_id, epoch } => {
            out.put_i32(node_id.get());
            out.put_i64(*epoch);
        }
        Record::Topic { topic_id, name } => {
            put_uuid(out, topic_id.0);
            put_str(out, name);
        }
        Record::Partition { topic_id, partition, state } => {
            put_uuid(out, topic_id.0);
            out.put_i32(*partition);
            put_partition(out, state);
        }
        Record::ChangePartition { topic_id, partition, change } => {
            put_uuid(out, topic_id.0);
            out.put_i32(*partition);
            put_partition_change(out, change);
        }
        Record::RemoveTopic { topic_id } => put_uuid(out, topic_id.0),
        Record::Config { resource, key, value } => {
            out.put_i8(resource.kind.id());
            put_str(out, &resource.name);
            put_str(out, key);
            put_optional_str(out, value.as_ref());
        }
        Record::ProducerIds { next_producer_id, node_id, broker_epoch } => {
            out.put_i64(*next_producer_id);
            out.put_i32(node_id.get());
            out.put_i64(*broker_epoch);
        }
    }
}

fn decode_body(tag: u16, version: u8, body: Bytes) -> Result<Record, Error> {
    let name = name_of(tag).ok_or(Error::UnknownRecord { tag })?;
    if version != VERSION {
        return Err(Error::UnknownVersion { name, version, supported: VERSION });
    }
    let input = &mut Reader::new(body);
    Ok(match tag {
        CLUSTER_CREATED => {
            Record::ClusterCreated { cluster_id: input.str("cluster id")?, created_ms: input.i64("created")? }
        }
        FEATURE_LEVEL => Record::FeatureLevel { name: input.str("feature")?, level: input.i16("level")? },
        REGISTER_BROKER => Record::RegisterBroker(registration(input)?),
        CHANGE_BROKER => Record::ChangeBroker(broker_change(input)?),
        UNREGISTER_BROKER => Record::UnregisterBroker { node_id: node(input)?, epoch: input.i64("epoch")? },
        TOPIC => Record::Topic { topic_id: topic_id(input)?, name: input.str("topic name")? },
        PARTITION => Record::Partition {
            topic_id: topic_id(input)?,
            partition: partition_index(input)?,
            state: partition(input)?,
        },
        CHANGE_PARTITION => Record::ChangePartition {
            topic_id: topic_id(input)?,
            partition: partition_index(input)?,
            change: partition_change(input)?,
        },
        REMOVE_TOPIC => Record::RemoveTopic { topic_id: topic_id(input)? },
        CONFIG => Record::Config {
            resource: resource(input)?,
            key: input.str("config key")?,
            value: input.optional_str("config value")?,
        },
        PRODUCER_IDS => Record::ProducerIds {
            next_producer_id: input.i64("next producer id")?,
            node_id: node(input)?,
            broker_epoch: input.i64("broker epoch")?,
        },
        tag => return Err(Error::UnknownRecord { tag }),
    })
}

fn node(input: &mut Reader) -> Result<NodeId, Error> {
    input.i32("node id").map(NodeId)
}

fn topic_id(input: &mut Reader) -> Result<TopicId, Error> {
    input.uuid("topic id").map(TopicId)
}

fn partition_index(input: &mut Reader) -> Result<i32, Error> {
    match input.i32("partition")? {
        index if index < 0 => Err(Error::Invalid { field: "partition" }),
        index => Ok(index),
    }
}

fn resource(input: &mut Reader) -> Result<ConfigResource, Error> {
    let id = input.u8("resource kind")?;
    let kind = i8::try_from(id).ok().and_then(ResourceKind::from_id);
    let kind = kind.ok_or(Error::Invalid { field: "resource kind" })?;
    Ok(ConfigResource { kind, name: input.str("resource name")? })
}

fn put_registration(out: &mut BytesMut, broker: &BrokerRegistration) {
    out.put_i32(broker.node_id.get());
    put_uuid(out, broker.incarnation);
    out.put_i64(broker.epoch);
    put_count(out, broker.listeners.len());
    for listener in &broker.listeners {
        put_str(out, &listener.name);
        put_str(out, &listener.host);
        out.put_u16(listener.port);
        out.put_i16(listener.protocol.id());
    }
    put_count(out, broker.features.len());
    for feature in &broker.features {
        put_str(out, &feature.name);
        out.put_i16(feature.min_level);
        out.put_i16(feature.max_level);
    }
    put_optional_str(out, broker.rack.as_ref());
    put_uuids(out, &broker.log_directories);
    out.put_u8(u8::from(broker.fenced));
    out.put_u8(u8::from(broker.in_controlled_shutdown));
}

fn registration(input: &mut Reader) -> Result<BrokerRegistration, Error> {
    Ok(BrokerRegistration {
        node_id: node(input)?,
        incarnation: input.uuid("incarnation")?,
        epoch: input.i64("broker epoch")?,
        listeners: (0..input.count("listeners", 6)?).map(|_| listener(input)).collect::<Result<_, _>>()?,
        features: (0..input.count("features", 5)?).map(|_| feature(input)).collect::<Result<_, _>>()?,
        rack: input.optional_str("rack")?,
        log_directories: input.uuids("log directories")?,
        fenced: input.bool("fenced")?,
        in_controlled_shutdown: input.bool("in controlled shutdown")?,
    })
}

fn listener(input: &mut Reader) -> Result<Listener, Error> {
    Ok(Listener {
        name: input.str("listener name")?,
        host: input.str("listener host")?,
        port: input.u16("listener port")?,
        protocol: SecurityProtocol::from_id(input.i16("security protocol")?)
            .ok_or(Error::Invalid { field: "security protocol" })?,
    })
}

fn feature(input: &mut Reader) -> Result<BrokerFeature, Error> {
    Ok(BrokerFeature {
        name: input.str("feature")?,
        min_level: input.i16("lowest level")?,
        max_level: input.i16("highest level")?,
    })
}

fn put_broker_change(out: &mut BytesMut, change: &BrokerChange) {
    out.put_i32(change.node_id.get());
    out.put_i64(change.epoch);
    let BrokerChange { fenced, in_controlled_shutdown, log_directories, .. } = change;
    Present::of(&[fenced.is_some(), in_controlled_shutdown.is_some(), log_directories.is_some()]).put(out);
    for flag in [fenced, in_controlled_shutdown].into_iter().flatten() {
        out.put_u8(u8::from(*flag));
    }
    if let Some(directories) = log_directories {
        put_uuids(out, directories);
    }
}

fn broker_change(input: &mut Reader) -> Result<BrokerChange, Error> {
    let (node_id, epoch) = (node(input)?, input.i64("broker epoch")?);
    let present = Present::read(input, 3)?;
    let flag = |place, input: &mut Reader| present.has(place).then(|| input.bool("flag")).transpose();
    Ok(BrokerChange {
        node_id,
        epoch,
        fenced: flag(0, input)?,
        in_controlled_shutdown: flag(1, input)?,
        log_directories: present.has(2).then(|| input.uuids("log directories")).transpose()?,
    })
}

fn put_partition(out: &mut BytesMut, state: &Partition) {
    put_nodes(out, &state.replicas);
    put_uuids(out, &state.directories);
    put_nodes(out, &state.isr);
    put_nodes(out, &state.elr);
    put_nodes(out, &state.last_known_elr);
    put_nodes(out, &state.adding);
    put_nodes(out, &state.removing);
    out.put_i32(state.leader.get());
    out.put_i32(state.leader_epoch.get());
    out.put_i32(state.partition_epoch);
    out.put_u8(state.recovery.id());
}

fn partition(input: &mut Reader) -> Result<Partition, Error> {
    Ok(Partition {
        replicas: input.nodes("replicas")?,
        directories: input.uuids("directories")?,
        isr: input.nodes("isr")?,
        elr: input.nodes("elr")?,
        last_known_elr: input.nodes("last known elr")?,
        adding: input.nodes("adding replicas")?,
        removing: input.nodes("removing replicas")?,
        leader: node(input)?,
        leader_epoch: input.i32("leader epoch").map(LeaderEpoch)?,
        partition_epoch: input.i32("partition epoch")?,
        recovery: recovery(input)?,
    })
}

fn recovery(input: &mut Reader) -> Result<LeaderRecovery, Error> {
    LeaderRecovery::from_id(input.u8("leader recovery")?).ok_or(Error::Invalid { field: "leader recovery" })
}

fn put_partition_change(out: &mut BytesMut, change: &PartitionChange) {
    let node_lists = [
        &change.replicas,
        &change.isr,
        &change.elr,
        &change.last_known_elr,
        &change.adding,
        &change.removing,
    ];
    let [replicas, isr, elr, last_known_elr, adding, removing] = node_lists.map(Option::is_some);
    let scalars = [change.directories.is_some(), change.leader.is_some(), change.recovery.is_some()];
    let [directories, leader, recovery] = scalars;
    Present::of(&[replicas, isr, elr, last_known_elr, adding, removing, directories, leader, recovery])
        .put(out);
    for nodes in node_lists.into_iter().flatten() {
        put_nodes(out, nodes);
    }
    if let Some(directories) = &change.directories {
        put_uuids(out, directories);
    }
    if let Some(leader) = change.leader {
        out.put_i32(leader.get());
    }
    if let Some(recovery) = change.recovery {
        out.put_u8(recovery.id());
    }
}

fn partition_change(input: &mut Reader) -> Result<PartitionChange, Error> {
    let present = Present::read(input, 9)?;
    let nodes = |place, name, input: &mut Reader| present.has(place).then(|| input.nodes(name)).transpose();
    Ok(PartitionChange {
        replicas: nodes(0, "replicas", input)?,
        isr: nodes(1, "isr", input)?,
        elr: nodes(2, "elr", input)?,
        last_known_elr: nodes(3, "last known elr", input)?,
        adding: nodes(4, "adding replicas", input)?,
        removing: nodes(5, "removing replicas", input)?,
        directories: present.has(6).then(|| input.uuids("directories")).transpose()?,
        leader: present.has(7).then(|| node(input)).transpose()?,
        recovery: present.has(8).then(|| recovery(input)).transpose()?,
    })
}
