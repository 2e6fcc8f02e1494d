//! [`Layers`]: where values come from, and which one counts.
//!
//! Invariant: own configs come before those of the broker, those before the ones of all brokers, those before the
//! file, and that before the default; within each, synonyms in their order.

use super::{Definition, Kind, Scope, StaticConfig, Value, broker_synonyms, find};
use crate::Image;
use crate::image::Configs;
use crate::record::{ConfigResource, ResourceKind};
use protocol::{NodeId, Str};

/// Where a value was set; the numbers are those of DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Topic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
    DynamicBrokerLogger = 6,
    ClientMetrics = 7,
    Group = 8,
}

impl Source {
    pub const fn id(self) -> i8 {
        self as i8
    }

    /// Whether it is the resource itself, which is no broker.
    pub(super) const fn is_own(self) -> bool {
        matches!(self, Source::Topic | Source::Group | Source::ClientMetrics)
    }
}

/// The values that one resource sees.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    /// Set on the topic, group or subscription itself.
    own: Option<&'a Configs>,
    /// Set on this broker while it runs.
    broker: Option<&'a Configs>,
    /// Set on all brokers while they run.
    all_brokers: Option<&'a Configs>,
    statics: &'a StaticConfig,
}

/// A value as it was set somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    pub name: &'a str,
    pub text: &'a str,
    pub source: Source,
    /// What one unit of it is in the unit of the config asked for.
    factor: i64,
}

/// The value that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    pub value: Value,
    pub source: Source,
}

impl<'a> Layers<'a> {
    /// What was set before the broker started, and nothing else.
    pub fn of_statics(statics: &'a StaticConfig) -> Layers<'a> {
        Layers { own: None, broker: None, all_brokers: None, statics }
    }

    /// What broker `node_id` goes by.
    pub fn of_broker(image: &'a Image, statics: &'a StaticConfig, node_id: NodeId) -> Layers<'a> {
        Layers {
            own: None,
            broker: image.configs_of(&ConfigResource::broker(node_id)),
            all_brokers: image.configs_of(&ConfigResource::all_brokers()),
            statics,
        }
    }

    /// What topic `name` goes by on broker `node_id`.
    pub fn of_topic(image: &'a Image, statics: &'a StaticConfig, node_id: NodeId, name: &Str) -> Layers<'a> {
        let own = ConfigResource { kind: ResourceKind::Topic, name: name.clone() };
        Layers::of_resource(image, statics, node_id, &own)
    }

    /// What a topic, group or metrics subscription goes by on broker `node_id`.
    pub fn of_resource(
        image: &'a Image,
        statics: &'a StaticConfig,
        node_id: NodeId,
        resource: &ConfigResource,
    ) -> Layers<'a> {
        Layers { own: image.configs_of(resource), ..Layers::of_broker(image, statics, node_id) }
    }

    /// These layers with other configs on top, those of a topic that is about to be created.
    pub fn with_own(self, own: &'a Configs) -> Layers<'a> {
        Layers { own: Some(own), ..self }
    }

    pub(super) fn statics(&self) -> &'a StaticConfig {
        self.statics
    }

    /// Every place where `definition` has a value, the one that counts first.
    pub fn candidates(&self, definition: &'static Definition) -> Vec<Candidate<'a>> {
        let mut found = Vec::new();
        let own_name = &[(definition.name, 1)][..];
        let synonyms = match (definition.scope, broker_synonyms(definition)) {
            (Scope::Broker, []) => own_name,
            (_, synonyms) => synonyms,
        };
        let own_source = match definition.scope {
            Scope::Broker => None,
            Scope::Topic => Some(Source::Topic),
            Scope::Group => Some(Source::Group),
            Scope::ClientMetrics => Some(Source::ClientMetrics),
        };
        if let (Some(source), Some(text)) =
            (own_source, self.own.and_then(|configs| configs.get(definition.name)))
        {
            found.push(Candidate { name: definition.name, text: text.as_str(), source, factor: 1 });
        }
        let dynamic =
            [(self.broker, Source::DynamicBroker), (self.all_brokers, Source::DynamicDefaultBroker)];
        for (configs, source) in dynamic {
            let Some(configs) = configs else { continue };
            found.extend(synonyms.iter().filter_map(|(name, factor)| {
                let text = configs.get(*name)?.as_str();
                Some(Candidate { name, text, source, factor: *factor })
            }));
        }
        found.extend(synonyms.iter().filter_map(|(name, factor)| {
            let text = self.statics.get(name)?;
            Some(Candidate { name, text, source: Source::StaticBroker, factor: *factor })
        }));
        found.extend(synonyms.iter().filter_map(|(name, factor)| {
            let text = find(Scope::Broker, name)?.default?;
            Some(Candidate { name, text, source: Source::Default, factor: *factor })
        }));
        if synonyms.is_empty()
            && let Some(text) = definition.default
        {
            found.push(Candidate { name: definition.name, text, source: Source::Default, factor: 1 });
        }
        found
    }

    /// The value of `definition`; `None` if it has none, not even a default.
    pub fn resolve(&self, definition: &'static Definition) -> Option<Resolved> {
        self.candidates(definition).into_iter().find_map(|candidate| {
            let value = candidate.value(definition)?;
            Some(Resolved { value, source: candidate.source })
        })
    }

    /// What is set for a broker under a name that need not be in the list, one of a listener for example, if `valid`
    /// takes it.
    pub(super) fn set_for_broker<T>(&self, name: &str, valid: impl Fn(&str) -> Option<T>) -> Option<T> {
        let dynamic = [self.broker, self.all_brokers].into_iter().flatten();
        let dynamic = dynamic.filter_map(|configs| configs.get(name).map(Str::as_str));
        dynamic.chain(self.statics.get(name)).find_map(valid)
    }

    /// [`Layers::resolve`] of a broker config by name.
    pub(super) fn of(&self, name: &str) -> Option<Value> {
        self.resolve(find(Scope::Broker, name)?).map(|resolved| resolved.value)
    }
}

