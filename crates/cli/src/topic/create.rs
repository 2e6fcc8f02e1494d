//! `bourn topic create`

use anyhow::bail;
use client::Admin;
use client::admin::NewTopic;
use protocol::{ErrorCode, Str};
use serde::Serialize;

use crate::context::{Globals, explain};
use crate::output;

#[derive(clap::Args)]
pub(crate) struct Create {
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// How many partitions; the broker's num.partitions if not given
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// How many brokers keep each partition; the broker's default.replication.factor if not given
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// A config of the topic, for example --config retention.ms=3600000; may be repeated
    #[arg(short, long = "config", value_name = "NAME=VALUE", value_parser = name_value)]
    configs: Vec<(String, String)>,
    /// A topic that exists already is no error
    #[arg(long)]
    if_not_exists: bool,
}

/// Splits `NAME=VALUE`.
pub(crate) fn name_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err(format!("{text:?}: expected NAME=VALUE")),
    }
}

/// Part of the JSON that docs/cli.md describes.
#[derive(Debug, PartialEq, Serialize)]
struct Outcome {
    topic: String,
    created: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partitions: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication_factor: Option<i16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Create {
    pub(super) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        let wanted: Vec<NewTopic> = self.topics.iter().map(|name| self.topic(name)).collect();
        let outcomes = globals.with_cluster(async |_, cluster| {
            let results = Admin::new(&cluster).create_topics(&wanted, false).await.map_err(explain)?;
            let outcome = |(name, result): (Str, _)| outcome(&name, result, self.if_not_exists);
            Ok(results.into_iter().map(outcome).collect::<Vec<_>>())
        })?;
        let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
        if globals.is_json() {
            output::print_json(&outcomes)?;
        } else {
            for outcome in &outcomes {
                match (&outcome.error, outcome.created) {
                    (Some(error), _) => eprintln!("bourn: {error}"),
                    (None, true) => output::print(&sentence(outcome))?,
                    (None, false) => output::print(&format!("topic {} exists already", outcome.topic))?,
                }
            }
        }
        if failed > 0 {
            bail!("{failed} of {} could not be created", output::counted(outcomes.len() as u64, "topic"));
        }
        Ok(())
    }

    fn topic(&self, name: &str) -> NewTopic {
        let config = |(name, value): &(String, String)| (Str::from(name), Str::from(value));
        NewTopic {
            name: Str::from(name),
            partitions: self.partitions,
            replication_factor: self.replication_factor,
            assignments: Vec::new(),
            configs: self.configs.iter().map(config).collect(),
        }
    }
}

fn sentence(outcome: &Outcome) -> String {
    let partitions = outcome.partitions.map(|count| u64::try_from(count).unwrap_or(0));
    let partitions = partitions.map(|count| format!(" with {}", output::counted(count, "partition")));
    format!("created topic {}{}", outcome.topic, partitions.unwrap_or_default())
}

fn outcome(
    name: &str,
    result: Result<client::admin::CreatedTopic, client::Error>,
    if_not_exists: bool,
) -> Outcome {
    let none = Outcome {
        topic: name.to_owned(),
        created: false,
        topic_id: None,
        partitions: None,
        replication_factor: None,
        error: None,
    };
    match result {
        Ok(created) => Outcome {
            created: true,
            topic_id: Some(created.id).filter(|id| !id.is_zero()).map(|id| id.to_string()),
            partitions: created.partitions,
            replication_factor: created.replication_factor,
            ..none
        },
        Err(error) if if_not_exists && error.code() == Some(ErrorCode::TopicAlreadyExists) => none,
        Err(error) => Outcome { error: Some(explain(error).to_string()), ..none },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_are_name_and_value() {
        assert_eq!(name_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(name_value("a="), Ok(("a".to_owned(), String::new())));
        assert!(name_value("a").is_err() && name_value("=b").is_err());
    }

    #[test]
    fn an_existing_topic_may_be_fine() {
        let exists = || {
            Err(client::Error::Refused {
                subject: "t".to_owned(),
                code: ErrorCode::TopicAlreadyExists,
                message: Some("Topic 't' already exists.".to_owned()),
            })
        };
        assert_eq!(outcome("t", exists(), true).error, None);
        let json = serde_json::to_string(&outcome("t", exists(), false)).unwrap();
        insta::assert_snapshot!(json);
    }
}
