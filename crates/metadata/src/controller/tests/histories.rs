//! Random histories of decisions.

use proptest::prelude::*;
use protocol::{NodeId, TopicId, Uuid};

use super::super::testing::{Fixture, new_topic};
use super::*;

/// Something that is asked of the controller.
#[derive(Clone, Debug)]
enum Ask {
    Create { name: u8, id: u128, partitions: i32, replication_factor: i16 },
    Delete { name: u8 },
    Grow { name: u8, count: i32 },
    Start { node: i32, incarnation: u128, fenced: bool },
    Unfence(i32),
    Fence(i32),
    Shutdown(i32),
    Unregister(i32),
    ProducerIds(i32),
}

fn ask() -> impl Strategy<Value = Ask> {
    let node = || 0..4_i32;
    prop_oneof![
        4 => (0..5_u8, any::<u128>().no_shrink(), -1..4_i32, -1..4_i16)
            .prop_map(|(name, id, partitions, replication_factor)| Ask::Create { name, id, partitions, replication_factor }),
        1 => (0..5_u8).prop_map(|name| Ask::Delete { name }),
        2 => (0..5_u8, 0..8_i32).prop_map(|(name, count)| Ask::Grow { name, count }),
        4 => (node(), any::<u128>().no_shrink(), any::<bool>())
            .prop_map(|(node, incarnation, fenced)| Ask::Start { node, incarnation, fenced }),
        2 => node().prop_map(Ask::Unfence),
        2 => node().prop_map(Ask::Fence),
        1 => node().prop_map(Ask::Shutdown),
        1 => node().prop_map(Ask::Unregister),
        1 => node().prop_map(Ask::ProducerIds),
    ]
}

fn decide(fixture: &Fixture, ask: &Ask) -> Vec<Record> {
    let image = &fixture.image;
    let epoch = |node: &i32| image.broker(NodeId(*node)).map_or(-1, |broker| broker.epoch);
    let records =
        |decided: Result<Decision<()>, Refusal>| decided.map(|(records, ())| records).unwrap_or_default();
    let uuid = |number: &u128| Uuid::from_bytes(number.to_be_bytes());
    match ask {
        Ask::Create { name, id, partitions, replication_factor } => {
            let topic = NewTopic {
                topic_id: TopicId(uuid(id)),
                ..new_topic(&format!("t{name}"), 0, *partitions, *replication_factor)
            };
            create_topics(&fixture.context(), &[topic], false, usize::from(*name)).0
        }
        Ask::Delete { name } => delete_topics(&fixture.context(), &[TopicRef::by_name(format!("t{name}"))]).0,
        Ask::Grow { name, count } => {
            let grow = NewPartitions { name: format!("t{name}").into(), count: *count, assignments: None };
            create_partitions(&fixture.context(), &[grow], false, 1).0
        }
        Ask::Start { node, incarnation, fenced } => {
            let start = BrokerStart { incarnation: uuid(incarnation), fenced: *fenced, ..start(*node, 0) };
            register_broker(image, start, 0, false).map(|(records, _)| records).unwrap_or_default()
        }
        Ask::Unfence(node) => records(unfence_broker(image, NodeId(*node), epoch(node))),
        Ask::Fence(node) => records(fence_broker(image, NodeId(*node), epoch(node))),
        Ask::Shutdown(node) => records(start_controlled_shutdown(image, NodeId(*node), epoch(node))),
        Ask::Unregister(node) => records(unregister_broker(image, NodeId(*node))),
        Ask::ProducerIds(node) => allocate_producer_ids(image, NodeId(*node), epoch(node))
            .map(|(records, _)| records)
            .unwrap_or_default(),
    }
}

fn check_invariants(before: &Image, after: &Image, ask: &Ask) {
    for topic in after.topics() {
        for (number, partition) in topic.partitions() {
            assert!(!partition.isr.is_empty());
            assert!(partition.isr.iter().all(|replica| partition.replicas.contains(replica)));
            if !partition.leader.is_none() {
                assert!(partition.isr.contains(&partition.leader) && after.is_active(partition.leader));
            } else {
                let waiting = partition.isr.iter().all(|replica| !after.is_active(*replica));
                assert!(waiting, "{partition:?} has a replica that could lead");
            }
            let Some(old) = before.partition(topic.id(), number) else { continue };
            let (epochs, moved) =
                ((old.leader_epoch, partition.leader_epoch), old.leader != partition.leader);
            assert!(epochs.0 <= epochs.1 && (!moved || epochs.0 < epochs.1));
            if let Ask::Start { node, .. } = ask
                && old.leader == NodeId(*node)
                && before.broker(old.leader).map(|broker| broker.epoch)
                    != after.broker(old.leader).map(|broker| broker.epoch)
            {
                assert!(epochs.0 < epochs.1, "a start left a leadership as it was");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn decisions_fit_and_keep_their_promises(asks in prop::collection::vec(ask(), 0..60)) {
        let mut fixture = Fixture::new();
        for ask in &asks {
            let records = decide(&fixture, ask);
            let before = fixture.image.clone();
            fixture.apply(&records);
            check_invariants(&before, &fixture.image, ask);
        }
        let rebuilt = Image::from_records(&fixture.image.to_records()).unwrap();
        prop_assert_eq!(rebuilt, fixture.image);
    }
}
