//! [`Turn`]: one broker under one workload after the other, and what each cost it.

use std::future::Future;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

use super::Compare;
use super::broker::{Broker, Kind, terminate};
use super::sizes::Sizes;
use crate::load::{Outcome, Percentiles};
use crate::report::{Label, Sample};
use crate::usage::{Spent, Usage};

pub(super) const RDKAFKA: &str = "librdkafka";
/// For what a broker does before it is measured.
const PATIENCE: Duration = Duration::from_secs(300);
pub(super) const BENCH: &str = "bourn bench";

pub(super) struct Turn<'a> {
    pub(super) options: &'a Compare,
    pub(super) sizes: &'a Sizes,
    pub(super) broker: &'a Broker,
    pub(super) kind: Kind,
    number: u32,
    samples: &'a mut Vec<Sample>,
    began: Usage,
}

impl<'a> Turn<'a> {
    pub(super) fn new(
        options: &'a Compare,
        sizes: &'a Sizes,
        broker: &'a Broker,
        (kind, number): (Kind, u32),
        samples: &'a mut Vec<Sample>,
    ) -> Result<Self> {
        let began = Usage::now(broker.pid())?;
        Ok(Self { options, sizes, broker, kind, number, samples, began })
    }

    pub(super) fn put(&mut self, label: &Label, metric: &str, value: f64) {
        let (turn, system) = (self.number, self.kind.name().to_owned());
        self.samples.push(Sample { turn, system, label: label.clone(), metric: metric.to_owned(), value });
    }

    /// So that code which is compiled as it runs has been, and files and pages are there.
    pub(super) fn warm_up(&mut self) -> Result<()> {
        self.topic("warm", 6, &[])?;
        let records = self.sizes.warm_bytes / 1000;
        let bulk = ["produce", "--record-bytes", "1000", "--records", &records.to_string()];
        finish(&mut self.rdkafka("warm", &bulk))?;
        let singles = self.sizes.warm_singles.to_string();
        finish(
            &mut self.rdkafka(
                "warm",
                &["produce", "--record-bytes", "100", "--records", &singles, "--single", "5"],
            ),
        )?;
        let all = (records + self.sizes.warm_singles).to_string();
        finish(&mut self.rdkafka("warm", &["consume", "--partitions", "6", "--records", &all]))?;
        self.forget("warm")
    }

    /// How noisy it was.
    pub(super) fn finish(&mut self) -> Result<()> {
        let spent = Usage::now(self.broker.pid())?.since(&self.began);
        self.put(&Label::new("noise", "whole turn", ""), "stolen cores", spent.stolen / spent.seconds);
        Ok(())
    }

    pub(super) fn topic(&self, name: &str, partitions: u32, configs: &[(&str, &str)]) -> Result<()> {
        create(&self.broker.bootstrap(), name, partitions, configs)?;
        wait_for_all(&self.broker.bootstrap(), &[name], partitions)
    }

    pub(super) fn forget(&self, name: &str) -> Result<()> {
        let admin = admin(&self.broker.bootstrap())?;
        for result in block_on(admin.delete_topics(&[name], &patient()))? {
            if let Err((name, error)) = result {
                bail!("{name} could not be deleted: {error}");
            }
        }
        Ok(())
    }

    /// Waits until everything that was written so far is on disk, so that no work pays for the one before it.
    pub(super) fn settle(&self) {
        rustix::fs::sync();
    }

    pub(super) fn rdkafka(&self, topic: &str, words: &[&str]) -> Command {
        let mut command = this();
        command.args(["load", "--bootstrap", &self.broker.bootstrap(), "--topic", topic]).args(words);
        command
    }

    pub(super) fn bench(&self, kind: &str, topic: &str, words: &[&str]) -> Command {
        let mut command = Command::new(&self.options.bourn);
        command.args(["bench", kind, topic, "-b", &self.broker.bootstrap(), "-o", "json"]).args(words);
        command
    }

    /// Runs a load to its end, and says what it did and what that cost the broker.
    pub(super) fn measure(&mut self, label: &Label, command: &mut Command) -> Result<(Outcome, Spent)> {
        let profile = self.profile(label)?;
        let before = Usage::now(self.broker.pid())?;
        let outcome = finish(command)?;
        let spent = Usage::now(self.broker.pid())?.since(&before);
        if let Some(mut profile) = profile {
            terminate(&profile)?;
            profile.wait()?;
        }
        Ok((outcome, spent))
    }

