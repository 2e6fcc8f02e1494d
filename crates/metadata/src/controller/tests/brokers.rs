//! Brokers that come, go and lose directories.

use protocol::{ErrorCode, LeaderEpoch, NodeId, Uuid};

use super::super::testing::{Fixture, broker, cluster, id};
use super::*;
use crate::record::BrokerFeature;

#[test]
fn every_start_ends_the_earlier_leaderships() {
    let mut fixture = Fixture::new();
    fixture.create("t", 1, 3);
    let before = fixture.image.broker(NodeId(1)).unwrap().epoch;
    let (records, epoch) = register_broker(&fixture.image, start(1, 50), 40, false).unwrap();
    assert_eq!(epoch, 40);
    fixture.apply(&records);
    for (_, partition) in fixture.image.topic("t").unwrap().partitions() {
        assert_eq!((partition.leader, partition.leader_epoch), (NodeId(1), LeaderEpoch(1)));
    }
    assert!(epoch > before);
    // Asking again is not starting again.
    let (records, again) = register_broker(&fixture.image, start(1, 50), 99, true).unwrap();
    assert_eq!((records, again), (vec![], 40));
    let other_rack = BrokerStart { rack: Some("r".into()), ..start(1, 50) };
    let (records, _) = register_broker(&fixture.image, other_rack, 99, true).unwrap();
    assert_eq!(records.len(), 1);
    // An index that is too small does not make an epoch come back.
    let (_, epoch) = register_broker(&fixture.image, start(1, 51), 3, false).unwrap();
    assert_eq!(epoch, 41);
}

#[test]
fn a_broker_that_starts_fenced_leads_when_it_is_unfenced() {
    let mut fixture = Fixture::new();
    fixture.create("t", 1, 1);
    let fenced = BrokerStart { fenced: true, ..start(1, 50) };
    let (records, epoch) = register_broker(&fixture.image, fenced, 5, false).unwrap();
    fixture.apply(&records);
    let leader = |fixture: &Fixture| {
        let partition = fixture.image.partition(id(1), 0).unwrap();
        (partition.leader.get(), partition.leader_epoch.get(), partition.isr.len())
    };
    assert_eq!(leader(&fixture), (-1, 1, 1));
    let (records, ()) = unfence_broker(&fixture.image, NodeId(1), epoch).unwrap();
    fixture.apply(&records);
    assert_eq!(leader(&fixture), (1, 2, 1));
    assert_eq!(unfence_broker(&fixture.image, NodeId(1), epoch).unwrap().0, []);
    let (records, ()) = start_controlled_shutdown(&fixture.image, NodeId(1), epoch).unwrap();
    fixture.apply(&records);
    assert_eq!(leader(&fixture), (-1, 3, 1));
    assert_eq!(fence_broker(&fixture.image, NodeId(1), epoch).unwrap().0.len(), 1);
}

#[test]
fn registrations_that_cannot_be_are_refused() {
    let mut fixture = Fixture::new();
    let (records, ()) =
        create_cluster(&fixture.image, "ours".into(), 7, &[("group.version".into(), 1)]).unwrap();
    fixture.apply(&records);
    assert_eq!(code(&create_cluster(&fixture.image, "x".into(), 7, &[])), ErrorCode::InconsistentClusterId);
    let group = BrokerFeature { name: "group.version".into(), min_level: 0, max_level: 1 };
    let good = BrokerStart { features: vec![group], ..start(2, 2) };
    for (start, is_alive, code, message) in [
        (
            BrokerStart { cluster_id: Some("theirs".into()), ..good.clone() },
            false,
            ErrorCode::InconsistentClusterId,
            "broker 2 has data of cluster theirs, this is cluster ours",
        ),
        (
            BrokerStart { node_id: NodeId(1), ..good.clone() },
            true,
            ErrorCode::DuplicateBrokerRegistration,
            "another process is running as broker 1",
        ),
        (
            BrokerStart { node_id: NodeId(-1), ..good.clone() },
            false,
            ErrorCode::InvalidRegistration,
            "broker -1: the number is negative",
        ),
        (
            BrokerStart { listeners: vec![], ..good.clone() },
            false,
            ErrorCode::InvalidRegistration,
            "broker 2: it needs listeners, each of another name",
        ),
        (
            BrokerStart { log_directories: vec![Uuid::ZERO], ..good.clone() },
            false,
            ErrorCode::InvalidRegistration,
            "broker 2: a log directory has no id",
        ),
        (
            BrokerStart { log_directories: vec![Uuid::from_bytes([101; 16])], ..good.clone() },
            false,
            ErrorCode::InvalidRegistration,
            "broker 2: log directory ZWVlZWVlZWVlZWVlZWVlZQ belongs to broker 1",
        ),
        (
            BrokerStart { features: vec![], ..good.clone() },
            false,
            ErrorCode::UnsupportedVersion,
            "broker 2 does not know feature group.version at level 1",
        ),
    ] {
        let start = BrokerStart { log_directories: start.log_directories, ..start };
        let start = match start.node_id.get() {
            1 => BrokerStart { log_directories: vec![Uuid::from_bytes([101; 16])], ..start },
            _ => start,
        };
        assert_eq!(register_broker(&fixture.image, start, 9, is_alive), Err(Refusal::new(code, message)));
    }
    assert!(register_broker(&fixture.image, good, 9, false).is_ok());
}

