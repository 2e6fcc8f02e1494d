//! AlterConfigs and IncrementalAlterConfigs.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{ErrorCode, NodeId, Str};

use super::names::check_topic_name;
use super::{Context, Decision, Refusal};
use crate::Image;
use crate::config::{
    ConfigError, Definition, Kind, Problem, Scope, Update, Value, check_cordoned, check_group_configs,
    check_topic_configs, elements, find, listener_limit,
};
use crate::image::Configs;
use crate::record::{ConfigResource, Record, ResourceKind};

/// Records that one request may come to (Kafka's limit).
const RECORDS_PER_REQUEST_MAX: usize = 10_000;

/// Configs that Kafka lets change for one listener only, by their `listener.name.` names.
const KEYS_AND_CERTIFICATES: [&str; 10] = [
    "ssl.keystore.type",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.key.password",
    "ssl.truststore.type",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.truststore.certificates",
];

/// What to do with a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterOp {
    Set(Str),
    /// Back to the default.
    Delete,
    /// Adds elements to a list.
    Append(Str),
    /// Takes elements out of a list.
    Subtract(Str),
}

/// Changes of one resource; all of them are made, or none.
#[derive(Clone, Debug)]
pub struct ConfigChange {
    pub resource: ConfigResource,
    pub ops: Vec<(Str, AlterOp)>,
}

fn refuse<T>(code: ErrorCode, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(code, message))
}

/// Changes some configs of resources. The answers are in the order of the changes.
pub fn incremental_alter_configs(
    context: &Context<'_>,
    changes: &[ConfigChange],
    validate_only: bool,
) -> Decision<Vec<Result<(), Refusal>>> {
    decide(context, changes, validate_only, |change, now| {
        let mut next = now.clone();
        for (key, op) in &change.ops {
            match operate(&change.resource, now, key, op)? {
                Some(value) => next.insert(key.detached(), value),
                None => next.remove(key),
            };
        }
        Ok(next)
    })
}

/// Replaces all configs of resources: those that are not named go back to their defaults. Only [`AlterOp::Set`] has
/// a meaning here.
pub fn alter_configs(
    context: &Context<'_>,
    changes: &[ConfigChange],
    validate_only: bool,
) -> Decision<Vec<Result<(), Refusal>>> {
    decide(context, changes, validate_only, |change, _| {
        let set = |(key, op): &(Str, AlterOp)| match op {
            AlterOp::Set(value) => Ok((key.detached(), value.detached())),
            _ => refuse(ErrorCode::InvalidRequest, format!("{key}: a value is needed")),
        };
        change.ops.iter().map(set).collect()
    })
}

fn decide(
    context: &Context<'_>,
    changes: &[ConfigChange],
    validate_only: bool,
    next: impl Fn(&ConfigChange, &Configs) -> Result<Configs, Refusal>,
) -> Decision<Vec<Result<(), Refusal>>> {
    let mut times: BTreeMap<&ConfigResource, usize> = BTreeMap::new();
    for change in changes {
        *times.entry(&change.resource).or_default() += 1;
    }
    let mut records = Vec::new();
    let one = |change: &ConfigChange| {
        if times.get(&change.resource) != Some(&1) {
            return refuse(
                ErrorCode::InvalidRequest,
                format!("{} is there twice in the request", change.resource),
            );
        }
        let mut keys = BTreeSet::new();
        if let Some((key, _)) = change.ops.iter().find(|(key, _)| !keys.insert(key)) {
            return refuse(ErrorCode::InvalidRequest, format!("{key} is there twice in the request"));
        }
        // The order in which Kafka looks, which is what a client is told that is wrong in more than one way.
        let now = context.image.configs_of(&change.resource).cloned().unwrap_or_default();
        let next = next(change, &now)?;
        check_name(&change.resource)?;
        check_configs(context, &change.resource, &next, &now)?;
        check_existence(context.image, &change.resource)?;
        Ok(difference(&change.resource, &now, &next))
    };
    let results: Vec<_> =
        changes.iter().map(|change| one(change).map(|changed| records.extend(changed))).collect();
    if records.len() > RECORDS_PER_REQUEST_MAX {
        let why = format!("a request may change at most {RECORDS_PER_REQUEST_MAX} configs");
        let refusal = Refusal::new(ErrorCode::PolicyViolation, why);
        return (Vec::new(), results.into_iter().map(|result| result.and(Err(refusal.clone()))).collect());
    }
    (if validate_only { Vec::new() } else { records }, results)
}

