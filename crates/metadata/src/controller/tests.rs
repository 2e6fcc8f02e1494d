//! The decisions as tables, and together in random histories.

use proptest::prelude::*;
use protocol::{ErrorCode, LeaderEpoch, NodeId, Str, TopicId, Uuid};

use super::testing::{Fixture, broker, cluster, id, new_topic};
use super::*;
use crate::record::{BrokerFeature, ConfigResource};

fn nodes(numbers: &[i32]) -> Vec<NodeId> {
    numbers.iter().copied().map(NodeId).collect()
}

fn code<T>(result: &Result<T, Refusal>) -> ErrorCode {
    result.as_ref().err().map_or(ErrorCode::None, |refusal| refusal.code)
}

fn create(fixture: &Fixture, topic: NewTopic) -> (Vec<Record>, Result<CreatedTopic, Refusal>) {
    let (records, mut results) = create_topics(&fixture.context(), &[topic], false, 0);
    assert_eq!(results.len(), 1);
    (records, results.remove(0).result)
}

fn assigned(assignments: &[(i32, &[i32])]) -> NewTopic {
    let assignments = assignments.iter().map(|(partition, replicas)| (*partition, nodes(replicas))).collect();
    NewTopic { assignments, ..new_topic("t", 9, -1, -1) }
}

fn configured(configs: &[(&str, Option<&str>)]) -> NewTopic {
    let configs = configs.iter().map(|(key, value)| (Str::from(*key), value.map(Str::from))).collect();
    NewTopic { configs, ..new_topic("t", 9, 1, 1) }
}

#[test]
fn topics_that_cannot_be_are_refused_with_the_code_of_kafka() {
    let mut fixture = Fixture::new();
    fixture.create("taken", 1, 1);
    fixture.create("a.b", 2, 1);
    for (topic, code, message) in [
        (new_topic("", 9, 1, 1), ErrorCode::InvalidTopic, "the topic name is not valid: it is empty"),
        (
            new_topic("..", 9, 1, 1),
            ErrorCode::InvalidTopic,
            "the topic name is not valid: '..' stands for a directory",
        ),
        (
            new_topic("__cluster_metadata", 9, 1, 1),
            ErrorCode::InvalidRequest,
            "__cluster_metadata is not for clients to create",
        ),
        (new_topic("taken", 9, 1, 1), ErrorCode::TopicAlreadyExists, "topic 'taken' already exists"),
        (
            new_topic("a_b", 9, 1, 1),
            ErrorCode::InvalidTopic,
            "topic 'a_b' collides with topic 'a.b': '.' and '_' are one in the names of metrics",
        ),
        (
            new_topic("t", 9, 0, 1),
            ErrorCode::InvalidPartitions,
            "the number of partitions, 0, is neither positive nor -1 for the default",
        ),
        (
            new_topic("t", 9, -2, 1),
            ErrorCode::InvalidPartitions,
            "the number of partitions, -2, is neither positive nor -1 for the default",
        ),
        (
            new_topic("t", 9, 1, 0),
            ErrorCode::InvalidReplicationFactor,
            "replication factor 0 is neither positive nor -1 for the default",
        ),
        (
            new_topic("t", 9, 1, 2),
            ErrorCode::InvalidReplicationFactor,
            "replication factor 2 cannot be met: 1 broker(s) are registered",
        ),
        (
            new_topic("t", 9, 10_001, 1),
            ErrorCode::PolicyViolation,
            "a request may create at most 10000 partitions",
        ),
        (
            new_topic("t", 1, 1, 1),
            ErrorCode::UnknownServerError,
            "topic id AQEBAQEBAQEBAQEBAQEBAQ cannot be given to a new topic; try again",
        ),
        (
            NewTopic { replication_factor: 1, ..assigned(&[(0, &[1])]) },
            ErrorCode::InvalidRequest,
            "with an assignment the replication factor must be -1",
        ),
        (
            NewTopic { num_partitions: 1, ..assigned(&[(0, &[1])]) },
            ErrorCode::InvalidRequest,
            "with an assignment the number of partitions must be -1",
        ),
        (
            assigned(&[(0, &[1]), (0, &[1])]),
            ErrorCode::InvalidReplicaAssignment,
            "partition 0 is assigned twice",
        ),
        (
            assigned(&[(1, &[1])]),
            ErrorCode::InvalidReplicaAssignment,
            "the assigned partitions must be numbered from 0 without a gap",
        ),
        (assigned(&[(0, &[])]), ErrorCode::InvalidReplicaAssignment, "partition 0 is assigned to no broker"),
        (
            assigned(&[(0, &[2])]),
            ErrorCode::InvalidReplicaAssignment,
            "partition 0 is assigned to broker 2, which is not registered",
        ),
        (
            assigned(&[(0, &[1, 1])]),
            ErrorCode::InvalidReplicaAssignment,
            "partition 0 is assigned to broker 1 twice",
        ),
        (
            configured(&[("segment.bytes", None)]),
            ErrorCode::InvalidConfig,
            "segment.bytes: a value is needed",
        ),
        (
            configured(&[("segment.bytes", Some("100"))]),
            ErrorCode::InvalidConfig,
            "segment.bytes: 100 is below the minimum 1048576",
        ),
        (
            configured(&[("segment.byte", Some("100"))]),
            ErrorCode::InvalidConfig,
            "segment.byte is not a topic config; did you mean segment.bytes?",
        ),
    ] {
        let (records, result) = create(&fixture, topic);
        assert_eq!(records, []);
        assert_eq!(result, Err(Refusal::new(code, message)));
    }
}

