//! [`StaticConfig`]: what was set before the broker started.

use std::collections::BTreeMap;
use std::fmt;

use super::names::{is_open, listener_limit};
use super::{InvalidValue, ListenerError, PropertiesError, Scope, find, nearest, parse_properties, removed};

/// The file and the arguments, as text by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticConfig {
    values: BTreeMap<String, String>,
}

/// A config that cannot be taken as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    #[error("{name} is not a {} config{}", scope.name(), did_you_mean(*nearest))]
    Unknown { name: String, scope: Scope, nearest: Option<&'static str> },
    #[error("{name} is no longer a config: {instead}")]
    Removed { name: String, instead: &'static str },
    #[error(transparent)]
    Listener(#[from] ListenerError),
    #[error("{name} and {other} contradict each other: {why}")]
    Conflict { name: &'static str, other: &'static str, why: String },
    #[error("{name} is needed: {why}")]
    Missing { name: &'static str, why: &'static str },
}

fn did_you_mean(nearest: Option<&'static str>) -> String {
    nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

impl ConfigError {
    /// The error for a name that is not in the list.
    pub fn unknown(scope: Scope, name: &str) -> ConfigError {
        match removed(name) {
            Some(removed) => ConfigError::Removed { name: name.to_owned(), instead: removed.instead },
            None => ConfigError::Unknown { name: name.to_owned(), scope, nearest: nearest(scope, name) },
        }
    }
}

/// Something about a config that its owner should know and that stops nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    Removed {
        name: String,
        instead: &'static str,
    },
    Unknown {
        name: String,
        nearest: Option<&'static str>,
    },
    /// A config of a listener that there is not.
    NoListener {
        name: String,
        listener: String,
    },
    NoEffect {
        name: &'static str,
        reason: &'static str,
    },
    /// Configs that are to keep people out, and do not.
    Open {
        names: Vec<String>,
    },
    /// A `${provider:key}` that no provider has a value for.
    Unresolved {
        name: String,
        reference: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Removed { name, instead } => {
                write!(f, "{name} is no longer a config and is ignored: {instead}")
            }
            Note::Unknown { name, nearest } => {
                write!(f, "{name} is not a broker config and is ignored{}", did_you_mean(*nearest))
            }
            Note::NoListener { name, listener } => {
                write!(f, "{name} is ignored: none of listeners is called {listener}")
            }
            Note::NoEffect { name, reason } => write!(f, "{name} has no effect here: {reason}"),
            Note::Open { names } => {
                let names = names.join(", ");
                write!(f, "no effect yet: {names}; the listeners are open to everybody who reaches them")
            }
            Note::Unresolved { name, reference } => {
                write!(f, "{name}: nobody has a value for {reference}, so it stays as it is")
            }
        }
    }
}

impl StaticConfig {
    pub fn new() -> StaticConfig {
        StaticConfig::default()
    }

    /// What a `server.properties` says.
    pub fn from_properties(text: &str) -> Result<StaticConfig, PropertiesError> {
        Ok(StaticConfig { values: parse_properties(text)?.into_iter().collect() })
    }

    /// Sets a value over what is there (`--set`).
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.values.insert(name.into(), value.into());
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Names of what is set so that not everybody may connect or do everything.
    fn protecting(&self) -> impl Iterator<Item = &str> {
        let protects = |name: &str| {
            let of_all = ["super.users", "allow.everyone.if.no.acl.found"];
            let base = name.strip_prefix("listener.name.").and_then(|name| Some(name.split_once('.')?.1));
            let base = base.unwrap_or(name);
            // With a mechanism in front of it for one listener.
            of_all.contains(&base)
                || base.starts_with("ssl.")
                || base.starts_with("sasl.")
                || base.contains(".sasl.")
        };
        self.iter().filter(move |(name, _)| protects(name)).map(|(name, _)| name)
    }

    /// What is wrong with single values, and what is worth saying about them. Unknown names are ignored as in Kafka,
    /// so that files of other versions run; ours are not, since only a typing error makes one.
    pub fn check(&self) -> (Vec<ConfigError>, Vec<Note>) {
        let (mut errors, mut notes) = (Vec::new(), Vec::new());
        let protecting: Vec<String> = self.protecting().map(str::to_owned).collect();
        if !protecting.is_empty() {
            notes.push(Note::Open { names: protecting });
        }
        for (name, text) in self.iter() {
            let Some(definition) = find(Scope::Broker, name) else {
                let limit = listener_limit(name).and_then(|(_, limit)| find(Scope::Broker, limit));
                if let Some(Err(invalid)) = limit.map(|limit| limit.parse(text)) {
                    errors.push(InvalidValue { name: name.to_owned(), ..invalid }.into());
                }
                if let Some(removed) = removed(name) {
                    notes.push(Note::Removed { name: name.to_owned(), instead: removed.instead });
                } else if name.starts_with("bourn.") {
                    errors.push(ConfigError::unknown(Scope::Broker, name));
                } else if !is_open(name) {
                    notes
                        .push(Note::Unknown { name: name.to_owned(), nearest: nearest(Scope::Broker, name) });
                }
                continue;
            };
            if let Err(invalid) = definition.parse(text) {
                errors.push(invalid.into());
            }
            if let Some(reason) = definition.no_effect {
                notes.push(Note::NoEffect { name: definition.name, reason });
            }
        }
        (errors, notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_version_runs_and_says_what_it_ignores() {
        let text = "num.partitions=3\nzookeeper.connect=z:2181\nnum.partition=4\nmy.plugin.setting=1\n\
                    listener.name.internal.ssl.keystore.location=x\nnum.io.threads=8\n\
                    listener.name.internal.max.connections=9\nlistener.names=x\n";
        let (errors, notes) = StaticConfig::from_properties(text).unwrap().check();
        assert_eq!(errors, []);
        let notes: Vec<String> = notes.iter().map(ToString::to_string).collect();
        assert_eq!(
            notes,
            [
                "no effect yet: listener.name.internal.ssl.keystore.location; the listeners are open to everybody who \
                 reaches them",
                "listener.names is not a broker config and is ignored",
                "my.plugin.setting is not a broker config and is ignored",
                "num.io.threads has no effect here: shards share the cores, one a core; there are no pools of threads",
                "num.partition is not a broker config and is ignored; did you mean num.partitions?",
                "zookeeper.connect is no longer a config and is ignored: there is no ZooKeeper; the nodes keep the \
                 metadata themselves",
            ]
        );
    }

    #[test]
    fn wrong_values_and_misspelt_names_of_ours_are_errors() {
        let text = "num.partitions=0\nbourn.journal.max.byte=1\nlog.segment.bytes=big\n\
                    listener.name.internal.max.connections=-1\n";
        let (errors, _) = StaticConfig::from_properties(text).unwrap().check();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            [
                "bourn.journal.max.byte is not a broker config; did you mean bourn.journal.max.bytes?",
                "listener.name.internal.max.connections: -1 is below the minimum 0",
                "log.segment.bytes: \"big\" is not a number of type int",
                "num.partitions: 0 is below the minimum 1",
            ]
        );
    }
}
