//! [`Value`]: a value of a config, checked against its definition.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use super::{ClientPattern, Definition, Kind, Valid};

/// A checked value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Boolean(bool),
    Number(i64),
    Double(f64),
    Text(String),
    List(Vec<String>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Boolean(value) => write!(f, "{value}"),
            Value::Number(value) => write!(f, "{value}"),
            Value::Double(value) => write!(f, "{value:?}"),
            Value::Text(value) => f.write_str(value),
            Value::List(elements) => f.write_str(&elements.join(",")),
        }
    }
}

/// A value that a config does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct InvalidValue {
    pub name: String,
    pub problem: Problem,
}

/// What is wrong with a value. Values of passwords are never part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    NotABoolean { value: String },
    NotANumber { value: String, kind: Kind },
    BelowMinimum { value: String, minimum: i64 },
    AboveMaximum { value: String, maximum: i64 },
    NotOneOf { value: String, choices: &'static [&'static str] },
    Empty,
    NotGzipLevel { value: String },
    NotThrottledReplicas { value: String },
    NotOffsetReset { value: String },
    NotPerIpOverride { value: String },
    NotClientMatch { value: String, why: String },
    NoAuthorizer,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NotABoolean { value } => write!(f, "{value:?} is neither true nor false"),
            Problem::NotANumber { value, kind } => {
                write!(f, "{value:?} is not a number of type {}", kind.name())
            }
            Problem::BelowMinimum { value, minimum } => write!(f, "{value} is below the minimum {minimum}"),
            Problem::AboveMaximum { value, maximum } => write!(f, "{value} is above the maximum {maximum}"),
            Problem::NotOneOf { value, choices } => {
                write!(f, "{value:?} is not one of {}", choices.join(", "))
            }
            Problem::Empty => f.write_str("the value may not be empty"),
            Problem::NotGzipLevel { value } => {
                write!(f, "{value} is not a level of gzip, 1 to 9 or -1 for the default")
            }
            Problem::NotThrottledReplicas { value } => {
                write!(f, "{value:?} is neither * nor partition:broker")
            }
            Problem::NotOffsetReset { value } => {
                write!(f, "{value:?} is not latest, earliest or by_duration: and a duration such as P3D")
            }
            Problem::NotPerIpOverride { value } => {
                write!(f, "{value:?} is not address:number; names of hosts are not looked up here")
            }
            Problem::NoAuthorizer => f.write_str(
                "there is no authorizer yet, so everybody who connects could do everything; \
                 to start an open broker all the same, take this config away",
            ),
            Problem::NotClientMatch { value, why } => write!(f, "{value:?} is not what=pattern: {why}"),
        }
    }
}

impl Definition {
    /// The value that `text` stands for.
    pub fn parse(&self, text: &str) -> Result<Value, InvalidValue> {
        self.parsed(text.trim()).map_err(|problem| InvalidValue { name: self.name.to_owned(), problem })
    }

    fn parsed(&self, text: &str) -> Result<Value, Problem> {
        match self.kind {
            Kind::Boolean if text.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
            Kind::Boolean if text.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
            Kind::Boolean => Err(Problem::NotABoolean { value: text.to_owned() }),
            Kind::Int | Kind::Short | Kind::Long => {
                let number = whole(text, self.kind)
                    .ok_or_else(|| Problem::NotANumber { value: text.to_owned(), kind: self.kind })?;
                self.check_number(number, text)?;
                Ok(Value::Number(number))
            }
            Kind::Double => {
                let number = text.parse::<f64>().ok().filter(|number| !number.is_nan());
                let number =
                    number.ok_or_else(|| Problem::NotANumber { value: text.to_owned(), kind: self.kind })?;
                self.check_double(number, text)?;
                Ok(Value::Double(number))
            }
            Kind::String | Kind::Class | Kind::Password => {
                self.check_text(text)?;
                Ok(Value::Text(text.to_owned()))
            }
            Kind::List => {
                // Since Kafka 4.2 lists are sets: what is there again is left out.
                let mut elements = elements(text);
                let mut seen = HashSet::new();
                elements.retain(|element| seen.insert(element.clone()));
                self.check_list(&elements)?;
                Ok(Value::List(elements))
            }
        }
    }

    fn check_number(&self, number: i64, text: &str) -> Result<(), Problem> {
        let value = || text.to_owned();
        match self.valid {
            Valid::AtLeast(minimum) | Valid::Between(minimum, _) if number < minimum => {
                Err(Problem::BelowMinimum { value: value(), minimum })
            }
            Valid::Between(_, maximum) if number > maximum => {
                Err(Problem::AboveMaximum { value: value(), maximum })
            }
            Valid::PositiveOrUnlimited if number == 0 => {
                Err(Problem::BelowMinimum { value: value(), minimum: 1 })
            }
            Valid::GzipLevel if number != -1 && !(1..=9).contains(&number) => {
                Err(Problem::NotGzipLevel { value: value() })
            }
            _ => Ok(()),
        }
    }

