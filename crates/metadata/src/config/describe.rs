//! What DescribeConfigs tells.

use super::{Definition, Kind, Layers, Scope, Source, Update, Value, broker_synonyms, definitions, find};

/// A config as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    pub name: String,
    /// Never the value of a sensitive one.
    pub value: Option<String>,
    pub source: Source,
    pub read_only: bool,
    pub sensitive: bool,
    /// `None` for a name that is in the broker's file and not in the list.
    pub kind: Option<Kind>,
    pub documentation: Option<String>,
    /// Every place that has a value, the one that counts first.
    pub synonyms: Vec<Synonym>,
}

/// A place that has a value for a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    pub name: String,
    pub value: Option<String>,
    pub source: Source,
}

impl Described {
    /// The number of its type in DescribeConfigs.
    pub fn kind_id(&self) -> i8 {
        self.kind.map_or(0, Kind::id)
    }

    /// Whether it is what everybody has (version 0 of the answer).
    pub fn is_default(&self) -> bool {
        self.source == Source::Default
    }
}

/// The configs of a topic whose names are `wanted`, by name.
pub fn describe_topic(layers: &Layers<'_>, wanted: impl Fn(&str) -> bool) -> Vec<Described> {
    describe_all(layers, Scope::Topic, wanted)
}

/// The configs of a topic, a group or a metrics subscription whose names are `wanted`, by name.
pub fn describe_all(layers: &Layers<'_>, scope: Scope, wanted: impl Fn(&str) -> bool) -> Vec<Described> {
    sorted(of_scope(scope, &wanted).map(|definition| describe(layers, definition, false)).collect())
}

/// The configs of a broker whose names are `wanted`, by name: all of the list and what else its file holds.
pub fn describe_broker(layers: &Layers<'_>, wanted: impl Fn(&str) -> bool) -> Vec<Described> {
    let listed = of_scope(Scope::Broker, &wanted)
        .map(|definition| describe(layers, definition, definition.update == Update::ReadOnly));
    let unlisted =
        layers.statics().iter().filter(|(name, _)| find(Scope::Broker, name).is_none() && wanted(name));
    // It may well be the password of a plugin.
    let unlisted = unlisted.map(|(name, _)| Described {
        name: name.to_owned(),
        value: None,
        source: Source::StaticBroker,
        read_only: true,
        sensitive: true,
        kind: None,
        documentation: None,
        synonyms: vec![Synonym { name: name.to_owned(), value: None, source: Source::StaticBroker }],
    });
    sorted(listed.chain(unlisted).collect())
}

/// What is set on all brokers at once, by name.
pub fn describe_broker_defaults(layers: &Layers<'_>, wanted: impl Fn(&str) -> bool) -> Vec<Described> {
    let set = of_scope(Scope::Broker, &wanted).filter_map(|definition| {
        let mut described = describe(layers, definition, definition.update == Update::ReadOnly);
        described.synonyms.retain(|synonym| synonym.source == Source::DynamicDefaultBroker);
        described.synonyms.retain(|synonym| synonym.name == definition.name);
        described.source = described.synonyms.first()?.source;
        described.value = described.synonyms.first()?.value.clone();
        Some(described)
    });
    sorted(set.collect())
}

fn of_scope(scope: Scope, wanted: &impl Fn(&str) -> bool) -> impl Iterator<Item = &'static Definition> {
    definitions().filter(move |definition| definition.scope == scope && wanted(definition.name))
}

fn sorted(mut described: Vec<Described>) -> Vec<Described> {
    described.sort_by(|one, other| one.name.cmp(&other.name));
    described
}

fn describe(layers: &Layers<'_>, definition: &'static Definition, read_only: bool) -> Described {
    let sensitive = definition.is_sensitive();
    let shown = |value: String| (!sensitive).then_some(value);
    // Kafka begins with the first one of this name, so that log.retention.ms is no synonym of log.retention.hours. For
    // a topic that is log.retention.ms: log.retention.hours is told behind it, and not without it.
    let first = match definition.scope {
        Scope::Broker => Some(definition.name),
        _ => broker_synonyms(definition).first().map(|(name, _)| *name),
    };
    let candidates = layers.candidates(definition).into_iter();
    let (own, inherited): (Vec<_>, Vec<_>) = candidates.partition(|candidate| candidate.source.is_own());
    let inherited = inherited.into_iter().skip_while(|candidate| first != Some(candidate.name));
    let value = own_value(layers, definition).map(|value| value.to_string());
    let synonyms: Vec<Synonym> = own
        .into_iter()
        .chain(inherited)
        .map(|candidate| Synonym {
            name: candidate.name.to_owned(),
            value: match &value {
                Some(value) if candidate.source.is_own() => shown(value.clone()),
                _ => shown(candidate.text.to_owned()),
            },
            source: candidate.source,
        })
        .collect();
    Described {
        name: definition.name.to_owned(),
        source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
        value: value.and_then(shown),
        read_only,
        sensitive,
        kind: Some(definition.kind),
        documentation: Some(definition.documentation()),
        synonyms,
    }
}

