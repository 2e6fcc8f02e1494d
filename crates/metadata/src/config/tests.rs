//! Whole files of a broker.

use protocol::NodeId;

use super::*;
use crate::Image;
use crate::record::{ConfigResource, Record, SecurityProtocol};

fn load(text: &str) -> BrokerConfig {
    BrokerConfig::load(&StaticConfig::from_properties(text).unwrap()).unwrap().0
}

fn errors(text: &str) -> Vec<String> {
    let errors = BrokerConfig::load(&StaticConfig::from_properties(text).unwrap()).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_has_to_be_set() {
    let (config, notes) = BrokerConfig::load(&StaticConfig::new()).unwrap();
    assert_eq!(notes, []);
    assert_eq!((config.node_id, config.is_broker, config.is_controller), (None, true, true));
    assert_eq!(config.listeners[0].to_string(), "PLAINTEXT://127.0.0.1:9092");
    assert_eq!(config.advertised_listeners, config.listeners);
    assert_eq!(config.directories.log, ["./bourn-data"]);
    assert_eq!(config.directories.metadata, "./bourn-data");
    assert_eq!(config.directories.journal_max_bytes, 256 << 20);
    assert_eq!((config.num_partitions, config.default_replication_factor), (1, 1));
    assert_eq!(config.limits.request_max_bytes, 100 << 20);
    assert_eq!(config.limits.queued_max_request_bytes, None);
    assert_eq!(config.sockets.max_idle_ms, Some(600_000));
    assert_eq!(config.durability(), Durability::Synced);
    assert!(config.auto_create_topics && config.delete_topics);
}

#[test]
fn the_sample_file_of_kafka_runs() {
    let config = load(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=localhost:9093\n\
         listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n\
         advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\n\
         num.network.threads=3\nlog.dirs=/tmp/kraft-combined-logs\nnum.partitions=4\nlog.retention.hours=168\n\
         offsets.topic.replication.factor=1\n",
    );
    assert_eq!(config.node_id, Some(NodeId(1)));
    assert_eq!(config.listeners.len(), 1);
    assert!(config.listeners[0].is_wildcard());
    assert_eq!(config.advertised_listeners[0].host, "localhost");
    assert_eq!(config.controller_listeners[0].port, 9093);
    assert_eq!((config.num_partitions, config.directories.log.len()), (4, 1));
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    assert_eq!(
        errors("num.partitions=x\nnode.id=1\nbroker.id=2\nlisteners=A://:1\nbroker.session.timeout.ms=100\n"),
        [
            "num.partitions: \"x\" is not a number of type int",
            "node.id and broker.id contradict each other: they are one number",
            "broker.heartbeat.interval.ms and broker.session.timeout.ms contradict each other: a heartbeat every \
             2000 ms comes too late for 100 ms",
            "listeners: nothing says what A speaks; add A:PLAINTEXT or another protocol to \
             listener.security.protocol.map",
        ]
    );
}

#[test]
fn a_compose_file_for_the_docker_image_of_kafka_runs() {
    let mut statics = StaticConfig::new();
    let variables = from_environment([
        ("PATH", "/usr/bin"),
        ("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw"),
        ("KAFKA_HEAP_OPTS", "-Xmx1G"),
        ("KAFKA_NODE_ID", "1"),
        ("KAFKA_PROCESS_ROLES", "broker,controller"),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@broker:29093"),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "PLAINTEXT"),
        ("KAFKA_LISTENERS", "CONTROLLER://:29093,PLAINTEXT_HOST://:9092,PLAINTEXT://:19092"),
        ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT_HOST://localhost:9092,PLAINTEXT://broker:19092"),
        (
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
        ),
        ("KAFKA_LOG_DIRS", "/tmp/kraft-combined-logs"),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_LOG_RETENTION_MS", "5000"),
    ]);
    for (name, value) in variables.unwrap() {
        statics.set(name, value);
    }
    let (config, notes) = BrokerConfig::load(&statics).unwrap();
    assert!(notes.iter().all(|note| matches!(note, Note::NoEffect { .. })), "{notes:?}");
    let told: Vec<String> = config.advertised_listeners.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["PLAINTEXT_HOST://localhost:9092", "PLAINTEXT://broker:19092"]);
    assert_eq!((config.node_id, config.topic_defaults.retention_ms), (Some(NodeId(1)), Some(5000)));
}

