//! The log of a simulated run: a hash of everything that was decided, and the latest lines of text.
//!
//! Invariants:
//! * Every scheduling decision, delivery, timer and disk operation is mixed into the hash, so two runs with the
//!   same hash took the same way.
//! * The number of lines kept is bounded; the hash covers the dropped ones too.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const LINES_MAX: usize = 10_000;

/// A cheap reference to the log of one run.
#[derive(Clone, Default)]
pub struct Trace {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    hash: u64,
    steps: u64,
    now: u64,
    verbose: bool,
    lines: VecDeque<String>,
}

impl Trace {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Also writes a line for every scheduling decision, delivery and disk operation.
    pub fn set_verbose(&self, verbose: bool) {
        self.state().verbose = verbose;
    }

    /// The hash of everything so far.
    pub fn hash(&self) -> u64 {
        self.state().hash
    }

    /// How much is in the hash.
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// The latest lines, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.state().lines.iter().cloned().collect()
    }

    /// The last `count` lines as one text, for the message of a failing test.
    pub fn tail(&self, count: usize) -> String {
        let state = self.state();
        let skip = state.lines.len().saturating_sub(count);
        state.lines.iter().skip(skip).fold(String::new(), |text, line| text + line + "\n")
    }

    /// Adds a line of text.
    pub fn event(&self, text: &str) {
        let mut state = self.state();
        let hash = hash_bytes(text.as_bytes());
        state.mix(hash);
        state.line(text);
    }

    /// Adds a decision; `text` is made only in a verbose log.
    pub(crate) fn step(&self, numbers: &[u64], text: impl FnOnce() -> String) {
        let mut state = self.state();
        for number in numbers {
            state.mix(*number);
        }
        if state.verbose {
            let text = text();
            state.line(&text);
        }
    }

    /// Adds numbers that belong to the decision before.
    pub(crate) fn mix(&self, numbers: &[u64]) {
        let mut state = self.state();
        numbers.iter().for_each(|number| state.mix(*number));
    }

    pub(crate) fn set_now(&self, now: u64) {
        let mut state = self.state();
        state.now = now;
        state.mix(now);
    }
}

impl State {
    fn mix(&mut self, number: u64) {
        self.hash = mix(self.hash, number);
        self.steps += 1;
    }

    fn line(&mut self, text: &str) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        let (seconds, nanos) = (self.now / 1_000_000_000, self.now % 1_000_000_000);
        self.lines.push_back(format!("{seconds}.{nanos:09} {text}"));
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        write!(f, "Trace({:016x} after {} steps)", state.hash, state.steps)
    }
}

fn mix(hash: u64, number: u64) -> u64 {
    (hash.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95).rotate_left(29)
}

pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_depends_on_content_and_order() {
        let hash = |events: &[&str]| {
            let trace = Trace::default();
            events.iter().for_each(|event| trace.event(event));
            trace.hash()
        };
        assert_eq!(hash(&["a", "b"]), hash(&["a", "b"]));
        assert_ne!(hash(&["a", "b"]), hash(&["b", "a"]));
        assert_ne!(hash(&["a"]), hash(&["a", ""]));
    }

    #[test]
    fn lines_are_bounded_and_the_hash_is_not() {
        let trace = Trace::default();
        trace.set_now(1_000_000_007);
        for n in 0..LINES_MAX + 10 {
            trace.event(&n.to_string());
        }
        assert_eq!(trace.lines().len(), LINES_MAX);
        assert_eq!(trace.lines()[0], "1.000000007 10");
        assert_eq!(trace.tail(1), format!("1.000000007 {}\n", LINES_MAX + 9));
        trace.step(&[1], || unreachable!("not verbose"));
        assert_eq!(trace.steps(), LINES_MAX as u64 + 12);
    }
}
