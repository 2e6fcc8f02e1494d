//! `bourn config describe`

use client::Admin;
use client::admin::{ConfigDetails, ConfigEntry, ConfigResource, ConfigSource};
use protocol::Str;
use serde::Serialize;

use super::{Kind, Target, name_of};
use crate::context::{Globals, explain};
use crate::output;

#[derive(clap::Args)]
pub(crate) struct Describe {
    #[command(flatten)]
    target: Target,
    /// Also what has its default
    #[arg(short, long)]
    all: bool,
    /// Only these configs, whatever they have
    #[arg(short, long = "config", value_name = "NAME,...", value_delimiter = ',')]
    configs: Vec<String>,
}

/// Part of the JSON that docs/cli.md describes.
#[derive(Serialize)]
struct Described {
    kind: &'static str,
    name: Option<String>,
    configs: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    /// Null for secrets, and for what has no value.
    value: Option<String>,
    source: String,
    /// What it would be if nobody had set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    sensitive: bool,
    needs_restart: bool,
    synonyms: Vec<Synonym>,
    #[serde(skip_serializing_if = "Option::is_none")]
    documentation: Option<String>,
}

#[derive(Serialize)]
struct Synonym {
    name: String,
    value: Option<String>,
    source: String,
}

impl Describe {
    pub(super) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        let resource = self.target.resource()?;
        let details = ConfigDetails { synonyms: true, documentation: globals.is_json() };
        let entries = globals.with_cluster(async |_, cluster| {
            // A broker that nobody has heard of cannot be asked.
            cluster.refresh(Vec::new(), false).await.map_err(explain)?;
            Admin::new(&cluster).describe_configs_with(&resource, details).await.map_err(explain)
        })?;
        let unknown =
            self.configs.iter().find(|name| entries.iter().all(|entry| entry.name != name.as_str()));
        if let Some(name) = unknown {
            anyhow::bail!("{resource} has no config {name}; --all shows what it has");
        }
        let described = Described {
            kind: Kind::of(resource.kind()).name(),
            name: name_of(&resource),
            configs: entries.iter().filter(|entry| self.is_of_interest(entry)).map(shown).collect(),
        };
        if globals.is_json() {
            return output::print_json(&described);
        }
        if described.configs.is_empty() {
            eprintln!("{}", self.nothing(&resource));
            return Ok(());
        }
        output::print(&text(&described))
    }

    fn is_of_interest(&self, entry: &ConfigEntry) -> bool {
        let inherited = match self.target.kind {
            // What a topic takes over from its broker was not set on it.
            Kind::Topic => entry.source != ConfigSource::Topic,
            _ => entry.source == ConfigSource::Default,
        };
        if self.configs.is_empty() {
            self.all || !inherited
        } else {
            self.configs.iter().any(|name| entry.name == name.as_str())
        }
    }

    fn nothing(&self, resource: &ConfigResource) -> String {
        match self.all {
            true => format!("{resource} has no configs"),
            false => format!("no config of {resource} was set; --all shows what it has"),
        }
    }
}

fn shown(entry: &ConfigEntry) -> Shown {
    let text = |value: &Option<Str>| value.as_ref().map(Str::to_string);
    let default = entry.synonyms.iter().find(|synonym| synonym.source == ConfigSource::Default);
    let default = default.map(|synonym| &synonym.value);
    Shown {
        name: entry.name.to_string(),
        value: text(&entry.value),
        source: source(entry.source),
        default: match entry.source {
            ConfigSource::Default => text(&entry.value),
            _ => default.and_then(text),
        },
        sensitive: entry.is_sensitive,
        needs_restart: entry.is_read_only,
        synonyms: entry
            .synonyms
            .iter()
            .map(|synonym| Synonym {
                name: synonym.name.to_string(),
                value: text(&synonym.value),
                source: source(synonym.source),
            })
            .collect(),
        documentation: text(&entry.documentation),
    }
}

fn source(source: ConfigSource) -> String {
    let name = match source {
        ConfigSource::Unknown => "unknown",
        ConfigSource::Topic => "topic",
        ConfigSource::DynamicBroker => "broker",
        ConfigSource::DynamicDefaultBroker => "all-brokers",
        ConfigSource::StaticBroker => "file",
        ConfigSource::Default => "default",
        ConfigSource::BrokerLogger => "logger",
        ConfigSource::ClientMetrics => "client-metrics",
        ConfigSource::Group => "group",
        ConfigSource::Other(code) => return format!("source-{code}"),
    };
    name.to_owned()
}

fn text(described: &Described) -> String {
    let value = |value: &Option<String>, sensitive: bool| match (value, sensitive) {
        (None, true) => "(hidden)".to_owned(),
        (value, _) => value.clone().unwrap_or_default(),
    };
    let with_restart = described.configs.iter().any(|shown| shown.needs_restart);
    let rows = described.configs.iter().map(|shown| {
        let restart = if shown.needs_restart { "by restart" } else { "" };
        [
            shown.name.clone(),
            value(&shown.value, shown.sensitive),
            shown.source.clone(),
            shown.default.clone().unwrap_or_default(),
            restart.to_owned(),
        ]
    });
    let last = if with_restart { "CHANGES" } else { "" };
    output::table(["CONFIG", "VALUE", "FROM", "DEFAULT", last], rows).to_string()
}

#[cfg(test)]
mod tests {
    use client::admin::ConfigSynonym;

    use super::*;

    #[test]
    fn shapes() {
        let synonym = |name: &str, value: &str, source| ConfigSynonym {
            name: Str::from(name),
            value: Some(Str::from(value)),
            source,
        };
        let entry = |name: &str, value: Option<&str>, source| ConfigEntry {
            name: Str::from(name),
            value: value.map(Str::from),
            source,
            is_sensitive: value.is_none(),
            is_read_only: name.starts_with("num"),
            synonyms: vec![synonym(name, "7", source), synonym("log.something", "5", ConfigSource::Default)],
            documentation: None,
        };
        let entries = [
            entry("num.network.threads", Some("7"), ConfigSource::StaticBroker),
            entry("retention.ms", Some("7"), ConfigSource::DynamicDefaultBroker),
            entry("ssl.key.password", None, ConfigSource::DynamicBroker),
            entry("segment.ms", Some("1"), ConfigSource::Default),
        ];
        let configs = entries.iter().map(shown).collect();
        let described = Described { kind: "broker", name: Some("1".to_owned()), configs };
        insta::assert_snapshot!("config_text", text(&described));
        insta::assert_snapshot!("config_json", serde_json::to_string_pretty(&described.configs[0]).unwrap());
    }
}
