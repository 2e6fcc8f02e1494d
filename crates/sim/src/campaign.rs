//! The command line: many seeds one after the other, or one with its log.

use std::process::ExitCode;
use std::time::Duration;

use crate::history::Counts;
use crate::{Failure, Family, Options, run};

const USAGE: &str =
    "usage: cargo xtask sim [--seeds N] [--from S] [--seed X] [--family F] [--seconds T] [--log LINES] [--verbose]

  --seeds N      run N seeds [default: 20]
  --from S       the first one [default: 1]
  --seed X       run one seed
  --family F     mixed, crowd, retention, compaction, configs, transactions, directories, rot or steps [default: the seed decides]
  --seconds T    virtual seconds with faults in each run [default: 60]
  --log LINES    print so many lines of the log at the end; of a failed run, 40
  --verbose      log every decision of the simulation";

#[derive(Clone, Debug)]
struct Campaign {
    from: u64,
    seeds: u64,
    family: Option<Family>,
    seconds: u64,
    log: Option<usize>,
    verbose: bool,
}

impl Campaign {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut this = Self { from: 1, seeds: 20, family: None, seconds: 60, log: None, verbose: false };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            if name == "--verbose" {
                this.verbose = true;
                continue;
            }
            let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
            if name == "--family" {
                this.family = Some(value.parse()?);
                continue;
            }
            let number: u64 = value.parse().map_err(|_| format!("{name} {value}: not a number"))?;
            match name.as_str() {
                "--seeds" => this.seeds = number,
                "--from" => this.from = number,
                "--seed" => (this.from, this.seeds) = (number, 1),
                "--seconds" => this.seconds = number,
                "--log" => this.log = Some(usize::try_from(number).unwrap_or(usize::MAX)),
                _ => return Err(format!("{name} is not an option")),
            }
        }
        Ok(this)
    }

    fn options(&self, seed: u64) -> Options {
        let time = Duration::from_secs(self.seconds);
        Options { time, family: self.family, verbose: self.verbose, ..Options::new(seed) }
    }

    fn replay(&self, seed: u64) -> String {
        let seconds = if self.seconds == 60 { String::new() } else { format!(" --seconds {}", self.seconds) };
        let family = self.family.map_or(String::new(), |family| format!(" --family {family}"));
        format!("cargo xtask sim --seed {seed}{family}{seconds}")
    }

    fn tell(&self, failure: &Failure) {
        println!("\nFAILED {failure}\n\n{}\n", failure.scenario);
        tell_lines(&failure.lines, self.log.unwrap_or(40));
        println!("\nreplay it with: {}\n", self.replay(failure.seed));
    }
}

/// The last of the lines of a run.
pub(crate) fn tell_lines(lines: &[String], count: usize) {
    for line in lines.iter().skip(lines.len().saturating_sub(count)) {
        println!("  {line}");
    }
}

/// Runs what the arguments say. Fails when a seed did.
pub fn main(arguments: &[String]) -> ExitCode {
    let campaign = match Campaign::parse(arguments) {
        Ok(campaign) => campaign,
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut failed = Vec::new();
    let mut total = Counts::default();
    for seed in campaign.from..campaign.from.saturating_add(campaign.seeds) {
        match run(&campaign.options(seed)) {
            Ok(report) => {
                println!("{report}");
                total.add(&report.counts);
                tell_lines(&report.lines, campaign.log.unwrap_or(0));
            }
            Err(failure) => {
                campaign.tell(&failure);
                failed.push(seed);
            }
        }
    }
    println!("\n{} seeds, {} failed: {total}", campaign.seeds, failed.len());
    for seed in &failed {
        println!("  {}", campaign.replay(*seed));
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
