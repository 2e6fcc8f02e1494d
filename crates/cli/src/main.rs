//! The binary `bourn`: arguments and wiring.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage.

mod start;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "bourn",
    version,
    about = "Event streaming that speaks Apache Kafka's protocol",
    arg_required_else_help = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a broker. Needs no configuration: listens on 127.0.0.1:9092, keeps its data in ./bourn-data
    Start(start::Start),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Start(start) => start.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bourn: {error:#}");
            ExitCode::FAILURE
        }
    }
}
