//! [`BrokerConfig`]: what a broker goes by, as values.

mod contradictions;

use std::net::IpAddr;

use protocol::{NodeId, Str};

use super::coordination::{ConsumerGroupsConfig, GroupsConfig, Limited, MigrationPolicy, TransactionsConfig};
use super::directories::{LogDirectories, cordoned};
use super::listeners::{ListenerError, check_ports, protocol_map};
use super::names::listener_limit;
use super::value::per_ip_overrides;
use super::{
    ConfigError, Durability, Endpoint, Layers, Note, Scope, StaticConfig, TopicConfig, Value, find,
    parse_listeners,
};
use crate::Image;

/// The configs of a broker: those set while it runs over those of its file over the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerConfig {
    /// `None` takes the number that the data directory or the cluster has for this node.
    pub node_id: Option<NodeId>,
    pub is_broker: bool,
    pub is_controller: bool,
    pub rack: Option<Str>,
    /// Where clients and brokers connect.
    pub listeners: Vec<Endpoint>,
    /// What they are told, one for each of `listeners`. A wildcard host stands for a name of this machine and port 0
    /// for the port that was bound.
    pub advertised_listeners: Vec<Endpoint>,
    /// Listeners of `controller.listener.names`.
    pub controller_listeners: Vec<Endpoint>,
    pub directories: LogDirectories,
    pub sockets: Sockets,
    pub limits: Limits,
    pub auto_create_topics: bool,
    pub delete_topics: bool,
    pub num_partitions: i32,
    pub default_replication_factor: i16,
    /// What topics go by that do not say otherwise.
    pub topic_defaults: TopicConfig,
    pub cleaner: CleanerConfig,
    pub groups: GroupsConfig,
    pub transactions: TransactionsConfig,
    pub retention_check_interval_ms: i64,
    pub producer_id_expiration_ms: i64,
    pub broker_heartbeat_interval_ms: i64,
    pub broker_session_timeout_ms: i64,
    pub shutdown_timeout_ms: i64,
    /// 0 for one a core.
    pub shards: usize,
    pub log_level: String,
    pub log_format: String,
}

/// `log.cleaner.*`: compaction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanerConfig {
    pub enable: bool,
    pub threads: usize,
    pub dedupe_buffer_bytes: usize,
    pub io_max_bytes_per_second: f64,
    pub backoff_ms: u64,
}

/// Connections and their limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sockets {
    /// `None` leaves it to the system.
    pub send_buffer_bytes: Option<usize>,
    pub receive_buffer_bytes: Option<usize>,
    pub listen_backlog: i32,
    pub max_connections: usize,
    pub max_connections_per_ip: usize,
    /// Exceptions to that, address and number.
    pub max_connections_per_ip_overrides: Vec<(IpAddr, usize)>,
    pub max_connection_creation_rate: usize,
    /// Those of each listener, in the order of [`BrokerConfig::listeners`].
    pub listeners: Vec<ListenerLimits>,
    /// `None` closes none.
    pub max_idle_ms: Option<i64>,
}

/// `listener.name.NAME.max.connections` and the like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    pub name: String,
    pub max_connections: usize,
    pub max_connection_creation_rate: usize,
}

/// How much the broker takes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub memory_max_bytes: u64,
    pub request_max_bytes: usize,
    pub queued_max_requests: usize,
    /// `None` leaves it to the memory budget.
    pub queued_max_request_bytes: Option<u64>,
    pub fetch_max_bytes: usize,
    pub fetch_sessions_max: usize,
    pub describe_partitions_max: usize,
    pub telemetry_max_bytes: usize,
}

impl BrokerConfig {
    /// What a file and arguments come to, and what is worth saying about them. All that is wrong is told at once.
    pub fn load(statics: &StaticConfig) -> Result<(BrokerConfig, Vec<Note>), Vec<ConfigError>> {
        let (mut errors, mut notes) = statics.check();
        let reader = Reader { layers: Layers::of_statics(statics) };
        let listeners = reader.listeners();
        errors.extend(reader.contradictions());
        let listeners = listeners.unwrap_or_else(|error| {
            errors.push(error);
            Listeners::default()
        });
        notes.extend(without_listener(statics, &listeners.client));
        if errors.is_empty() { Ok((reader.config(listeners), notes)) } else { Err(errors) }
    }

    /// The configs of a running broker, `image` being what was set since. What cannot change without a restart stays
    /// as the file has it, and so does what is not valid.
    pub fn resolve(&self, statics: &StaticConfig, image: &Image, node_id: NodeId) -> BrokerConfig {
        let reader = Reader { layers: Layers::of_broker(image, statics, node_id) };
        let listeners = Listeners {
            client: self.listeners.clone(),
            advertised: self.advertised_listeners.clone(),
            controller: self.controller_listeners.clone(),
        };
        reader.config(listeners)
    }
}

