//! One life of the logs over and over: in each of its runs another operation on the disk fails, or is the last one before the power
//! does. What was acknowledged by then survives, and the rest of the life goes on from there.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use host::sim::{Failing, Strike};

use super::*;

/// Once, and until the process ends, which it does when it sees an error.
const BLOWS: [(Failing, u64); 5] = [
    (Failing::Power, 1),
    (Failing::Device, 1),
    (Failing::Device, u64::MAX),
    (Failing::Full, 1),
    (Failing::Full, u64::MAX),
];

thread_local! {
    /// Errors of the disk end a run in the way of a bug; nobody is to read about each.
    static IS_EXPECTED: Cell<bool> = const { Cell::new(false) };
}

fn silence_expected_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !IS_EXPECTED.get() {
            usual(info);
        }
    }));
}

/// Everything that a log does, a little of each.
fn life() -> Vec<Step> {
    let append =
        |partition, n: u8| Step::Append { partition, records: n % 3 + 1, bytes: u16::from(n % 7) * 20 };
    let journal = [false, true].map(|sync| Step::Journal { sync });
    let mut steps = vec![Step::Grow];
    let mut n = 0;
    let appends = |steps: &mut Vec<Step>, n: &mut u8, count: u8| {
        for _ in 0..count {
            steps.push(append(*n % PARTITIONS, *n));
            *n += 1;
        }
        steps.extend(journal.clone());
    };
    appends(&mut steps, &mut n, 12);
    for partition in 0..PARTITIONS {
        steps.extend([Step::Write { partition }, Step::Sync { partition }]);
    }
    appends(&mut steps, &mut n, 9);
    steps.extend([Step::Grow, Step::Checkpoint, Step::Kill]);
    appends(&mut steps, &mut n, 20);
    steps.push(Step::Compact { partition: 0, die_after: None });
    appends(&mut steps, &mut n, 9);
    steps.push(Step::Truncate { partition: 1, batches: 2 });
    steps.extend(journal.clone());
    appends(&mut steps, &mut n, 6);
    steps.extend([Step::Write { partition: 1 }, Step::Sync { partition: 1 }, Step::PowerLoss]);
    steps.extend([Step::Again { partition: 2 }, Step::StartAt { partition: 2, by: 4 }]);
    steps.extend(journal.clone());
    steps.extend([Step::Tidy { partition: 2 }, Step::Retain { partition: 0 }]);
    steps.extend(journal.clone());
    steps.extend([Step::Tidy { partition: 0 }, Step::Checkpoint]);
    appends(&mut steps, &mut n, 6);
    steps.extend((0..PARTITIONS).map(|partition| Step::Read { partition, at: 1, bytes: 2_000 }));
    steps
}

/// How many operations there were until the end, and whether the strike was at one of them.
fn run(steps: &[Step], strike: Option<Strike>) -> (u64, bool) {
    let mut world = World::new(7);
    if let Some(strike) = strike {
        world.disk.strike(strike);
    }
    let mut is_hit = false;
    for step in steps {
        IS_EXPECTED.set(strike.is_some());
        let ended = catch_unwind(AssertUnwindSafe(|| world.run(step)));
        IS_EXPECTED.set(false);
        let Err(panic) = ended else { continue };
        if world.disk.struck().is_none() || is_hit {
            resume_unwind(panic);
        }
        is_hit = true;
        world.disk.clear_strike();
        world.disk.crash();
        world.recover(world.synced);
    }
    let operations = world.disk.operations();
    is_hit |= world.disk.clear_strike().is_some();
    world.disk.crash();
    world.recover(world.synced);
    (operations, is_hit)
}

/// BOURN_OPERATIONS_APART=1 has each of them fail, and not some.
#[test]
fn every_operation_may_fail_and_nothing_acknowledged_is_lost() {
    let apart = std::env::var("BOURN_OPERATIONS_APART").map_or(29, |text| text.parse().expect("a number"));
    silence_expected_panics();
    let steps = life();
    let first = World::new(7).disk.operations() + 1;
    let (last, _) = run(&steps, None);
    assert!(last - first > 300, "{first} to {last}");
    for (number, (failing, times)) in BLOWS.into_iter().enumerate() {
        for operation in (first + number as u64..=last).step_by(apart) {
            let strike = Strike { operation, times, failing };
            let ended = catch_unwind(|| run(&steps, Some(strike)));
            let (_, is_hit) = ended.unwrap_or_else(|panic| {
                eprintln!("{strike:?} of {first} to {last}");
                resume_unwind(panic)
            });
            assert!(is_hit || failing == Failing::Full, "{strike:?} of {first} to {last}");
        }
    }
}
