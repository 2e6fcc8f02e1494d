//! `cargo xtask sim`: runs seeds of the simulator, built for speed.

use std::process::{Command, ExitCode};

use anyhow::Context;

/// The simulator is a program of its own, so that the other tasks do not wait for it to be built.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(crate::root()).args(["run", "--quiet", "--release", "--package", "bourn-sim", "--"]);
    let status = command.args(arguments).status().context("the simulator could not be started")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
