//! [`Broker`]: one process of either kind, from an empty directory to its end.
//!
//! Bourn runs with its defaults, so writes are synced. Kafka runs with its own, as its start script and its sample
//! configuration have them: the JVM's options are the script's, with a heap of 1 GiB; one node has one replica of everything.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::{Compare, path_words, wire};
use crate::report::{BOURN, KAFKA};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Kafka,
    Bourn,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kafka => KAFKA,
            Self::Bourn => BOURN,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Broker {
    child: Child,
    port: u16,
    dir: PathBuf,
    /// From the start of the process to the first answer that names a broker.
    pub(super) ready: Duration,
}

const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(1);

impl Broker {
    /// On what is in `dir` already, if anything is.
    pub(super) fn start(options: &Compare, kind: Kind, dir: &Path) -> Result<Self> {
        if kind == Kind::Bourn {
            return Self::bourn(&options.bourn, &options.bourn_set, dir);
        }
        let port = free_port()?;
        Self::launch(kafka(options, dir, port)?, kind, dir, port)
    }

    /// Bourn with further configs.
    pub(crate) fn bourn(bourn: &Path, configs: &[String], dir: &Path) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(bourn);
        command.arg("start").arg("--data-dir").arg(dir.join("data"));
        command.args(["--set", &format!("listeners=PLAINTEXT://127.0.0.1:{port}")]);
        for config in configs {
            command.args(["--set", config]);
        }
        Self::launch(command, Kind::Bourn, dir, port)
    }

    fn launch(mut command: Command, kind: Kind, dir: &Path, port: u16) -> Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(dir.join("log.txt"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).current_dir(dir);
        let began = Instant::now();
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        let mut broker = Self { child, port, dir: dir.to_owned(), ready: Duration::ZERO };
        while !wire::is_ready(port) {
            if let Some(status) = broker.child.try_wait()? {
                bail!("{} ended with {status}: see its log.txt in {}", kind.name(), dir.display());
            }
            ensure!(began.elapsed() < PATIENCE, "{} is not ready after {PATIENCE:?}", kind.name());
            std::thread::sleep(LOOK_EVERY);
        }
        broker.ready = began.elapsed();
        Ok(broker)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        terminate(&self.child)?;
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(began.elapsed() < PATIENCE, "the broker does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Broker {
    /// Nothing outlives a run that fails. A process that has ended is not there to be killed.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn terminate(child: &Child) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(child.id())?).context("a process has a number")?;
    Ok(kill_process(pid, Signal::TERM)?)
}

/// Free a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn kafka(options: &Compare, dir: &Path, port: u16) -> Result<Command> {
    let config = dir.join("server.properties");
    // Another start has another port, and the same data.
    let is_new = !config.exists();
    let controller = free_port()?;
    let data = path_words(&dir.join("data"));
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         log.dirs={data}\noffsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\nshare.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n"
    );
    std::fs::write(&config, text)?;
    if is_new {
        let mut format = java(options, "kafka.tools.StorageTool")?;
        format.args(["format", "-t", "Ym91cm4tYmVuY2gtMDAwMQ", "-c"]).arg(&config);
        let log = File::create(dir.join("format.txt"))?;
        let status = format.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).status()?;
        ensure!(status.success(), "Kafka's storage could not be formatted: see {}", dir.display());
    }
    let mut command = java(options, "kafka.Kafka")?;
    command.arg(config);
    Ok(command)
}

fn java(options: &Compare, class: &str) -> Result<Command> {
    let jars = std::fs::canonicalize(&options.jars)?;
    let mut command = Command::new(&options.java);
    command.args(["-Xms1g", "-Xmx1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]);
    command.args(["-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent"]);
    command.args(["-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]);
    command.arg("-cp").arg(format!("{}/*", path_words(&jars))).arg(class);
    Ok(command)
}