/// Who asks for an authorizer must not get a broker that lets everybody do everything.
#[test]
fn what_is_to_keep_people_out_and_does_not_is_said() {
    assert_eq!(
        errors("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"),
        [
            "authorizer.class.name: there is no authorizer yet, so everybody who connects could do everything; \
          to start an open broker all the same, take this config away"
        ]
    );
    let text = "authorizer.class.name=\nsuper.users=User:a\nssl.keystore.password=hunter2\n\
                sasl.enabled.mechanisms=PLAIN\nlistener.name.plaintext.plain.sasl.jaas.config=hunter2\n\
                listener.name.plaintext.ssl.client.auth=required\n";
    let (_, notes) = BrokerConfig::load(&StaticConfig::from_properties(text).unwrap()).unwrap();
    let open: Vec<String> =
        notes.iter().filter(|note| matches!(note, Note::Open { .. })).map(ToString::to_string).collect();
    assert_eq!(
        open,
        ["no effect yet: listener.name.plaintext.plain.sasl.jaas.config, \
          listener.name.plaintext.ssl.client.auth, sasl.enabled.mechanisms, ssl.keystore.password, super.users; \
          the listeners are open to everybody who reaches them"]
    );
}

#[test]
fn a_listener_may_have_limits_of_its_own() {
    let text = "listeners=PLAINTEXT://:1,In_Side://:2\nlistener.security.protocol.map=PLAINTEXT:PLAINTEXT,In_Side:PLAINTEXT\n\
                listener.name.in_side.max.connections=7\nlistener.name.plaintext.max.connection.creation.rate=0\n\
                listener.name.nobody.max.connections=1\n";
    let (config, notes) = BrokerConfig::load(&StaticConfig::from_properties(text).unwrap()).unwrap();
    let limits: Vec<_> = config.sockets.listeners.iter().collect();
    let limits: Vec<_> =
        limits.iter().map(|limit| (limit.max_connections, limit.max_connection_creation_rate)).collect();
    assert_eq!(limits, [(usize::MAX, 0), (7, usize::MAX)]);
    let notes: Vec<String> = notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        ["listener.name.nobody.max.connections is ignored: none of listeners is called nobody"]
    );
}

#[test]
fn contradictions_are_named() {
    for (text, error) in [
        ("advertised.listeners=SSL://x:1", "advertised.listeners: SSL is not one of listeners"),
        (
            "advertised.listeners=PLAINTEXT://0.0.0.0:1",
            "advertised.listeners: clients cannot connect to 0.0.0.0; name an address of this machine",
        ),
        ("inter.broker.listener.name=SSL", "inter.broker.listener.name: SSL is not one of listeners"),
        (
            "inter.broker.listener.name=PLAINTEXT\nsecurity.inter.broker.protocol=PLAINTEXT",
            "inter.broker.listener.name and security.inter.broker.protocol contradict each other: only one of \
             them may be set",
        ),
        ("log.dirs=\nlog.dir=", "log.dirs is needed: data needs a directory"),
        (
            "log.dirs=a,b\ncordoned.log.dirs=b,c",
            "cordoned.log.dirs and log.dirs contradict each other: c is not one of the log directories",
        ),
        (
            "max.connections.per.ip.overrides=localhost",
            "max.connections.per.ip.overrides: \"localhost\" is not address:number; names of hosts are not looked up \
             here",
        ),
        (
            "max.connections.per.ip.overrides=[::1]:2,example.org:5",
            "max.connections.per.ip.overrides: \"example.org:5\" is not address:number; names of hosts are not \
             looked up here",
        ),
        (
            "process.roles=broker,controller\ncontroller.listener.names=PLAINTEXT",
            "listeners is needed: a broker needs a listener that is not one of controller.listener.names",
        ),
        (
            "log.cleaner.dedupe.buffer.size=-1",
            "log.cleaner.dedupe.buffer.size: -1 is below the minimum 1048577",
        ),
        (
            "log.cleaner.dedupe.buffer.size=4194304\nlog.cleaner.threads=4",
            "log.cleaner.dedupe.buffer.size and log.cleaner.threads contradict each other: 4194304 bytes are not \
             more than 1 MiB for each of 4 threads",
        ),
        ("log.retention.ms=0", "log.retention.ms: 0 is below the minimum 1"),
        ("log.retention.minutes=0\nlog.retention.hours=5", "log.retention.minutes: 0 is below the minimum 1"),
        ("log.retention.hours=0", "log.retention.hours: 0 is below the minimum 1"),
        ("log.roll.ms=0", "log.roll.ms: 0 is below the minimum 1"),
        ("log.roll.jitter.ms=-1", "log.roll.jitter.ms: -1 is below the minimum 0"),
        ("listeners=PLAINTEXT://:1,SSL://[::1]:1", "listeners: port 1 is there twice"),
        (
            "process.roles=broker\ncontroller.listener.names=PLAINTEXT",
            "listeners is needed: a broker needs a listener that is not one of controller.listener.names",
        ),
    ] {
        assert_eq!(errors(text), [error]);
    }
}