#[test]
fn a_created_topic_is_all_there() {
    let mut fixture = Fixture::with("num.partitions=3\nlog.retention.hours=1");
    let topic =
        NewTopic { num_partitions: -1, replication_factor: -1, ..configured(&[("segment.ms", Some("5"))]) };
    let (records, result) = create(&fixture, topic);
    let created = result.unwrap();
    assert_eq!((created.topic_id, created.num_partitions, created.replication_factor), (id(9), 3, 1));
    let shown = |name: &str| created.configs.iter().find(|config| config.name == name).unwrap().value.clone();
    assert_eq!((shown("segment.ms"), shown("retention.ms")), (Some("5".into()), Some("3600000".into())));
    fixture.apply(&records);
    let topic = fixture.image.topic("t").unwrap();
    assert_eq!(fixture.image.config(&ConfigResource::topic("t"), "segment.ms").unwrap(), "5");
    for (_, partition) in topic.partitions() {
        assert_eq!((partition.leader, partition.leader_epoch), (NodeId(1), LeaderEpoch(0)));
        assert_eq!(partition.directories, fixture.image.broker(NodeId(1)).unwrap().log_directories);
    }
}

#[test]
fn a_name_twice_and_names_that_collide_within_a_request_are_refused() {
    let fixture = Fixture::new();
    let topics = [
        new_topic("a", 1, 1, 1),
        new_topic("b.c", 2, 1, 1),
        new_topic("a", 3, 1, 1),
        new_topic("b_c", 4, 1, 1),
    ];
    let (records, results) = create_topics(&fixture.context(), &topics, false, 0);
    let codes: Vec<_> = results.iter().map(|topic| (topic.name.as_str(), code(&topic.result))).collect();
    let expected =
        [("a", ErrorCode::InvalidRequest), ("b.c", ErrorCode::None), ("b_c", ErrorCode::InvalidTopic)];
    assert_eq!(codes, expected);
    assert_eq!(records.len(), 2);
    let (records, results) = create_topics(&fixture.context(), &topics[1..2], true, 0);
    assert_eq!((records.len(), code(&results[0].result)), (0, ErrorCode::None));
}

fn start(node_id: i32, incarnation: u8) -> BrokerStart {
    let broker = broker(node_id, 0);
    BrokerStart {
        node_id: broker.node_id,
        incarnation: Uuid::from_bytes([incarnation; 16]),
        cluster_id: None,
        listeners: broker.listeners,
        features: Vec::new(),
        rack: None,
        log_directories: broker.log_directories,
        fenced: false,
    }
}

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

fn change(resource: ConfigResource, ops: &[(&str, AlterOp)]) -> ConfigChange {
    let ops = ops.iter().map(|(key, op)| (Str::from(*key), op.clone())).collect();
    ConfigChange { resource, ops }
}

fn set(value: &str) -> AlterOp {
    AlterOp::Set(value.into())
}

