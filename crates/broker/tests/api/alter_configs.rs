//! IncrementalAlterConfigs, AlterConfigs and ListConfigResources: what can be changed, how soon it counts, and for how long.

use protocol::messages::alter_configs_request::{
    AlterConfigsRequest, AlterConfigsResource as Replaced, AlterableConfig as Replacement,
};
use protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use protocol::messages::list_config_resources_request::ListConfigResourcesRequest;
use protocol::{ErrorCode, Str};

use crate::support::requests::batch;
use crate::support::{Client, run};

pub(crate) const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;
const METRICS: i8 = 16;
const GROUP: i8 = 32;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

type Op<'a> = (&'a str, i8, Option<&'a str>);

fn resource(resource_type: i8, name: &str, ops: &[Op<'_>]) -> AlterConfigsResource {
    let config = |(name, config_operation, value): &Op<'_>| AlterableConfig {
        name: Str::from(*name),
        config_operation: *config_operation,
        value: value.map(Str::from),
    };
    AlterConfigsResource {
        resource_type,
        resource_name: Str::from(name),
        configs: ops.iter().map(config).collect(),
    }
}

/// Code and message for each resource.
async fn alter_all(
    client: &mut Client,
    resources: Vec<AlterConfigsResource>,
    validate_only: bool,
) -> Vec<(ErrorCode, String)> {
    let request = IncrementalAlterConfigsRequest { resources, validate_only };
    let mut answers = Vec::new();
    for response in client.call(1, &request).await.responses {
        answers.push((
            ErrorCode::from(response.error_code),
            response.error_message.map(String::from).unwrap_or_default(),
        ));
    }
    answers
}

pub(crate) async fn alter(client: &mut Client, of: (i8, &str), ops: &[Op<'_>]) -> (ErrorCode, String) {
    alter_all(client, vec![resource(of.0, of.1, ops)], false).await.remove(0)
}

/// Sets one config and asserts that it worked.
pub(crate) async fn set(client: &mut Client, of: (i8, &str), name: &str, value: &str) {
    assert_eq!(alter(client, of, &[(name, SET, Some(value))]).await, (ErrorCode::None, String::new()));
}

/// Deletes one config and asserts that it worked.
pub(crate) async fn delete(client: &mut Client, of: (i8, &str), name: &str) {
    assert_eq!(alter(client, of, &[(name, DELETE, None)]).await, (ErrorCode::None, String::new()));
}

/// Value and source.
pub(crate) async fn value_of(client: &mut Client, of: (i8, &str), name: &str) -> (Option<String>, i8) {
    let resource = DescribeConfigsResource {
        resource_type: of.0,
        resource_name: Str::from(of.1),
        configuration_keys: Some(vec![Str::from(name)]),
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let result = client.call(4, &request).await.results.remove(0);
    assert_eq!(result.error_code, 0, "{:?}", result.error_message);
    let Some(config) = result.configs.first() else { return (None, 0) };
    (config.value.clone().map(String::from), config.config_source)
}

async fn me(client: &mut Client) -> String {
    use protocol::messages::describe_cluster_request::DescribeClusterRequest;
    let cluster = client.call(2, &DescribeClusterRequest { endpoint_type: 1, ..Default::default() }).await;
    cluster.brokers[0].broker_id.to_string()
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[test]
fn configs_of_a_topic_are_set_added_to_taken_from_and_deleted() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        client.create("t", 1, &[]).await;
        let topic = (TOPIC, "t");
        let none = (ErrorCode::None, String::new());
        for (ops, name, value, source) in [
            (&[("retention.ms", SET, Some("77"))][..], "retention.ms", "77", 1),
            (&[("cleanup.policy", APPEND, Some("compact"))], "cleanup.policy", "delete,compact", 1),
            (&[("cleanup.policy", APPEND, Some("compact,delete"))], "cleanup.policy", "delete,compact", 1),
            (&[("cleanup.policy", SUBTRACT, Some("delete"))], "cleanup.policy", "compact", 1),
            (
                &[("cleanup.policy", DELETE, None), ("retention.ms", DELETE, Some("ignored"))],
                "cleanup.policy",
                "delete",
                5,
            ),
            (&[], "retention.ms", "604800000", 5),
        ] {
            assert_eq!(alter(&mut client, topic, ops).await, none);
            assert_eq!(value_of(&mut client, topic, name).await, (text(value), source));
        }
        // Every version.
        for version in 0..=1 {
            let resources = vec![resource(TOPIC, "t", &[("segment.ms", SET, Some("5000"))])];
            let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
            let answer = client.call(version, &request).await.responses.remove(0);
            assert_eq!((answer.error_code, answer.resource_type, answer.resource_name.as_str()), (0, 2, "t"));
        }
    });
}