    fn profile(&self, label: &Label) -> Result<Option<Child>> {
        let Some(dir) = &self.options.perf else { return Ok(None) };
        let name = [self.kind.name(), &label.work, &label.case, &label.driver].join("-");
        let path = dir.join(format!("{}.perf", name.replace([' ', ',', '/'], "-")));
        let mut command = Command::new("perf");
        command
            .args(["record", "-q", "-F", "499", "-g", "-p", &self.broker.pid().to_string(), "-o"])
            .arg(path);
        Ok(Some(command.stdout(Stdio::null()).spawn().context("perf")?))
    }

    /// Of loads that write as fast as they can.
    pub(super) fn put_bulk(&mut self, label: &Label, (outcome, spent): &(Outcome, Spent)) {
        let gigabytes = outcome.bytes as f64 / 1e9;
        let records = outcome.records as f64;
        self.put(label, "MB/s", gigabytes * 1e3 / outcome.seconds);
        self.put(label, "CPU-s/GB", spent.cpu / gigabytes);
        self.put(label, "machine CPU-s/GB", spent.machine / gigabytes);
        self.put(label, "CPU-us/record", spent.cpu * 1e6 / records);
        if let Some(requests) = outcome.requests {
            self.put(label, "CPU-us/request", spent.cpu * 1e6 / requests as f64);
            self.put(label, "records/request", records / requests as f64);
        }
        self.put(label, "written/received", spent.written / outcome.bytes as f64);
    }

    /// Of loads that go at a rate, or one by one.
    pub(super) fn put_latency(&mut self, label: &Label, (outcome, spent): &(Outcome, Spent)) -> Result<()> {
        let Percentiles { p50, p99, p999, max } = outcome.latency_ms.context("the load told no latency")?;
        for (metric, value) in [("p50 ms", p50), ("p99 ms", p99), ("p99.9 ms", p999), ("max ms", max)] {
            self.put(label, metric, value);
        }
        self.put(label, "cores", spent.cpu / spent.seconds);
        self.put(label, "machine cores", spent.machine / spent.seconds);
        self.put(label, "switches/record", spent.switches / outcome.records as f64);
        Ok(())
    }
}

/// This program.
pub(super) fn this() -> Command {
    Command::new(std::env::current_exe().unwrap_or_else(|_| Path::new("/proc/self/exe").to_owned()))
}

/// Runs to its end, and takes its last line of JSON.
pub(super) fn finish(command: &mut Command) -> Result<Outcome> {
    outcome(&json(command)?)
}

pub(super) fn json(command: &mut Command) -> Result<Value> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("{command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said: String = text.chars().take(1000).collect();
    ensure!(output.status.success(), "{command:?} failed: {said}");
    serde_json::from_str(text.trim()).with_context(|| format!("{command:?} said {said}"))
}

/// Of our own load, and of `bourn bench`, which names the latencies that it knows.
fn outcome(value: &Value) -> Result<Outcome> {
    let mut outcome: Outcome = serde_json::from_value(value.clone())?;
    for name in ["end_to_end_ms", "ack_ms"] {
        if let (None, Some(times)) = (outcome.latency_ms, value.get(name).filter(|times| !times.is_null())) {
            outcome.latency_ms = Some(serde_json::from_value(times.clone())?);
        }
    }
    Ok(outcome)
}

/// Kafka answers before the partitions are there.
pub(super) fn create(bootstrap: &str, name: &str, partitions: u32, configs: &[(&str, &str)]) -> Result<()> {
    let admin = admin(bootstrap)?;
    let topic = NewTopic::new(name, i32::try_from(partitions)?, TopicReplication::Fixed(1));
    let topic = configs.iter().fold(topic, |topic, (name, value)| topic.set(name, value));
    for result in block_on(admin.create_topics([&topic], &patient()))? {
        if let Err((name, error)) = result {
            bail!("{name} could not be made: {error}");
        }
    }
    Ok(())
}

/// Until each partition of these topics tells its end, and not only who is to lead it.
pub(super) fn wait_for_all(bootstrap: &str, topics: &[&str], partitions: u32) -> Result<()> {
    let mut asked = TopicPartitionList::new();
    for topic in topics {
        for partition in 0..i32::try_from(partitions)? {
            asked.add_partition_offset(topic, partition, Offset::End)?;
        }
    }
    let began = Instant::now();
    loop {
        // A new one each time: once it has heard that a topic is not there, it is slow to ask again.
        let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
        let missing = match client.offsets_for_times(asked.clone(), PATIENCE) {
            Ok(told) => told.elements().iter().find_map(|each| each.error().err()),
            Err(error) => Some(error),
        };
        let Some(missing) = missing else { return Ok(()) };
        ensure!(began.elapsed() < PATIENCE, "not every partition is there: {missing}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn admin(bootstrap: &str) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", bootstrap).create()?)
}

fn patient() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

/// librdkafka's thread completes the future.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = TaskContext::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
