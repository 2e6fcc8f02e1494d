//! What a config belongs to.

use std::fmt;

use protocol::{NodeId, Str};

/// Kinds of things that have configs; the numbers are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    Topic = 2,
    Broker = 4,
    BrokerLogger = 8,
    ClientMetrics = 16,
    Group = 32,
}

impl ResourceKind {
    pub const ALL: [ResourceKind; 5] = [
        ResourceKind::Topic,
        ResourceKind::Broker,
        ResourceKind::BrokerLogger,
        ResourceKind::ClientMetrics,
        ResourceKind::Group,
    ];

    pub const fn id(self) -> i8 {
        self as i8
    }

    pub fn from_id(id: i8) -> Option<ResourceKind> {
        ResourceKind::ALL.into_iter().find(|kind| kind.id() == id)
    }

    pub const fn name(self) -> &'static str {
        match self {
            ResourceKind::Topic => "topic",
            ResourceKind::Broker => "broker",
            ResourceKind::BrokerLogger => "broker-logger",
            ResourceKind::ClientMetrics => "client-metrics",
            ResourceKind::Group => "group",
        }
    }
}

/// A thing that has configs. A broker of empty name stands for all brokers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    pub kind: ResourceKind,
    pub name: Str,
}

impl ConfigResource {
    pub fn topic(name: impl Into<Str>) -> ConfigResource {
        ConfigResource { kind: ResourceKind::Topic, name: name.into() }
    }

    pub fn broker(node_id: NodeId) -> ConfigResource {
        ConfigResource { kind: ResourceKind::Broker, name: Str::from(node_id.to_string()) }
    }

    /// The defaults of all brokers, `--entity-default`.
    pub const fn all_brokers() -> ConfigResource {
        ConfigResource { kind: ResourceKind::Broker, name: Str::EMPTY }
    }

    pub fn group(name: impl Into<Str>) -> ConfigResource {
        ConfigResource { kind: ResourceKind::Group, name: name.into() }
    }
}

impl fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.name.as_str()) {
            (ResourceKind::Broker, "") => f.write_str("all brokers"),
            (kind, name) => write!(f, "{} {name}", kind.name()),
        }
    }
}
