//! `bourn simulate`: a broker, its clients and what goes wrong, from a seed, in this process and under virtual time.

use std::fmt::Write;
use std::time::Duration;

use anyhow::bail;
use serde::Serialize;
use sim::{Counts, Failure, Family, Options, Report};

use crate::context::Globals;
use crate::output;

/// Run a broker with its clients and failures from a seed, under virtual time, and check that nothing is lost
#[derive(clap::Args)]
#[command(after_help = "\
The same seed gives the same run, step by step, on every machine; a run that breaks a promise says how to repeat it.
Nothing is read or written on this machine, and no cluster is needed.")]
pub(crate) struct Simulate {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds are run, one after the other
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// What it is mainly about: mixed, crowd, retention, compaction, configs, transactions, directories, rot or steps; the seed decides if
    /// none is given
    #[arg(long)]
    family: Option<Family>,
    /// Virtual time with failures in each run
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    duration: u64,
    /// So many of the last lines of each run's log are shown; of one that fails, 40 if this is not given
    #[arg(long, value_name = "LINES")]
    log: Option<usize>,
}

/// Part of the JSON that docs/cli.md describes.
#[derive(Debug, Serialize)]
struct Run {
    seed: u64,
    family: String,
    passed: bool,
    #[serde(flatten)]
    course: Option<Course>,
    #[serde(flatten)]
    broken: Option<Broken>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    log: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Course {
    /// Everything that was decided in the run.
    trace_hash: String,
    steps: u64,
    virtual_seconds: f64,
    #[serde(flatten)]
    counts: Numbers,
}

#[derive(Debug, Serialize)]
struct Numbers {
    sent: u64,
    acknowledged: u64,
    failed: u64,
    read: u64,
    starts: u64,
    kills: u64,
    losses: u64,
    damages: u64,
}

#[derive(Debug, Serialize)]
struct Broken {
    invariant: &'static str,
    violation: String,
    scenario: String,
    replay: String,
}

impl Simulate {
    pub(crate) fn run(&self, globals: &Globals) -> anyhow::Result<()> {
        if globals.verbose > 0 {
            globals.set_up_logs()?;
        }
        let (mut runs, mut total) = (Vec::new(), Counts::default());
        for seed in self.seed..self.seed.saturating_add(self.seeds) {
            let options = Options { time: self.time(), family: self.family, ..Options::new(seed) };
            let run = match sim::run(&options) {
                Ok(report) => {
                    total.add(&report.counts);
                    self.passed(&report)
                }
                Err(failure) => self.broke(&failure),
            };
            if !globals.is_json() {
                output::print(&run.text())?;
            }
            runs.push(run);
        }
        let failed = runs.iter().filter(|run| !run.passed).count();
        if globals.is_json() {
            output::print_json(&runs)?;
        } else if self.seeds > 1 {
            output::print(&format!("{}: {total}", output::counted(self.seeds, "run")))?;
        }
        if failed > 0 {
            bail!("{failed} of {} broke a promise", output::counted(self.seeds, "run"));
        }
        Ok(())
    }

    fn time(&self) -> Duration {
        Duration::from_secs(self.duration)
    }

    fn last(&self, lines: &[String], usual: usize) -> Vec<String> {
        let count = self.log.unwrap_or(usual);
        lines.iter().skip(lines.len().saturating_sub(count)).cloned().collect()
    }

    fn passed(&self, report: &Report) -> Run {
        let Counts { sent, acked, failed, read, kills, losses, starts, damages } = report.counts;
        let counts = Numbers { sent, acknowledged: acked, failed, read, starts, kills, losses, damages };
        let course = Course {
            trace_hash: format!("{:016x}", report.trace_hash),
            steps: report.steps,
            virtual_seconds: report.virtual_time.as_secs_f64(),
            counts,
        };
        Run {
            seed: report.seed,
            family: report.family.to_string(),
            passed: true,
            course: Some(course),
            broken: None,
            log: self.last(&report.lines, 0),
        }
    }

    fn broke(&self, failure: &Failure) -> Run {
        let family = self.family.map_or(String::new(), |family| format!(" --family {family}"));
        let replay = format!("bourn simulate --seed {}{family} --duration {}", failure.seed, self.duration);
        let broken = Broken {
            invariant: failure.violation.invariant,
            violation: failure.violation.what.clone(),
            scenario: failure.scenario.clone(),
            replay,
        };
        Run {
            seed: failure.seed,
            family: failure.family.to_string(),
            passed: false,
            course: None,
            broken: Some(broken),
            log: self.last(&failure.lines, 40),
        }
    }
}

impl Run {
    fn text(&self) -> String {
        let mut text = format!("seed {} ({})", self.seed, self.family);
        // Writing to a string cannot fail.
        if let Some(Course { trace_hash, steps, virtual_seconds, counts }) = &self.course {
            let Numbers { sent, acknowledged, failed, read, starts, kills, losses, damages } = counts;
            let _ = write!(
                text,
                ": {sent} sent, {acknowledged} acknowledged, {failed} failed, {read} read; {starts} starts, {kills} \
                 kills, {losses} losses of what was not synced, {damages} bits changed; {virtual_seconds:.0} virtual s, \
                 {steps} steps, trace {trace_hash}"
            );
        }
        if let Some(broken) = &self.broken {
            let Broken { invariant, violation, scenario, .. } = broken;
            let _ = write!(text, " BROKE A PROMISE: {invariant}: {violation}\n\n{scenario}\n");
        }
        for line in &self.log {
            let _ = write!(text, "\n  {line}");
        }
        if let Some(Broken { replay, .. }) = &self.broken {
            let _ = write!(text, "\n\nrepeat it with: {replay}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use sim::Violation;

    use super::*;

    #[test]
    fn shapes() {
        let command =
            Simulate { seed: 7, seeds: 2, family: Some(Family::Configs), duration: 5, log: Some(1) };
        let counts =
            Counts { sent: 5, acked: 4, failed: 1, read: 9, kills: 2, losses: 1, starts: 4, damages: 3 };
        let passed = command.passed(&Report {
            seed: 7,
            family: Family::Configs,
            trace_hash: 0xabc,
            steps: 1234,
            virtual_time: Duration::from_millis(6500),
            counts,
            operations: 900,
            struck: None,
            lines: vec!["first".to_owned(), "last".to_owned()],
        });
        let what = "p1#5 was acked at t0-0@7, where now is None".to_owned();
        let broke = command.broke(&Failure {
            seed: 8,
            family: Family::Configs,
            violation: Violation { invariant: "nothing acknowledged is lost", what },
            scenario: "family configs\ntopic t0".to_owned(),
            lines: vec!["first".to_owned(), "last".to_owned()],
        });
        insta::assert_snapshot!("simulate_text", format!("{}\n\n{}", passed.text(), broke.text()));
        insta::assert_snapshot!("simulate_json", serde_json::to_string_pretty(&[passed, broke]).unwrap());
    }
}
