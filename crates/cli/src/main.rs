//! The binary `bourn`: arguments and wiring.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage.

mod bench;
mod completion;
mod config;
mod consume;
mod context;
mod log;
mod output;
mod produce;
mod settings;
mod simulate;
mod start;
mod time;
mod topic;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use context::Globals;

#[derive(Parser)]
#[command(
    name = "bourn",
    version,
    about = "Event streaming that speaks Apache Kafka's protocol",
    arg_required_else_help = true
)]
struct Arguments {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a broker. Needs no configuration: listens on 127.0.0.1:9092, keeps its data in ./bourn-data
    Start(start::Start),
    /// Create, list, describe, alter and delete topics, delete their records
    #[command(subcommand)]
    Topic(topic::Topic),
    /// Write records: lines, CSV or JSON lines from standard input or a file
    Produce(produce::Produce),
    /// Read records
    Consume(consume::Consume),
    /// Describe, alter and list configs of topics, brokers, metrics subscriptions and groups
    #[command(subcommand)]
    Config(config::Config),
    /// Measure throughput and latency of any Kafka-compatible cluster
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Look into the files of a log, or at the directories of a broker
    #[command(subcommand)]
    Log(log::Log),
    Simulate(simulate::Simulate),
    Completion(completion::Completion),
}

fn main() -> ExitCode {
    let Arguments { globals, command } = Arguments::parse();
    let result = match command {
        Command::Start(start) => start.run(),
        Command::Topic(topic) => topic.run(&globals),
        Command::Produce(produce) => produce.run(&globals),
        Command::Consume(consume) => consume.run(&globals),
        Command::Config(config) => config.run(&globals),
        Command::Bench(bench) => bench.run(&globals),
        Command::Log(log) => log.run(&globals),
        Command::Simulate(simulate) => simulate.run(&globals),
        Command::Completion(completion) => completion.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has seen enough.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bourn: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn help(path: &[&str]) -> String {
        let mut command = Arguments::command().term_width(100);
        command.build();
        let mut command = &mut command;
        for name in path {
            command = command.find_subcommand_mut(name).expect("a subcommand");
        }
        command.clone().term_width(100).render_long_help().to_string()
    }

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_texts() {
        for path in [
            &["topic"][..],
            &["topic", "create"],
            &["topic", "list"],
            &["topic", "describe"],
            &["topic", "alter"],
            &["topic", "delete"],
            &["topic", "delete-records"],
            &["config"],
            &["config", "describe"],
            &["config", "alter"],
            &["config", "list"],
            &["produce"],
            &["consume"],
            &["bench"],
            &["bench", "produce"],
            &["bench", "consume"],
            &["bench", "latency"],
            &["log"],
            &["log", "dirs"],
            &["log", "dump"],
            &["log", "verify"],
            &["simulate"],
            &["completion"],
        ] {
            insta::assert_snapshot!(format!("help_{}", path.join("_")), help(path));
        }
    }
}
