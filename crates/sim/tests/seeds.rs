//! Short runs of fixed seeds, some of each family. `cargo xtask sim --seeds N` runs many more, and longer ones.

use std::time::Duration;

use sim::{Family, Options, Report, run};

fn passes(family: Family, seed: u64, millis: u64) -> Report {
    let time = Duration::from_millis(millis);
    match run(&Options { time, family: Some(family), ..Options::new(seed) }) {
        Ok(report) => report,
        Err(failure) => {
            let last: Vec<&str> = failure.lines.iter().rev().take(40).rev().map(String::as_str).collect();
            let seconds = millis.div_ceil(1000);
            panic!(
                "{failure}\n{}\n{}\nreplay it with: cargo xtask sim --seed {seed} --family {family} --seconds {seconds}",
                failure.scenario,
                last.join("\n")
            )
        }
    }
}

fn all_pass(family: Family, seeds: &[u64], millis: u64) {
    for seed in seeds {
        let report = passes(family, *seed, millis);
        assert!(report.counts.sent > 0 && report.counts.starts >= 3, "{report}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run_line_for_line() {
    let (first, second) = (passes(Family::Mixed, 4, 3000), passes(Family::Mixed, 4, 3000));
    assert_eq!(first.trace_hash, second.trace_hash);
    assert_eq!(first.lines, second.lines);
    assert_eq!(first, second);
    assert!(first.counts.acked > 0 && first.counts.read > 0, "{first}");
}

#[test]
fn mixed_seeds_break_no_invariant() {
    all_pass(Family::Mixed, &[2, 3, 4, 5], 3000);
}

#[test]
fn crowds_break_no_invariant() {
    all_pass(Family::Crowd, &[1], 1000);
}

#[test]
fn retention_breaks_no_invariant() {
    all_pass(Family::Retention, &[1, 2, 4], 3000);
}

#[test]
fn compaction_breaks_no_invariant() {
    all_pass(Family::Compaction, &[1, 2, 4], 3000);
}

#[test]
fn changing_configs_break_no_invariant() {
    all_pass(Family::Configs, &[1, 2, 3, 4], 3000);
}

#[test]
fn transactions_break_no_invariant() {
    all_pass(Family::Transactions, &[1, 2, 3, 4, 5, 6], 3000);
}

#[test]
fn files_that_change_at_rest_break_no_invariant() {
    all_pass(Family::Rot, &[1, 2, 4, 7], 3000);
}

#[test]
fn failing_directories_break_no_invariant() {
    all_pass(Family::Directories, &[2, 3, 4], 3000);
}
