//! Any record, for property tests.

use proptest::option::of;
use proptest::prelude::*;

use super::*;
use protocol::{LeaderEpoch, Uuid};

pub(crate) fn text() -> impl Strategy<Value = Str> {
    prop_oneof!["[a-c._-]{0,4}", "\\PC{0,12}"].prop_map(Str::from)
}

pub(crate) fn uuid() -> impl Strategy<Value = Uuid> {
    any::<[u8; 16]>().prop_map(Uuid::from_bytes)
}

fn node() -> impl Strategy<Value = NodeId> {
    prop_oneof![(-1..4), any::<i32>()].prop_map(NodeId)
}

fn nodes() -> impl Strategy<Value = Vec<NodeId>> {
    prop::collection::vec(node(), 0..4)
}

fn uuids() -> impl Strategy<Value = Vec<Uuid>> {
    prop::collection::vec(uuid(), 0..4)
}

fn listener() -> impl Strategy<Value = Listener> {
    (text(), text(), any::<u16>(), prop::sample::select(&SecurityProtocol::ALL[..]))
        .prop_map(|(name, host, port, protocol)| Listener { name, host, port, protocol })
}

fn feature() -> impl Strategy<Value = BrokerFeature> {
    (text(), any::<i16>(), any::<i16>()).prop_map(|(name, min_level, max_level)| BrokerFeature {
        name,
        min_level,
        max_level,
    })
}

fn registration() -> impl Strategy<Value = BrokerRegistration> {
    (
        (node(), uuid(), any::<i64>()),
        prop::collection::vec(listener(), 0..3),
        prop::collection::vec(feature(), 0..3),
        (of(text()), uuids(), any::<bool>(), any::<bool>()),
    )
        .prop_map(|((node_id, incarnation, epoch), listeners, features, rest)| {
            let (rack, log_directories, fenced, in_controlled_shutdown) = rest;
            BrokerRegistration {
                node_id,
                incarnation,
                epoch,
                listeners,
                features,
                rack,
                log_directories,
                fenced,
                in_controlled_shutdown,
            }
        })
}

fn broker_change() -> impl Strategy<Value = BrokerChange> {
    (node(), any::<i64>(), of(any::<bool>()), of(any::<bool>()), of(uuids())).prop_map(
        |(node_id, epoch, fenced, in_controlled_shutdown, log_directories)| BrokerChange {
            node_id,
            epoch,
            fenced,
            in_controlled_shutdown,
            log_directories,
        },
    )
}

fn recovery() -> impl Strategy<Value = LeaderRecovery> {
    prop_oneof![Just(LeaderRecovery::Recovered), Just(LeaderRecovery::Recovering)]
}

fn partition() -> impl Strategy<Value = Partition> {
    (
        (nodes(), uuids(), nodes(), nodes(), nodes(), nodes(), nodes()),
        (node(), any::<i32>(), any::<i32>(), recovery()),
    )
        .prop_map(|(lists, (leader, leader_epoch, partition_epoch, recovery))| {
            let (replicas, directories, isr, elr, last_known_elr, adding, removing) = lists;
            Partition {
                replicas,
                directories,
                isr,
                elr,
                last_known_elr,
                adding,
                removing,
                leader,
                leader_epoch: LeaderEpoch(leader_epoch),
                partition_epoch,
                recovery,
            }
        })
}

fn partition_change() -> impl Strategy<Value = PartitionChange> {
    (
        (of(nodes()), of(uuids()), of(nodes()), of(nodes()), of(nodes()), of(nodes()), of(nodes())),
        (of(node()), of(recovery())),
    )
        .prop_map(|(lists, (leader, recovery))| {
            let (replicas, directories, isr, elr, last_known_elr, adding, removing) = lists;
            PartitionChange {
                replicas,
                directories,
                isr,
                elr,
                last_known_elr,
                adding,
                removing,
                leader,
                recovery,
            }
        })
}

fn resource() -> impl Strategy<Value = ConfigResource> {
    (prop::sample::select(&ResourceKind::ALL[..]), text())
        .prop_map(|(kind, name)| ConfigResource { kind, name })
}

/// Any record that can be written down, sensible or not.
pub(crate) fn record() -> impl Strategy<Value = Record> {
    let topic_id = || uuid().prop_map(TopicId);
    prop_oneof![
        (text(), any::<i64>())
            .prop_map(|(cluster_id, created_ms)| Record::ClusterCreated { cluster_id, created_ms }),
        (text(), any::<i16>()).prop_map(|(name, level)| Record::FeatureLevel { name, level }),
        registration().prop_map(Record::RegisterBroker),
        broker_change().prop_map(Record::ChangeBroker),
        (node(), any::<i64>()).prop_map(|(node_id, epoch)| Record::UnregisterBroker { node_id, epoch }),
        (topic_id(), text()).prop_map(|(topic_id, name)| Record::Topic { topic_id, name }),
        (topic_id(), 0..i32::MAX, partition()).prop_map(|(topic_id, partition, state)| Record::Partition {
            topic_id,
            partition,
            state
        }),
        (topic_id(), 0..i32::MAX, partition_change()).prop_map(|(topic_id, partition, change)| {
            Record::ChangePartition { topic_id, partition, change }
        }),
        topic_id().prop_map(|topic_id| Record::RemoveTopic { topic_id }),
        (resource(), text(), of(text())).prop_map(|(resource, key, value)| Record::Config {
            resource,
            key,
            value
        }),
        (any::<i64>(), node(), any::<i64>()).prop_map(|(next_producer_id, node_id, broker_epoch)| {
            Record::ProducerIds { next_producer_id, node_id, broker_epoch }
        }),
    ]
}
