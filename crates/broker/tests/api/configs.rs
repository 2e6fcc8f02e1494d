//! DescribeConfigs: what is told of topics and brokers.

use protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::messages::describe_configs_response::DescribeConfigsResult;
use protocol::{ErrorCode, Str};

use crate::support::requests::METADATA;
use crate::support::{Client, run};

async fn describe(
    client: &mut Client,
    version: i16,
    (resource_type, name): (i8, &str),
    keys: Option<&[&str]>,
) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource {
        resource_type,
        resource_name: Str::from(name),
        configuration_keys: keys.map(|keys| keys.iter().map(|key| Str::from(*key)).collect()),
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: version >= 3,
    };
    client.call(version, &request).await.results.remove(0)
}

#[test]
fn configs_tell_their_sources_synonyms_and_types() {
    run(&[("log.retention.ms", "5000"), ("log.segment.bytes", "2097152")], async |world| {
        let mut client = world.connect().await;
        client.create("t", 1, &[("retention.ms", "77")]).await;
        for version in 1..=4 {
            let keys = ["retention.ms", "segment.bytes", "cleanup.policy", "no.such.config"];
            let result = describe(&mut client, version, (2, "t"), Some(&keys)).await;
            assert_eq!((result.error_code, result.configs.len()), (0, 3));
            let find = |name: &str| result.configs.iter().find(|config| config.name == name).unwrap();
            let source = |name| (find(name).value.as_deref(), find(name).config_source);
            // Of the topic, of this broker's file, of the code.
            assert_eq!(source("retention.ms"), (Some("77"), 1));
            assert_eq!(source("segment.bytes"), (Some("2097152"), 4));
            assert_eq!(source("cleanup.policy"), (Some("delete"), 5));
            let synonyms: Vec<_> = find("retention.ms")
                .synonyms
                .iter()
                .map(|synonym| (synonym.name.as_str(), synonym.value.as_deref(), synonym.source))
                .collect();
            assert_eq!(
                synonyms[..2],
                [("retention.ms", Some("77"), 1), ("log.retention.ms", Some("5000"), 4)]
            );
            assert!(result.configs.iter().all(|config| !config.read_only && !config.is_sensitive));
            if version >= 3 {
                assert_eq!((find("retention.ms").config_type, find("cleanup.policy").config_type), (5, 7));
                assert!(find("retention.ms").documentation.as_ref().is_some_and(|text| !text.is_empty()));
            }
        }
        let everything = describe(&mut client, 4, (2, "t"), None).await;
        assert!(everything.configs.len() > 25);
        let none = describe(&mut client, 4, (2, "nobody"), None).await;
        assert_eq!(ErrorCode::from(none.error_code), ErrorCode::UnknownTopicOrPartition);
        let none = describe(&mut client, 4, (2, ".."), None).await;
        assert_eq!(ErrorCode::from(none.error_code), ErrorCode::InvalidTopic);
        let none = describe(&mut client, 4, (99, "t"), None).await;
        assert_eq!(ErrorCode::from(none.error_code), ErrorCode::InvalidRequest);
    });
}

#[test]
fn configs_of_a_broker_hide_what_is_secret() {
    run(&[("ssl.key.password", "hush")], async |world| {
        let mut client = world.connect().await;
        client.create("t", 1, &[]).await;
        let me = client.describe(METADATA, "t", false).await.partitions[0].leader_id.to_string();
        let result = describe(&mut client, 4, (4, &me), None).await;
        assert_eq!(result.error_code, 0);
        let secret = result.configs.iter().find(|config| config.name == "ssl.key.password").unwrap();
        assert_eq!((secret.is_sensitive, &secret.value), (true, &None));
        assert!(secret.synonyms.iter().all(|synonym| synonym.value.is_none()));
        let listeners = result.configs.iter().find(|config| config.name == "log.dirs").unwrap();
        assert_eq!((listeners.read_only, listeners.value.as_deref()), (true, Some("/data")));
        let other = describe(&mut client, 4, (4, "12345"), None).await;
        assert_eq!(ErrorCode::from(other.error_code), ErrorCode::InvalidRequest);
    });
}

#[test]
fn groups_and_subscriptions_of_metrics_have_configs_too() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        for (kind, name, value) in [(32, "consumer.session.timeout.ms", "50000"), (16, "interval.ms", "1000")]
        {
            crate::alter_configs::set(&mut client, (kind, "x"), name, value).await;
            let own_source = if kind == 16 { 7 } else { 8 };
            for (resource, source) in [("x", own_source), ("nobody", 5)] {
                let result = describe(&mut client, 4, (kind, resource), None).await;
                assert_eq!(result.error_code, 0);
                assert_eq!(result.configs.len(), if kind == 16 { 3 } else { 21 });
                let config = result.configs.iter().find(|config| config.name == name).unwrap();
                assert_eq!((config.config_source, config.config_type, config.read_only), (source, 3, false));
                assert_eq!(config.value.as_deref() == Some(value), source != 5);
            }
            let nameless = describe(&mut client, 4, (kind, ""), None).await;
            assert_eq!(ErrorCode::from(nameless.error_code), ErrorCode::InvalidRequest);
        }
    });
}

#[test]
fn a_config_resource_named_often_is_described_once() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let named = |keys: Option<&[&str]>| DescribeConfigsResource {
            resource_type: 2,
            resource_name: topic.name.clone(),
            configuration_keys: keys.map(|keys| keys.iter().copied().map(Str::from).collect()),
        };
        let mut resources = vec![named(None); 1_000];
        resources.push(named(Some(&["retention.ms"])));
        let request = DescribeConfigsRequest { resources, ..Default::default() };
        let answer = client.call(4, &request).await;
        let counts: Vec<usize> = answer.results.iter().map(|result| result.configs.len()).collect();
        assert!(matches!(counts[..], [all, 1] if all > 20), "{counts:?}");
    });
}

/// Groups need not be there, so any number of them has configs.
#[test]
fn an_answer_about_configs_has_its_bound() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let group = |number: usize| DescribeConfigsResource {
            resource_type: 32,
            resource_name: Str::from(number.to_string()),
            configuration_keys: None,
        };
        let resources = (0..30_000).map(group).collect();
        let request = DescribeConfigsRequest { resources, ..Default::default() };
        let answer = client.call(4, &request).await;
        let code = |result: &DescribeConfigsResult| ErrorCode::from(result.error_code);
        let is_told = |result: &&DescribeConfigsResult| code(result) == ErrorCode::None;
        let (all, told) = (answer.results.len(), answer.results.iter().filter(is_told).count());
        assert_eq!((all, told), (30_000, 500_000_usize.div_ceil(21)));
        assert!(answer.results.iter().skip(told).all(|result| code(result) == ErrorCode::PolicyViolation));
    });
}

#[test]
fn documentation_and_synonyms_are_told_on_request() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        client.create("t", 1, &[]).await;
        for version in 1..=4 {
            for (include_synonyms, include_documentation) in [(false, false), (true, version >= 3)] {
                let request = DescribeConfigsRequest {
                    resources: vec![DescribeConfigsResource {
                        resource_type: 2,
                        resource_name: Str::from("t"),
                        configuration_keys: Some(vec![Str::from("segment.bytes")]),
                    }],
                    include_synonyms,
                    include_documentation,
                };
                let result = client.call(version, &request).await.results.remove(0);
                let config = &result.configs[0];
                assert_eq!(config.synonyms.is_empty(), !include_synonyms);
                let told = config.documentation.as_ref().is_some_and(|text| !text.is_empty());
                assert_eq!(told, include_documentation);
            }
        }
    });
}
