//! `bourn start`: starts the machine and a node on it, waits for a signal, stops.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::task::Poll;

use anyhow::{Context, bail};
use broker::{Loggers, Node};
use host::Host;
use host::real::{self, Signal};
use metadata::config::{BrokerConfig, Note, StaticConfig};
use tracing_subscriber::{EnvFilter, reload};

use crate::settings::{self, Settings};

#[derive(clap::Args)]
pub(crate) struct Start {
    /// A server.properties as Kafka has it; variables such as KAFKA_LOG_RETENTION_MS go over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where data is kept (log.dirs); made if it is not there [default: ./bourn-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Set a config over the file and the environment, for example --set num.partitions=3; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    sets: Vec<String>,
}

impl Start {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let Settings { statics, notes: unresolved, from_environment } =
            settings::load(self.config.as_deref(), &self.sets, self.data_dir.as_deref())?;
        let (config, notes) = BrokerConfig::load(&statics).map_err(|errors| settings::unusable(&errors))?;
        let loggers = set_up_logs(&config)?;
        if !from_environment.is_empty() {
            // Who forgot that they are set would look for the reason elsewhere.
            tracing::info!("set by KAFKA_ variables: {}", from_environment.join(", "));
        }
        for note in unresolved.iter().chain(&notes) {
            log_note(note);
        }
        let options = real::Options {
            shards: if config.shards == 0 { real::Options::default().shards } else { config.shards },
            backlog: u32::try_from(config.sockets.listen_backlog).unwrap_or(real::Options::default().backlog),
            // A connection may fall over its client's bytes; all else stands or falls together.
            panics: real::Panics::AbortExcept(&["connection"]),
            ..real::Options::default()
        };
        real::run(options, |host| serve(host, statics, config, loggers))
            .context("the machine could not be started")?
    }
}

async fn serve(
    host: Host,
    statics: StaticConfig,
    config: BrokerConfig,
    loggers: Loggers,
) -> anyhow::Result<()> {
    let mut signals = real::signals().context("cannot catch SIGTERM")?;
    let directories = config.directories.log.join(",");
    let clock = host.clock.clone();
    let node = {
        let started = std::pin::pin!(Node::start_with(host, statics, config, loggers));
        match first(signals.next(), started).await {
            // As after a crash, the next start recovers what is on disk.
            Ok(signal) => bail!("{} before the broker was ready", name_of(signal)),
            Err(started) => started?,
        }
    };
    let endpoints: Vec<String> = node.endpoints().iter().map(ToString::to_string).collect();
    let ready_ms = clock.now().0 / 1_000_000;
    // Scripts wait for this line; whoever closed our output does not stop the broker.
    let _ = writeln!(
        std::io::stdout(),
        "bourn ready in {ready_ms} ms: {} data={directories}",
        endpoints.join(",")
    );
    match first(signals.next(), node.failed()).await {
        Ok(signal) => {
            tracing::info!("{}: stopping", name_of(signal));
            node.stop().await;
            tracing::info!("stopped");
            Ok(())
        }
        // What is on disk is as good as it gets; recovery sorts it out at the next start.
        Err(reason) => bail!("the node cannot go on: {reason}"),
    }
}

fn name_of(signal: Signal) -> &'static str {
    if signal == Signal::Terminate { "SIGTERM" } else { "SIGINT" }
}

/// Whichever comes first; the first one, if both are there.
pub(crate) async fn first<A, B>(
    one: impl Future<Output = A>,
    other: impl Future<Output = B>,
) -> Result<A, B> {
    let (mut one, mut other) = (std::pin::pin!(one), std::pin::pin!(other));
    std::future::poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Ready(one) => Poll::Ready(Ok(one)),
        Poll::Pending => other.as_mut().poll(cx).map(Err),
    })
    .await
}

fn log_note(note: &Note) {
    match note {
        Note::NoEffect { .. } => tracing::debug!("{note}"),
        Note::Removed { .. }
        | Note::Unknown { .. }
        | Note::Unresolved { .. }
        | Note::NoListener { .. }
        | Note::Open { .. } => tracing::warn!("{note}"),
    }
}

/// Puts another filter in the place of the log's.
type Apply = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// Logs go to standard error: for people on a terminal, or as JSON lines with bourn.log.format=json.
fn set_up_logs(config: &BrokerConfig) -> anyhow::Result<Loggers> {
    let filter = EnvFilter::try_new(format!("openraft=warn,{}", config.log_level))
        .with_context(|| format!("bourn.log.level={}", config.log_level))?;
    // A line that cannot be written is lost: complaining about it on the same standard error would panic.
    let logs = tracing_subscriber::fmt().log_internal_errors(false).with_writer(std::io::stderr);
    let (set, apply): (_, Apply) = if config.log_format == "json" {
        let logs = logs.json().with_env_filter(filter).with_filter_reloading();
        let handle = logs.reload_handle();
        (logs.try_init(), Box::new(move |filter| handle.reload(filter)))
    } else {
        let colours = std::io::stderr().is_terminal();
        let logs = logs.with_ansi(colours).with_target(false).with_env_filter(filter).with_filter_reloading();
        let handle = logs.reload_handle();
        (logs.try_init(), Box::new(move |filter| handle.reload(filter)))
    };
    set.map_err(|error| anyhow::anyhow!("logging could not be set up: {error}"))?;
    Ok(Loggers::new(&config.log_level, move |directives| {
        let filter = EnvFilter::try_new(directives).map_err(|error| error.to_string())?;
        apply(filter).map_err(|error| error.to_string())
    }))
}
