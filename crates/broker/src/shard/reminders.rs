//! What stays wrong until somebody does something about it: said again now and then, and not with every request that meets it.

use std::fmt::Write;
use std::time::Duration;

use host::Instant;

use super::shard::Shard;

/// Between two lines about the same, however often it is met.
const SELDOM: Duration = Duration::from_secs(60);

/// Between two lines about partitions that are damaged.
pub(super) const REMINDER: Duration = Duration::from_secs(3600);

/// Partitions that such a line names.
const NAMED_MAX: usize = 10;

/// Lets a line through once in a while.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    not_before: Option<Instant>,
    held_back: u64,
}

impl Seldom {
    /// Whether it is time for a line: then how many there would have been since the last one.
    pub(super) fn due(&mut self, now: Instant) -> Option<u64> {
        if self.not_before.is_some_and(|not_before| now < not_before) {
            self.held_back += 1;
            return None;
        }
        self.not_before = Some(now.after(SELDOM));
        Some(std::mem::take(&mut self.held_back))
    }
}

impl Shard {
    /// Says which partitions have damaged segments, and which are not compacted because of that.
    pub(super) fn remind(&self) {
        let (mut segments, mut uncleanable, mut names, mut count) = (0, 0, String::new(), 0);
        for (key, partition) in &self.partitions {
            let damaged = partition.log.suspects();
            let is_uncleanable = partition.compaction.is_uncleanable();
            if partition.deleting.is_some() || (damaged == 0 && !is_uncleanable) {
                continue;
            }
            segments += damaged;
            uncleanable += usize::from(is_uncleanable);
            if count < NAMED_MAX {
                let separator = if count == 0 { "" } else { ", " };
                // Writing to a string does not fail.
                let _ = write!(names, "{separator}{}-{}", partition.log.topic(), key.partition);
            }
            count += 1;
        }
        if count > 0 {
            let others = if count > NAMED_MAX { " and others" } else { "" };
            tracing::error!(
                partitions = count,
                segments,
                uncleanable,
                "damaged on disk, and not compacted where that is asked for: {names}{others}; `bourn log verify` tells what \
                 is damaged, the backup of a file goes in its place while the broker is stopped"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_once_a_minute_and_counts_what_was_held_back() {
        let at = |seconds: u64| Instant(seconds * 1_000_000_000);
        let mut seldom = Seldom::default();
        let told: Vec<_> =
            [0, 1, 59, 60, 61, 119, 120, 500].into_iter().map(|now| seldom.due(at(now))).collect();
        assert_eq!(told, [Some(0), None, None, Some(2), None, None, Some(2), Some(0)]);
    }
}
