//! Whether somebody goes by every config that is said to have an effect.

use std::path::Path;

use super::{Definition, Scope, broker_synonyms, definitions};

/// Where configs become values.
const READERS: [(&str, &str); 8] = [
    ("broker.rs", include_str!("broker.rs")),
    ("client_metrics.rs", include_str!("client_metrics.rs")),
    ("group.rs", include_str!("group.rs")),
    ("listeners.rs", include_str!("listeners.rs")),
    ("providers.rs", include_str!("providers.rs")),
    ("statics.rs", include_str!("statics.rs")),
    ("topic.rs", include_str!("topic.rs")),
    ("value.rs", include_str!("value.rs")),
];

fn with_effect() -> impl Iterator<Item = &'static Definition> {
    definitions().filter(|definition| definition.no_effect.is_none())
}

/// The lines that have a config's name, tests left out.
fn lines(name: &str) -> impl Iterator<Item = &'static str> {
    let quoted = format!("\"{name}\"");
    let code =
        READERS.iter().flat_map(|(_, text)| text.split("#[cfg(test)]").next().unwrap_or_default().lines());
    code.filter(move |line| line.contains(&quoted))
}

/// What stands for a config in [`super::TopicConfig`] or [`super::BrokerConfig`], if its line says so.
fn field(line: &'static str) -> Option<&'static str> {
    let is_name =
        |text: &&str| text.chars().all(|character| character.is_ascii_lowercase() || character == '_');
    match line.split_once("self.") {
        Some((_, assigned)) if line.contains("=> self.") => assigned.split_once(" =").map(|(name, _)| name),
        _ => line.trim_start().split_once(": ").map(|(name, _)| name),
    }
    .filter(is_name)
}

/// All code outside this folder.
fn code_elsewhere(folder: &Path, code: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("src/config") && !path.ends_with("tests") {
            code_elsewhere(&path, code);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            code.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_config_that_is_said_to_have_an_effect_is_read() {
    let defaults_of_topics: Vec<&str> = with_effect()
        .filter(|definition| definition.scope == Scope::Topic)
        .flat_map(|definition| broker_synonyms(definition).iter().map(|(name, _)| *name))
        .collect();
    for definition in with_effect() {
        let stands_for_another =
            definition.scope == Scope::Broker && defaults_of_topics.contains(&definition.name);
        assert!(
            stands_for_another || lines(definition.name).next().is_some(),
            "{} is said to have an effect, and nobody reads it",
            definition.name
        );
    }
}

#[test]
fn every_value_that_is_said_to_have_an_effect_is_used() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut code = String::new();
    for folder in ["broker/src", "cli/src", "coordinator/src", "metadata/src"] {
        code_elsewhere(&crates.join(folder), &mut code);
    }
    let uses = |field: &str| {
        let dotted = format!(".{field}");
        code.match_indices(&dotted).any(|(at, _)| {
            let behind = code.get(at + dotted.len()..).unwrap_or_default();
            !behind.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_')
        })
    };
    let mut checked = 0;
    for definition in with_effect() {
        for field in lines(definition.name).filter_map(field) {
            assert!(uses(field), "{} becomes {field}, which nobody looks at", definition.name);
            checked += 1;
        }
    }
    assert!(checked > 40, "{checked} fields were found");
}
