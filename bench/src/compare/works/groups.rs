//! Groups: how long one is without owners when members come and go, what commits cost, and what many groups take.

use std::path::Path;

use anyhow::{Context, Result};

use crate::compare::Compare;
use crate::compare::broker::{Broker, Kind};
use crate::compare::sizes::Sizes;
use crate::compare::turn::{RDKAFKA, Turn, finish, json};
use crate::load::Steps;
use crate::report::{Label, Sample};
use crate::usage::resident;

const COMMITS: &str = "commits";
/// Offsets of each group in the end.
const EACH: u32 = 100;

pub(super) fn rebalance(turn: &mut Turn<'_>) -> Result<()> {
    let (members, partitions) = (turn.sizes.members, turn.sizes.shared_partitions);
    turn.topic("shared", partitions, &[])?;
    let protocols: [(&str, &[&str]); 3] = [
        ("consumer", &["group.protocol=consumer"]),
        ("classic, cooperative-sticky", &["partition.assignment.strategy=cooperative-sticky"]),
        ("classic, range", &["partition.assignment.strategy=range"]),
    ];
    for (number, (case, configs)) in protocols.into_iter().enumerate() {
        let label = Label::new("rebalance", format!("{members} members, {case}"), RDKAFKA);
        let (members, partitions, group) =
            (members.to_string(), partitions.to_string(), format!("group.id=group-{number}"));
        let mut words = vec!["--set", &group];
        words.extend(configs.iter().flat_map(|config| ["--set", config]));
        words.extend(["rebalance", "--members", &members, "--partitions", &partitions]);
        let mut load = turn.rdkafka("shared", &words);
        let steps: Steps = serde_json::from_value(json(&mut load)?)?;
        for (step, mut seconds) in steps.seconds {
            seconds.sort_by(f64::total_cmp);
            let median = seconds.get(seconds.len() / 2).context("a step was never done")?;
            turn.put(&label, &format!("{step} s"), *median);
        }
    }
    turn.forget("shared")
}

pub(super) fn offsets(turn: &mut Turn<'_>) -> Result<()> {
    let groups = turn.sizes.groups;
    turn.topic(COMMITS, EACH, &[])?;
    let label = Label::new("offsets", format!("{groups} groups"), "");
    let words = |partitions: &str, rounds: &str| {
        ["offsets", "--groups", &groups.to_string(), "--partitions", partitions, "--rounds", rounds]
            .map(str::to_owned)
    };
    let load = |turn: &Turn<'_>, words: &[String]| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        turn.rdkafka(COMMITS, &words)
    };
    // Before anything counts: the topic of the offsets, and its writer.
    finish(&mut turn.rdkafka(COMMITS, &["offsets", "--groups", "10", "--partitions", "1"]))?;
    let (empty, _) = resident(turn.broker.pid())?;
    finish(&mut load(turn, &words("1", "1")))?;
    let (one, _) = resident(turn.broker.pid())?;
    turn.put(&label, "KiB a group with one offset", (one - empty) * 1024.0 / f64::from(groups));
    let mut commits = load(turn, &words("10", &turn.sizes.commit_rounds.to_string()));
    let (outcome, spent) = turn.measure(&label, &mut commits)?;
    let offsets = outcome.records as f64;
    turn.put(&label, "offsets/s", offsets / outcome.seconds);
    turn.put(&label, "offsets/CPU-s", offsets / spent.cpu);
    finish(&mut load(turn, &words(&EACH.to_string(), "1")))?;
    let (all, _) = resident(turn.broker.pid())?;
    turn.put(
        &label,
        "bytes an offset",
        (all - one) * 1024.0 * 1024.0 / (f64::from(groups) * f64::from(EACH - 1)),
    );
    Ok(())
}

/// The same data, another process: until every group has its offsets.
pub(crate) fn restart(
    options: &Compare,
    sizes: &Sizes,
    (kind, number): (Kind, u32),
    dir: &Path,
    samples: &mut Vec<Sample>,
) -> Result<()> {
    let broker = Broker::start(options, kind, dir)?;
    let mut turn = Turn::new(options, sizes, &broker, (kind, number), samples)?;
    let (groups, each) = (sizes.groups.to_string(), EACH.to_string());
    let words = ["offsets", "--fetch", "--groups", &groups, "--partitions", &each];
    let outcome = finish(&mut turn.rdkafka(COMMITS, &words))?;
    let label = Label::new("offsets", format!("{groups} groups"), "");
    turn.put(&label, "all fetched after a start s", broker.ready.as_secs_f64() + outcome.seconds);
    turn.put(&label, "MiB resident after a start", resident(turn.broker.pid())?.0);
    broker.stop()
}