fn difference(resource: &ConfigResource, now: &Configs, next: &Configs) -> Vec<Record> {
    let name = resource.name.detached();
    let record = |key: &Str, value: Option<&Str>| Record::Config {
        resource: ConfigResource { kind: resource.kind, name: name.clone() },
        key: key.clone(),
        value: value.cloned(),
    };
    // Setting a broker's config to what it is makes the broker read it again, certificates for one (KAFKA-14136).
    let again = resource.kind == ResourceKind::Broker;
    let set = next.iter().filter(|(key, value)| again || now.get(*key) != Some(*value));
    let gone = now.keys().filter(|key| !next.contains_key(*key));
    set.map(|(key, value)| record(key, Some(value))).chain(gone.map(|key| record(key, None))).collect()
}

/// The value of `key` after `op`; `None` for none.
fn operate(
    resource: &ConfigResource,
    now: &Configs,
    key: &Str,
    op: &AlterOp,
) -> Result<Option<Str>, Refusal> {
    let (elements, appends) = match op {
        AlterOp::Set(value) => return Ok(Some(value.detached())),
        AlterOp::Delete => return Ok(None),
        AlterOp::Append(elements) => (elements, true),
        AlterOp::Subtract(elements) => (elements, false),
    };
    let definition = scope_of(resource.kind).and_then(|scope| definition(scope, key));
    let Some(definition) = definition.filter(|definition| definition.kind == Kind::List) else {
        return refuse(
            ErrorCode::InvalidConfig,
            format!("{key} is not a list that something can be added to or taken from"),
        );
    };
    let split = |text: &str| -> Vec<String> {
        text.split(',').map(str::trim).filter(|element| !element.is_empty()).map(str::to_owned).collect()
    };
    let current = now.get(key).map(Str::as_str).or(definition.default).unwrap_or_default();
    let mut list = split(current);
    for element in split(elements) {
        let place = list.iter().position(|known| *known == element);
        match (place, appends) {
            (None, true) => list.push(element),
            (Some(place), false) => drop(list.remove(place)),
            _ => {}
        }
    }
    Ok(Some(Str::from(list.join(","))))
}

fn scope_of(kind: ResourceKind) -> Option<Scope> {
    match kind {
        ResourceKind::Topic => Some(Scope::Topic),
        ResourceKind::Broker => Some(Scope::Broker),
        ResourceKind::Group => Some(Scope::Group),
        ResourceKind::ClientMetrics => Some(Scope::ClientMetrics),
        ResourceKind::BrokerLogger => None,
    }
}

/// A broker config may be that of one listener: `listener.name.<name>.<config>`, with a mechanism in between for SASL.
fn definition(scope: Scope, key: &str) -> Option<&'static Definition> {
    let Some(rest) = key.strip_prefix("listener.name.").filter(|_| scope == Scope::Broker) else {
        return find(scope, key);
    };
    let (_, base) = rest.split_once('.')?;
    let without_mechanism = || base.split_once('.').and_then(|(_, base)| find(scope, base));
    find(scope, base).or_else(without_mechanism)
}

fn check_name(resource: &ConfigResource) -> Result<(), Refusal> {
    let name = resource.name.as_str();
    match resource.kind {
        ResourceKind::Topic if name.is_empty() => {
            refuse(ErrorCode::InvalidRequest, "there are no configs of all topics; set them on the brokers")
        }
        ResourceKind::Topic => check_topic_name(name),
        ResourceKind::Broker if name.is_empty() || broker_number(name).is_some() => Ok(()),
        ResourceKind::Broker => {
            refuse(ErrorCode::InvalidRequest, format!("{name:?} is not the number of a broker"))
        }
        ResourceKind::Group | ResourceKind::ClientMetrics if name.is_empty() => {
            refuse(ErrorCode::InvalidRequest, format!("the name of the {} is empty", resource.kind.name()))
        }
        ResourceKind::Group | ResourceKind::ClientMetrics => Ok(()),
        ResourceKind::BrokerLogger => {
            refuse(ErrorCode::InvalidRequest, "levels of loggers are not kept by the cluster")
        }
    }
}

