//! DescribeConfigs (32): the values of topics and brokers, with where each comes from (KIP-133, KIP-226, KIP-569).

use std::collections::HashSet;
use std::ops::RangeInclusive;

use metadata::config::{
    Described, Scope, Source, describe_all, describe_broker, describe_broker_defaults, describe_topic,
};
use metadata::record::{ConfigResource, ResourceKind};
use protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use protocol::{ErrorCode, Str};

use super::{Call, Handler, Protest};
use crate::metadata_view::View;

pub(crate) struct DescribeConfigs;

/// How many configs one answer tells: those of 10,000 topics, and no gigabytes for anything that is short to name.
const CONFIGS_MAX: usize = 500_000;
const TOO_MANY: Str = Str::from_static("the answer would be too large; ask for fewer resources at a time");
/// So many configs are found before others of the thread come to their turn.
const STEPS_AT_ONCE: usize = 250;
/// What it takes to look for a resource and through its configs.
const STEPS_A_RESOURCE: usize = 10;

/// What is wrong with a resource, for the client.
type Refused = (ErrorCode, Str);

impl Handler for DescribeConfigs {
    type Request = DescribeConfigsRequest;

    const ADVERTISED: RangeInclusive<i16> = 1..=4;

    async fn handle(
        call: Call,
        request: DescribeConfigsRequest,
    ) -> Result<Option<DescribeConfigsResponse>, Protest> {
        let view = call.broker.metadata.view();
        let (synonyms, documentation) = (request.include_synonyms, request.include_documentation);
        let mut seen = HashSet::with_capacity(request.resources.len());
        let mut results = Vec::with_capacity(request.resources.len());
        let (mut told, mut steps) = (0, 0);
        for resource in request.resources {
            // One answer a question: a short request could ask for all configs of a topic a hundred thousand times.
            let keys = resource.configuration_keys.clone();
            if !seen.insert((resource.resource_type, resource.resource_name.clone(), keys)) {
                continue;
            }
            let described = if told < CONFIGS_MAX {
                describe(&call, &view, &resource)
            } else {
                Err((ErrorCode::PolicyViolation, TOO_MANY))
            };
            let result = DescribeConfigsResult {
                resource_type: resource.resource_type,
                resource_name: resource.resource_name,
                ..Default::default()
            };
            results.push(match described {
                Ok(configs) => {
                    told += configs.len();
                    steps += configs.len();
                    let shown = configs.into_iter().map(|config| show(config, synonyms, documentation));
                    DescribeConfigsResult { configs: shown.collect(), error_message: None, ..result }
                }
                Err((code, message)) => {
                    DescribeConfigsResult { error_code: code.code(), error_message: Some(message), ..result }
                }
            });
            steps += STEPS_A_RESOURCE;
            if steps >= STEPS_AT_ONCE {
                steps = 0;
                tokio::task::yield_now().await;
            }
        }
        Ok(Some(DescribeConfigsResponse { results, ..Default::default() }))
    }
}

fn describe(call: &Call, view: &View, resource: &DescribeConfigsResource) -> Result<Vec<Described>, Refused> {
    let keys: HashSet<&str> = resource.configuration_keys.iter().flatten().map(Str::as_str).collect();
    // Null and, as older clients send it, an empty list both mean everything.
    let wanted = |name: &str| keys.is_empty() || keys.contains(name);
    let name = &resource.resource_name;
    let settings = &call.broker.settings;
    match ResourceKind::from_id(resource.resource_type) {
        Some(ResourceKind::Topic) => {
            if !metadata::controller::is_valid_topic_name(name) {
                return Err((
                    ErrorCode::InvalidTopic,
                    format!("{name:?} is not a legal name of a topic").into(),
                ));
            }
            if view.image.topic(name).is_none() {
                return Err((ErrorCode::UnknownTopicOrPartition, format!("there is no topic {name}").into()));
            }
            Ok(describe_topic(&settings.layers_of_topic(&view.image, name), wanted))
        }
        Some(ResourceKind::Broker) if name.is_empty() => {
            Ok(describe_broker_defaults(&settings.layers_of_broker(&view.image), wanted))
        }
        Some(ResourceKind::Broker) => {
            of_this_broker(call, name)?;
            Ok(describe_broker(&settings.layers_of_broker(&view.image), wanted))
        }
        Some(ResourceKind::BrokerLogger) => {
            of_this_broker(call, name)?;
            let loggers = call.broker.loggers.all().into_iter();
            Ok(loggers.filter(|(logger, _)| wanted(logger)).map(level).collect())
        }
        Some(ResourceKind::Group) => {
            describe_own(call, view, ConfigResource::group(name.clone()), Scope::Group, wanted)
        }
        Some(kind @ ResourceKind::ClientMetrics) => {
            let own = ConfigResource { kind, name: name.clone() };
            describe_own(call, view, own, Scope::ClientMetrics, wanted)
        }
        None => {
            let message = format!("resources of type {} have no configs here", resource.resource_type);
            Err((ErrorCode::InvalidRequest, message.into()))
        }
    }
}

fn of_this_broker(call: &Call, name: &Str) -> Result<(), Refused> {
    let me = call.broker.node_id;
    if name.parse() == Ok(me.0) {
        return Ok(());
    }
    let message = format!("this is broker {me}, which does not know the configs of broker {name:?}");
    Err((ErrorCode::InvalidRequest, message.into()))
}

/// The configs of something that need not exist: a group or a subscription of metrics.
fn describe_own(
    call: &Call,
    view: &View,
    resource: ConfigResource,
    scope: Scope,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Described>, Refused> {
    if resource.name.is_empty() {
        return Err((
            ErrorCode::InvalidRequest,
            format!("the name of the {} is empty", resource.kind.name()).into(),
        ));
    }
    let layers = call.broker.settings.layers_of_resource(&view.image, &resource);
    Ok(describe_all(&layers, scope, wanted))
}

fn level((name, level): (String, &'static str)) -> Described {
    Described {
        name,
        value: Some(level.to_owned()),
        source: Source::DynamicBrokerLogger,
        read_only: false,
        sensitive: false,
        kind: None,
        documentation: None,
        synonyms: Vec::new(),
    }
}

fn show(config: Described, synonyms: bool, documentation: bool) -> DescribeConfigsResourceResult {
    let synonym = |synonym: metadata::config::Synonym| DescribeConfigsSynonym {
        name: synonym.name.into(),
        value: synonym.value.map(Str::from),
        source: synonym.source.id(),
    };
    let config_type = config.kind_id();
    DescribeConfigsResourceResult {
        name: config.name.into(),
        value: config.value.map(Str::from),
        read_only: config.read_only,
        config_source: config.source.id(),
        is_sensitive: config.sensitive,
        synonyms: if synonyms { config.synonyms.into_iter().map(synonym).collect() } else { Vec::new() },
        config_type,
        documentation: config.documentation.filter(|_| documentation).map(Str::from),
    }
}
