//! [`Progress`]: a bar on a terminal, with what was done in the last second.

use std::io::IsTerminal;
use std::time::Duration;

use host::{Host, Task};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::plan::Schedule;
use super::tally::{Shared, Tally, sum};
use crate::context::WORKERS;
use crate::output;

/// Thousandths.
const STEPS: u64 = 1000;
const EVERY: Duration = Duration::from_secs(1);

pub(super) struct Progress {
    bar: ProgressBar,
    task: Option<Task>,
}

impl Progress {
    pub(super) fn start(host: &Host, schedule: Schedule, tallies: Vec<Shared>) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden(), task: None };
        }
        let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{elapsed:>4} [{bar:30}] {msg}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        let (shown, on) = (bar.clone(), host.clone());
        let task = host.spawn(WORKERS, "bench progress", async move {
            let mut before = Tally::new();
            loop {
                on.clock.sleep(EVERY).await;
                let now = sum(&tallies);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1")]
                shown.set_position((schedule.progress(on.now(), now.records) * 1000.0) as u64);
                shown.set_message(message(&before, &now));
                before = now;
            }
        });
        Self { bar, task: Some(task) }
    }

    pub(super) fn finish(self) {
        if let Some(task) = self.task {
            task.abort();
        }
        self.bar.finish_and_clear();
    }
}

/// While warming up nothing counts.
fn message(before: &Tally, now: &Tally) -> String {
    let all = now.all.saturating_sub(before.all);
    let phase = if now.records == 0 { "warming up: " } else { "" };
    let p99 = now.latency.percentiles().map(|found| format!(", p99 {} ms so far", found.p99));
    let failed =
        if now.failed > 0 { format!(", {} failed", output::grouped(now.failed)) } else { String::new() };
    format!("{phase}{} records/s{}{failed}", output::grouped(all), p99.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use host::Instant;

    use super::*;

    #[test]
    fn messages() {
        let (nothing, mut some) = (Tally::new(), Tally::new());
        some.done(1, None, Instant(1));
        assert_eq!(message(&nothing, &some), "warming up: 1 records/s");
        some.done(1, Some(Duration::from_millis(4)), Instant(2));
        some.fail("lost".to_owned(), 1200);
        let text = message(&nothing, &some);
        assert!(text.starts_with("2 records/s, p99 4") && text.ends_with("so far, 1,200 failed"), "{text}");
    }
}
