//! `cargo xtask sim` and `cargo xtask crash`: run seeds of the simulator, built for speed.

use std::process::{Command, ExitCode};

use anyhow::Context;

/// Seeds, with faults as they come.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    simulator(&[], arguments)
}

/// Lives over and over, with a fault at another operation on the disk in each.
pub(crate) fn crash(arguments: &[String]) -> anyhow::Result<ExitCode> {
    simulator(&["crash"], arguments)
}

/// The simulator is a program of its own, so that the other tasks do not wait for it to be built.
fn simulator(first: &[&str], arguments: &[String]) -> anyhow::Result<ExitCode> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(crate::root()).args(["run", "--quiet", "--release", "--package", "bourn-sim", "--"]);
    let status = command.args(first).args(arguments).status();
    let status = status.context("the simulator could not be started")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
