//! `cargo xtask kill9`: kills a real broker under the load of librdkafka, again and again, and checks what is left.

use std::process::{Command, ExitCode};

use anyhow::{Context, bail};

const USAGE: &str = "usage: cargo xtask kill9 [--kills N] [--seed S]

  --kills N  how often the broker is killed [default: 200]
  --seed S   decides when [default: 1]";

/// The test that `cargo test` runs for a few kills, for many.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let (mut kills, mut seed) = (200_u64, 1_u64);
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--kills" => kills = value.parse().context("--kills takes a number")?,
            [name, value] if name == "--seed" => seed = value.parse().context("--seed takes a number")?,
            _ => bail!("{USAGE}"),
        }
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(crate::root()).args([
        "test",
        "--quiet",
        "--package",
        "bourn",
        "--test",
        "foreign_clients",
    ]);
    command.args(["what_is_acknowledged_outlives_kill_9", "--", "--nocapture"]);
    command.env("BOURN_KILLS", kills.to_string()).env("BOURN_KILL_SEED", seed.to_string());
    let status = command.status().context("the test could not be started")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
