//! The message definitions as the jar has them: JSON with `//` comments.

use std::fmt;

use anyhow::Context;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Definition {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    pub(super) api_key: Option<i16>,
    pub(super) valid_versions: String,
    pub(super) flexible_versions: Option<String>,
    #[serde(default)]
    pub(super) latest_version_unstable: bool,
    #[serde(default)]
    pub(super) listeners: Vec<String>,
    #[serde(default)]
    pub(super) fields: Vec<FieldDefinition>,
    #[serde(default)]
    pub(super) common_structs: Vec<StructDefinition>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) enum Kind {
    Request,
    Response,
    Header,
    Data,
}

#[derive(Debug, Deserialize)]
pub(super) struct StructDefinition {
    pub(super) name: String,
    pub(super) versions: String,
    pub(super) fields: Vec<FieldDefinition>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FieldDefinition {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) ty: String,
    pub(super) versions: String,
    pub(super) nullable_versions: Option<String>,
    pub(super) tagged_versions: Option<String>,
    pub(super) flexible_versions: Option<String>,
    pub(super) tag: Option<u32>,
    #[serde(default)]
    pub(super) ignorable: bool,
    pub(super) default: Option<serde_json::Value>,
    #[serde(default)]
    pub(super) fields: Vec<FieldDefinition>,
}

/// Parses one definition.
pub(super) fn parse(text: &str) -> anyhow::Result<Definition> {
    let mut definition: Definition = serde_json::from_str(&without_comments(text))?;
    super::extensions::extend(&mut definition)?;
    Ok(definition)
}

fn without_comments(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for line in text.lines() {
        let mut in_string = false;
        let mut previous = ' ';
        for (place, character) in line.char_indices() {
            match character {
                '"' if previous != '\\' => in_string = !in_string,
                '/' if !in_string && line.get(place + 1..).is_some_and(|rest| rest.starts_with('/')) => break,
                _ => {}
            }
            clean.push(character);
            previous = character;
        }
        clean.push('\n');
    }
    clean
}

/// A range of versions: `3`, `3-7`, `3+` or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) min: i16,
    pub(super) max: i16,
}

impl Versions {
    pub(super) const NONE: Versions = Versions { min: 0, max: -1 };

    pub(super) fn parse(text: &str) -> anyhow::Result<Versions> {
        let text = text.trim();
        let number = |text: &str| text.parse::<i16>().with_context(|| format!("versions {text:?}"));
        if text == "none" {
            return Ok(Versions::NONE);
        }
        if let Some(min) = text.strip_suffix('+') {
            return Ok(Versions { min: number(min)?, max: i16::MAX });
        }
        match text.split_once('-') {
            Some((min, max)) => Ok(Versions { min: number(min)?, max: number(max)? }),
            None => number(text).map(|only| Versions { min: only, max: only }),
        }
    }

    pub(super) fn parse_or_none(text: Option<&str>) -> anyhow::Result<Versions> {
        text.map_or(Ok(Versions::NONE), Versions::parse)
    }

    pub(super) fn is_empty(self) -> bool {
        self.min > self.max
    }

    pub(super) fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    pub(super) fn and(self, other: Versions) -> Versions {
        let both = Versions { min: self.min.max(other.min), max: self.max.min(other.max) };
        if both.is_empty() { Versions::NONE } else { both }
    }

    /// Whether every version of `other` is one of these.
    pub(super) fn covers(self, other: Versions) -> bool {
        other.is_empty() || self.and(other) == other
    }

    /// A Rust expression that is true for these versions, given that the version is one of `current`. `None` if it
    /// always is, `Some("false")` if it never is.
    pub(super) fn condition(self, current: Versions) -> Option<String> {
        let both = self.and(current);
        if both.is_empty() {
            return Some("false".to_owned());
        }
        match (both.min > current.min, both.max < current.max) {
            (false, false) => None,
            (true, false) => Some(format!("version >= {}", both.min)),
            (false, true) => Some(format!("version <= {}", both.max)),
            (true, true) if both.min == both.max => Some(format!("version == {}", both.min)),
            (true, true) => Some(format!("({}..={}).contains(&version)", both.min, both.max)),
        }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            versions if versions.is_empty() => f.write_str("none"),
            Versions { min, max: i16::MAX } => write!(f, "{min}+"),
            Versions { min, max } if min == max => write!(f, "{min}"),
            Versions { min, max } => write!(f, "{min}-{max}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_strings_stay() {
        let text = "// licence\n{ \"a\": \"see // there\", // why\n \"b\": 1 }";
        let value: serde_json::Value = serde_json::from_str(&without_comments(text)).unwrap();
        assert_eq!(value, serde_json::json!({ "a": "see // there", "b": 1 }));
    }

    #[test]
    fn conditions_say_no_more_than_needed() {
        let current = Versions { min: 2, max: 9 };
        for (versions, condition) in [
            ("0+", None),
            ("2-9", None),
            ("4+", Some("version >= 4")),
            ("0-5", Some("version <= 5")),
            ("4-5", Some("(4..=5).contains(&version)")),
            ("7", Some("version == 7")),
            ("10+", Some("false")),
            ("none", Some("false")),
        ] {
            let versions = Versions::parse(versions).unwrap();
            assert_eq!(versions.condition(current).as_deref(), condition, "{versions}");
        }
    }
}