    fn check_double(&self, number: f64, text: &str) -> Result<(), Problem> {
        let value = || text.to_owned();
        match self.valid {
            Valid::AtLeast(minimum) | Valid::Between(minimum, _) if number < minimum as f64 => {
                Err(Problem::BelowMinimum { value: value(), minimum })
            }
            Valid::Between(_, maximum) if number > maximum as f64 => {
                Err(Problem::AboveMaximum { value: value(), maximum })
            }
            _ => Ok(()),
        }
    }

    fn check_text(&self, text: &str) -> Result<(), Problem> {
        let value = || text.to_owned();
        match self.valid {
            Valid::NoAuthorizer if !text.is_empty() => Err(Problem::NoAuthorizer),
            Valid::NotEmpty if text.is_empty() => Err(Problem::Empty),
            Valid::OneOf(choices) if !choices.contains(&text) => {
                Err(Problem::NotOneOf { value: value(), choices })
            }
            Valid::OneOfAnyCase(choices)
                if !choices.iter().any(|choice| choice.eq_ignore_ascii_case(text)) =>
            {
                Err(Problem::NotOneOf { value: value(), choices })
            }
            Valid::OffsetReset if !is_offset_reset(text) => Err(Problem::NotOffsetReset { value: value() }),
            Valid::PerIpOverrides => per_ip_overrides(text).map(drop),
            _ => Ok(()),
        }
    }

