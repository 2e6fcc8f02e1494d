//! Metrics subscriptions (KIP-714): which clients are to push which metrics, and how often.
//!
//! Invariant: a pattern is matched in time linear in the text, whoever wrote it.

use regex::{Regex, RegexBuilder};

use super::value::elements;
use super::{Scope, Value, find};
use crate::image::Configs;
use protocol::Str;

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 256 << 10;

/// What is known of a client, under the names that patterns have for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFacts {
    pub instance_id: String,
    pub id: String,
    pub software_name: String,
    pub software_version: String,
    pub source_address: String,
    pub source_port: String,
}

impl ClientFacts {
    fn of(&self, what: &str) -> Option<&str> {
        let fact = match what {
            "client_instance_id" => &self.instance_id,
            "client_id" => &self.id,
            "client_software_name" => &self.software_name,
            "client_software_version" => &self.software_version,
            "client_source_address" => &self.source_address,
            "client_source_port" => &self.source_port,
            _ => return None,
        };
        Some(fact)
    }
}

/// One element of `match`: something known of a client, and what all of it must look like.
#[derive(Clone, Debug)]
pub struct ClientPattern {
    what: String,
    pattern: Regex,
}

impl ClientPattern {
    /// `what=pattern`; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<ClientPattern, String> {
        let (what, pattern) = text.split_once('=').ok_or("there is no =")?;
        let (what, pattern) = (what.trim(), pattern.trim());
        if ClientFacts::default().of(what).is_none() {
            return Err(format!("{what:?} is not something that is known of clients"));
        }
        if pattern.is_empty() || pattern.contains('=') {
            return Err("the pattern is empty or has a second =".to_owned());
        }
        let whole = RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(PATTERN_BYTES_MAX).build();
        // The error of the library draws a picture over several lines.
        let whole = whole.map_err(|error| match error {
            regex::Error::CompiledTooBig(bytes) => format!("the pattern takes more than {bytes} bytes"),
            _ => "the pattern is no regular expression, or has lookaround or backreferences".to_owned(),
        })?;
        Ok(ClientPattern { what: what.to_owned(), pattern: whole })
    }
}

/// The configs of one subscription, read.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Prefixes of names; `*` is all.
    pub metrics: Vec<String>,
    pub interval_ms: i32,
    patterns: Vec<ClientPattern>,
}

impl Subscription {
    /// What is not valid is passed over.
    pub fn of(configs: &Configs) -> Subscription {
        let list = |name: &str| configs.get(name).map(Str::as_str).map(elements).unwrap_or_default();
        let interval = find(Scope::ClientMetrics, "interval.ms").and_then(|definition| {
            let set = configs.get("interval.ms").and_then(|text| definition.parse(text).ok());
            set.or_else(|| definition.parse(definition.default?).ok())
        });
        let interval_ms = match interval {
            Some(Value::Number(number)) => i32::try_from(number).unwrap_or(i32::MAX),
            _ => i32::MAX,
        };
        let patterns = list("match").iter().filter_map(|text| ClientPattern::parse(text).ok()).collect();
        Subscription { metrics: list("metrics"), interval_ms, patterns }
    }

    /// Whether it is for a client of which this is known. Without patterns it is for all.
    pub fn matches(&self, client: &ClientFacts) -> bool {
        let fits = |pattern: &ClientPattern| {
            client.of(&pattern.what).is_some_and(|fact| pattern.pattern.is_match(fact))
        };
        self.patterns.iter().all(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(pairs: &[(&str, &str)]) -> Subscription {
        let configs = pairs.iter().map(|(name, value)| (Str::from(*name), Str::from(*value))).collect();
        Subscription::of(&configs)
    }

    #[test]
    fn clients_are_picked_by_what_all_of_a_fact_looks_like() {
        let client = ClientFacts {
            id: "orders-7".into(),
            software_name: "apache-kafka-java".into(),
            software_version: "4.4.0".into(),
            ..ClientFacts::default()
        };
        for (patterns, fits) in [
            ("", true),
            ("client_id=orders-.*", true),
            ("client_id=orders", false),
            ("client_id=orders-.*, client_software_version = 4\\..*", true),
            ("client_id=orders-.*,client_software_version=3.*", false),
            ("client_id=a|orders-7", true),
        ] {
            assert_eq!(subscription(&[("match", patterns)]).matches(&client), fits, "{patterns}");
        }
    }

    #[test]
    fn subscriptions_have_defaults() {
        let default = subscription(&[]);
        assert_eq!((default.interval_ms, default.metrics.len()), (300_000, 0));
        let set = subscription(&[("interval.ms", "1000"), ("metrics", "a., b.c")]);
        assert_eq!((set.interval_ms, set.metrics), (1000, vec!["a.".to_owned(), "b.c".to_owned()]));
    }

    #[test]
    fn patterns_say_what_is_wrong_with_them() {
        for (text, why) in [
            ("client_id", "there is no ="),
            ("id=x", "\"id\" is not something that is known of clients"),
            ("client_id=", "the pattern is empty or has a second ="),
            ("client_id=a=b", "the pattern is empty or has a second ="),
            ("client_id=(", "the pattern is no regular expression, or has lookaround or backreferences"),
            ("client_id=(?=x)", "the pattern is empty or has a second ="),
            ("client_id=(?!x)", "the pattern is no regular expression, or has lookaround or backreferences"),
            ("client_id=(a{1000}){1000}", "the pattern takes more than 262144 bytes"),
        ] {
            assert_eq!(ClientPattern::parse(text).unwrap_err(), why, "{text}");
        }
    }
}
