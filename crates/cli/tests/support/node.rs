//! [`Node`]: a broker in a process of its own, which can be killed and comes back.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

#[allow(dead_code, reason = "not every test program uses all of it")]
pub(crate) struct Node {
    process: Child,
    directory: TempDir,
    settings: Vec<String>,
    port: u16,
}

#[allow(dead_code, reason = "not every test program uses all of it")]
impl Node {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With settings as `--set` takes them.
    pub(crate) fn with(settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let (process, port) = launch(&directory, &settings, 0);
        Self { process, directory, settings, port }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where its partitions are.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// What it has logged so far.
    pub(crate) fn logged(&self) -> String {
        fs::read_to_string(log_of(&self.directory)).unwrap()
    }

    /// Kills the process in the middle of whatever it does, and starts another on the same data and port.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// Stops it cleanly.
    pub(crate) fn stop(&mut self) {
        let kill = format!("kill -TERM {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
    }

    pub(crate) fn restart(&mut self) {
        (self.process, self.port) = launch(&self.directory, &self.settings, self.port);
    }

    /// Starts another process on the same data, and kills it when its log has grown by so many bytes, or says nothing
    /// more because it is ready.
    pub(crate) fn kill_while_it_starts(&mut self, log_bytes: u64) {
        let len = |directory| fs::metadata(log_of(directory)).map_or(0, |log| log.len());
        let before = len(&self.directory);
        let mut process = spawn(&self.directory, &self.settings, self.port);
        let mut ready = process.stdout.take().unwrap();
        let (is_ready, when_ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // Nobody may wait for it any more.
            let _ = is_ready.send(std::io::Read::read(&mut ready, &mut [0; 1]).is_ok());
        });
        while len(&self.directory) < before + log_bytes && when_ready.try_recv().is_err() {
            std::thread::yield_now();
        }
        self.process = process;
        self.kill();
    }

    pub(crate) fn kill(&mut self) {
        // It may have been killed before.
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        let log = fs::read_to_string(log_of(&self.directory)).unwrap_or_default();
        if std::thread::panicking() {
            eprintln!("what the broker said:\n{log}");
        } else {
            assert!(!log.contains("panicked"), "{log}");
        }
    }
}

fn log_of(directory: &TempDir) -> PathBuf {
    directory.path().join("log")
}

fn spawn(directory: &TempDir, settings: &[String], port: u16) -> Child {
    let log = File::options().create(true).append(true).open(log_of(directory)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bourn"));
    command.arg("start").arg("--data-dir").arg(directory.path().join("data"));
    command.arg("--set").arg(format!("listeners=PLAINTEXT://127.0.0.1:{port}"));
    for setting in settings {
        command.arg("--set").arg(setting);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().expect("the binary runs")
}

/// Returns when the broker says that it is ready, with the port that it listens on.
fn launch(directory: &TempDir, settings: &[String], port: u16) -> (Child, u16) {
    let mut process = spawn(directory, settings, port);
    let mut ready = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let endpoint = ready.split_once("PLAINTEXT://127.0.0.1:").and_then(|(_, rest)| rest.split(' ').next());
    let Some(port) = endpoint.and_then(|port| port.parse().ok()) else {
        let log = fs::read_to_string(log_of(directory)).unwrap_or_default();
        panic!("the broker did not start: {ready:?}\n{log}");
    };
    (process, port)
}