#[test]
fn a_change_of_a_topic_counts_with_the_next_request() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        assert_eq!(client.append_code(&topic, batch(&["a"])).await, ErrorCode::None);
        set(&mut client, (TOPIC, "t"), "max.message.bytes", "10").await;
        assert_eq!(client.append_code(&topic, batch(&["a"])).await, ErrorCode::MessageTooLarge);
        set(&mut client, (TOPIC, "t"), "max.message.bytes", "1000").await;
        assert_eq!(client.append_code(&topic, batch(&["a"])).await, ErrorCode::None);
        set(&mut client, (TOPIC, "t"), "message.timestamp.type", "LogAppendTime").await;
        assert!(client.append(&topic, batch(&["a"])).await.log_append_time_ms >= 0);
        set(&mut client, (TOPIC, "t"), "min.insync.replicas", "2").await;
        assert_eq!(client.append_code(&topic, batch(&["a"])).await, ErrorCode::NotEnoughReplicas);
    });
}

#[test]
fn validate_only_changes_nothing_and_refuses_all_the_same() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        client.create("t", 1, &[]).await;
        let resources = vec![
            resource(TOPIC, "t", &[("retention.ms", SET, Some("77"))]),
            resource(BROKER, "", &[("message.max.bytes", SET, Some("x"))]),
        ];
        let answers = alter_all(&mut client, resources, true).await;
        assert_eq!((answers[0].0, answers[1].0), (ErrorCode::None, ErrorCode::InvalidRequest));
        assert_eq!(value_of(&mut client, (TOPIC, "t"), "retention.ms").await, (text("604800000"), 5));
    });
}

