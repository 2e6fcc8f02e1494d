//! The image against its records: rebuilt, composed, compared with a plain model.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use protocol::Uuid;

use super::*;
use crate::Error;
use crate::record::{BrokerChange, Listener, PartitionChange, SecurityProtocol};

fn uuid(number: u8) -> Uuid {
    Uuid::from_bytes([number; 16])
}

pub(crate) fn broker(node_id: i32, epoch: i64) -> BrokerRegistration {
    BrokerRegistration {
        node_id: NodeId(node_id),
        incarnation: uuid(u8::try_from(node_id).unwrap()),
        epoch,
        listeners: vec![Listener {
            name: "PLAINTEXT".into(),
            host: "127.0.0.1".into(),
            port: 9092,
            protocol: SecurityProtocol::Plaintext,
        }],
        features: Vec::new(),
        rack: None,
        log_directories: vec![uuid(100)],
        fenced: false,
        in_controlled_shutdown: false,
    }
}

/// A step of a random history; numbers are taken modulo what is there.
#[derive(Clone, Debug)]
enum Step {
    Cluster(i64),
    Feature(u8, i16),
    Register {
        node: u8,
        fenced: bool,
    },
    Fence {
        node: u8,
        fenced: bool,
        shutdown: Option<bool>,
    },
    Unregister {
        node: u8,
    },
    /// Ids are never given twice, deleted topics included.
    Topic {
        id: u128,
        name: u8,
    },
    Partition {
        topic: u8,
        replicas: Vec<u8>,
    },
    Lead {
        topic: u8,
        partition: u8,
        leader: Option<u8>,
        isr: Vec<u8>,
    },
    Reassign {
        topic: u8,
        partition: u8,
        replicas: Vec<u8>,
    },
    RemoveTopic {
        topic: u8,
    },
    Config {
        topic: u8,
        key: u8,
        value: Option<u8>,
    },
    ProducerIds {
        node: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    use proptest::collection::vec;
    let number = || any::<u8>();
    prop_oneof![
        1 => any::<i64>().prop_map(Step::Cluster),
        1 => (0..3_u8, 0..3_i16).prop_map(|(name, level)| Step::Feature(name, level)),
        3 => (0..5_u8, any::<bool>()).prop_map(|(node, fenced)| Step::Register { node, fenced }),
        2 => (number(), any::<bool>(), any::<Option<bool>>())
            .prop_map(|(node, fenced, shutdown)| Step::Fence { node, fenced, shutdown }),
        1 => number().prop_map(|node| Step::Unregister { node }),
        5 => (any::<u128>().no_shrink(), 0..12_u8).prop_map(|(id, name)| Step::Topic { id, name }),
        8 => (number(), vec(0..5_u8, 1..4)).prop_map(|(topic, replicas)| Step::Partition { topic, replicas }),
        6 => (number(), number(), any::<Option<u8>>(), vec(0..5_u8, 0..3))
            .prop_map(|(topic, partition, leader, isr)| Step::Lead { topic, partition, leader, isr }),
        2 => (number(), number(), vec(0..5_u8, 1..4))
            .prop_map(|(topic, partition, replicas)| Step::Reassign { topic, partition, replicas }),
        2 => number().prop_map(|topic| Step::RemoveTopic { topic }),
        4 => (number(), 0..3_u8, any::<Option<u8>>())
            .prop_map(|(topic, key, value)| Step::Config { topic, key, value }),
        1 => number().prop_map(|node| Step::ProducerIds { node }),
    ]
}

fn nodes(numbers: &[u8]) -> Vec<NodeId> {
    let set: BTreeSet<i32> = numbers.iter().map(|number| i32::from(*number)).collect();
    set.into_iter().map(NodeId).collect()
}

fn pick<T>(number: u8, from: Vec<T>) -> Option<T> {
    let place = usize::from(number) % from.len().max(1);
    from.into_iter().nth(place)
}

impl Step {
    /// The record that this step means in `image`, if it can mean anything there.
    fn record(&self, image: &Image) -> Option<Record> {
        let a_broker = |number| pick(number, image.brokers().cloned().collect());
        let a_topic = |number| pick(number, image.topics().cloned().collect());
        let a_partition = |topic, number| {
            let topic: Arc<Topic> = a_topic(topic)?;
            let partition = pick(number, topic.partitions().map(|(index, _)| index).collect())?;
            Some((topic.id(), partition))
        };
        Some(match self {
            Step::Cluster(created_ms) => {
                Record::ClusterCreated { cluster_id: "cluster".into(), created_ms: *created_ms }
            }
            Step::Feature(name, level) => {
                Record::FeatureLevel { name: format!("feature.{name}").into(), level: *level }
            }
            Step::Register { node, fenced } => Record::RegisterBroker(BrokerRegistration {
                fenced: *fenced,
                ..broker(i32::from(*node), image.broker_epoch_max() + 1)
            }),
            Step::Fence { node, fenced, shutdown } => Record::ChangeBroker(BrokerChange {
                fenced: Some(*fenced),
                in_controlled_shutdown: *shutdown,
                ..BrokerChange::of(&*a_broker(*node)?)
            }),
            Step::Unregister { node } => {
                let broker = a_broker(*node)?;
                Record::UnregisterBroker { node_id: broker.node_id, epoch: broker.epoch }
            }
            Step::Topic { id, name } => {
                let name = Str::from(format!("t{}{}", ['.', '_', '-'][usize::from(*name) % 3], name / 3));
                let topic_id = TopicId(Uuid::from_bytes(id.to_be_bytes()));
                let taken = image.topic_by_id(topic_id).is_some() || image.topic(&name).is_some();
                (!taken).then_some(Record::Topic { topic_id, name })?
            }
            Step::Partition { topic, replicas } => {
                let topic = a_topic(*topic)?;
                let replicas = nodes(replicas);
                let directories = vec![uuid(100); replicas.len()];
                let state = Partition::new(replicas.clone(), directories, replicas);
                Record::Partition { topic_id: topic.id(), partition: topic.partition_count(), state }
            }
            Step::Lead { topic, partition, leader, isr } => {
                let (topic_id, partition) = a_partition(*topic, *partition)?;
                let leader = leader.map(|leader| NodeId(i32::from(leader % 6) - 1));
                let change = PartitionChange { leader, isr: Some(nodes(isr)), ..PartitionChange::default() };
                Record::ChangePartition { topic_id, partition, change }
            }
            Step::Reassign { topic, partition, replicas } => {
                let (topic_id, partition) = a_partition(*topic, *partition)?;
                let replicas = Some(nodes(replicas));
                let change = PartitionChange { replicas, ..PartitionChange::default() };
                Record::ChangePartition { topic_id, partition, change }
            }
            Step::RemoveTopic { topic } => Record::RemoveTopic { topic_id: a_topic(*topic)?.id() },
            Step::Config { topic, key, value } => Record::Config {
                resource: ConfigResource::topic(a_topic(*topic)?.name().clone()),
                key: format!("key.{key}").into(),
                value: value.map(|value| value.to_string().into()),
            },
            Step::ProducerIds { node } => Record::ProducerIds {
                next_producer_id: image.producer_ids().map_or(0, |block| block.next) + 1000,
                node_id: NodeId(i32::from(*node)),
                broker_epoch: 1,
            },
        })
    }
}

/// The records of a random history that fits, and the image after it.
fn play(image: &Image, steps: &[Step]) -> (Vec<Record>, Image) {
    let mut image = image.clone();
    let mut records = Vec::new();
    for step in steps {
        if let Some(record) = step.record(&image) {
            image.apply(&record).unwrap();
            records.push(record);
        }
    }
    (records, image)
}

/// What a delta says, to compare deltas by.
fn said(delta: &Delta) -> String {
    let partitions: Vec<_> = delta.partitions().collect();
    let created: Vec<_> = delta.topics_created().map(|topic| topic.name().clone()).collect();
    let deleted: Vec<_> = delta.topics_deleted().map(|topic| topic.name().clone()).collect();
    let brokers: Vec<_> = delta.brokers().collect();
    let configs: Vec<_> = delta.configs().collect();
    let resources: Vec<_> = delta.resources_reconfigured().collect();
    let features: Vec<_> = delta.features().collect();
    let whole = (delta.cluster_changed(), delta.producer_ids_changed(), delta.is_empty());
    format!(
        "{created:?} {deleted:?} {partitions:?} {brokers:?} {configs:?} {resources:?} {features:?} {whole:?}"
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_image_is_rebuilt_from_its_own_records(steps in prop::collection::vec(step(), 0..80)) {
        let (_, image) = play(&Image::new(), &steps);
        let rebuilt = Image::from_records(&image.to_records()).unwrap();
        prop_assert_eq!(&rebuilt, &image);
        prop_assert_eq!(rebuilt.to_records(), image.to_records());
    }

    #[test]
    fn deltas_compose(
        base in prop::collection::vec(step(), 0..40),
        first in prop::collection::vec(step(), 0..20),
        second in prop::collection::vec(step(), 0..20),
    ) {
        let (_, base) = play(&Image::new(), &base);
        let (first, middle) = play(&base, &first);
        let (second, end) = play(&middle, &second);
        let whole = Delta::of(base.clone(), first.iter().chain(&second)).unwrap();
        let composed = Delta::of(base.clone(), &first).unwrap().then(Delta::of(middle, &second).unwrap());
        prop_assert_eq!(whole.after(), &end);
        prop_assert_eq!(composed.after(), &end);
        prop_assert_eq!(said(&composed), said(&whole));
        prop_assert_eq!(said(&Delta::between(base.clone(), end.clone())), said(&whole));
        prop_assert_eq!(whole.is_empty(), base == end);
        prop_assert!(Delta::between(end.clone(), end).is_empty());
    }

    #[test]
    fn indexes_agree_with_a_search(steps in prop::collection::vec(step(), 0..80)) {
        let (_, image) = play(&Image::new(), &steps);
        let mut replicas: BTreeMap<NodeId, BTreeSet<(TopicId, i32)>> = BTreeMap::new();
        let mut leaderless = BTreeSet::new();
        let mut count = 0;
        for topic in image.topics() {
            prop_assert_eq!(image.topic_by_id(topic.id()), image.topic(topic.name()));
            for (index, partition) in topic.partitions() {
                count += 1;
                for replica in &partition.replicas {
                    replicas.entry(*replica).or_default().insert((topic.id(), index));
                }
                if partition.leader.is_none() {
                    leaderless.insert((topic.id(), index));
                }
            }
            let collides = image.topics().any(|other| {
                other.name() != topic.name() && other.name().replace('.', "_") == topic.name().replace('.', "_")
            });
            prop_assert_eq!(image.colliding_topic(topic.name()).is_some(), collides);
        }
        prop_assert_eq!(image.partition_count(), count);
        prop_assert_eq!(image.leaderless().collect::<BTreeSet<_>>(), leaderless);
        for node in (0..5).map(NodeId) {
            let found: BTreeSet<_> = image.replicas_on(node).collect();
            prop_assert_eq!(found, replicas.remove(&node).unwrap_or_default());
        }
    }

    #[test]
    fn a_refused_record_changes_nothing(
        steps in prop::collection::vec(step(), 0..40),
        record in crate::record::arbitrary::record(),
    ) {
        let (_, image) = play(&Image::new(), &steps);
        let mut after = image.clone();
        if after.apply(&record).is_err() {
            prop_assert_eq!(after, image);
        }
    }
}

fn topic_records(name: &str, number: u8, partitions: i32) -> Vec<Record> {
    let topic_id = TopicId(uuid(number));
    let mut records = vec![Record::Topic { topic_id, name: name.into() }];
    records.extend((0..partitions).map(|partition| Record::Partition {
        topic_id,
        partition,
        state: Partition::new(vec![NodeId(1)], vec![uuid(100)], vec![NodeId(1)]),
    }));
    records
}

#[test]
fn records_that_do_not_fit_are_named() {
    let mut image = Image::from_records(&topic_records("a", 1, 2)).unwrap();
    image.apply(&Record::RegisterBroker(broker(1, 7))).unwrap();
    let topic_id = TopicId(uuid(1));
    let state = Partition::new(vec![NodeId(1)], vec![], vec![NodeId(1)]);
    let change = PartitionChange::default();
    let unknown = TopicId(uuid(9));
    for (record, error) in [
        (
            Record::Topic { topic_id: unknown, name: "a".into() },
            Error::TopicExists { topic_id: unknown, name: "a".into() },
        ),
        (Record::RemoveTopic { topic_id: unknown }, Error::UnknownTopic { topic_id: unknown }),
        (
            Record::Partition { topic_id, partition: 1, state: state.clone() },
            Error::PartitionExists { topic_id, partition: 1 },
        ),
        (
            Record::Partition { topic_id, partition: 3, state },
            Error::PartitionGap { topic_id, partition: 3, next: 2 },
        ),
        (
            Record::ChangePartition { topic_id, partition: 2, change },
            Error::UnknownPartition { topic_id, partition: 2 },
        ),
        (
            Record::RegisterBroker(broker(1, 6)),
            Error::StaleBrokerEpoch { node_id: NodeId(1), epoch: 6, current: 7 },
        ),
        (
            Record::UnregisterBroker { node_id: NodeId(2), epoch: 6 },
            Error::UnknownBroker { node_id: NodeId(2) },
        ),
    ] {
        assert_eq!(image.apply(&record), Err(error));
    }
}

#[test]
fn naming_a_leader_starts_an_epoch_even_for_the_same_one() {
    let mut image = Image::from_records(&topic_records("a", 1, 1)).unwrap();
    let topic_id = TopicId(uuid(1));
    let change = PartitionChange { leader: Some(NodeId(1)), ..PartitionChange::default() };
    image.apply(&Record::ChangePartition { topic_id, partition: 0, change }).unwrap();
    let change = PartitionChange { isr: Some(vec![]), ..PartitionChange::default() };
    image.apply(&Record::ChangePartition { topic_id, partition: 0, change }).unwrap();
    let partition = image.partition(topic_id, 0).unwrap();
    assert_eq!((partition.leader_epoch.get(), partition.partition_epoch), (1, 2));
}

#[test]
fn a_deleted_topic_takes_its_configs_along_and_the_delta_says_so() {
    let mut records = topic_records("a", 1, 2);
    let resource = ConfigResource::topic("a");
    records.push(Record::Config {
        resource: resource.clone(),
        key: "retention.ms".into(),
        value: Some("1".into()),
    });
    let image = Image::from_records(&records).unwrap();
    assert_eq!(image.config(&resource, "retention.ms").unwrap(), "1");
    let delta = Delta::of(image, [&Record::RemoveTopic { topic_id: TopicId(uuid(1)) }]).unwrap();
    assert_eq!(delta.topics_deleted().count(), 1);
    assert_eq!(delta.partitions().filter(|partition| partition.after.is_none()).count(), 2);
    assert_eq!(delta.configs().count(), 1);
    assert_eq!(delta.after(), &Image::new());
}

#[test]
fn a_replica_is_offline_with_its_broker_or_its_directory() {
    let mut image = Image::new();
    let mut partition = Partition::new(
        vec![NodeId(1), NodeId(2), NodeId(3), NodeId(4)],
        vec![uuid(100), uuid(101), uuid(100), Uuid::ZERO],
        vec![],
    );
    for node in [1, 2, 4] {
        image.apply(&Record::RegisterBroker(broker(node, 1))).unwrap();
    }
    assert_eq!(image.offline_replicas(&partition), [NodeId(2), NodeId(3)]);
    image.apply(&Record::RegisterBroker(BrokerRegistration { fenced: true, ..broker(1, 2) })).unwrap();
    partition.replicas.truncate(2);
    assert_eq!(image.offline_replicas(&partition), [NodeId(1), NodeId(2)]);
}

#[test]
fn topics_are_paged_in_order_of_their_names() {
    let mut records = topic_records("b", 1, 1);
    records.extend(topic_records("a", 2, 1));
    records.extend(topic_records("c.d", 3, 1));
    let image = Image::from_records(&records).unwrap();
    let names = |from| image.topics_from(from).map(|topic| topic.name().to_string()).collect::<Vec<_>>();
    assert_eq!(names(""), ["a", "b", "c.d"]);
    assert_eq!(names("aa"), ["b", "c.d"]);
    assert_eq!(image.colliding_topic("c_d").unwrap(), "c.d");
    assert_eq!(image.colliding_topic("c.d"), None);
}
