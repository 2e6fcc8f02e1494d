//! The commands as a user runs them: what they print, what they complain of, and their exit codes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod bench;
mod config;
mod consume;
mod log;
#[path = "../support/node.rs"]
mod node;
mod produce;
mod records;
mod simulate;
mod topic;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use node::Node;

/// What a command has done.
#[derive(Debug)]
struct Done {
    code: i32,
    out: String,
    errors: String,
}

impl Done {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), errors: text(output.stderr) }
    }

    /// It has failed, and said all of this.
    #[track_caller]
    fn fails(&self, words: &[&str]) {
        assert_eq!(self.code, 1, "{self:?}");
        assert!(words.iter().all(|word| self.errors.contains(word)), "{words:?} in {self:?}");
        assert!(!self.errors.contains("panicked"), "{self:?}");
    }

    /// It has succeeded and printed this.
    #[track_caller]
    fn prints(&self, text: &str) {
        assert_eq!((self.code, self.out.as_str()), (0, text), "{self:?}");
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn bourn(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bourn"));
    command.env_remove("BOURN_BOOTSTRAP_SERVERS").args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Done {
    Done::of(bourn(arguments).output().unwrap())
}

/// With a broker to talk to.
fn with(node: &Node, arguments: &[&str]) -> Done {
    let mut command = bourn(arguments);
    Done::of(command.env("BOURN_BOOTSTRAP_SERVERS", node.address()).output().unwrap())
}

fn fed(node: &Node, arguments: &[&str], input: &[u8]) -> Done {
    let mut command = bourn(arguments);
    command.env("BOURN_BOOTSTRAP_SERVERS", node.address());
    let mut process =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may end before it has read all.
    let _ = process.stdin.take().unwrap().write_all(input);
    Done::of(process.wait_with_output().unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
