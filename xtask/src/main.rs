//! Tasks of the repository: one module a subcommand, `cargo xtask <name>` runs it.

use std::process::ExitCode;

mod codegen;
mod fuzz;
mod kill9;
mod sim;
mod soak;
mod tidy;

struct Task {
    name: &'static str,
    help: &'static str,
    run: fn(&[String]) -> anyhow::Result<ExitCode>,
}

const TASKS: &[Task] = &[
    Task {
        name: "codegen",
        help: "write the messages of the protocol from Kafka's definitions",
        run: codegen::run,
    },
    Task {
        name: "crash",
        help: "let every operation on a simulated disk fail; --help tells more",
        run: sim::crash,
    },
    Task { name: "fuzz", help: "look for inputs that break a target of fuzz/", run: fuzz::run },
    Task {
        name: "kill9",
        help: "kill a real broker under load many times, and check what is left",
        run: kill9::run,
    },
    Task { name: "sim", help: "run seeds of the simulator; --help tells more", run: sim::run },
    Task {
        name: "soak",
        help: "hold the broker's memory against its budget for half an hour",
        run: soak::run,
    },
    Task { name: "tidy", help: "check layers, purity, sizes and test manners", run: tidy::run },
];

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, rest) = match arguments.split_first() {
        Some((name, rest)) => (name.as_str(), rest),
        None => ("help", &[][..]),
    };
    if let Some(task) = TASKS.iter().find(|task| task.name == name) {
        return (task.run)(rest);
    }
    eprintln!("usage: cargo xtask <task> [arguments]\n");
    for task in TASKS {
        eprintln!("  {:<12} {}", task.name, task.help);
    }
    Ok(if matches!(name, "help" | "--help" | "-h") { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// The root of the workspace: tasks work on it wherever they are started from.
pub(crate) fn root() -> std::path::PathBuf {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
