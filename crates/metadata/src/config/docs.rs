//! The page about configs, `docs/configuration.md`.

use std::fmt::Write;

use super::tables::TABLES;
use super::{Definition, Scope, Valid, broker_synonyms};

const INTRODUCTION: &str = "\
# Configuration

Every config that Bourn knows, made from the one list in `crates/metadata/src/config/tables`. Do not edit this page;
`UPDATE_DOCS=1 cargo test -p bourn-metadata configuration_page` writes it.

Bourn starts without any. `bourn start --config server.properties` reads a file in Kafka's form, environment variables
go over it, `--set name=value` goes over both, `--data-dir D` is `--set log.dirs=D`. Kafka's names, types, defaults and limits hold unless the text says
otherwise. A name that is not in the list is ignored with a warning, so that files of other versions run; a misspelt
`bourn.` name stops the start.

*Update* says how a value changes: *read-only* by a restart, *per-broker* with `kafka-configs --alter` for one broker,
*cluster-wide* for one or for all of them. Topic, group and client metrics configs change at any time.

Environment variables are read as the Docker image of Kafka does it, always: `KAFKA_LOG_RETENTION_MS` is `log.retention.ms`,
`__` stands for an underscore and `___` for a hyphen, a backslash escapes as in a file. What the image and Kafka's scripts
use for themselves (`KAFKA_OPTS`, `KAFKA_HEAP_OPTS`, ...) is no config, and neither is what Kubernetes sets for a service
called `kafka` (`KAFKA_PORT=tcp://...`, `KAFKA_SERVICE_HOST`, ...). With `KAFKA_ADVERTISED_LISTENERS` and without
`KAFKA_LISTENERS`, the listeners are the advertised ones on every interface. `CLUSTER_ID` is not read: a new cluster
mints its own.

References such as `${env:PASSWORD}`, `${file:/run/secrets.properties:password}` and `${dir:/run/secrets:password}` are
replaced in values when `config.providers` names the provider and `config.providers.NAME.class` says which one it is:
`EnvVarConfigProvider`, `FileConfigProvider` or `DirectoryConfigProvider` of `org.apache.kafka.common.config.provider`,
with their `param.allowlist.pattern` and `param.allowed.paths`.

`listener.name.NAME.max.connections` and `listener.name.NAME.max.connection.creation.rate`, the name in lower case, limit
one listener beside what limits all of them; they are *cluster-wide*.

Metrics of clients (KIP-714): as soon as there is a metrics subscription (`kafka-client-metrics`, or `bourn config alter
client-metrics NAME`), clients that connect are asked for what it names. Every push is one line of the broker's own log, at level INFO of
the logger `client_metrics`, with the data points as JSON; `bourn.log.format=json` makes the line JSON, too. A client that
connected while there was no subscription may not ask again before it is started anew.

Until there is authentication, configs of it (`sasl.*`, `ssl.*`, `super.users`) are one warning at the start, which says that the
listeners are open, and `authorizer.class.name` stops the start.

What differs from Kafka: `listeners` is `PLAINTEXT://127.0.0.1:9092` unless set, so that a broker without a file is not
open to the network; data goes to `./bourn-data` unless `log.dirs` is set; `node.id` need not be set; an empty or wildcard
host in `listeners` needs no `advertised.listeners`. Changing a broker config that is not in the list is an error that names the nearest one
(Kafka keeps it). Record batches with bytes behind them, with gaps between the offsets of their records, or transactional
ones without a producer id are refused with INVALID_RECORD; no client sends such.
";

/// The whole page.
pub fn markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for (title, table) in TABLES {
        let _ = write!(page, "\n## {title}\n\n");
        let scope = table.first().map(|definition| definition.scope);
        let inherits = matches!(scope, Some(Scope::Topic | Scope::Group));
        let (name, line) = if inherits { ("Broker config", "---") } else { ("Update", "---") };
        let _ = writeln!(
            page,
            "| Name | Type | Default | Valid | {name} | Importance | |\n|---|---|---|---|{line}|---|---|"
        );
        for definition in *table {
            row(&mut page, definition, inherits);
        }
    }
    page
}

fn row(page: &mut String, definition: &Definition, inherits: bool) {
    let code = |text: &str| if text.is_empty() { "empty".to_owned() } else { format!("`{text}`") };
    let default = match definition.default {
        None => "none".to_owned(),
        Some(text) => limit_name(text).map_or_else(|| code(text), str::to_owned),
    };
    let place = match inherits {
        false => definition.update.name().to_owned(),
        true => broker_synonyms(definition)
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    };
    let _ = writeln!(
        page,
        "| `{}` | {} | {default} | {} | {place} | {} | {} |",
        definition.name,
        definition.kind.name(),
        valid(definition.valid),
        definition.importance.name(),
        definition.documentation(),
    );
}

/// The largest numbers are no numbers to a reader.
fn limit_name(text: &str) -> Option<&'static str> {
    match text {
        "9223372036854775807" => Some("largest long"),
        "2147483647" => Some("largest int"),
        "1.7976931348623157E308" => Some("largest double"),
        _ => None,
    }
}

fn valid(valid: Valid) -> String {
    let choices =
        |choices: &[&str]| choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ");
    match valid {
        Valid::Any => String::new(),
        Valid::AtLeast(minimum) => format!("at least {minimum}"),
        Valid::Between(minimum, maximum) => format!("{minimum} to {maximum}"),
        Valid::PositiveOrUnlimited => "at least 1, or -1".to_owned(),
        Valid::OneOf(known) => choices(known),
        Valid::OneOfAnyCase(known) => format!("{}, in any case", choices(known)),
        Valid::EachOf(known) => format!("any of {}", choices(known)),
        Valid::NotEmpty => "not empty".to_owned(),
        Valid::GzipLevel => "1 to 9, or -1".to_owned(),
        Valid::ThrottledReplicas => "`*` or `partition:broker`, ...".to_owned(),
        Valid::OffsetReset => "`latest`, `earliest`, `by_duration:`...".to_owned(),
        Valid::PerIpOverrides => "`address:number`, ...".to_owned(),
        Valid::NoAuthorizer => "empty".to_owned(),
        Valid::ClientMatch => "`what=pattern`, ...".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_page_is_that_of_the_list() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let page = markdown();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = page.lines().zip(stored.lines()).find(|(new, old)| new != old);
        assert!(
            page == stored,
            "docs/configuration.md is not up to date; run UPDATE_DOCS=1 cargo test -p bourn-metadata configuration_page\n\
             first difference (list, page): {differs:?}"
        );
    }

    #[test]
    fn every_config_is_on_the_page() {
        let page = markdown();
        for definition in super::super::definitions() {
            assert!(page.contains(&format!("| `{}` |", definition.name)), "{}", definition.name);
        }
    }
}
