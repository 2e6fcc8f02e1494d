//! [`Floors`]: runs the loops of `floor` for each workload that has one.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::sizes::Sizes;
use super::turn::{json, this};
use super::works::Work;
use super::{Compare, path_words};
use crate::floor::Mode;
use crate::load::Percentiles;
use crate::report::{ANY, FLOOR, Label, Sample};

pub(super) struct Floors<'a> {
    options: &'a Compare,
    sizes: &'a Sizes,
    turn: u32,
    samples: &'a mut Vec<Sample>,
    dir: PathBuf,
}

/// About what a client with five requests in flight gets from a broker.
const RATE: &str = "10000";

/// What one loop did.
struct Done {
    units: f64,
    seconds: f64,
    cpu: f64,
}

impl<'a> Floors<'a> {
    pub(super) fn new(
        options: &'a Compare,
        sizes: &'a Sizes,
        turn: u32,
        samples: &'a mut Vec<Sample>,
    ) -> Result<Self> {
        let dir = options.empty(FLOOR)?;
        Ok(Self { options, sizes, turn, samples, dir })
    }

    pub(super) fn run(mut self) -> Result<()> {
        let works: Vec<Work> = self.options.works().collect();
        for work in works {
            match work {
                Work::ProduceKib => self.receive(work)?,
                Work::Single => self.single(work)?,
                Work::Consume => self.consume(work)?,
                Work::Sync => self.sync(work)?,
                _ => {}
            }
        }
        Ok(std::fs::remove_dir_all(&self.dir)?)
    }

    fn put(&mut self, label: &Label, metric: &str, value: f64) {
        let (turn, system) = (self.turn, FLOOR.to_owned());
        self.samples.push(Sample { turn, system, label: label.clone(), metric: metric.to_owned(), value });
    }

    fn receive(&mut self, work: Work) -> Result<()> {
        let label = Label::new(work.name(), ANY, ANY);
        let path = self.dir.join("received");
        rustix::fs::sync();
        let done = exchange(Mode::Receive, &path, self.sizes.bulk, &[])?;
        self.put(&label, "MB/s", done.units / 1e6 / done.seconds);
        self.put(&label, "CPU-s/GB", done.cpu * 1e9 / done.units);
        Ok(std::fs::remove_file(path)?)
    }

    fn single(&mut self, work: Work) -> Result<()> {
        for (mode, case) in [(Mode::AnswerSynced, "synced"), (Mode::Answer, "buffered")] {
            rustix::fs::sync();
            let path = self.dir.join("answered");
            let all = self.sizes.singles.to_string();
            let label = Label::new(work.name(), case, ANY);
            let done = exchange(mode, &path, 0, &["--requests", &all])?;
            self.put(&label, "records/s", done.units / done.seconds);
            // A loop that never sleeps is cheaper than one that brokers can be compared with.
            let done = exchange(mode, &path, 0, &["--requests", &all, "--rate", RATE])?;
            self.put(&label, "CPU-us/record", done.cpu * 1e6 / done.units);
            std::fs::remove_file(path)?;
        }
        Ok(())
    }

    fn consume(&mut self, work: Work) -> Result<()> {
        let path = self.dir.join("sent");
        exchange(Mode::Receive, &path, self.sizes.bulk, &[])?;
        for (mode, case) in [(Mode::Sendfile, "disk"), (Mode::Writev, "memory")] {
            rustix::fs::sync();
            uncache(&path)?;
            let done = exchange(mode, &path, self.sizes.bulk, &[])?;
            let label = Label::new(work.name(), case, ANY);
            self.put(&label, "MB/s", done.units / 1e6 / done.seconds);
            self.put(&label, "CPU-s/GB", done.cpu * 1e9 / done.units);
        }
        Ok(std::fs::remove_file(path)?)
    }

    fn sync(&mut self, work: Work) -> Result<()> {
        for (case, flag) in [("quiet", None), ("beside segment writes", Some("--beside"))] {
            rustix::fs::sync();
            let mut command = this();
            command.args(["floor", "sync", "--rounds", &self.sizes.syncs.to_string()]).args(flag);
            let value = json(command.arg("--dir").arg(&self.dir))?;
            let times = value.get("latency_ms").context("no latency_ms")?;
            let Percentiles { p50, p99, p999, max } = serde_json::from_value(times.clone())?;
            let label = Label::new(work.name(), case, "");
            for (metric, value) in [("p50 ms", p50), ("p99 ms", p99), ("p99.9 ms", p999), ("max ms", max)] {
                self.put(&label, metric, value);
            }
            self.put(&label, "CPU-us/sync", number(&value, "cpu_us")?);
        }
        Ok(())
    }
}

/// Both ends of a loop, each a process.
fn exchange(mode: Mode, file: &Path, bytes: u64, asked: &[&str]) -> Result<Done> {
    let bytes = bytes.to_string();
    let mut serve = this();
    serve.args(["floor", "serve", mode.name(), "--bytes", &bytes, "--file", &path_words(file)]);
    let mut serve = serve.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut said = BufReader::new(serve.stdout.take().context("its output is piped")?).lines();
    let port = said.next().context("the floor did not begin")??;
    let drive = |command: &mut Command| command.stdin(Stdio::null()).status();
    let status =
        drive(this().args(["floor", "drive", mode.name(), "--port", &port, "--bytes", &bytes]).args(asked))?;
    ensure!(status.success(), "the floor's other end failed");
    let line = said.next().context("the floor did not end")??;
    ensure!(serve.wait()?.success(), "the floor failed");
    let value: Value = serde_json::from_str(&line)?;
    Ok(Done {
        units: number(&value, "done")?,
        seconds: number(&value, "seconds")?,
        cpu: number(&value, "cpu_seconds")?,
    })
}

fn number(value: &Value, name: &str) -> Result<f64> {
    value.get(name).and_then(Value::as_f64).with_context(|| format!("no {name}"))
}

/// Everything below a path, out of the page cache: what is read next is read from the disk.
pub(super) fn uncache(path: &Path) -> Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            uncache(&entry?.path())?;
        }
    } else if let Ok(file) = std::fs::File::open(path) {
        // Else the broker has just removed it.
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok(())
}