/// A broker config in several units is shown as it was set; a topic config as what it comes to.
fn own_value(layers: &Layers<'_>, definition: &'static Definition) -> Option<Value> {
    if definition.scope != Scope::Broker {
        return layers.resolve(definition).map(|resolved| resolved.value);
    }
    let own = layers.candidates(definition).into_iter().filter(|candidate| candidate.name == definition.name);
    let mut valid = own.filter_map(|candidate| definition.parse(candidate.text).ok());
    valid.next()
}

#[cfg(test)]
mod tests {
    use protocol::{NodeId, Str};

    use super::super::StaticConfig;
    use super::*;
    use crate::Image;
    use crate::record::{ConfigResource, Record};

    fn set(image: &mut Image, resource: ConfigResource, key: &str, value: &str) {
        image.apply(&Record::Config { resource, key: key.into(), value: Some(value.into()) }).unwrap();
    }

    fn one(all: Vec<Described>) -> Described {
        assert_eq!(all.len(), 1);
        all.into_iter().next().unwrap()
    }

    fn shown(described: &Described) -> String {
        let value = |value: &Option<String>| value.clone().unwrap_or("null".into());
        let synonyms: Vec<String> = described
            .synonyms
            .iter()
            .map(|synonym| format!("{:?}:{}={}", synonym.source, synonym.name, value(&synonym.value)))
            .collect();
        format!(
            "{:?} {}={} {{{}}}",
            described.source,
            described.name,
            value(&described.value),
            synonyms.join(", ")
        )
    }

    #[test]
    fn topics_show_where_a_value_comes_from() {
        let mut image = Image::new();
        let mut statics = StaticConfig::new();
        let topic = Str::from("t");
        let show = |image: &Image, statics: &StaticConfig, name: &str| {
            let layers = Layers::of_topic(image, statics, NodeId(1), &topic);
            shown(&one(describe_topic(&layers, |wanted| wanted == name)))
        };
        // As Kafka 4.4 shows a topic without configs.
        for (name, expected) in [
            ("retention.ms", "Default retention.ms=604800000 {}"),
            ("segment.bytes", "Default segment.bytes=1073741824 {Default:log.segment.bytes=1073741824}"),
            ("min.insync.replicas", "Default min.insync.replicas=1 {Default:min.insync.replicas=1}"),
            ("remote.storage.enable", "Default remote.storage.enable=false {}"),
            ("flush.ms", "Default flush.ms=9223372036854775807 {}"),
        ] {
            assert_eq!(show(&image, &statics, name), expected);
        }
        statics.set("log.retention.hours", "1");
        set(&mut image, ConfigResource::all_brokers(), "log.retention.ms", "7200000");
        set(&mut image, ConfigResource::broker(NodeId(1)), "log.retention.ms", "1000");
        set(&mut image, ConfigResource::broker(NodeId(2)), "log.retention.ms", "2000");
        let rest = "DynamicBroker:log.retention.ms=1000, DynamicDefaultBroker:log.retention.ms=7200000, \
                    StaticBroker:log.retention.hours=1, Default:log.retention.hours=168}";
        assert_eq!(
            show(&image, &statics, "retention.ms"),
            format!("DynamicBroker retention.ms=1000 {{{rest}")
        );
        set(&mut image, ConfigResource::topic("t"), "retention.ms", "5");
        assert_eq!(
            show(&image, &statics, "retention.ms"),
            format!("Topic retention.ms=5 {{Topic:retention.ms=5, {rest}")
        );
    }

    #[test]
    fn brokers_hide_secrets_and_show_what_their_file_holds() {
        let image = Image::new();
        let mut statics = StaticConfig::new();
        for (name, value) in [
            ("ssl.key.password", "hunter2"),
            ("my.plugin.key", "hunter2"),
            ("num.partitions", "3"),
            ("log.retention.hours", "2"),
        ] {
            statics.set(name, value);
        }
        let layers = Layers::of_broker(&image, &statics, NodeId(1));
        let all = describe_broker(&layers, |_| true);
        assert!(!format!("{all:?}").contains("hunter2"));
        let of = |name: &str| all.iter().find(|described| described.name == name).unwrap();
        assert!(of("ssl.key.password").sensitive && !of("ssl.key.password").read_only);
        assert_eq!((of("my.plugin.key").kind_id(), of("my.plugin.key").value.clone()), (0, None));
        assert_eq!(
            shown(of("num.partitions")),
            "StaticBroker num.partitions=3 {StaticBroker:num.partitions=3, Default:num.partitions=1}"
        );
        assert!(of("num.partitions").read_only && !of("log.segment.bytes").read_only);
        assert_eq!(shown(of("log.retention.ms")), "Default log.retention.ms=null {}");
        assert_eq!(
            shown(of("log.retention.hours")),
            "StaticBroker log.retention.hours=2 {StaticBroker:log.retention.hours=2, \
             Default:log.retention.hours=168}"
        );
        assert!(of("num.io.threads").documentation.as_ref().unwrap().contains("no effect here"));
    }