#[test]
fn a_lost_directory_takes_its_leaderships_along() {
    let mut image = cluster(&[1]);
    let directories = [Uuid::from_bytes([7; 16]), Uuid::from_bytes([8; 16])];
    let registration =
        crate::record::BrokerRegistration { log_directories: directories.to_vec(), ..broker(1, 2) };
    image.apply(&Record::RegisterBroker(registration)).unwrap();
    image.apply(&Record::Topic { topic_id: id(1), name: "t".into() }).unwrap();
    for (partition, directory) in (0..).zip(directories) {
        let state = crate::record::Partition::new(nodes(&[1]), vec![directory], nodes(&[1]));
        image.apply(&Record::Partition { topic_id: id(1), partition, state }).unwrap();
    }
    let (records, ()) = set_log_directories(&image, NodeId(1), 2, vec![directories[1]]).unwrap();
    for record in &records {
        image.apply(record).unwrap();
    }
    let leader = |partition| image.partition(id(1), partition).unwrap().leader.get();
    assert_eq!((leader(0), leader(1)), (-1, 1));
    assert_eq!(image.offline_replicas(image.partition(id(1), 0).unwrap()), nodes(&[1]));
    assert_eq!(code(&set_log_directories(&image, NodeId(1), 1, vec![])), ErrorCode::StaleBrokerEpoch);
    assert_eq!(code(&unregister_broker(&image, NodeId(4))), ErrorCode::BrokerIdNotRegistered);
}

#[test]
fn what_is_on_a_directory_that_fails_is_led_by_nobody_until_it_is_back() {
    let mut fixture = Fixture::new();
    let node = NodeId(1);
    let [kept, lost] = [1, 2].map(|number| Uuid::from_bytes([number; 16]));
    let start = |directories: &[Uuid], incarnation: u8| BrokerStart {
        node_id: node,
        incarnation: Uuid::from_bytes([incarnation; 16]),
        cluster_id: None,
        listeners: broker(1, 0).listeners,
        features: Vec::new(),
        rack: None,
        log_directories: directories.to_vec(),
        fenced: false,
    };
    let register = |fixture: &mut Fixture, directories: &[Uuid], incarnation: u8| {
        let (records, epoch) =
            register_broker(&fixture.image, start(directories, incarnation), 1, false).unwrap();
        fixture.apply(&records);
        epoch
    };
    let epoch = register(&mut fixture, &[kept, lost], 50);
    fixture.create("a", 1, 2);
    let assigned = [(id(1), 0, kept), (id(1), 1, lost), (id(9), 0, lost), (id(1), 7, lost)];
    assert!(assign_directories(&fixture.image, node, epoch - 1, &assigned).is_err());
    let (records, ()) = assign_directories(&fixture.image, node, epoch, &assigned).unwrap();
    assert_eq!(records.len(), 2);
    fixture.apply(&records);
    assert_eq!(assign_directories(&fixture.image, node, epoch, &assigned).unwrap().0, []);
    let leaders = |fixture: &Fixture| {
        [0, 1].map(|partition| {
            let state = fixture.image.partition(id(1), partition).unwrap();
            (state.leader.get(), state.leader_epoch.get(), fixture.image.offline_replicas(state).len())
        })
    };
    assert_eq!(leaders(&fixture), [(1, 0, 0), (1, 0, 0)]);
    let (records, ()) = set_log_directories(&fixture.image, node, epoch, vec![kept]).unwrap();
    fixture.apply(&records);
    assert_eq!(leaders(&fixture), [(1, 0, 0), (-1, 1, 1)]);
    // A start without it changes nothing for what is on it; one with it brings it back.
    register(&mut fixture, &[kept], 51);
    assert_eq!(leaders(&fixture), [(1, 1, 0), (-1, 1, 1)]);
    register(&mut fixture, &[kept, lost], 52);
    assert_eq!(leaders(&fixture), [(1, 2, 0), (1, 2, 0)]);
}
