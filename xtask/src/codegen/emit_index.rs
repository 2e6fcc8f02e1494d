//! The files about all messages: module list, table of API keys, catalog for tests.

use std::fmt::Write;

use anyhow::Context;

use super::emit::{BANNER, module_name};
use super::model::Message;
use super::schema::Kind;

const PRELUDE: &str = "
mod prelude {
    pub(super) use std::fmt;

    pub(super) use bytes::Bytes;

    #[cfg(feature = \"testing\")]
    pub(super) use crate::testing::{Fill, Gen};
    pub(super) use crate::wire::{
        Codec, Error, Message, Reader, Redacted, Request, Response, TaggedField, VersionRange, Writer,
    };
    pub(super) use crate::{ApiKey, RecordSet, Str, Uuid};
}
";

pub(super) fn module(messages: &[Message]) -> String {
    let mut out = String::from(BANNER);
    out.push_str("pub(crate) mod api;\n#[cfg(feature = \"testing\")]\npub(crate) mod catalog;\n");
    for message in messages {
        let _ = writeln!(out, "pub mod {};", module_name(message));
    }
    out.push('\n');
    for message in messages {
        let _ = writeln!(out, "pub use {}::{};", module_name(message), message.name);
    }
    out.push_str(PRELUDE);
    out
}

pub(super) fn api(messages: &[Message]) -> anyhow::Result<String> {
    let mut requests: Vec<(i16, &str, &Message)> = Vec::new();
    for message in messages.iter().filter(|message| message.kind == Kind::Request) {
        let key = message.api_key.with_context(|| format!("{} has no API key", message.name))?;
        requests.push((key, message.name.trim_end_matches("Request"), message));
    }
    requests.sort_by_key(|(key, _, _)| *key);
    let mut out = String::from(BANNER);
    out.push_str("use crate::api_key::ApiInfo;\n\n/// The requests of Kafka's protocol.\n");
    out.push_str("#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n#[repr(i16)]\npub enum ApiKey {\n");
    for (key, name, message) in &requests {
        let _ = writeln!(out, "/// Versions {}.\n{name} = {key},", message.versions);
    }
    out.push_str("}\n\n/// Key, versions, the newest stable one, the first flexible one, on brokers, on controllers; by key.\n");
    let _ = writeln!(out, "pub(crate) const TABLE: [ApiInfo; {}] = [", requests.len());
    for (_, name, message) in &requests {
        let versions = message.versions;
        let stable = if message.latest_unstable { versions.max - 1 } else { versions.max };
        let flexible = match message.flexible {
            none if none.is_empty() => "None".to_owned(),
            some => format!("Some({})", some.min),
        };
        let on = |listener: &str| message.listeners.iter().any(|name| name == listener);
        let (broker, controller) = (on("broker"), on("controller"));
        let _ = writeln!(
            out,
            "ApiInfo::new(ApiKey::{name}, {name:?}, ({}, {}), {stable}, {flexible}, {broker}, {controller}),",
            versions.min, versions.max
        );
    }
    out.push_str("];\n\n/// The row of each key, 255 for none.\n");
    let last = requests.last().map_or(0, |(key, _, _)| *key);
    let rows: Vec<String> = (0..=last)
        .map(|key| requests.iter().position(|(other, _, _)| *other == key).map_or(255, |row| row))
        .map(|row| row.to_string())
        .collect();
    let _ = writeln!(out, "pub(crate) const ROWS: [u8; {}] = [{}];", rows.len(), rows.join(", "));
    Ok(out)
}

pub(super) fn catalog(messages: &[Message]) -> String {
    let mut out = String::from(BANNER);
    out.push_str(
        "use crate::testing::Entry;\n\n/// Every message, by name.\npub(crate) const ALL: &[Entry] = &[\n",
    );
    for message in messages {
        let key = match message.kind {
            Kind::Request | Kind::Response => message.api_key,
            Kind::Header | Kind::Data => None,
        };
        let key = key.map_or_else(|| "None".to_owned(), |key| format!("Some({key})"));
        let _ = writeln!(out, "Entry::of::<super::{}>({key}),", message.name);
    }
    out.push_str("];\n");
    out
}
