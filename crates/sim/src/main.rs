//! `bourn-sim`: runs seeds and says which broke an invariant. `cargo xtask sim` starts it, and `cargo xtask crash` its `crash`.

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((name, rest)) if name == "crash" => sim::sweep::main(rest),
        _ => sim::campaign::main(&arguments),
    }
}
