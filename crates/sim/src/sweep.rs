//! A life of the family `steps` over and over: in each of its runs another operation on the broker's disk fails, or is the last
//! one before the power does.

use std::process::ExitCode;
use std::time::Duration;

use crate::campaign::tell_lines;
use crate::history::Counts;
use crate::{Blow, Failure, Family, Options, Report, Strike, run};

const USAGE: &str = "usage: cargo xtask crash [--seeds N] [--from S] [--seed X] [--fault F] [--runs R] [--operation K] [--log LINES]

  --seeds N      lives, one after the other [default: 5]
  --from S       the first one [default: 1]
  --seed X       one life
  --fault F      power-loss, kill, eio, eio-for-a-while, enospc or enospc-for-a-while [default: all]
  --runs R       of each life and fault, at operations evenly apart; 0 for one at every operation [default: 100]
  --operation K  one run, with the fault at this operation
  --log LINES    print so many lines of the log at the end; of a failed run, 40";

/// Virtual time of a life, unless its last act comes later.
const TIME: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
struct Sweep {
    from: u64,
    seeds: u64,
    faults: Vec<Blow>,
    runs: u64,
    operation: Option<u64>,
    log: Option<usize>,
}

impl Sweep {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut this =
            Self { from: 1, seeds: 5, faults: Blow::ALL.to_vec(), runs: 100, operation: None, log: None };
        for pair in arguments.chunks(2) {
            let [name, value] = pair else { return Err(format!("{pair:?}: a value is missing")) };
            if name == "--fault" {
                this.faults = vec![value.parse()?];
                continue;
            }
            let number: u64 = value.parse().map_err(|_| format!("{name} {value}: not a number"))?;
            match name.as_str() {
                "--seeds" => this.seeds = number,
                "--from" => this.from = number,
                "--seed" => (this.from, this.seeds) = (number, 1),
                "--runs" => this.runs = number,
                "--operation" => this.operation = Some(number),
                "--log" => this.log = Some(usize::try_from(number).unwrap_or(usize::MAX)),
                _ => return Err(format!("{name} is not an option")),
            }
        }
        Ok(this)
    }

    fn tell(&self, failure: &Failure, strike: Option<Strike>) {
        println!("\nFAILED {failure}\n\n{}\n", failure.scenario);
        tell_lines(&failure.lines, self.log.unwrap_or(40));
        println!("\nreplay it with: {}\n", replay(failure.seed, strike));
    }

    /// The runs of one life; `None` if not even the one in which nothing fails is good.
    fn sweep(&self, seed: u64) -> Option<Outcome> {
        let whole = match life(seed, None) {
            Ok(report) => report,
            Err(failure) => {
                self.tell(&failure, None);
                return None;
            }
        };
        let mut outcome = Outcome { runs: 1, failed: 0, counts: whole.counts };
        for blow in &self.faults {
            let before = (outcome.runs, outcome.failed);
            for operation in self.operations(seed, whole.operations) {
                self.one(seed, Strike { operation, blow: *blow }, &mut outcome);
            }
            println!(
                "seed {seed}, {} operations: {} runs with {blow}, {} failed",
                whole.operations,
                outcome.runs - before.0,
                outcome.failed - before.1
            );
        }
        Some(outcome)
    }

    fn one(&self, seed: u64, strike: Strike, outcome: &mut Outcome) {
        outcome.runs += 1;
        match life(seed, Some(strike)) {
            Ok(report) => {
                outcome.counts.add(&report.counts);
                tell_lines(&report.lines, self.log.unwrap_or(0));
            }
            Err(failure) => {
                self.tell(&failure, Some(strike));
                outcome.failed += 1;
            }
        }
    }

    /// Where it fails.
    fn operations(&self, seed: u64, all: u64) -> Vec<u64> {
        if let Some(operation) = self.operation {
            return vec![operation];
        }
        let apart = if self.runs == 0 { 1 } else { all.div_ceil(self.runs).max(1) };
        let first = 1 + seed % apart;
        (first..=all).step_by(usize::try_from(apart).unwrap_or(usize::MAX)).collect()
    }
}

struct Outcome {
    runs: u64,
    failed: u64,
    counts: Counts,
}

/// One run of a life.
pub fn life(seed: u64, strike: Option<Strike>) -> Result<Report, Box<Failure>> {
    let verbose = std::env::var_os("BOURN_VERBOSE").is_some();
    run(&Options { time: TIME, family: Some(Family::Steps), strike, verbose, ..Options::new(seed) })
}

/// The command that does it again.
#[must_use]
pub fn replay(seed: u64, strike: Option<Strike>) -> String {
    match strike {
        Some(Strike { operation, blow }) => {
            format!("cargo xtask crash --seed {seed} --fault {blow} --operation {operation}")
        }
        None => {
            format!("cargo xtask sim --seed {seed} --family {} --seconds {}", Family::Steps, TIME.as_secs())
        }
    }
}

/// Runs what the arguments say. Fails when a run did.
pub fn main(arguments: &[String]) -> ExitCode {
    let sweep = match Sweep::parse(arguments) {
        Ok(sweep) => sweep,
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let (mut runs, mut failed, mut counts) = (0, 0, Counts::default());
    for seed in sweep.from..sweep.from.saturating_add(sweep.seeds) {
        match sweep.sweep(seed) {
            Some(outcome) => {
                runs += outcome.runs;
                failed += outcome.failed;
                counts.add(&outcome.counts);
            }
            None => failed += 1,
        }
    }
    println!("{runs} runs of {} lives, {failed} failed; {counts}", sweep.seeds);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
