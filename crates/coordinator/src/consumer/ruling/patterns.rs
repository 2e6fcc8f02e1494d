//! What patterns stand for: searched for beside the coordinator, kept in the log, and looked at again when there are new
//! topics, and from time to time.

use protocol::Str;

use super::Ruling;
use crate::Search;
use crate::consumer::group::Resolved;
use crate::record::ConsumerChange;

/// Between two searches of a group for what it knows already, however many topics are made.
const REFRESH_PAUSE_MS: u64 = 10_000;
/// Between two searches of a group for what it does not know yet, however often its members change their minds.
const SEARCH_PAUSE_MS: u64 = 1_000;

/// What became of the pattern of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PatternChange {
    None,
    /// Its topics are not known yet.
    Unresolved,
    /// The topics that it reads are others now.
    Resolved,
}

impl Ruling<'_, '_> {
    /// A member subscribes by another pattern than before, which is written already.
    pub(super) fn change_pattern(&mut self, before: Str, now: &Str) -> PatternChange {
        if before == *now {
            return PatternChange::None;
        }
        let had_one = !before.is_empty();
        if had_one {
            self.forget_pattern_unless_read(before);
        }
        let is_known = if now.is_empty() { had_one } else { self.group().pattern(now).is_some() };
        if is_known { PatternChange::Resolved } else { PatternChange::Unresolved }
    }

    pub(super) fn forget_pattern_unless_read(&mut self, pattern: Str) {
        let group = self.group();
        if group.subscriptions().members_by(&pattern) == 0 && group.pattern(&pattern).is_some() {
            self.emit(ConsumerChange::Pattern { pattern, resolved: None });
        }
    }

    /// Has the topics searched for, if there is something to find.
    pub(super) fn search_if_due(&mut self) {
        let group = self.group();
        if !group.subscriptions().has_patterns() || self.attendance.is_resolving {
            return;
        }
        let is_unknown = group.subscriptions().patterns_len() != group.patterns_len();
        let pause_ms = if is_unknown { SEARCH_PAUSE_MS } else { REFRESH_PAUSE_MS };
        let now_ms = self.env.now.monotonic_ms;
        let since_ms = self.attendance.searched_ms.map(|at_ms| now_ms.saturating_sub(at_ms));
        if since_ms.is_some_and(|since_ms| since_ms < pause_ms) || !(is_unknown || self.is_outdated()) {
            return;
        }
        let patterns = group.subscriptions().patterns().cloned().collect();
        self.attendance.is_resolving = true;
        self.attendance.searched_ms = Some(now_ms);
        let search = Search {
            group: self.id.clone(),
            patterns,
            image: self.env.cluster.image.clone(),
            version: self.env.cluster.version,
        };
        self.env.outcome.effects.push(search);
    }

    /// There are new topics since the last search, or it was long ago.
    fn is_outdated(&self) -> bool {
        let Some((_, last)) = self.group().patterns().next() else { return false };
        let since_ms = self.env.now.wall_ms.saturating_sub(last.timestamp_ms);
        let interval_ms = i64::from(self.env.options.consumer_regex_refresh_interval_ms);
        // A clock that was set back does not keep a group waiting.
        last.version < self.env.cluster.topics_made_at || !(0..=interval_ms).contains(&since_ms)
    }

    /// What a search has found.
    pub(crate) fn resolved(&mut self, found: Vec<(Str, Vec<Str>)>, version: i64) {
        self.attendance.is_resolving = false;
        let mut is_different = false;
        for (pattern, topics) in found {
            if self.group().subscriptions().members_by(&pattern) == 0 {
                continue;
            }
            let before = self.group().pattern(&pattern).map(|before| before.topics.as_slice());
            is_different |= before.unwrap_or_default() != topics;
            // The list of all topics holds on to more than the names.
            let topics = topics.iter().map(Str::detached).collect();
            let resolved = Resolved { topics, version, timestamp_ms: self.env.now.wall_ms };
            self.emit(ConsumerChange::Pattern { pattern, resolved: Some(resolved) });
        }
        if is_different {
            self.bump();
        } else {
            self.bump_if_topics_changed();
        }
    }
}
