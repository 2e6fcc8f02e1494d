//! Brokers as the log knows them.

use std::fmt;

use protocol::{NodeId, Str, Uuid};

/// How a listener speaks; the numbers are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecurityProtocol {
    Plaintext = 0,
    Ssl = 1,
    SaslPlaintext = 2,
    SaslSsl = 3,
}

impl SecurityProtocol {
    pub const ALL: [SecurityProtocol; 4] = [
        SecurityProtocol::Plaintext,
        SecurityProtocol::Ssl,
        SecurityProtocol::SaslPlaintext,
        SecurityProtocol::SaslSsl,
    ];

    pub const fn id(self) -> i16 {
        self as i16
    }

    pub fn from_id(id: i16) -> Option<SecurityProtocol> {
        SecurityProtocol::ALL.into_iter().find(|protocol| protocol.id() == id)
    }

    pub const fn name(self) -> &'static str {
        match self {
            SecurityProtocol::Plaintext => "PLAINTEXT",
            SecurityProtocol::Ssl => "SSL",
            SecurityProtocol::SaslPlaintext => "SASL_PLAINTEXT",
            SecurityProtocol::SaslSsl => "SASL_SSL",
        }
    }

    /// By name, as in `listener.security.protocol.map`.
    pub fn from_name(name: &str) -> Option<SecurityProtocol> {
        SecurityProtocol::ALL.into_iter().find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An address that a broker tells its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// `PLAINTEXT`, `INTERNAL`, ...: what `listeners` calls it.
    pub name: Str,
    pub host: Str,
    pub port: u16,
    pub protocol: SecurityProtocol,
}

/// The levels of a feature that a broker can work with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerFeature {
    pub name: Str,
    pub min_level: i16,
    pub max_level: i16,
}

/// What a broker says of itself when it starts, and what the controller added to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistration {
    pub node_id: NodeId,
    /// Drawn anew by every start of the process.
    pub incarnation: Uuid,
    /// Grows with every registration of any broker; requests that carry an older one are refused.
    pub epoch: i64,
    pub listeners: Vec<Listener>,
    pub features: Vec<BrokerFeature>,
    pub rack: Option<Str>,
    /// The ids of its log directories that are online.
    pub log_directories: Vec<Uuid>,
    /// It may neither lead nor be in an in-sync set, yet or any more.
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
}

impl BrokerRegistration {
    /// Whether it may lead and be in sync.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    pub fn listener(&self, name: &str) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.name.as_str() == name)
    }
}

/// What changed of a registered broker; `None` stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerChange {
    pub node_id: NodeId,
    /// The registration that this is about; a change of another one does not apply.
    pub epoch: i64,
    pub fenced: Option<bool>,
    pub in_controlled_shutdown: Option<bool>,
    pub log_directories: Option<Vec<Uuid>>,
}

impl BrokerChange {
    /// A change of nothing yet.
    pub fn of(broker: &BrokerRegistration) -> BrokerChange {
        BrokerChange {
            node_id: broker.node_id,
            epoch: broker.epoch,
            fenced: None,
            in_controlled_shutdown: None,
            log_directories: None,
        }
    }
}
