//! [`Compare`]: both brokers in turn under every workload, on the same disk, and the floors between them.
//!
//! Invariants:
//! * A turn begins with an empty directory and a new process for each system, warms it up, and leaves nothing behind.
//! * Systems alternate, and the one that began a turn is the second of the next.
//! * Raw results are written after every turn, so that a run that is ended keeps what it has.

mod broker;
mod floors;
mod sizes;
mod turn;
pub(crate) mod wire;
mod works;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

pub(crate) use self::broker::Broker;
use self::broker::Kind;
use self::floors::Floors;
use self::sizes::Sizes;
use self::turn::Turn;
use self::works::Work;
use crate::report::{About, Run, Sample};

#[derive(Args)]
pub(crate) struct Compare {
    /// Only this workload; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<Work>,
    /// Sizes that take minutes, and say less
    #[arg(long)]
    quick: bool,
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    turns: u32,
    /// Only this one; may be repeated
    #[arg(long, value_name = "NAME")]
    system: Vec<System>,
    /// The stripped release binary
    #[arg(long, default_value = "target/release/bourn")]
    bourn: PathBuf,
    /// A config of Bourn's broker; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    bourn_set: Vec<String>,
    /// Where Kafka's jars are
    #[arg(long, default_value = "compat/.cache/java")]
    jars: PathBuf,
    #[arg(long, default_value = "java")]
    java: PathBuf,
    /// On the disk that is to be measured; what is made in it is removed again
    #[arg(long, default_value = "bench/.cache/data")]
    dir: PathBuf,
    /// Raw results, as JSON
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The table, which standard output gets in any case
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Profiles of the broker under each load, by perf; they cost something, so do not compare those numbers
    #[arg(long, value_name = "DIR")]
    perf: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum System {
    Kafka,
    Bourn,
    Floor,
}

impl Compare {
    pub(crate) fn run(mut self) -> Result<()> {
        self.bourn = std::fs::canonicalize(&self.bourn)
            .with_context(|| format!("{}: build it first", self.bourn.display()))?;
        std::fs::create_dir_all(&self.dir)?;
        self.dir = std::fs::canonicalize(&self.dir)?;
        if let Some(perf) = &self.perf {
            std::fs::create_dir_all(perf)?;
        }
        let sizes = if self.quick { Sizes::QUICK } else { Sizes::FULL };
        let mut run = Run { about: self.about()?, ..Run::default() };
        for turn in 1..=self.turns {
            let mut order = [System::Floor, System::Kafka, System::Bourn];
            if turn.is_multiple_of(2) {
                order = [System::Bourn, System::Kafka, System::Floor];
            }
            for system in order {
                if !self.system.is_empty() && !self.system.contains(&system) {
                    continue;
                }
                eprintln!("turn {turn}: {system:?}");
                match system {
                    System::Floor => Floors::new(&self, &sizes, turn, &mut run.samples)?.run()?,
                    System::Kafka => self.turn(Kind::Kafka, (&sizes, turn), &mut run)?,
                    System::Bourn => self.turn(Kind::Bourn, (&sizes, turn), &mut run)?,
                }
                if let Some(path) = &self.output {
                    run.save(path)?;
                }
            }
        }
        let text = run.markdown();
        print!("{text}");
        if let Some(path) = &self.markdown {
            std::fs::write(path, text)?;
        }
        ensure!(run.failures.is_empty(), "{} works failed", run.failures.len());
        Ok(())
    }

    /// Everything that this system does in a turn: most works on one broker, some on one of their own. A work that
    /// fails does not end those after it.
    fn turn(&self, kind: Kind, (sizes, number): (&Sizes, u32), run: &mut Run) -> Result<()> {
        let Run { samples, failures, .. } = run;
        let mut failed = |work: Work, result: Result<()>| {
            if let Err(error) = result {
                eprintln!("{} on {}: {error:#}", work.name(), kind.name());
                failures.push(format!("turn {number}, {} on {}: {error:#}", work.name(), kind.name()));
            }
        };
        let brokers = self.works().filter(|work| *work != Work::Sync);
        let (own, shared): (Vec<Work>, Vec<Work>) = brokers.partition(|work| work.is_alone());
        if !shared.is_empty() {
            let dir = self.empty(kind.name())?;
            let broker = Broker::start(self, kind, &dir)?;
            let mut turn = Turn::new(self, sizes, &broker, (kind, number), samples)?;
            works::start::measure(&mut turn)?;
            turn.warm_up()?;
            for work in shared {
                eprintln!("  {} {}", kind.name(), work.name());
                failed(work, work.run(&mut turn));
            }
            works::start::measure_after(&mut turn)?;
            turn.finish()?;
            broker.stop()?;
            std::fs::remove_dir_all(&dir)?;
        }
        for work in own {
            eprintln!("  {} {}", kind.name(), work.name());
            let dir = self.empty(kind.name())?;
            failed(work, self.alone(work, kind, (sizes, number), (&dir, &mut *samples)));
            std::fs::remove_dir_all(&dir)?;
        }
        Ok(())
    }

    fn alone(
        &self,
        work: Work,
        kind: Kind,
        (sizes, number): (&Sizes, u32),
        (dir, samples): (&Path, &mut Vec<Sample>),
    ) -> Result<()> {
        let broker = Broker::start(self, kind, dir)?;
        let mut turn = Turn::new(self, sizes, &broker, (kind, number), samples)?;
        work.run(&mut turn)?;
        broker.stop()?;
        match work {
            Work::Partitions => works::partitions::restart(self, sizes, (kind, number), dir, samples),
            Work::Offsets => works::groups::restart(self, sizes, (kind, number), dir, samples),
            _ => Ok(()),
        }
    }

    fn works(&self) -> impl Iterator<Item = Work> {
        let wanted = |work: &Work| self.only.is_empty() || self.only.contains(work);
        Work::value_variants().iter().copied().filter(wanted)
    }

    fn empty(&self, name: &str) -> Result<PathBuf> {
        let dir = self.dir.join(name);
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir_all(&dir)?;
        Ok(dir)
    }

    fn about(&self) -> Result<About> {
        let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
        let value = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = value(&std::fs::read_to_string("/proc/meminfo")?, "MemTotal").unwrap_or_default();
        let kib: f64 = memory.split_whitespace().next().unwrap_or("0").parse()?;
        Ok(About {
            size: if self.quick { "quick" } else { "full" }.to_owned(),
            kafka: self.kafka_version()?,
            java: said(Command::new(&self.java).arg("-version"))?,
            bourn: said(Command::new(&self.bourn).arg("--version"))?,
            cpu: value(&cpu, "model name").unwrap_or_default(),
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: kib / f64::from(1 << 20),
            kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        })
    }

    /// From the name of its server's jar.
    fn kafka_version(&self) -> Result<String> {
        let jars = std::fs::read_dir(&self.jars)
            .with_context(|| format!("{}: Kafka's jars are not there", self.jars.display()))?;
        for jar in jars {
            let name = jar?.file_name().to_string_lossy().into_owned();
            if let Some(version) = name.strip_prefix("kafka_2.13-") {
                return Ok(version.trim_end_matches(".jar").to_owned());
            }
        }
        anyhow::bail!("{} has no jar of Kafka", self.jars.display())
    }
}

/// The first line.
fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed");
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
}

fn path_words(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
