//! A cluster of one broker to decide on.

use protocol::{NodeId, TopicId, Uuid};

use super::{Context, NewTopic, create_topics};
use crate::Image;
use crate::config::{BrokerConfig, StaticConfig};
use crate::record::{BrokerRegistration, Listener, Record, SecurityProtocol};

pub(super) fn id(number: u8) -> TopicId {
    TopicId(Uuid::from_bytes([number; 16]))
}

pub(super) fn broker(node_id: i32, epoch: i64) -> BrokerRegistration {
    let number = u8::try_from(node_id).unwrap();
    BrokerRegistration {
        node_id: NodeId(node_id),
        incarnation: Uuid::from_bytes([number; 16]),
        epoch,
        listeners: vec![Listener {
            name: "PLAINTEXT".into(),
            host: "127.0.0.1".into(),
            port: 9092,
            protocol: SecurityProtocol::Plaintext,
        }],
        features: Vec::new(),
        rack: None,
        log_directories: vec![Uuid::from_bytes([100 + number; 16])],
        fenced: false,
        in_controlled_shutdown: false,
    }
}

pub(super) fn cluster(nodes: &[i32]) -> Image {
    let registrations = nodes.iter().map(|node| Record::RegisterBroker(broker(*node, 1)));
    Image::from_records(&registrations.collect::<Vec<_>>()).unwrap()
}

pub(super) struct Fixture {
    pub(super) image: Image,
    config: BrokerConfig,
    statics: StaticConfig,
}

impl Fixture {
    /// Broker 1 with nothing set.
    pub(super) fn new() -> Fixture {
        Fixture::with("")
    }

    pub(super) fn with(properties: &str) -> Fixture {
        let statics = StaticConfig::from_properties(properties).unwrap();
        let (config, _) = BrokerConfig::load(&statics).unwrap();
        Fixture { image: cluster(&[1]), config, statics }
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context { image: &self.image, config: &self.config, statics: &self.statics, node_id: NodeId(1) }
    }

    pub(super) fn apply(&mut self, records: &[Record]) {
        for record in records {
            self.image.apply(record).unwrap();
        }
    }

    pub(super) fn create(&mut self, name: &str, number: u8, partitions: i32) {
        let topic = new_topic(name, number, partitions, 1);
        let (records, results) = create_topics(&self.context(), &[topic], false, 0);
        results[0].result.as_ref().unwrap();
        self.apply(&records);
    }
}

pub(super) fn new_topic(name: &str, number: u8, num_partitions: i32, replication_factor: i16) -> NewTopic {
    NewTopic {
        name: name.into(),
        topic_id: id(number),
        num_partitions,
        replication_factor,
        assignments: Vec::new(),
        configs: Vec::new(),
    }
}