    /// As Kafka 4.3.1 shows them.
    #[test]
    fn a_config_in_several_units_shows_the_units_that_count_less() {
        let mut image = Image::new();
        let mut statics = StaticConfig::new();
        for (name, value) in
            [("log.roll.hours", "9"), ("log.roll.jitter.ms", "8"), ("log.flush.interval.ms", "7")]
        {
            statics.set(name, value);
        }
        set(&mut image, ConfigResource::all_brokers(), "log.retention.ms", "7200000");
        set(&mut image, ConfigResource::topic("t"), "cleanup.policy", "delete, delete");
        let broker = Layers::of_broker(&image, &statics, NodeId(1));
        let topic = Str::from("t");
        let topic = Layers::of_topic(&image, &statics, NodeId(1), &topic);
        let brokers = describe_broker(&broker, |_| true);
        let topics = describe_topic(&topic, |_| true);
        let of = |all: &[Described], name: &str| {
            shown(all.iter().find(|described| described.name == name).unwrap())
        };
        let hours = "Default:log.retention.hours=168}";
        for (name, expected) in [
            (
                "log.retention.ms",
                format!(
                    "DynamicDefaultBroker log.retention.ms=7200000 {{DynamicDefaultBroker:log.retention.ms=7200000, {hours}"
                ),
            ),
            ("log.retention.minutes", "Default log.retention.minutes=null {}".to_owned()),
            ("log.retention.hours", format!("Default log.retention.hours=168 {{{hours}")),
            ("log.roll.ms", "Default log.roll.ms=null {}".to_owned()),
        ] {
            assert_eq!(of(&brokers, name), expected);
        }
        for (name, expected) in [
            (
                "retention.ms",
                format!("DynamicDefaultBroker retention.ms=7200000 {{DynamicDefaultBroker:log.retention.ms=7200000, {hours}"),
            ),
            ("segment.ms", "Default segment.ms=32400000 {}".to_owned()),
            (
                "segment.jitter.ms",
                "StaticBroker segment.jitter.ms=8 {StaticBroker:log.roll.jitter.ms=8, Default:log.roll.jitter.hours=0}"
                    .to_owned(),
            ),
            (
                "cleanup.policy",
                "Topic cleanup.policy=delete {Topic:cleanup.policy=delete, Default:log.cleanup.policy=delete}"
                    .to_owned(),
            ),
        ] {
            assert_eq!(of(&topics, name), expected);
        }
    }

    #[test]
    fn groups_go_by_the_configs_of_the_broker() {
        let mut image = Image::new();
        let mut statics = StaticConfig::new();
        statics.set("group.consumer.heartbeat.interval.ms", "4000");
        set(&mut image, ConfigResource::group("g"), "consumer.session.timeout.ms", "50000");
        let layers = Layers::of_resource(&image, &statics, NodeId(1), &ConfigResource::group("g"));
        let all = describe_all(&layers, Scope::Group, |name| name.starts_with("consumer."));
        let all: Vec<String> = all.iter().map(shown).collect();
        assert_eq!(
            all,
            [
                "Default consumer.assignment.interval.ms=1000 {Default:group.consumer.assignment.interval.ms=1000}",
                "StaticBroker consumer.heartbeat.interval.ms=4000 {StaticBroker:group.consumer.heartbeat.interval.ms=4000, \
                 Default:group.consumer.heartbeat.interval.ms=5000}",
                "Group consumer.session.timeout.ms=50000 {Group:consumer.session.timeout.ms=50000, \
                 Default:group.consumer.session.timeout.ms=45000}",
            ]
        );
    }

    #[test]
    fn the_defaults_of_all_brokers_are_what_was_set_on_them() {
        let mut image = Image::new();
        let statics = StaticConfig::new();
        set(&mut image, ConfigResource::all_brokers(), "log.retention.ms", "7200000");
        let layers = Layers::of_broker(&image, &statics, NodeId(1));
        let described = one(describe_broker_defaults(&layers, |_| true));
        assert_eq!(
            shown(&described),
            "DynamicDefaultBroker log.retention.ms=7200000 {DynamicDefaultBroker:log.retention.ms=7200000}"
        );
    }
}
