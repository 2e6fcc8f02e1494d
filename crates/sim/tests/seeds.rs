//! Short runs of fixed seeds. `cargo xtask sim --seeds N` runs many more, and longer ones.

use std::time::Duration;

use sim::{Options, Report, run};

fn options(seed: u64) -> Options {
    Options { time: Duration::from_secs(3), ..Options::new(seed) }
}

fn passes(seed: u64) -> Report {
    match run(&options(seed)) {
        Ok(report) => report,
        Err(failure) => panic!("{failure}\n{}\n{}", failure.scenario, failure.lines.join("\n")),
    }
}

#[test]
fn the_same_seed_gives_the_same_run_line_for_line() {
    let (first, second) = (passes(4), passes(4));
    assert_eq!(first.trace_hash, second.trace_hash);
    assert_eq!(first.lines, second.lines);
    assert_eq!(first, second);
    assert!(first.counts.acked > 0 && first.counts.read > 0, "{first}");
}

#[test]
fn fixed_seeds_break_no_invariant() {
    for seed in [1, 3, 5, 6] {
        let report = passes(seed);
        assert!(report.counts.sent > 0 && report.counts.starts >= 3, "{report}");
    }
}
