//! `bourn start` as a process, and what is around it.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// The reader of the log may go away (`bourn start 2>&1 | head`), or its disk may be full: lines are lost then, and
/// nothing else. A panic of the logger once ended shards and kept a stop from being clean.
#[test]
fn goes_on_and_stops_cleanly_when_nobody_reads_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bourn"));
    command.args(["start", "--set", "listeners=PLAINTEXT://127.0.0.1:0", "--data-dir"]).arg(directory.path());
    let mut process =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(process.stderr.take());
    let mut ready = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let terminate = Command::new("kill").arg(process.id().to_string()).status().unwrap();
    assert!(terminate.success());
    let status = process.wait().unwrap();
    assert!(status.success(), "{ready:?}, then {status}");
}
