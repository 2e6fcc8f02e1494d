//! The table: medians and ranges, ratios within one turn, and whether the goals are met.

use std::fmt::Write;

use super::goals::{self, Against};
use super::{ANY, BOURN, FLOOR, KAFKA, Label, Run, Sample};

pub(super) fn markdown(run: &Run) -> String {
    let about = &run.about;
    let mut text = format!(
        "{} cores ({}), {:.0} GiB, Linux {}; {}; Kafka {} on {}; {} sizes. Medians, with ranges in brackets; ratios are \
         within one turn.\n",
        about.cores,
        about.cpu,
        about.memory_gib,
        about.kernel,
        about.bourn,
        about.kafka,
        about.java,
        about.size
    );
    let mut works: Vec<&str> = Vec::new();
    for sample in &run.samples {
        if !works.contains(&sample.label.work.as_str()) {
            works.push(&sample.label.work);
        }
    }
    for work in works {
        let _ = write!(
            text,
            "\n### {work}\n\n| case | load | metric | Kafka | Bourn | floor | Bourn / Kafka | Bourn / floor | goal |\n\
             |---|---|---|--:|--:|--:|--:|--:|---|\n"
        );
        for (label, metric) in rows(run, work) {
            row(&mut text, run, label, metric);
        }
    }
    for failure in &run.failures {
        let _ = write!(text, "\nFailed: {failure}\n");
    }
    text
}

/// In the order in which they were first measured, the cases together.
fn rows<'a>(run: &'a Run, work: &str) -> Vec<(&'a Label, &'a str)> {
    let of_work: Vec<&Sample> = run.samples.iter().filter(|sample| sample.label.work == work).collect();
    let names_all = |label: &Label| label.case != ANY && label.driver != ANY;
    let has_broker = of_work.iter().any(|sample| sample.system != FLOOR && names_all(&sample.label));
    let mut labels: Vec<&Label> = Vec::new();
    for sample in &of_work {
        let is_row = !has_broker || (sample.system != FLOOR && names_all(&sample.label));
        if is_row && !labels.contains(&&sample.label) {
            labels.push(&sample.label);
        }
    }
    let mut rows: Vec<(&Label, &str)> = Vec::new();
    for label in labels {
        for sample in of_work.iter().filter(|sample| sample.label == *label) {
            if !rows.contains(&(label, sample.metric.as_str())) {
                rows.push((label, &sample.metric));
            }
        }
    }
    rows
}

fn row(text: &mut String, run: &Run, label: &Label, metric: &str) {
    let of = |system| values(run, system, label, metric);
    let (kafka, bourn, floor) = (of(KAFKA), of(BOURN), of(FLOOR));
    let only = |values: &[(u32, f64)]| summary(values.iter().map(|(_, value)| *value).collect());
    let _ = writeln!(
        text,
        "| {} | {} | {metric} | {} | {} | {} | {} | {} | {} |",
        label.case,
        label.driver,
        shown(only(&kafka)),
        shown(only(&bourn)),
        shown(only(&floor)),
        shown(summary(ratios(&bourn, &kafka))),
        shown(summary(ratios(&bourn, &floor))),
        verdict(run, label, metric, &bourn)
    );
}

/// By turn; of the label itself, or else of one that stands for it.
fn values(run: &Run, system: &str, label: &Label, metric: &str) -> Vec<(u32, f64)> {
    let tries = [
        (label.case.as_str(), label.driver.as_str()),
        (label.case.as_str(), ANY),
        (ANY, label.driver.as_str()),
        (ANY, ANY),
    ];
    let of = |(case, driver): (&str, &str)| -> Vec<(u32, f64)> {
        let fits = |sample: &&Sample| {
            sample.system == system
                && sample.metric == metric
                && sample.label == Label::new(&label.work, case, driver)
        };
        run.samples.iter().filter(fits).map(|sample| (sample.turn, sample.value)).collect()
    };
    tries.into_iter().map(of).find(|found| !found.is_empty()).unwrap_or_default()
}