    fn check_list(&self, elements: &[String]) -> Result<(), Problem> {
        for element in elements {
            let value = || element.clone();
            match self.valid {
                Valid::EachOf(choices) if !choices.contains(&element.as_str()) => {
                    return Err(Problem::NotOneOf { value: value(), choices });
                }
                Valid::ThrottledReplicas if !is_throttled_replica(element, elements.len()) => {
                    return Err(Problem::NotThrottledReplicas { value: value() });
                }
                Valid::ClientMatch => {
                    ClientPattern::parse(element)
                        .map_err(|why| Problem::NotClientMatch { value: value(), why })?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The elements of a list as it is written: commas with any space around them, and none for an empty text.
pub(crate) fn elements(text: &str) -> Vec<String> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    text.split(',').map(|element| element.trim().to_owned()).collect()
}

/// `address:number,...`; an IPv6 address may be in brackets.
pub(super) fn per_ip_overrides(text: &str) -> Result<Vec<(IpAddr, usize)>, Problem> {
    let pair = |text: String| {
        let pair = text.rsplit_once(':').and_then(|(host, number)| {
            let host = host.trim();
            let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            Some((inner.parse().ok()?, number.trim().parse().ok()?))
        });
        pair.ok_or(Problem::NotPerIpOverride { value: text })
    };
    elements(text).into_iter().map(pair).collect()
}

fn whole(text: &str, kind: Kind) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    let fits = match kind {
        Kind::Short => i16::try_from(number).is_ok(),
        Kind::Int => i32::try_from(number).is_ok(),
        _ => true,
    };
    fits.then_some(number)
}

fn is_throttled_replica(element: &str, of: usize) -> bool {
    let number = |text: &str| text.parse::<i32>().is_ok_and(|number| number >= 0);
    match element.split_once(':') {
        Some((partition, broker)) => number(partition) && number(broker),
        None => element == "*" && of == 1,
    }
}

fn is_offset_reset(text: &str) -> bool {
    match text.split_once(':') {
        Some(("by_duration", duration)) => is_duration(duration),
        None => matches!(text, "latest" | "earliest"),
        Some(_) => false,
    }
}

/// ISO 8601 in the form `PnDTnHnMn.nS`, not negative.
fn is_duration(text: &str) -> bool {
    let Some(text) = text.strip_prefix(['P', 'p']) else { return false };
    let upper = text.to_ascii_uppercase();
    let (days, time) =
        upper.split_once('T').map_or((upper.as_str(), None), |(days, time)| (days, Some(time)));
    let fields = |mut text: &str, units: &str| {
        let mut units = units.chars();
        while !text.is_empty() {
            let digits = text.find(|character: char| !(character.is_ascii_digit() || character == '.'));
            let Some((number, rest)) = digits.and_then(|digits| text.split_at_checked(digits)) else {
                return false;
            };
            let Some(unit) = rest.chars().next() else { return false };
            let whole = number.parse::<u64>().is_ok();
            let fraction = unit == 'S' && number.parse::<f64>().is_ok();
            if !(whole || fraction) || !units.any(|known| known == unit) {
                return false;
            }
            text = rest.get(unit.len_utf8()..).unwrap_or_default();
        }
        true
    };
    let some = !days.is_empty() || time.is_some();
    some && fields(days, "D") && time.is_none_or(|time| !time.is_empty() && fields(time, "HMS"))
}

#[cfg(test)]
mod tests {
    use super::super::{Scope, definitions, find};
    use super::*;

    fn refused(scope: Scope, name: &str, text: &str) -> String {
        find(scope, name).unwrap().parse(text).unwrap_err().to_string()
    }

    #[test]
    fn every_default_is_valid() {
        for definition in definitions() {
            if let Some(default) = definition.default {
                definition.parse(default).unwrap();
            }
        }
    }

    #[test]
    fn errors_name_the_config_the_value_and_the_limit() {
        use Scope::{Broker, Group, Topic};
        for (scope, name, text, error) in [
            (Topic, "segment.bytes", "100", "segment.bytes: 100 is below the minimum 1048576"),
            (Topic, "segment.bytes", "1 GB", "segment.bytes: \"1 GB\" is not a number of type int"),
            (
                Topic,
                "segment.bytes",
                "3000000000",
                "segment.bytes: \"3000000000\" is not a number of type int",
            ),
            (Topic, "preallocate", "yes", "preallocate: \"yes\" is neither true nor false"),
            (
                Topic,
                "cleanup.policy",
                "delete,compost",
                "cleanup.policy: \"compost\" is not one of compact, delete",
            ),
            (
                Broker,
                "offsets.topic.compression.codec",
                "9",
                "offsets.topic.compression.codec: 9 is above the maximum 4",
            ),
            (
                Topic,
                "min.cleanable.dirty.ratio",
                "1.5",
                "min.cleanable.dirty.ratio: 1.5 is above the maximum 1",
            ),
            (Topic, "compression.lz4.level", "18", "compression.lz4.level: 18 is above the maximum 17"),
            (
                Topic,
                "compression.gzip.level",
                "0",
                "compression.gzip.level: 0 is not a level of gzip, 1 to 9 or -1 for the default",
            ),
            (
                Topic,
                "leader.replication.throttled.replicas",
                "0:1,*",
                "leader.replication.throttled.replicas: \"*\" is neither * nor partition:broker",
            ),
            (Topic, "bourn.durability", "fast", "bourn.durability: \"fast\" is not one of synced, buffered"),
            (
                Broker,
                "remote.log.metadata.manager.class.name",
                "",
                "remote.log.metadata.manager.class.name: the value may not be empty",
            ),
            (
                Group,
                "share.auto.offset.reset",
                "by_duration:3 days",
                "share.auto.offset.reset: \"by_duration:3 days\" is not latest, earliest or by_duration: and a duration such as P3D",
            ),
        ] {
            assert_eq!(refused(scope, name, text), error);
        }
    }

    #[test]
    fn values_are_trimmed_and_lists_may_be_empty() {
        let parse = |scope, name, text| find(scope, name).unwrap().parse(text).unwrap();
        assert_eq!(parse(Scope::Topic, "segment.ms", " +5 "), Value::Number(5));
        assert_eq!(parse(Scope::Topic, "preallocate", "TRUE"), Value::Boolean(true));
        assert_eq!(parse(Scope::Topic, "cleanup.policy", ""), Value::List(vec![]));
        let both = vec!["compact".to_owned(), "delete".to_owned()];
        assert_eq!(parse(Scope::Topic, "cleanup.policy", "compact , delete"), Value::List(both.clone()));
        assert_eq!(parse(Scope::Broker, "log.cleanup.policy", "compact,delete, compact"), Value::List(both));
        assert_eq!(parse(Scope::Topic, "cleanup.policy", "delete,delete").to_string(), "delete");
        assert_eq!(
            parse(Scope::Broker, "group.consumer.migration.policy", "Upgrade"),
            Value::Text("Upgrade".into())
        );
    }

    #[test]
    fn durations_are_those_of_iso_8601() {
        for good in ["P3D", "PT5M", "P1DT2H3M4.5S", "pt1s"] {
            assert!(is_duration(good), "{good}");
        }
        for bad in ["", "P", "PT", "3D", "P3H", "PTM", "P-3D", "PT1M1H", "P1.5D", "PTä"] {
            assert!(!is_duration(bad), "{bad}");
        }
    }
}
