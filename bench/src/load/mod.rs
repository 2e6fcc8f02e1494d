//! Load by librdkafka, somebody else's client: the same for every broker. Prints a line of JSON, an [`Outcome`].
//!
//! It makes no topic: whoever measures says what they are like.

mod consume;
mod offsets;
mod one;
mod open_loop;
mod produce;
mod rebalance;
mod transactions;

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, Subcommand};
use hdrhistogram::Histogram;
use rdkafka::config::ClientConfig;
use serde::{Deserialize, Serialize};

#[derive(Args)]
pub(crate) struct Load {
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    topic: String,
    /// Further configs of librdkafka
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    configs: Vec<(String, String)>,
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand)]
enum Kind {
    /// Writes records as fast as they are acknowledged
    Produce(produce::Produce),
    /// Writes each record when it is due
    OpenLoop(open_loop::OpenLoop),
    /// Reads every record of the first partitions
    Consume(consume::Consume),
    /// Writes a record, waits until it is read, and then writes the next
    One(one::One),
    /// Writes transactions one after the other
    Transactions(transactions::Transactions),
    /// Lets a group form, and members come and go
    Rebalance(rebalance::Rebalance),
    /// Commits offsets of many groups
    Offsets(offsets::Offsets),
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Outcome {
    pub(crate) records: u64,
    /// Of values.
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) requests: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) latency_ms: Option<Percentiles>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Percentiles {
    /// Of nanoseconds.
    pub(crate) fn of(times: &Histogram<u64>) -> Self {
        let ms = |nanos: u64| nanos as f64 / 1e6;
        let at = |quantile| ms(times.value_at_quantile(quantile));
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: ms(times.max()) }
    }
}

/// The times of steps that were done some times each.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Steps {
    pub(crate) seconds: BTreeMap<String, Vec<f64>>,
}

impl Steps {
    fn put(&mut self, name: &str, took: Duration) {
        self.seconds.entry(name.to_owned()).or_default().push(took.as_secs_f64());
    }
}

/// Waits for the cluster, at most.
const PATIENCE: Duration = Duration::from_secs(120);

impl Load {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.bootstrap).set("acks", "all");
        let outcome = match self.kind {
            Kind::Produce(produce) => produce.run(&mut client, &self.configs, &self.topic),
            Kind::OpenLoop(open) => open.run(&mut client, &self.configs, &self.topic),
            Kind::Consume(consume) => consume.run(&mut client, &self.configs, &self.topic),
            Kind::One(one) => one.run(&mut client, &self.configs, &self.topic),
            Kind::Transactions(work) => work.run(&mut client, &self.configs, &self.topic),
            Kind::Offsets(offsets) => offsets.run(&self.bootstrap, &self.topic),
            Kind::Rebalance(rebalance) => {
                let steps = rebalance.run(&mut client, &self.configs, &self.topic)?;
                println!("{}", serde_json::to_string(&steps)?);
                return Ok(());
            }
        }?;
        println!("{}", serde_json::to_string(&outcome)?);
        Ok(())
    }
}

fn apply(client: &mut ClientConfig, configs: &[(String, String)]) {
    for (name, value) in configs {
        client.set(name, value);
    }
}

/// Not compressible, though nobody compresses here.
fn payload(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| u8::try_from((at * 131 + at / 7) % 251).unwrap_or(0)).collect()
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text} is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}