#[test]
fn what_cannot_be_changed_is_refused_by_itself_with_key_and_value() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        client.create("t", 1, &[]).await;
        let me = me(&mut client).await;
        use ErrorCode::{InvalidConfig, InvalidRequest, InvalidTopic, UnknownTopicOrPartition};
        let table: Vec<((i8, &str), Op<'_>, ErrorCode, &str)> = vec![
            ((TOPIC, "t"), ("retention.ms", SET, Some("soon")), InvalidConfig, "retention.ms: \"soon\""),
            ((TOPIC, "t"), ("retention.mss", SET, Some("1")), InvalidConfig, "did you mean retention.ms"),
            ((TOPIC, "t"), ("retention.ms", APPEND, Some("1")), InvalidConfig, "retention.ms is not a list"),
            ((TOPIC, "t"), ("retention.ms", SET, None), InvalidRequest, "retention.ms: a value is needed"),
            ((TOPIC, "t"), ("retention.ms", 4, Some("1")), InvalidRequest, "operation 4 is not known"),
            ((TOPIC, "t"), ("retention.ms", -1, Some("1")), InvalidRequest, "operation -1 is not known"),
            ((TOPIC, "x"), ("retention.ms", SET, Some("1")), UnknownTopicOrPartition, "there is no topic"),
            // What is wrong in two ways is told as Kafka does: the operation, the name, the value, the topic.
            ((TOPIC, "x"), ("retention.ms", SET, Some("soon")), InvalidConfig, "retention.ms: \"soon\""),
            ((TOPIC, "a b"), ("retention.ms", SET, Some("soon")), InvalidTopic, "a b"),
            (
                (TOPIC, "a b"),
                ("retention.ms", APPEND, Some("1")),
                InvalidConfig,
                "retention.ms is not a list",
            ),
            ((TOPIC, ""), ("retention.ms", SET, Some("1")), InvalidRequest, "no configs of all topics"),
            ((TOPIC, "a b"), ("retention.ms", SET, Some("1")), InvalidTopic, "a b"),
            ((BROKER, "12345"), ("message.max.bytes", SET, Some("1")), InvalidRequest, "broker 12345"),
            ((BROKER, "one"), ("message.max.bytes", SET, Some("1")), InvalidRequest, "broker one"),
            (
                (BROKER, &me),
                ("num.partitions", SET, Some("1")),
                InvalidRequest,
                "num.partitions cannot change",
            ),
            ((BROKER, &me), ("message.max.bytes", SET, Some("-1")), InvalidRequest, "message.max.bytes: -1"),
            ((BROKER, ""), ("ssl.client.auth", SET, Some("none")), InvalidRequest, "one broker at a time"),
            (
                (GROUP, "g"),
                ("consumer.session.timeout.ms", SET, Some("1")),
                InvalidConfig,
                "1 is less than 45000",
            ),
            ((GROUP, ""), ("consumer.session.timeout.ms", SET, Some("1")), InvalidRequest, "is empty"),
            ((METRICS, "m"), ("interval.ms", SET, Some("1")), InvalidRequest, "interval.ms: 1 is below"),
            ((METRICS, "m"), ("match", SET, Some("client_id=(")), InvalidConfig, "no regular expression"),
            ((1, "t"), ("retention.ms", SET, Some("1")), InvalidRequest, "resources of type 1"),
            ((0, "t"), ("retention.ms", SET, Some("1")), InvalidRequest, "resources of type 0"),
        ];
        for (of, op, code, part) in table {
            let good = resource(METRICS, "good", &[("interval.ms", SET, Some("1000"))]);
            let answers = alter_all(&mut client, vec![resource(of.0, of.1, &[op]), good], false).await;
            assert_eq!(answers[0].0, code, "{of:?} {op:?}: {}", answers[0].1);
            assert!(answers[0].1.contains(part), "{}", answers[0].1);
            assert_eq!(answers[1].0, ErrorCode::None);
        }
        // A key twice, a resource twice.
        let twice = [("retention.ms", SET, Some("1")), ("retention.ms", DELETE, None)];
        assert_eq!(alter(&mut client, (TOPIC, "t"), &twice).await.0, InvalidRequest);
        let one = || resource(TOPIC, "t", &[("retention.ms", SET, Some("1"))]);
        let answers = alter_all(&mut client, vec![one(), one()], false).await;
        assert!(answers.len() == 2 && answers.iter().all(|(code, _)| *code == InvalidRequest));
        // One bad config spoils the others of its resource.
        let ops = [("retention.ms", SET, Some("1")), ("segment.ms", SET, Some("x"))];
        assert_eq!(alter(&mut client, (TOPIC, "t"), &ops).await.0, InvalidConfig);
        assert_eq!(value_of(&mut client, (TOPIC, "t"), "retention.ms").await.1, 5);
    });
}

