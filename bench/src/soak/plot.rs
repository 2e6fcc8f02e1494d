//! Resident memory over time as a picture.

use std::fmt::Write;

use super::samples::Samples;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 36.0;
const TOP: f64 = 16.0;
const RIGHT: f64 = 12.0;
/// Points of the line: each the largest of its share of the samples.
const POINTS: usize = 360;

pub(super) fn svg(samples: &Samples, budget_mib: f64) -> String {
    let all = &samples.resident;
    let seconds = all.last().map_or(1.0, |(at, _)| at.max(1.0));
    let top_mib = (budget_mib * 1.1).max(samples.peak() * 1.05);
    let x = |at: f64| LEFT + at / seconds * (WIDTH - LEFT - RIGHT);
    let y = |mib: f64| HEIGHT - BOTTOM - mib / top_mib * (HEIGHT - BOTTOM - TOP);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    let mut line = |from: (f64, f64), to: (f64, f64), style: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" {style}/>",
            from.0, from.1, to.0, to.1
        );
    };
    let (axis, grid) = ("stroke=\"#333333\"", "stroke=\"#dddddd\"");
    let step = if budget_mib > 128.0 { 64.0 } else { 16.0 };
    let levels = || (0..).map(|n| f64::from(n) * step).take_while(|mib| *mib <= top_mib);
    levels().for_each(|mib| line((LEFT, y(mib)), (WIDTH - RIGHT, y(mib)), grid));
    line((x(seconds / 2.0), TOP), (x(seconds / 2.0), y(0.0)), "stroke=\"#bbbbbb\" stroke-dasharray=\"2 3\"");
    line(
        (LEFT, y(budget_mib)),
        (WIDTH - RIGHT, y(budget_mib)),
        "stroke=\"#c0392b\" stroke-dasharray=\"6 3\"",
    );
    line((LEFT, y(0.0)), (WIDTH - RIGHT, y(0.0)), axis);
    line((LEFT, TOP), (LEFT, y(0.0)), axis);
    let mut label = |at: (f64, f64), anchor: &str, what: &str| {
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{what}</text>",
            at.0, at.1
        );
    };
    levels().for_each(|mib| label((LEFT - 6.0, y(mib) + 4.0), "end", &format!("{mib:.0}")));
    label(
        (LEFT + 4.0, y(budget_mib) - 4.0),
        "start",
        &format!("bourn.memory.max.bytes, {budget_mib:.0} MiB"),
    );
    label((LEFT + 4.0, TOP - 4.0), "start", "MiB resident");
    for minute in (0..).map(|n| f64::from(n) * 5.0).take_while(|minute| minute * 60.0 <= seconds) {
        label((x(minute * 60.0), HEIGHT - BOTTOM + 14.0), "middle", &format!("{minute:.0}"));
    }
    label((WIDTH / 2.0, HEIGHT - 6.0), "middle", "minutes");
    let points: Vec<String> = all
        .chunks(all.len().div_ceil(POINTS).max(1))
        .filter_map(|share| share.iter().copied().max_by(|one, other| one.1.total_cmp(&other.1)))
        .map(|(at, mib)| format!("{:.1},{:.1}", x(at), y(mib)))
        .collect();
    let _ = writeln!(
        text,
        "<polyline fill=\"none\" stroke=\"#2471a3\" stroke-width=\"1.2\" points=\"{}\"/>\n</svg>",
        points.join(" ")
    );
    text
}