impl Candidate<'_> {
    /// In the unit of `definition`; `None` if it is not valid (any more).
    fn value(&self, definition: &'static Definition) -> Option<Value> {
        if self.factor == 1 {
            return definition.parse(self.text).ok();
        }
        let number = match find(Scope::Broker, self.name)?.parse(self.text).ok()? {
            // "Never" is -1 in any unit.
            Value::Number(number) if number < 0 => -1,
            Value::Number(number) => number.saturating_mul(self.factor),
            _ => return None,
        };
        matches!(definition.kind, Kind::Int | Kind::Long).then_some(Value::Number(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs(pairs: &[(&str, &str)]) -> Configs {
        pairs.iter().map(|(name, value)| (Str::from(*name), Str::from(*value))).collect()
    }

    fn resolve(layers: &Layers<'_>, scope: Scope, name: &str) -> (String, Source) {
        let resolved = layers.resolve(find(scope, name).unwrap()).unwrap();
        (resolved.value.to_string(), resolved.source)
    }

    #[test]
    fn the_first_layer_that_has_a_value_counts() {
        let mut statics = StaticConfig::new();
        let (broker, all, own) = (
            configs(&[("log.segment.bytes", "3000000")]),
            configs(&[("log.segment.bytes", "4000000")]),
            configs(&[("segment.bytes", "5000000")]),
        );
        let bytes = |layers: &Layers<'_>| resolve(layers, Scope::Topic, "segment.bytes");
        assert_eq!(bytes(&Layers::of_statics(&statics)), ("1073741824".into(), Source::Default));
        statics.set("log.segment.bytes", "2000000");
        let layers = Layers::of_statics(&statics);
        assert_eq!(bytes(&layers), ("2000000".into(), Source::StaticBroker));
        let layers = Layers { all_brokers: Some(&all), ..layers };
        assert_eq!(bytes(&layers), ("4000000".into(), Source::DynamicDefaultBroker));
        let layers = Layers { broker: Some(&broker), ..layers };
        assert_eq!(bytes(&layers), ("3000000".into(), Source::DynamicBroker));
        assert_eq!(bytes(&layers.with_own(&own)), ("5000000".into(), Source::Topic));
    }

    #[test]
    fn units_are_converted_and_the_finest_counts_first() {
        let retention = |pairs: &[(&str, &str)]| {
            let mut statics = StaticConfig::new();
            for (name, value) in pairs {
                statics.set(*name, *value);
            }
            resolve(&Layers::of_statics(&statics), Scope::Topic, "retention.ms").0
        };
        assert_eq!(retention(&[]), "604800000");
        assert_eq!(retention(&[("log.retention.hours", "2")]), "7200000");
        assert_eq!(retention(&[("log.retention.hours", "2"), ("log.retention.minutes", "3")]), "180000");
        assert_eq!(retention(&[("log.retention.minutes", "3"), ("log.retention.ms", "4")]), "4");
        assert_eq!(retention(&[("log.retention.hours", "-1")]), "-1");
    }

    #[test]
    fn a_value_that_is_not_valid_is_passed_over() {
        let statics = StaticConfig::new();
        let own = configs(&[("segment.bytes", "100"), ("cleanup.policy", "compost")]);
        let layers = Layers::of_statics(&statics).with_own(&own);
        assert_eq!(resolve(&layers, Scope::Topic, "segment.bytes"), ("1073741824".into(), Source::Default));
        assert_eq!(resolve(&layers, Scope::Topic, "cleanup.policy"), ("delete".into(), Source::Default));
    }
}