#[test]
fn configs_of_brokers_count_at_once_one_broker_before_all() {
    run(&[("message.max.bytes", "1000")], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let own = client.create("own", 1, &[("max.message.bytes", "900")]).await;
        let me = me(&mut client).await;
        set(&mut client, (BROKER, ""), "message.max.bytes", "10").await;
        assert_eq!(client.append_code(&topic, batch(&["a"])).await, ErrorCode::MessageTooLarge);
        assert_eq!(client.append_code(&own, batch(&["a"])).await, ErrorCode::None);
        assert_eq!(value_of(&mut client, (TOPIC, "t"), "max.message.bytes").await, (text("10"), 3));
        set(&mut client, (BROKER, &me), "message.max.bytes", "800").await;
        assert_eq!(client.append_code(&topic, batch(&["a"])).await, ErrorCode::None);
        assert_eq!(value_of(&mut client, (BROKER, &me), "message.max.bytes").await, (text("800"), 2));
        assert_eq!(value_of(&mut client, (BROKER, ""), "message.max.bytes").await, (text("10"), 3));
        let new = client.create("new", 1, &[]).await;
        assert_eq!(client.append_code(&new, batch(&["a"])).await, ErrorCode::None);
        world.crash().await;
        let mut client = world.connect().await;
        assert_eq!(value_of(&mut client, (BROKER, &me), "message.max.bytes").await, (text("800"), 2));
        let delete = [("message.max.bytes", DELETE, None)];
        assert_eq!(alter(&mut client, (BROKER, &me), &delete).await.0, ErrorCode::None);
        assert_eq!(client.append_code(&topic, batch(&["a"])).await, ErrorCode::MessageTooLarge);
        assert_eq!(alter(&mut client, (BROKER, ""), &delete).await.0, ErrorCode::None);
        assert_eq!(client.append_code(&topic, batch(&["a"])).await, ErrorCode::None);
        assert_eq!(value_of(&mut client, (BROKER, &me), "message.max.bytes").await, (text("1000"), 4));
    });
}

#[test]
fn limits_of_connections_follow_while_the_broker_runs() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let mut second = world.connect().await;
        second.call(13, &protocol::messages::metadata_request::MetadataRequest::default()).await;
        set(&mut client, (BROKER, ""), "max.connections.per.ip", "1").await;
        assert!(world.connect().await.is_hung_up().await);
        // Those that are there stay.
        second.call(13, &protocol::messages::metadata_request::MetadataRequest::default()).await;
        set(&mut client, (BROKER, ""), "max.connections.per.ip", "3").await;
        let mut third = world.connect().await;
        third.call(13, &protocol::messages::metadata_request::MetadataRequest::default()).await;
    });
}

#[test]
fn a_replacement_takes_away_what_it_does_not_name() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        client.create("t", 1, &[("segment.ms", "5000"), ("retention.ms", "7")]).await;
        let replace = |resource_type: i8, name: &str, key: &str, value: Option<&str>, validate_only: bool| {
            let config = Replacement { name: Str::from(key), value: value.map(Str::from) };
            let resource_name = Str::from(name);
            let resource = Replaced { resource_type, resource_name, configs: vec![config] };
            AlterConfigsRequest { resources: vec![resource], validate_only }
        };
        for version in 0..=2 {
            let only = replace(TOPIC, "t", "retention.ms", Some("8"), true);
            assert_eq!(client.call(version, &only).await.responses[0].error_code, 0);
            assert_eq!(value_of(&mut client, (TOPIC, "t"), "segment.ms").await, (text("5000"), 1));
        }
        let answer = client.call(2, &replace(TOPIC, "t", "retention.ms", Some("8"), false)).await;
        assert_eq!(answer.responses[0].error_code, 0);
        assert_eq!(value_of(&mut client, (TOPIC, "t"), "retention.ms").await, (text("8"), 1));
        assert_eq!(value_of(&mut client, (TOPIC, "t"), "segment.ms").await.1, 5);
        for (of, key, value, code) in [
            ((TOPIC, "t"), "retention.ms", None, ErrorCode::InvalidRequest),
            ((TOPIC, "t"), "retention.ms", Some("x"), ErrorCode::InvalidConfig),
            ((TOPIC, "x"), "retention.ms", Some("1"), ErrorCode::UnknownTopicOrPartition),
            ((8, "1"), "root", Some("INFO"), ErrorCode::InvalidRequest),
            ((BROKER, ""), "num.partitions", Some("2"), ErrorCode::InvalidRequest),
        ] {
            let answer = client.call(2, &replace(of.0, of.1, key, value, false)).await;
            assert_eq!(ErrorCode::from(answer.responses[0].error_code), code, "{of:?} {key} {value:?}");
            assert!(answer.responses[0].error_message.is_some());
        }
    });
}