#[derive(Debug, Default)]
struct Listeners {
    client: Vec<Endpoint>,
    advertised: Vec<Endpoint>,
    controller: Vec<Endpoint>,
}

struct Reader<'a> {
    layers: Layers<'a>,
}

impl Reader<'_> {
    fn number(&self, name: &str) -> i64 {
        match self.layers.of(name) {
            Some(Value::Number(number)) => number,
            _ => unreachable!("{name} is a number and has a default"),
        }
    }

    /// A number of things, 0 for a negative one.
    fn count(&self, name: &str) -> usize {
        usize::try_from(self.number(name)).unwrap_or(0)
    }

    fn bytes(&self, name: &str) -> u64 {
        u64::try_from(self.number(name)).unwrap_or(0)
    }

    /// A size of a socket's buffer; -1 is none.
    fn buffer(&self, name: &str) -> Option<usize> {
        usize::try_from(self.number(name)).ok()
    }

    fn flag(&self, name: &str) -> bool {
        self.layers.of(name) == Some(Value::Boolean(true))
    }

    fn cleaner(&self) -> CleanerConfig {
        let rate = match self.layers.of("log.cleaner.io.max.bytes.per.second") {
            // As in Kafka, where a negative one never asks for a pause.
            Some(Value::Double(rate)) if rate >= 0.0 => rate,
            _ => f64::MAX,
        };
        CleanerConfig {
            enable: self.flag("log.cleaner.enable"),
            threads: self.count("log.cleaner.threads"),
            dedupe_buffer_bytes: self.count("log.cleaner.dedupe.buffer.size"),
            io_max_bytes_per_second: rate,
            backoff_ms: u64::try_from(self.number("log.cleaner.backoff.ms")).unwrap_or(0),
        }
    }

    fn int(&self, name: &str) -> i32 {
        i32::try_from(self.number(name)).unwrap_or(i32::MAX)
    }

    fn groups(&self) -> GroupsConfig {
        let factor = self.number("offsets.topic.replication.factor");
        GroupsConfig {
            session_timeout_min_ms: self.int("group.min.session.timeout.ms"),
            session_timeout_max_ms: self.int("group.max.session.timeout.ms"),
            initial_rebalance_delay_ms: self.int("group.initial.rebalance.delay.ms"),
            size_max: self.count("group.max.size"),
            consumer: self.consumer_groups(),
            offset_metadata_bytes_max: self.count("offset.metadata.max.bytes"),
            offsets_retention_ms: self.number("offsets.retention.minutes").saturating_mul(60_000),
            offsets_retention_check_interval_ms: self.number("offsets.retention.check.interval.ms"),
            commit_timeout_ms: self.number("offsets.commit.timeout.ms"),
            load_buffer_bytes: self.count("offsets.load.buffer.size"),
            topic_partitions: self.int("offsets.topic.num.partitions"),
            topic_replication_factor: i16::try_from(factor).unwrap_or(i16::MAX),
            topic_segment_bytes: self.number("offsets.topic.segment.bytes"),
            topic_codec: u8::try_from(self.number("offsets.topic.compression.codec")).unwrap_or(0),
        }
    }

    fn transactions(&self) -> TransactionsConfig {
        let factor = self.number("transaction.state.log.replication.factor");
        TransactionsConfig {
            partition_verification: self.flag("transaction.partition.verification.enable"),
            add_retry_backoff_max_ms: self.number("add.partitions.to.txn.retry.backoff.max.ms"),
            max_timeout_ms: self.int("transaction.max.timeout.ms"),
            id_expiration_ms: self.number("transactional.id.expiration.ms"),
            timeout_check_interval_ms: self
                .number("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
            expiration_check_interval_ms: self
                .number("transaction.remove.expired.transaction.cleanup.interval.ms"),
            load_buffer_bytes: self.count("transaction.state.log.load.buffer.size"),
            topic_partitions: self.int("transaction.state.log.num.partitions"),
            topic_replication_factor: i16::try_from(factor).unwrap_or(i16::MAX),
            topic_min_insync_replicas: self.int("transaction.state.log.min.isr"),
            topic_segment_bytes: self.number("transaction.state.log.segment.bytes"),
        }
    }

    fn consumer_groups(&self) -> ConsumerGroupsConfig {
        let limited = |value: &str, min: &str, max: &str| Limited {
            value: self.int(value),
            min: self.int(min),
            max: self.int(max),
        };
        let protocols = self.list("group.coordinator.rebalance.protocols");
        let policy = self.text("group.consumer.migration.policy").unwrap_or_default();
        ConsumerGroupsConfig {
            are_served: protocols.iter().any(|protocol| protocol.eq_ignore_ascii_case("consumer")),
            session_timeout_ms: limited(
                "group.consumer.session.timeout.ms",
                "group.consumer.min.session.timeout.ms",
                "group.consumer.max.session.timeout.ms",
            ),
            heartbeat_interval_ms: limited(
                "group.consumer.heartbeat.interval.ms",
                "group.consumer.min.heartbeat.interval.ms",
                "group.consumer.max.heartbeat.interval.ms",
            ),
            assignment_interval_ms: limited(
                "group.consumer.assignment.interval.ms",
                "group.consumer.min.assignment.interval.ms",
                "group.consumer.max.assignment.interval.ms",
            ),
            size_max: self.count("group.consumer.max.size"),
            assignors: self.list("group.consumer.assignors"),
            migration_policy: MigrationPolicy::named(&policy),
            regex_refresh_interval_ms: self.int("group.consumer.regex.refresh.interval.ms"),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        match self.layers.of(name) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn list(&self, name: &str) -> Vec<String> {
        match self.layers.of(name) {
            Some(Value::List(elements)) => elements,
            _ => Vec::new(),
        }
    }

    fn node_id(&self) -> Option<i32> {
        let of = |name| match self.layers.of(name) {
            Some(Value::Number(number)) => i32::try_from(number).ok().filter(|number| *number >= 0),
            _ => None,
        };
        of("node.id").or_else(|| of("broker.id"))
    }

    fn listeners(&self) -> Result<Listeners, ConfigError> {
        let map = protocol_map(&self.text("listener.security.protocol.map").unwrap_or_default())?;
        let names = self.list("controller.listener.names");
        let controllers: Vec<String> = names.iter().map(|name| name.to_ascii_uppercase()).collect();
        let all = parse_listeners("listeners", &self.list("listeners"), &map, &controllers)?;
        check_ports("listeners", &all)?;
        let (controller, client): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|endpoint| controllers.contains(&endpoint.name));
        let roles = self.list("process.roles");
        if client.is_empty() && (roles.is_empty() || roles.iter().any(|role| role == "broker")) {
            return Err(ConfigError::Missing {
                name: "listeners",
                why: "a broker needs a listener that is not one of controller.listener.names",
            });
        }
        let told = self.list("advertised.listeners");
        let told = parse_listeners("advertised.listeners", &told, &map, &controllers)?;
        let stranger = told
            .iter()
            .find(|told| !client.iter().chain(&controller).any(|listener| listener.name == told.name));
        if let Some(stranger) = stranger {
            return Err(ListenerError::NotListening { name: stranger.name.clone() }.into());
        }
        if let Some(nowhere) = told.iter().find(|told| matches!(told.host.as_str(), "0.0.0.0" | "::")) {
            return Err(ListenerError::Unroutable { host: nowhere.host.clone() }.into());
        }
        let advertised = client
            .iter()
            .map(|listener| told.iter().find(|told| told.name == listener.name).unwrap_or(listener).clone())
            .collect();
        if let Some(name) = self.text("inter.broker.listener.name").map(|name| name.to_ascii_uppercase())
            && !client.iter().any(|listener| listener.name == name)
        {
            return Err(ListenerError::UnknownName { config: "inter.broker.listener.name", name }.into());
        }
        Ok(Listeners { client, advertised, controller })
    }

    fn per_ip_overrides(&self) -> Vec<(IpAddr, usize)> {
        let text = self.text("max.connections.per.ip.overrides").unwrap_or_default();
        per_ip_overrides(&text).unwrap_or_default()
    }

    fn config(&self, listeners: Listeners) -> BrokerConfig {
        let roles = self.list("process.roles");
        let has_role = |role: &str| roles.is_empty() || roles.iter().any(|element| element == role);
        let sockets = self.sockets(&listeners.client);
        BrokerConfig {
            node_id: self.node_id().map(NodeId),
            is_broker: has_role("broker"),
            is_controller: has_role("controller"),
            rack: self.text("broker.rack").map(Str::from),
            listeners: listeners.client,
            advertised_listeners: listeners.advertised,
            controller_listeners: listeners.controller,
            directories: self.directories(),
            sockets,
            limits: self.limits(),
            auto_create_topics: self.flag("auto.create.topics.enable"),
            delete_topics: self.flag("delete.topic.enable"),
            num_partitions: i32::try_from(self.number("num.partitions")).unwrap_or(1),
            default_replication_factor: i16::try_from(self.number("default.replication.factor")).unwrap_or(1),
            topic_defaults: TopicConfig::defaults(&self.layers),
            cleaner: self.cleaner(),
            groups: self.groups(),
            transactions: self.transactions(),
            retention_check_interval_ms: self.number("log.retention.check.interval.ms"),
            producer_id_expiration_ms: self.number("producer.id.expiration.ms"),
            broker_heartbeat_interval_ms: self.number("broker.heartbeat.interval.ms"),
            broker_session_timeout_ms: self.number("broker.session.timeout.ms"),
            shutdown_timeout_ms: self.number("bourn.shutdown.timeout.ms"),
            shards: self.count("bourn.shards"),
            log_level: self.text("bourn.log.level").unwrap_or_default(),
            log_format: self.text("bourn.log.format").unwrap_or_default(),
        }
    }

    fn log_directories(&self) -> Vec<String> {
        let log = self.list("log.dirs");
        if log.is_empty() { self.list("log.dir") } else { log }
    }

    fn directories(&self) -> LogDirectories {
        let log = self.log_directories();
        let first = log.first().cloned().unwrap_or_default();
        LogDirectories {
            metadata: self.text("metadata.log.dir").unwrap_or(first),
            cordoned: cordoned(self.list("cordoned.log.dirs"), &log),
            log,
            journal_max_bytes: self.bytes("bourn.journal.max.bytes"),
            reserve_bytes: self.bytes("bourn.disk.reserve.bytes"),
            scrub_interval_ms: self.number("bourn.scrub.interval.ms"),
            scrub_bytes_per_second: self.bytes("bourn.scrub.max.bytes.per.second"),
        }
    }

    fn sockets(&self, listeners: &[Endpoint]) -> Sockets {
        Sockets {
            send_buffer_bytes: self.buffer("socket.send.buffer.bytes"),
            receive_buffer_bytes: self.buffer("socket.receive.buffer.bytes"),
            listen_backlog: i32::try_from(self.number("socket.listen.backlog.size")).unwrap_or(i32::MAX),
            max_connections: self.count("max.connections"),
            max_connections_per_ip: self.count("max.connections.per.ip"),
            max_connections_per_ip_overrides: self.per_ip_overrides(),
            max_connection_creation_rate: self.count("max.connection.creation.rate"),
            listeners: listeners.iter().map(|listener| self.listener_limits(&listener.name)).collect(),
            max_idle_ms: Some(self.number("connections.max.idle.ms")).filter(|ms| *ms >= 0),
        }
    }

    fn listener_limits(&self, name: &str) -> ListenerLimits {
        let limit = |config: &str| {
            let own = format!("listener.name.{}.{config}", name.to_ascii_lowercase());
            let definition = find(Scope::Broker, config)?;
            self.layers.set_for_broker(&own, |text| match definition.parse(text) {
                Ok(Value::Number(number)) => usize::try_from(number).ok(),
                _ => None,
            })
        };
        ListenerLimits {
            name: name.to_owned(),
            max_connections: limit("max.connections").unwrap_or(usize::MAX),
            max_connection_creation_rate: limit("max.connection.creation.rate").unwrap_or(usize::MAX),
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            memory_max_bytes: self.bytes("bourn.memory.max.bytes"),
            request_max_bytes: self.count("socket.request.max.bytes"),
            queued_max_requests: self.count("queued.max.requests"),
            queued_max_request_bytes: u64::try_from(self.number("queued.max.request.bytes")).ok(),
            fetch_max_bytes: self.count("fetch.max.bytes"),
            fetch_sessions_max: self.count("max.incremental.fetch.session.cache.slots"),
            describe_partitions_max: self.count("max.request.partition.size.limit"),
            telemetry_max_bytes: self.count("telemetry.max.bytes"),
        }
    }
}

/// Limits of listeners that there are not: somebody believes that something is limited.
fn without_listener<'a>(
    statics: &'a StaticConfig,
    listeners: &'a [Endpoint],
) -> impl Iterator<Item = Note> + use<'a> {
    statics.iter().filter_map(|(name, _)| {
        let (listener, _) = listener_limit(name)?;
        let there = listeners.iter().any(|endpoint| endpoint.name.to_ascii_lowercase() == listener);
        (!there).then(|| Note::NoListener { name: name.to_owned(), listener: listener.to_owned() })
    })
}

impl BrokerConfig {
    /// What acknowledged means for topics that do not say.
    pub fn durability(&self) -> Durability {
        self.topic_defaults.durability
    }
}