fn check_existence(image: &Image, resource: &ConfigResource) -> Result<(), Refusal> {
    let name = resource.name.as_str();
    match resource.kind {
        ResourceKind::Topic if image.topic(name).is_none() => {
            refuse(ErrorCode::UnknownTopicOrPartition, format!("there is no topic '{name}'"))
        }
        ResourceKind::Broker if broker_number(name).is_some_and(|number| image.broker(number).is_none()) => {
            refuse(ErrorCode::BrokerIdNotRegistered, format!("broker {name} is not registered"))
        }
        _ => Ok(()),
    }
}

fn broker_number(name: &str) -> Option<NodeId> {
    name.parse().ok().filter(|number| *number >= 0).map(NodeId)
}

fn check_configs(
    context: &Context<'_>,
    resource: &ConfigResource,
    next: &Configs,
    now: &Configs,
) -> Result<(), Refusal> {
    let invalid = |error: ConfigError| Refusal::new(ErrorCode::InvalidConfig, error.to_string());
    let changed = || next.iter().filter(|(name, value)| now.get(*name) != Some(*value));
    match scope_of(resource.kind) {
        None => Ok(()),
        Some(Scope::Topic) => {
            let pairs = next.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            check_topic_configs(pairs, &context.config.topic_defaults).map_err(invalid)
        }
        Some(Scope::Group) => check_group_configs(&context.layers(), next).map_err(invalid),
        Some(Scope::ClientMetrics) => {
            changed().try_for_each(|(name, value)| check_client_metrics(name, value))
        }
        Some(Scope::Broker) => {
            changed().try_for_each(|(name, value)| check_broker_config(context, resource, name, value))
        }
    }
}

/// Kafka answers INVALID_REQUEST to names and intervals that are not known, and INVALID_CONFIG to the rest.
fn check_client_metrics(name: &str, value: &str) -> Result<(), Refusal> {
    let Some(definition) = find(Scope::ClientMetrics, name) else {
        let unknown = ConfigError::unknown(Scope::ClientMetrics, name);
        return refuse(ErrorCode::InvalidRequest, unknown.to_string());
    };
    match definition.parse(value) {
        Ok(_) => Ok(()),
        Err(error) => {
            let code = match error.problem {
                Problem::BelowMinimum { .. } | Problem::AboveMaximum { .. } => ErrorCode::InvalidRequest,
                _ => ErrorCode::InvalidConfig,
            };
            refuse(code, error.to_string())
        }
    }
}

fn check_broker_config(
    context: &Context<'_>,
    resource: &ConfigResource,
    name: &str,
    value: &str,
) -> Result<(), Refusal> {
    let refuse = |message: String| refuse(ErrorCode::InvalidRequest, message);
    let Some(definition) = definition(Scope::Broker, name) else {
        let unknown = ConfigError::unknown(Scope::Broker, name);
        return Err(Refusal::new(ErrorCode::InvalidConfig, unknown.to_string()));
    };
    // Kafka answers INVALID_REQUEST for brokers and INVALID_CONFIG for the others (KAFKA-13609).
    definition.parse(value).or_else(|error| refuse(error.to_string()).map(|()| Value::Boolean(false)))?;
    if name == "cordoned.log.dirs" && *resource == ConfigResource::broker(context.node_id) {
        check_cordoned(&elements(value), &context.config.directories.log)
            .or_else(|error| refuse(error.to_string()))?;
    }
    let of_listener = definition.name != name;
    match definition.update {
        Update::ReadOnly => {
            refuse(format!("{name} cannot change while the broker runs; set it in its file and restart"))
        }
        _ if of_listener && definition.update == Update::ClusterWide && listener_limit(name).is_none() => {
            refuse(format!("{name}: one listener has no limits of its own here; set {}", definition.name))
        }
        Update::PerBroker if KEYS_AND_CERTIFICATES.contains(&definition.name) && !of_listener => {
            let message = format!(
                "{name} can only change for one listener at a time; set listener.name.<listener>.{name}"
            );
            refuse(message)
        }
        Update::PerBroker if resource.name.is_empty() => {
            refuse(format!("{name} can only be set on one broker at a time"))
        }
        _ => Ok(()),
    }
}