#[test]
fn levels_of_loggers_are_described_and_changed_until_the_restart() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let me = me(&mut client).await;
        let of = (LOGGER, me.as_str());
        assert_eq!(value_of(&mut client, of, "storage").await, (text("INFO"), 6));
        set(&mut client, of, "storage", "DEBUG").await;
        assert_eq!(value_of(&mut client, of, "storage").await, (text("DEBUG"), 6));
        assert_eq!(alter(&mut client, of, &[("storage", DELETE, None)]).await.0, ErrorCode::None);
        assert_eq!(value_of(&mut client, of, "storage").await, (text("INFO"), 6));
        for (of, op, code) in [
            (of, ("nobody", SET, Some("INFO")), ErrorCode::InvalidConfig),
            (of, ("storage", SET, Some("loud")), ErrorCode::InvalidConfig),
            (of, ("root", DELETE, None), ErrorCode::InvalidRequest),
            (of, ("storage", APPEND, Some("INFO")), ErrorCode::InvalidRequest),
            ((LOGGER, ""), ("storage", SET, Some("INFO")), ErrorCode::InvalidRequest),
            ((LOGGER, "12345"), ("storage", SET, Some("INFO")), ErrorCode::InvalidRequest),
        ] {
            assert_eq!(alter(&mut client, of, &[op]).await.0, code, "{of:?} {op:?}");
        }
        let only_valid = vec![resource(LOGGER, &me, &[("root", SET, Some("ERROR"))])];
        assert_eq!(alter_all(&mut client, only_valid, true).await[0].0, ErrorCode::None);
        assert_eq!(value_of(&mut client, of, "root").await, (text("INFO"), 6));
        let twice = [("root", SET, Some("ERROR")), ("root", SET, Some("WARN"))];
        assert_eq!(alter(&mut client, of, &twice).await.0, ErrorCode::InvalidRequest);
        set(&mut client, of, "root", "ERROR").await;
        world.restart().await;
        let mut client = world.connect().await;
        assert_eq!(value_of(&mut client, of, "root").await, (text("INFO"), 6));
    });
}

#[test]
fn resources_with_configs_are_listed_by_kind() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        client.create("t", 1, &[]).await;
        let me = me(&mut client).await;
        set(&mut client, (METRICS, "m"), "interval.ms", "1000").await;
        set(&mut client, (GROUP, "g"), "consumer.session.timeout.ms", "50000").await;
        let mut list = async |version: i16, resource_types: &[i8]| {
            let request = ListConfigResourcesRequest { resource_types: resource_types.to_vec() };
            let answer = client.call(version, &request).await;
            let resource = |resource: protocol::messages::list_config_resources_response::ConfigResource| {
                (resource.resource_type, resource.resource_name.to_string())
            };
            let resources: Vec<_> = answer.config_resources.into_iter().map(resource).collect();
            (ErrorCode::from(answer.error_code), resources)
        };
        let of = |kind: i8, name: &str| (kind, name.to_owned());
        assert_eq!(list(0, &[]).await, (ErrorCode::None, vec![of(METRICS, "m")]));
        let everything = vec![of(TOPIC, "t"), of(BROKER, &me), of(8, &me), of(METRICS, "m"), of(GROUP, "g")];
        assert_eq!(list(1, &[]).await, (ErrorCode::None, everything));
        assert_eq!(list(1, &[32, 2, 2]).await, (ErrorCode::None, vec![of(TOPIC, "t"), of(GROUP, "g")]));
        assert_eq!(list(1, &[2, 3]).await, (ErrorCode::UnsupportedVersion, vec![]));
    });
}
