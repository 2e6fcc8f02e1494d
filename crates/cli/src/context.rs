//! What all commands that talk to a cluster share: options, the machine, errors in plain words.

use std::time::Duration;

use anyhow::{Context, bail};
use client::{Cluster, ClusterOptions, Error};
use host::{Host, Place, real};
use protocol::ErrorCode;

#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Brokers to begin with; any one of the cluster will do
    #[arg(
        short,
        long,
        global = true,
        value_name = "HOST:PORT,...",
        default_value = "127.0.0.1:9092",
        env = "BOURN_BOOTSTRAP_SERVERS",
        hide_env_values = true
    )]
    pub(crate) bootstrap_server: String,
    /// How results are shown
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// Say more on standard error; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs; the shape is in docs/cli.md
    Json,
}

impl Globals {
    pub(crate) fn is_json(&self) -> bool {
        self.output == Format::Json
    }

    /// Starts the machine and hands a cluster to `main`, which may block its own thread: connections live on another.
    pub(crate) fn with_cluster<T>(
        &self,
        main: impl AsyncFnOnce(Host, Cluster) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.with_machine(1, async |host| {
            let cluster = self.cluster(&host, WORKERS)?;
            main(host, cluster).await
        })
    }

    /// Starts a machine with so many threads beside that of `main`.
    pub(crate) fn with_machine<T>(
        &self,
        threads: usize,
        main: impl AsyncFnOnce(Host) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        if self.bootstrap_server.trim().is_empty() {
            bail!("--bootstrap-server is empty; give it as HOST:PORT, or leave it out for 127.0.0.1:9092");
        }
        self.set_up_logs()?;
        let machine = real::Options { shards: threads, ..real::Options::default() };
        real::run(machine, async move |host: Host| main(host).await)
            .context("the machine could not be started")?
    }

    /// Connections of their own, whose tasks run at `place`.
    pub(crate) fn cluster(&self, host: &Host, place: Place) -> anyhow::Result<Cluster> {
        let mut options = ClusterOptions::new([self.bootstrap_server.clone()]);
        options.connection.place = place;
        options.patience = PATIENCE;
        Cluster::start(host, options).map_err(explain)
    }

    pub(crate) fn set_up_logs(&self) -> anyhow::Result<()> {
        let level = match self.verbose {
            0 => "warn",
            1 => "debug",
            _ => "trace",
        };
        let logs = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
        logs.with_env_filter(tracing_subscriber::EnvFilter::new(level))
            .try_init()
            .map_err(|error| anyhow::anyhow!("logging could not be set up: {error}"))
    }
}

/// Where everything runs that must go on while the main thread reads or writes.
pub(crate) const WORKERS: Place = Place::Shard(0);
/// How long a topic that is being created is waited for, and a broken request repeated.
const PATIENCE: Duration = Duration::from_secs(10);

/// The error with what to do about it.
pub(crate) fn explain(error: Error) -> anyhow::Error {
    match hint(&error) {
        Some(hint) => anyhow::anyhow!("{error}; {hint}"),
        None => anyhow::Error::new(error),
    }
}

fn hint(error: &Error) -> Option<String> {
    let text = match error {
        Error::Connect { reason, .. } if reason == "connection refused" => {
            "is the broker running? start one with `bourn start`".to_owned()
        }
        Error::Connect { .. } => "check --bootstrap-server and the network".to_owned(),
        Error::TimedOut { .. } => "is that a Kafka listener, and is the broker overloaded?".to_owned(),
        Error::Malformed { .. } => "is that a Kafka listener?".to_owned(),
        Error::Disconnected { .. } => {
            "is that a plaintext Kafka listener? the broker's log may say why it closed the connection"
                .to_owned()
        }
        // The broker's own words say what a name may be.
        Error::Refused { code: ErrorCode::InvalidTopic, message: None, .. } => {
            "names have letters, digits, '.', '_' and '-' of ASCII, at most 249".to_owned()
        }
        Error::Refused { code, subject, .. } => return hint_for_code(*code, subject),
        _ => return None,
    };
    Some(text)
}

fn hint_for_code(code: ErrorCode, subject: &str) -> Option<String> {
    let text = match code {
        ErrorCode::UnknownTopicOrPartition => format!(
            "list the topics with `bourn topic list`, make this one with `bourn topic create {}`",
            topic_of(subject)
        ),
        ErrorCode::TopicAlreadyExists => "with --if-not-exists that is no error".to_owned(),
        ErrorCode::InvalidConfig => {
            "`bourn topic describe TOPIC --all-configs` shows the configs that a topic has".to_owned()
        }
        ErrorCode::InvalidReplicationFactor => {
            "a topic cannot have more replicas than there are brokers".to_owned()
        }
        ErrorCode::NotEnoughReplicas => {
            "compare the in-sync replicas of `bourn topic describe` with min.insync.replicas".to_owned()
        }
        ErrorCode::MessageTooLarge => {
            "raise max.message.bytes of the topic, or write smaller records".to_owned()
        }
        ErrorCode::OffsetOutOfRange => "read from `--from earliest` or `--from latest`".to_owned(),
        _ => return None,
    };
    Some(text)
}

/// `orders` of `orders-3` or `orders`.
fn topic_of(subject: &str) -> &str {
    match subject.rsplit_once('-') {
        Some((topic, partition)) if partition.parse::<u32>().is_ok() => topic,
        _ => subject,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        let refused =
            Error::Connect { address: "127.0.0.1:9092".to_owned(), reason: "connection refused".to_owned() };
        assert_eq!(
            explain(refused).to_string(),
            "cannot connect to 127.0.0.1:9092: connection refused; is the broker running? start one with `bourn start`"
        );
        let unknown = Error::Refused {
            subject: "my-orders-3".to_owned(),
            code: ErrorCode::UnknownTopicOrPartition,
            message: None,
        };
        insta::assert_snapshot!(explain(unknown).to_string());
    }
}
