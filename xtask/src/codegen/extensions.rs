//! Fields of ours in Kafka's messages: tagged, so that every other implementation skips them, with tags far above
//! those that Kafka counts up from zero.

use anyhow::Context;

use super::schema::{Definition, FieldDefinition};

struct Extension {
    message: &'static str,
    /// Names of the fields that lead to the struct.
    path: &'static [&'static str],
    field: &'static str,
}

const EXTENSIONS: &[Extension] = &[
    // A follower's fetch offset is the end of what it appended; this is the end of what it has on disk.
    Extension {
        message: "FetchRequest",
        path: &["Topics", "Partitions"],
        field: r#"{ "name": "SyncedOffset", "type": "int64", "versions": "12+", "taggedVersions": "12+",
                    "tag": 10000, "default": "-1", "ignorable": true }"#,
    },
];

/// Adds our fields to the definition that has them.
pub(super) fn extend(definition: &mut Definition) -> anyhow::Result<()> {
    for extension in EXTENSIONS.iter().filter(|extension| extension.message == definition.name) {
        let mut fields: &mut Vec<FieldDefinition> = &mut definition.fields;
        for step in extension.path {
            let next = fields.iter_mut().find(|field| field.name == *step);
            fields = &mut next.with_context(|| format!("{} has no {step}", extension.message))?.fields;
        }
        fields.push(serde_json::from_str(extension.field)?);
    }
    Ok(())
}