#[test]
fn configs_are_changed_or_refused() {
    let mut fixture = Fixture::new();
    fixture.create("t", 1, 1);
    let topic = || ConfigResource::topic("t");
    let all = ConfigResource::all_brokers;
    let group = || ConfigResource::group("g");
    for (resource, key, op, code, message) in [
        (
            topic(),
            "retention.ms",
            set("x"),
            ErrorCode::InvalidConfig,
            "retention.ms: \"x\" is not a number of type long",
        ),
        (topic(), "retention", set("1"), ErrorCode::InvalidConfig, "retention is not a topic config"),
        (
            topic(),
            "retention.ms",
            AlterOp::Append("1".into()),
            ErrorCode::InvalidConfig,
            "retention.ms is not a list that something can be added to or taken from",
        ),
        (
            ConfigResource::topic(""),
            "retention.ms",
            set("1"),
            ErrorCode::InvalidRequest,
            "there are no configs of all topics; set them on the brokers",
        ),
        (
            ConfigResource::topic("x"),
            "retention.ms",
            set("1"),
            ErrorCode::UnknownTopicOrPartition,
            "there is no topic 'x'",
        ),
        (
            ConfigResource::broker(NodeId(7)),
            "message.max.bytes",
            set("1"),
            ErrorCode::BrokerIdNotRegistered,
            "broker 7 is not registered",
        ),
        (
            all(),
            "num.partitions",
            set("1"),
            ErrorCode::InvalidRequest,
            "num.partitions cannot change while the broker runs; set it in its file and restart",
        ),
        (
            all(),
            "ssl.keystore.location",
            set("f"),
            ErrorCode::InvalidRequest,
            "ssl.keystore.location can only be set on one broker at a time",
        ),
        (
            all(),
            "message.max.bytes",
            set("-1"),
            ErrorCode::InvalidRequest,
            "message.max.bytes: -1 is below the minimum 0",
        ),
        (
            all(),
            "message.max.byte",
            set("1"),
            ErrorCode::InvalidConfig,
            "message.max.byte is not a broker config; did you mean message.max.bytes?",
        ),
        (
            group(),
            "consumer.session.timeout.ms",
            set("0"),
            ErrorCode::InvalidConfig,
            "consumer.session.timeout.ms: 0 is below the minimum 1",
        ),
        (
            ConfigResource::group(""),
            "consumer.session.timeout.ms",
            set("1"),
            ErrorCode::InvalidRequest,
            "the name of the group is empty",
        ),
    ] {
        let (records, results) =
            incremental_alter_configs(&fixture.context(), &[change(resource, &[(key, op)])], false);
        assert_eq!(records, []);
        assert_eq!(results, [Err(Refusal::new(code, message))]);
    }
    let changes = [
        change(topic(), &[("cleanup.policy", AlterOp::Append("compact".into())), ("segment.ms", set("5"))]),
        change(all(), &[("log.retention.ms", set("6"))]),
        change(ConfigResource::broker(NodeId(1)), &[("listener.name.a.plain.sasl.jaas.config", set("x"))]),
    ];
    let (records, results) = incremental_alter_configs(&fixture.context(), &changes, false);
    assert_eq!(results, [Ok(()), Ok(()), Ok(())]);
    assert_eq!(incremental_alter_configs(&fixture.context(), &changes, true).0, []);
    fixture.apply(&records);
    let of = |fixture: &Fixture, key: &str| fixture.image.config(&topic(), key).map(ToString::to_string);
    assert_eq!(of(&fixture, "cleanup.policy").as_deref(), Some("delete,compact"));
    // What is so already needs no record, but a broker is to read it again.
    let (records, _) = incremental_alter_configs(&fixture.context(), &changes, false);
    assert_eq!(records.len(), 2);
    let less = [
        ("cleanup.policy", AlterOp::Subtract("delete,x".into())),
        ("segment.ms", AlterOp::Delete),
        ("flush.ms", AlterOp::Delete),
    ];
    let (records, _) = incremental_alter_configs(&fixture.context(), &[change(topic(), &less)], false);
    fixture.apply(&records);
    assert_eq!(
        (of(&fixture, "cleanup.policy").as_deref(), of(&fixture, "segment.ms")),
        (Some("compact"), None)
    );
    let (records, _) =
        alter_configs(&fixture.context(), &[change(topic(), &[("flush.ms", set("9"))])], false);
    fixture.apply(&records);
    assert_eq!((of(&fixture, "flush.ms").as_deref(), of(&fixture, "cleanup.policy")), (Some("9"), None));
}

#[test]
fn a_resource_or_a_key_twice_is_refused() {
    let mut fixture = Fixture::new();
    fixture.create("t", 1, 1);
    let one = || change(ConfigResource::topic("t"), &[("segment.ms", set("5"))]);
    let (records, results) = incremental_alter_configs(&fixture.context(), &[one(), one()], false);
    assert_eq!(
        (records.len(), code(&results[0]), code(&results[1])),
        (0, ErrorCode::InvalidRequest, ErrorCode::InvalidRequest)
    );
    let twice =
        change(ConfigResource::topic("t"), &[("segment.ms", set("5")), ("segment.ms", AlterOp::Delete)]);
    let (_, results) = incremental_alter_configs(&fixture.context(), &[twice], false);
    assert_eq!(
        results,
        [Err(Refusal::new(ErrorCode::InvalidRequest, "segment.ms is there twice in the request"))]
    );
    let (_, results) = alter_configs(
        &fixture.context(),
        &[change(ConfigResource::topic("t"), &[("segment.ms", AlterOp::Delete)])],
        false,
    );
    assert_eq!(code(&results[0]), ErrorCode::InvalidRequest);
}

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
