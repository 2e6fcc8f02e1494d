//! Lives in which an operation on the disk fails. `cargo xtask crash --seeds N` has many more of them fail, in more lives.

use sim::sweep::{life, replay};
use sim::{Blow, Strike};

/// So many operations of a life fail in each way.
const POINTS: u64 = 3;

fn passes(seed: u64, strike: Option<Strike>) -> sim::Report {
    life(seed, strike).unwrap_or_else(|failure| {
        let last: Vec<&str> = failure.lines.iter().rev().take(40).rev().map(String::as_str).collect();
        panic!(
            "{failure}\n{}\n{}\nreplay it with: {}",
            failure.scenario,
            last.join("\n"),
            replay(seed, strike)
        )
    })
}

#[test]
fn whatever_fails_nothing_acknowledged_is_lost() {
    let seed = 1;
    let whole = passes(seed, None);
    assert!(whole.counts.acked > 100 && whole.counts.starts > 3, "{whole}");
    assert!(whole.operations > 500 && whole.struck.is_none(), "{} operations", whole.operations);
    for (number, blow) in (0..).zip(Blow::ALL) {
        for point in 0..POINTS {
            // Others for each fault.
            let apart = whole.operations / POINTS;
            let operation = 1 + point * apart + number * apart / 6;
            passes(seed, Some(Strike { operation, blow }));
        }
    }
}

/// Each has cost everything: see docs/reliability.md.
#[test]
fn what_was_found_stays_mended() {
    let found = [
        (1, 296, Blow::Full),
        (1, 162, Blow::DeviceFor),
        (102, 65, Blow::Device),
        (103, 104, Blow::DeviceFor),
        (105, 6, Blow::DeviceFor),
    ];
    for (seed, operation, blow) in found {
        passes(seed, Some(Strike { operation, blow }));
    }
}

#[test]
fn a_strike_hits_its_operation() {
    for blow in Blow::ALL {
        let report = passes(1, Some(Strike { operation: 200, blow }));
        let (operation, _) = report.struck.expect("there are more operations");
        // Not every operation needs room.
        assert!(
            operation == 200 || (operation > 200 && matches!(blow, Blow::Full | Blow::FullFor)),
            "{blow}: {operation}"
        );
    }
}
