//! The `leader-epoch-checkpoint` file: text, a version, a count, and a line for each epoch.
//!
//! Written when a segment is closed and at a clean stop, for Kafka's tools; our own truth is the checkpoint.

use std::fmt::Write;

use protocol::ids::{LeaderEpoch, Offset};

use crate::epochs::{EpochEntry, Epochs};

#[must_use]
pub fn encode(epochs: &Epochs) -> String {
    let mut text = format!("0\n{}\n", epochs.entries().len());
    for entry in epochs.entries() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {}", entry.epoch, entry.start);
    }
    text
}

/// `None` if it is damaged.
#[must_use]
pub fn decode(text: &str) -> Option<Epochs> {
    let mut lines = text.lines();
    if lines.next()? != "0" {
        return None;
    }
    let count: usize = lines.next()?.parse().ok()?;
    let mut entries = Vec::new();
    for line in lines {
        let (epoch, start) = line.split_once(' ')?;
        entries
            .push(EpochEntry { epoch: LeaderEpoch(epoch.parse().ok()?), start: Offset(start.parse().ok()?) });
    }
    (entries.len() == count).then(|| Epochs::new(entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_that_of_kafka() {
        let text = "0\n2\n0 0\n3 170\n";
        let epochs = decode(text).expect("undamaged");
        assert_eq!(epochs.latest(), Some(LeaderEpoch(3)));
        assert_eq!(encode(&epochs), text);
        for damaged in ["", "1\n0\n", "0\nx\n", "0\n2\n0 0\n", "0\n1\n00\n", "0\n1\n0 x\n"] {
            assert_eq!(decode(damaged), None, "{damaged:?}");
        }
    }
}
