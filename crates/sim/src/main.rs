//! `bourn-sim`: runs seeds and says which broke an invariant. `cargo xtask sim` starts it.

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    sim::campaign::main(&arguments)
}
