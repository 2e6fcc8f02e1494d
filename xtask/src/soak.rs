//! `cargo xtask soak`: many clients of all kinds for half an hour, and the memory of the broker meanwhile.

use std::process::{Command, ExitCode};

use anyhow::Context;

/// Builds the broker and the load for speed, and hands the arguments over: `--help` tells of them.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&cargo);
        command.current_dir(crate::root()).args(arguments);
        command
    };
    let built = command(&["build", "--quiet", "--release", "--package", "bourn"]).status();
    if !built.context("cargo could not be started")?.success() {
        return Ok(ExitCode::FAILURE);
    }
    let mut soak = command(&["run", "--quiet", "--release", "--package", "bourn-bench", "--", "soak"]);
    let status = soak.args(arguments).status().context("the load could not be started")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
