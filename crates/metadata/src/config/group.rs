//! What a group may set, given the limits that its brokers set.

use super::{ConfigError, Definition, Layers, Scope, Value, find};
use crate::image::Configs;

/// What a group has chosen for itself; `None` of what it has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupConfig {
    pub consumer_session_timeout_ms: Option<i32>,
    pub consumer_heartbeat_interval_ms: Option<i32>,
    pub consumer_assignment_interval_ms: Option<i32>,
}

impl GroupConfig {
    pub fn of(own: &Configs) -> GroupConfig {
        let int = |name: &str| own.get(name).and_then(|text| text.trim().parse().ok());
        GroupConfig {
            consumer_session_timeout_ms: int("consumer.session.timeout.ms"),
            consumer_heartbeat_interval_ms: int("consumer.heartbeat.interval.ms"),
            consumer_assignment_interval_ms: int("consumer.assignment.interval.ms"),
        }
    }
}

/// Whether a group could have these configs: each within the limits of the brokers, and a member that keeps to the
/// heartbeat interval never silent for a whole session.
pub fn check_group_configs(layers: &Layers<'_>, own: &Configs) -> Result<(), ConfigError> {
    for (name, text) in own {
        let definition = find(Scope::Group, name).ok_or_else(|| ConfigError::unknown(Scope::Group, name))?;
        let Value::Number(number) = definition.parse(text)? else { continue };
        let (minimum, maximum) = (limit(definition, "min"), limit(definition, "max"));
        if let Some((limit, name)) = minimum.and_then(|limit| Some((number_of(layers, limit)?, limit.name)))
            && number < limit
        {
            return Err(conflict(definition, name, format!("{number} is less than {limit}")));
        }
        if let Some((limit, name)) = maximum.and_then(|limit| Some((number_of(layers, limit)?, limit.name)))
            && number > limit
        {
            return Err(conflict(definition, name, format!("{number} is more than {limit}")));
        }
    }
    let layers = layers.with_own(own);
    for kind in ["consumer", "share", "streams"] {
        let of = |name: &str| find(Scope::Group, &format!("{kind}.{name}"));
        let pair = (of("session.timeout.ms"), of("heartbeat.interval.ms"));
        let (Some(session), Some(heartbeat)) = pair else { continue };
        if let (Some(session_ms), Some(heartbeat_ms)) =
            (number_of(&layers, session), number_of(&layers, heartbeat))
            && session_ms <= heartbeat_ms
        {
            let why = format!("a heartbeat every {heartbeat_ms} ms comes too late for {session_ms} ms");
            return Err(conflict(session, heartbeat.name, why));
        }
    }
    Ok(())
}

fn conflict(definition: &'static Definition, other: &'static str, why: String) -> ConfigError {
    ConfigError::Conflict { name: definition.name, other, why }
}

/// The broker config that limits a group config: `group.share.min.x` for `share.x`.
fn limit(definition: &Definition, end: &str) -> Option<&'static Definition> {
    let (kind, what) = definition.name.split_once('.')?;
    let of = |what: &str| find(Scope::Broker, &format!("group.{kind}.{end}.{what}"));
    of(what).or_else(|| of(what.strip_prefix("num.")?))
}

fn number_of(layers: &Layers<'_>, definition: &'static Definition) -> Option<i64> {
    match layers.resolve(definition)?.value {
        Value::Number(number) => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use protocol::Str;

    use super::super::StaticConfig;
    use super::*;

    fn check(pairs: &[(&str, &str)]) -> String {
        let statics = StaticConfig::from_properties("group.consumer.max.session.timeout.ms=50000").unwrap();
        let own = pairs.iter().map(|(name, value)| (Str::from(*name), Str::from(*value))).collect();
        let checked = check_group_configs(&Layers::of_statics(&statics), &own);
        checked.map_err(|error| error.to_string()).err().unwrap_or_default()
    }

    #[test]
    fn groups_stay_within_what_the_brokers_allow() {
        for (own, error) in [
            (&[][..], ""),
            (&[("consumer.session.timeout.ms", "50000"), ("share.auto.offset.reset", "earliest")], ""),
            (
                &[("consumer.session.timeout.ms", "50001")],
                "consumer.session.timeout.ms and group.consumer.max.session.timeout.ms contradict each other: 50001 is \
                 more than 50000",
            ),
            (
                &[("share.heartbeat.interval.ms", "4999")],
                "share.heartbeat.interval.ms and group.share.min.heartbeat.interval.ms contradict each other: 4999 is \
                 less than 5000",
            ),
            (
                &[("streams.num.standby.replicas", "3")],
                "streams.num.standby.replicas and group.streams.max.standby.replicas contradict each other: 3 is more \
                 than 2",
            ),
            (&[("consumer.session", "1")], "consumer.session is not a group config"),
        ] {
            assert_eq!(check(own), error);
        }
    }

    #[test]
    fn a_session_outlasts_a_heartbeat() {
        let statics = StaticConfig::from_properties(
            "group.consumer.min.session.timeout.ms=1000\ngroup.consumer.max.heartbeat.interval.ms=60000",
        );
        let statics = statics.unwrap();
        let own = [("consumer.session.timeout.ms", "9000"), ("consumer.heartbeat.interval.ms", "9000")];
        let own = own.iter().map(|(name, value)| (Str::from(*name), Str::from(*value))).collect();
        let error = check_group_configs(&Layers::of_statics(&statics), &own).unwrap_err();
        assert_eq!(
            error.to_string(),
            "consumer.session.timeout.ms and consumer.heartbeat.interval.ms contradict each other: a heartbeat every \
             9000 ms comes too late for 9000 ms"
        );
    }
}