#[test]
fn values_reach_their_fields() {
    let config = load(
        "broker.id=7\nlog.dirs=a, b\nmetadata.log.dir=m\nbroker.rack=r1\nconnections.max.idle.ms=-1\n\
         socket.send.buffer.bytes=-1\nmax.connections.per.ip.overrides=127.0.0.1:5,[::1]:0\n\
         queued.max.request.bytes=1000\nlisteners=MINE://[::1]:0\nlistener.security.protocol.map=MINE:SASL_SSL\n\
         bourn.shards=3\nbourn.memory.max.bytes=20000000\ndelete.topic.enable=false\nbourn.log.format=json\n",
    );
    assert_eq!(config.node_id, Some(NodeId(7)));
    assert_eq!(
        (config.directories.log.clone(), config.directories.metadata.as_str()),
        (vec!["a".into(), "b".into()], "m")
    );
    assert_eq!(config.rack, Some("r1".into()));
    assert_eq!((config.sockets.max_idle_ms, config.sockets.send_buffer_bytes), (None, None));
    assert_eq!(
        config.sockets.max_connections_per_ip_overrides,
        [("127.0.0.1".parse().unwrap(), 5), ("::1".parse().unwrap(), 0)]
    );
    assert_eq!(config.limits.queued_max_request_bytes, Some(1000));
    assert_eq!(config.listeners[0].protocol, SecurityProtocol::SaslSsl);
    assert_eq!((config.shards, config.limits.memory_max_bytes), (3, 20_000_000));
    assert!(!config.delete_topics);
    assert_eq!(config.log_format, "json");
}

#[test]
fn a_running_broker_follows_what_is_set() {
    let statics = StaticConfig::from_properties("log.retention.hours=1\nnode.id=1").unwrap();
    let (config, _) = BrokerConfig::load(&statics).unwrap();
    let mut image = Image::new();
    for (resource, key, value) in [
        (ConfigResource::all_brokers(), "log.retention.ms", "5"),
        (ConfigResource::all_brokers(), "message.max.bytes", "6"),
        (ConfigResource::broker(NodeId(1)), "message.max.bytes", "7"),
        (ConfigResource::broker(NodeId(2)), "max.connections", "8"),
    ] {
        image.apply(&Record::Config { resource, key: key.into(), value: Some(value.into()) }).unwrap();
    }
    let now = config.resolve(&statics, &image, NodeId(1));
    assert_eq!(now.topic_defaults.retention_ms, Some(5));
    assert_eq!(now.topic_defaults.max_message_bytes, 7);
    assert_eq!(now.sockets, config.sockets);
    assert_eq!(config.resolve(&statics, &Image::new(), NodeId(1)), config);
}
