//! Configs that are right one by one and not together.

use super::Reader;
use crate::config::{ConfigError, InvalidValue, Problem, check_cordoned};

/// Kafka takes no less for the keys of one cleaner.
const CLEANER_MAP_BYTES_MIN: usize = 1 << 20;

impl Reader<'_> {
    pub(super) fn contradictions(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let statics = self.layers.statics();
        let both = |name: &'static str, other: &'static str| {
            (statics.get(name).is_some() && statics.get(other).is_some()).then_some((name, other))
        };
        if let Some((name, other)) = both("node.id", "broker.id")
            && statics.get(name).map(str::trim) != statics.get(other).map(str::trim)
            && statics.get(other).map(str::trim) != Some("-1")
        {
            errors.push(ConfigError::Conflict { name, other, why: "they are one number".to_owned() });
        }
        if let Some((name, other)) = both("inter.broker.listener.name", "security.inter.broker.protocol") {
            errors.push(ConfigError::Conflict { name, other, why: "only one of them may be set".to_owned() });
        }
        let log = self.log_directories();
        if log.is_empty() {
            errors.push(ConfigError::Missing { name: "log.dirs", why: "data needs a directory" });
        }
        errors.extend(check_cordoned(&self.list("cordoned.log.dirs"), &log).err());
        errors.extend(self.no_retention());
        let (name, other) = ("log.cleaner.dedupe.buffer.size", "log.cleaner.threads");
        let (map, threads) = (self.count(name), self.count(other));
        if map.checked_div(threads).is_some_and(|bytes| bytes <= CLEANER_MAP_BYTES_MIN) {
            let why = format!("{map} bytes are not more than 1 MiB for each of {threads} threads");
            errors.push(ConfigError::Conflict { name, other, why });
        }
        let (interval, timeout) =
            (self.number("broker.heartbeat.interval.ms"), self.number("broker.session.timeout.ms"));
        if interval >= timeout {
            errors.push(ConfigError::Conflict {
                name: "broker.heartbeat.interval.ms",
                other: "broker.session.timeout.ms",
                why: format!("a heartbeat every {interval} ms comes too late for {timeout} ms"),
            });
        }
        errors.extend(self.consumer_group_limits());
        errors
    }

    /// What groups have that choose nothing is within the limits of those that do, and a member that keeps to the heartbeat
    /// interval is never silent for a whole session.
    fn consumer_group_limits(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut ordered = |name: &'static str, other: &'static str| {
            let (less, more) = (self.number(name), self.number(other));
            if less > more {
                errors.push(ConfigError::Conflict {
                    name,
                    other,
                    why: format!("{less} is more than {more}"),
                });
            }
        };
        for (min, value, max) in [
            (
                "group.consumer.min.session.timeout.ms",
                "group.consumer.session.timeout.ms",
                "group.consumer.max.session.timeout.ms",
            ),
            (
                "group.consumer.min.heartbeat.interval.ms",
                "group.consumer.heartbeat.interval.ms",
                "group.consumer.max.heartbeat.interval.ms",
            ),
            (
                "group.consumer.min.assignment.interval.ms",
                "group.consumer.assignment.interval.ms",
                "group.consumer.max.assignment.interval.ms",
            ),
        ] {
            ordered(min, value);
            ordered(value, max);
        }
        let (name, other) = ("group.consumer.heartbeat.interval.ms", "group.consumer.session.timeout.ms");
        let (heartbeat_ms, session_ms) = (self.number(name), self.number(other));
        if heartbeat_ms >= session_ms {
            let why = format!("a heartbeat every {heartbeat_ms} ms comes too late for {session_ms} ms");
            errors.push(ConfigError::Conflict { name, other, why });
        }
        errors
    }

    /// Nobody wants that records go at once. Kafka refuses it, whichever unit says so.
    fn no_retention(&self) -> Option<ConfigError> {
        let names = ["log.retention.ms", "log.retention.minutes", "log.retention.hours"];
        let statics = self.layers.statics();
        let (name, value) = names.into_iter().find_map(|name| Some((name, statics.get(name)?)))?;
        // Of the first one it has been said already.
        if value.trim() != "0" || name == names[0] {
            return None;
        }
        let problem = Problem::BelowMinimum { value: "0".to_owned(), minimum: 1 };
        Some(InvalidValue { name: name.to_owned(), problem }.into())
    }
}
