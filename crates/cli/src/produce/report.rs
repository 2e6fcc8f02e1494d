//! What became of the records: counted as results come in, shown as a bar and as a summary.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use client::Delivery;
use host::Host;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::source::Bad;
use crate::context::{WORKERS, explain};
use crate::output;

/// Results that are waited for at the same time.
const OUTSTANDING_MAX: usize = 1 << 16;
/// Failures that are shown; the others are counted.
const SHOWN_MAX: u64 = 10;

/// What happened. Part of the JSON that docs/cli.md describes.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Summary {
    pub(super) topic: String,
    /// Written.
    pub(super) records: u64,
    /// Keys and values of what was written.
    pub(super) bytes: u64,
    /// Not understood, or refused.
    pub(super) failed: u64,
    pub(super) seconds: f64,
    /// Reasons with how often each came.
    pub(super) errors: BTreeMap<String, u64>,
}

/// Reasons that are told apart; the others are one.
const REASONS_MAX: usize = 100;

impl Summary {
    fn fail(&mut self, reason: String) {
        self.failed += 1;
        let known = self.errors.len() < REASONS_MAX || self.errors.contains_key(&reason);
        *self.errors.entry(if known { reason } else { "others".to_owned() }).or_default() += 1;
    }

    fn merge(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.failed += other.failed;
        for (reason, count) in other.errors {
            *self.errors.entry(reason).or_default() += count;
        }
    }

    pub(super) fn sentence(&self) -> String {
        // A rate of nothing in no time says nothing.
        let seconds = self.seconds.max(0.001);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let rate = |count: u64| (count as f64 / seconds) as u64;
        let failed = if self.failed > 0 {
            format!(", {} failed", output::grouped(self.failed))
        } else {
            String::new()
        };
        format!(
            "{} ({}) written to {} in {:.1} s: {} records/s, {}/s{failed}",
            output::counted(self.records, "record"),
            output::bytes(self.bytes),
            self.topic,
            self.seconds,
            output::grouped(rate(self.records)),
            output::bytes(rate(self.bytes)),
        )
    }
}

struct Outstanding {
    line: u64,
    bytes: u64,
    delivery: Delivery,
}

/// Collects results on another thread than the one that reads.
pub(super) struct Report {
    send: mpsc::Sender<Outstanding>,
    done: oneshot::Receiver<Summary>,
    written: Arc<AtomicU64>,
    local: Summary,
    bar: ProgressBar,
    began: host::Instant,
}

impl Report {
    /// `input_bytes` is what there is to read, if that is known.
    pub(super) fn start(host: &Host, topic: &str, input_bytes: Option<u64>) -> Self {
        let (send, mut receive) = mpsc::channel::<Outstanding>(OUTSTANDING_MAX);
        let (tell, done) = oneshot::channel();
        let written = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&written);
        host.spawn(WORKERS, "produce results", async move {
            let mut summary = Summary::default();
            while let Some(Outstanding { line, bytes, delivery }) = receive.recv().await {
                match delivery.await {
                    Ok(_) => {
                        summary.records += 1;
                        summary.bytes += bytes;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => {
                        let reason = explain(error).to_string();
                        if summary.failed < SHOWN_MAX {
                            eprintln!("bourn: line {line}: {reason}");
                        }
                        summary.fail(reason);
                    }
                }
            }
            // The reader may have given up.
            let _ = tell.send(summary);
        });
        let local = Summary { topic: topic.to_owned(), ..Summary::default() };
        Self { send, done, written, local, bar: bar(input_bytes), began: host.now() }
    }

    pub(super) async fn sent(&mut self, line: u64, bytes: u64, delivery: Delivery) -> anyhow::Result<()> {
        let outstanding = Outstanding { line, bytes, delivery };
        self.send.send(outstanding).await.map_err(|_| anyhow::anyhow!("the task that counts is gone"))
    }

    pub(super) fn bad(&mut self, bad: Bad) {
        if self.local.failed < SHOWN_MAX {
            self.bar.suspend(|| eprintln!("bourn: line {}: {}", bad.line, bad.reason));
        }
        self.local.fail(bad.reason);
    }

    pub(super) fn progress(&self, read: u64) {
        self.bar.set_position(read);
        if !self.bar.is_hidden() {
            self.bar.set_message(output::counted(self.written.load(Ordering::Relaxed), "record"));
        }
    }

    /// Waits for all results.
    pub(super) async fn finish(self, host: &Host) -> anyhow::Result<Summary> {
        drop(self.send);
        let results = self.done.await.map_err(|_| anyhow::anyhow!("the task that counts is gone"))?;
        self.bar.finish_and_clear();
        let mut summary = self.local;
        summary.merge(results);
        summary.seconds = host.now().since(self.began).as_secs_f64();
        Ok(summary)
    }
}

fn bar(input_bytes: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    // Redrawn by us as we read: no thread of its own.
    let target = ProgressDrawTarget::stderr_with_hz(10);
    let (bar, template) = match input_bytes {
        Some(bytes) => (
            ProgressBar::with_draw_target(Some(bytes), target),
            "{wide_bar} {bytes}/{total_bytes} {msg}, {eta} left",
        ),
        None => (ProgressBar::with_draw_target(None, target), "{spinner} {bytes} read, {msg}, {elapsed}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.reset_elapsed();
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_rates_and_failures() {
        let mut summary = Summary {
            topic: "flights".to_owned(),
            records: 336_776,
            bytes: 33 << 20,
            seconds: 2.0,
            ..Summary::default()
        };
        insta::assert_snapshot!(summary.sentence());
        summary.fail("the row is not UTF-8".to_owned());
        insta::assert_snapshot!(serde_json::to_string(&summary).unwrap());
        insta::assert_snapshot!(Summary::default().sentence());
    }
}
