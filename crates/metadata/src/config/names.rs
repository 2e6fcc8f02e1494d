//! Names that are not configs: misspelt ones, and ones that are no more.

use super::{Scope, broker_synonyms, definitions};

/// A config that Kafka had once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The whole name, or the beginning of it if it ends with a dot.
    pub name: &'static str,
    /// What to use or to know now.
    pub instead: &'static str,
}

const REMOVED: &[Removed] = &[
    Removed { name: "zookeeper.", instead: "there is no ZooKeeper; the nodes keep the metadata themselves" },
    Removed { name: "broker.id.generation.enable", instead: "node.id is minted when it is not set" },
    Removed { name: "reserved.broker.max.id", instead: "node.id is minted when it is not set" },
    Removed { name: "control.plane.listener.name", instead: "use controller.listener.names" },
    Removed { name: "inter.broker.protocol.version", instead: "feature levels follow the cluster" },
    Removed { name: "log.message.format.version", instead: "records are always in the current format" },
    Removed {
        name: "log.message.downconversion.enable",
        instead: "records are always in the current format",
    },
    Removed {
        name: "log.message.timestamp.difference.max.ms",
        instead: "use log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms",
    },
    Removed { name: "message.format.version", instead: "records are always in the current format" },
    Removed { name: "message.downconversion.enable", instead: "records are always in the current format" },
    Removed {
        name: "message.timestamp.difference.max.ms",
        instead: "use message.timestamp.before.max.ms and message.timestamp.after.max.ms",
    },
    Removed {
        name: "offsets.commit.required.acks",
        instead: "offset commits always wait for every in-sync replica",
    },
    Removed { name: "delegation.token.master.key", instead: "use delegation.token.secret.key" },
    Removed { name: "password.encoder.", instead: "passwords are not kept in an encoded form" },
    Removed {
        name: "controlled.shutdown.max.retries",
        instead: "a controlled shutdown goes on until it is done",
    },
    Removed {
        name: "controlled.shutdown.retry.backoff.ms",
        instead: "a controlled shutdown goes on until it is done",
    },
    Removed {
        name: "eligible.leader.replicas.enable",
        instead: "the feature eligible.leader.replicas.version decides",
    },
    Removed {
        name: "leader.imbalance.per.broker.percentage",
        instead: "leaders are given back as soon as possible",
    },
    Removed { name: "group.share.enable", instead: "the feature share.version decides" },
    Removed { name: "group.share.max.groups", instead: "share groups are not limited in number" },
    Removed { name: "group.coordinator.new.enable", instead: "there is one group coordinator only" },
    Removed { name: "unstable.api.versions.enable", instead: "unstable versions are not served" },
    Removed { name: "unstable.feature.versions.enable", instead: "unstable features are not served" },
    Removed { name: "auto.include.jmx.reporter", instead: "there is no JMX" },
    Removed { name: "advertised.host.name", instead: "use advertised.listeners" },
    Removed { name: "advertised.port", instead: "use advertised.listeners" },
    Removed { name: "host.name", instead: "use listeners" },
    Removed { name: "port", instead: "use listeners" },
];

/// Beginnings of names that belong to a listener, a plugin or a source of values.
const OPEN_PREFIXES: [&str; 5] =
    ["listener.name.", "config.providers.", "rsm.config.", "rlmm.config.", "metrics.context."];

/// What became of `name`, if Kafka had it once.
pub fn removed(name: &str) -> Option<&'static Removed> {
    REMOVED.iter().find(|removed| {
        name == removed.name || (removed.name.ends_with('.') && name.starts_with(removed.name))
    })
}

/// Whether names like this are free to choose.
pub(super) fn is_open(name: &str) -> bool {
    OPEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The listener that a name such as `listener.name.internal.max.connections` limits, as the name writes it, and the
/// config of the broker that has the same meaning for all listeners.
pub fn listener_limit(name: &str) -> Option<(&str, &'static str)> {
    let rest = name.strip_prefix("listener.name.")?;
    ["max.connections", "max.connection.creation.rate"].into_iter().find_map(|config| {
        let listener = rest.strip_suffix(config)?.strip_suffix('.')?;
        Some((listener, config))
    })
}

/// The config of that scope that was probably meant by an unknown `name`.
pub fn nearest(scope: Scope, name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase().replace(['_', '-'], ".");
    let of_scope = || definitions().filter(|definition| definition.scope == scope);
    // Somebody who sets `log.retention.hours` or `retention.hours` on a topic means `retention.ms`.
    let twin = of_scope().filter(|_| scope != Scope::Broker).find(|definition| {
        let mut synonyms = broker_synonyms(definition).iter();
        synonyms.any(|(name, _)| *name == lower || name.strip_prefix("log.") == Some(lower.as_str()))
    });
    if let Some(twin) = twin {
        return Some(twin.name);
    }
    // And the other way round on a broker.
    let topic = definitions().find(|definition| definition.scope == Scope::Topic && definition.name == lower);
    if scope == Scope::Broker
        && let Some((synonym, _)) = topic.and_then(|definition| broker_synonyms(definition).first())
    {
        return Some(synonym);
    }
    let allowed = (lower.len() / 5).clamp(1, 4);
    of_scope()
        .map(|definition| (distance(definition.name, &lower), definition.name))
        .min()
        .filter(|(distance, _)| *distance <= allowed)
        .map(|(_, name)| name)
}

/// Letters to add, take away or replace to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, letter) in from.bytes().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, other) in row.iter_mut().skip(1).zip(to.bytes()) {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters() {
        for (from, to, letters) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(distance(from, to), letters, "{from} {to}");
        }
    }

    #[test]
    fn what_was_meant_is_found() {
        for (scope, name, meant) in [
            (Scope::Topic, "retention.mss", Some("retention.ms")),
            (Scope::Topic, "cleanup_policy", Some("cleanup.policy")),
            (Scope::Topic, "log.retention.hours", Some("retention.ms")),
            (Scope::Topic, "Segment.Bytes", Some("segment.bytes")),
            (Scope::Broker, "retention.ms", Some("log.retention.ms")),
            (Scope::Broker, "num.partition", Some("num.partitions")),
            (Scope::Broker, "bourn.memory.max.byte", Some("bourn.memory.max.bytes")),
            (Scope::Broker, "my.own.setting", None),
            (Scope::Topic, "", None),
        ] {
            assert_eq!(nearest(scope, name), meant, "{name}");
        }
    }

    #[test]
    fn what_is_no_more_says_what_to_use() {
        assert_eq!(removed("zookeeper.connect").unwrap().name, "zookeeper.");
        assert_eq!(removed("port").unwrap().instead, "use listeners");
        assert_eq!(removed("portal"), None);
        assert_eq!(removed("log.dirs"), None);
        for gone in REMOVED {
            assert!(definitions().all(|definition| definition.name != gone.name), "{}", gone.name);
        }
    }
}
