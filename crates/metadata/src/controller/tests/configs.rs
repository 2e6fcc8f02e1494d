//! AlterConfigs and IncrementalAlterConfigs.

use protocol::{ErrorCode, NodeId, Str};

use super::super::testing::Fixture;
use super::*;
use crate::record::{ConfigResource, ResourceKind};

fn change(resource: ConfigResource, ops: &[(&str, AlterOp)]) -> ConfigChange {
    let ops = ops.iter().map(|(key, op)| (Str::from(*key), op.clone())).collect();
    ConfigChange { resource, ops }
}

fn set(value: &str) -> AlterOp {
    AlterOp::Set(value.into())
}

type Table = Vec<(ConfigResource, &'static str, AlterOp, ErrorCode, &'static str)>;

/// Every change is refused with that code and that message, and nothing is written.
fn refused(fixture: &Fixture, table: Table) {
    for (resource, key, op, code, message) in table {
        let changes = [change(resource, &[(key, op)])];
        let (records, results) = incremental_alter_configs(&fixture.context(), &changes, false);
        assert_eq!(records, []);
        assert_eq!(results, [Err(Refusal::new(code, message))]);
    }
}

#[test]
fn configs_that_a_topic_cannot_have_are_refused() {
    let mut fixture = Fixture::new();
    fixture.create("t", 1, 1);
    let topic = || ConfigResource::topic("t");
    let table = vec![
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
    ];
    refused(&fixture, table);
}

#[test]
fn configs_that_a_broker_cannot_have_are_refused() {
    let all = ConfigResource::all_brokers;
    let table = vec![
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
            "leader.replication.throttled.rate",
            set("5"),
            ErrorCode::InvalidRequest,
            "leader.replication.throttled.rate can only be set on one broker at a time",
        ),
        (
            ConfigResource::broker(NodeId(1)),
            "ssl.keystore.location",
            set("f"),
            ErrorCode::InvalidRequest,
            "ssl.keystore.location can only change for one listener at a time; set \
             listener.name.<listener>.ssl.keystore.location",
        ),
        (
            all(),
            "listener.name.a.ssl.keystore.location",
            set("f"),
            ErrorCode::InvalidRequest,
            "listener.name.a.ssl.keystore.location can only be set on one broker at a time",
        ),
        (
            all(),
            "listener.name.a.num.network.threads",
            set("5"),
            ErrorCode::InvalidRequest,
            "listener.name.a.num.network.threads: one listener has no limits of its own here; set num.network.threads",
        ),
        (
            all(),
            "max.connections.per.ip.overrides",
            set("10.0.0.1:5,localhost:3"),
            ErrorCode::InvalidRequest,
            "max.connections.per.ip.overrides: \"localhost:3\" is not address:number; names of hosts are not looked up \
             here",
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
    ];
    refused(&Fixture::new(), table);
}

#[test]
fn configs_that_a_group_or_a_subscription_cannot_have_are_refused() {
    let group = || ConfigResource::group("g");
    let metrics = |name: &str| ConfigResource { kind: ResourceKind::ClientMetrics, name: name.into() };
    let table = vec![
        (
            metrics("m"),
            "interval.ms",
            set("99"),
            ErrorCode::InvalidRequest,
            "interval.ms: 99 is below the minimum 100",
        ),
        (
            metrics("m"),
            "interval",
            set("99"),
            ErrorCode::InvalidRequest,
            "interval is not a client metrics config",
        ),
        (
            metrics("m"),
            "match",
            set("client_id=a,name=b"),
            ErrorCode::InvalidConfig,
            "match: \"name=b\" is not what=pattern: \"name\" is not something that is known of clients",
        ),
        (
            metrics(""),
            "metrics",
            set("*"),
            ErrorCode::InvalidRequest,
            "the name of the client-metrics is empty",
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
    ];
    refused(&Fixture::new(), table);
}

#[test]
fn configs_are_set_added_to_and_taken_from() {
    let mut fixture = Fixture::new();
    fixture.create("t", 1, 1);
    let topic = || ConfigResource::topic("t");
    let changes = [
        change(topic(), &[("cleanup.policy", AlterOp::Append("compact".into())), ("segment.ms", set("5"))]),
        change(ConfigResource::all_brokers(), &[("log.retention.ms", set("6"))]),
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

#[test]
fn a_request_changes_ten_thousand_configs_at_most() {
    let fixture = Fixture::new();
    let changes = |count: usize| -> Vec<ConfigChange> {
        let group = |number| ConfigResource::group(format!("g{number}"));
        (0..count)
            .map(|number| change(group(number), &[("consumer.session.timeout.ms", set("50000"))]))
            .collect()
    };
    let (records, results) = incremental_alter_configs(&fixture.context(), &changes(10_000), false);
    assert_eq!((records.len(), results.iter().all(Result::is_ok)), (10_000, true));
    let (records, results) = incremental_alter_configs(&fixture.context(), &changes(10_001), false);
    assert_eq!(records.len(), 0);
    assert!(results.iter().all(|result| code(result) == ErrorCode::PolicyViolation));
}