/// Within each turn that has both.
fn ratios(ours: &[(u32, f64)], theirs: &[(u32, f64)]) -> Vec<f64> {
    let ratio = |(turn, value): &(u32, f64)| {
        let (_, other) = theirs.iter().find(|(at, _)| at == turn)?;
        (*other != 0.0).then(|| value / other)
    };
    ours.iter().filter_map(ratio).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Summary {
    median: f64,
    least: f64,
    most: f64,
}

fn summary(mut values: Vec<f64>) -> Option<Summary> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    let lower = if values.len().is_multiple_of(2) { *values.get(middle - 1)? } else { upper };
    Some(Summary { median: f64::midpoint(lower, upper), least: *values.first()?, most: *values.last()? })
}

fn shown(summary: Option<Summary>) -> String {
    match summary {
        None => String::new(),
        Some(Summary { median, least, most }) if least == most => digits(median),
        Some(Summary { median, least, most }) => {
            format!("**{}** [{}, {}]", digits(median), digits(least), digits(most))
        }
    }
}

/// Three that count.
fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

fn verdict(run: &Run, label: &Label, metric: &str, bourn: &[(u32, f64)]) -> String {
    let Some(goal) = goals::of(label, metric) else { return String::new() };
    let (name, got) = match goal.against {
        Against::Kafka => ("Kafka", ratios(bourn, &values(run, KAFKA, label, metric))),
        Against::Floor => ("floor", ratios(bourn, &values(run, FLOOR, label, metric))),
        Against::Case(case) => {
            let other = Label { case: case.to_owned(), ..label.clone() };
            (case, ratios(bourn, &values(run, BOURN, &other, metric)))
        }
        Against::Nothing => ("", bourn.iter().map(|(_, value)| *value).collect()),
    };
    let sign = if goal.is_most { "≤" } else { "≥" };
    let times = if name.is_empty() { String::new() } else { format!(" × {name}") };
    let is_met = |got: Summary| {
        let met = if goal.is_most { got.median <= goal.bound } else { got.median >= goal.bound };
        if met { "met" } else { "**missed**" }
    };
    format!("{sign} {}{times}: {}", goal.bound, summary(got).map_or("not measured", is_met))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(turn: u32, system: &str, (case, driver): (&str, &str), metric: &str, value: f64) -> Sample {
        let label = Label::new("produce-1k", case, driver);
        Sample { turn, system: system.to_owned(), label, metric: metric.to_owned(), value }
    }

    #[test]
    fn ratios_are_within_a_turn_and_the_floor_stands_for_every_case() {
        let at = ("round 1", "librdkafka");
        let mut run = Run::default();
        for (turn, kafka, bourn, floor) in [(1, 2.0, 1.0, 1.0), (2, 4.0, 3.0, 2.0), (3, 9.0, 9.0, 3.0)] {
            run.samples.push(sample(turn, KAFKA, at, "CPU-s/GB", kafka));
            run.samples.push(sample(turn, BOURN, at, "CPU-s/GB", bourn));
            run.samples.push(sample(turn, FLOOR, (ANY, ANY), "CPU-s/GB", floor));
        }
        let text = run.markdown();
        let row = text.lines().find(|line| line.starts_with("| round 1")).expect("a row");
        assert_eq!(
            row,
            "| round 1 | librdkafka | CPU-s/GB | **4.00** [2.00, 9.00] | **3.00** [1.00, 9.00] | **2.00** [1.00, 3.00] \
             | **0.750** [0.500, 1.00] | **1.50** [1.00, 3.00] | ≤ 1.6 × floor: met |"
        );
    }

    #[test]
    fn a_goal_without_its_measure_is_not_met() {
        let mut run = Run::default();
        run.samples.push(sample(1, BOURN, ("round 3", "x"), "MB/s", 10.0));
        run.samples.push(sample(1, BOURN, ("round 3", "x"), "machine CPU-s/GB", 1.2));
        run.samples.push(sample(1, BOURN, ("round 1", "x"), "machine CPU-s/GB", 1.0));
        let text = run.markdown();
        assert!(text.contains("≥ 1 × Kafka: not measured"), "{text}");
        assert!(text.contains("≤ 1.1 × round 1: **missed**"), "{text}");
    }

    #[test]
    fn an_even_number_of_turns_has_its_median_in_the_middle() {
        let of = |values: &[f64]| summary(values.to_vec()).map(|summary| summary.median);
        assert_eq!((of(&[]), of(&[3.0, 1.0]), of(&[5.0, 1.0, 2.0])), (None, Some(2.0), Some(2.0)));
    }
}
