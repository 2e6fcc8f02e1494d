//! From what a member has to what it is to have: it gives up before it gets, and gets what nobody else has.
//!
//! A function of facts; whoever calls it writes the result down.

use protocol::Uuid;

use super::member::{Current, State};
use super::partitions::{Owned, Partitions};

/// What the next step of a member depends on.
#[derive(Debug)]
pub(crate) struct Facts<'a, R, T> {
    pub current: &'a Current,
    pub target_epoch: i32,
    pub target: &'a Partitions,
    /// The member reads other topics than before: what it reads no longer goes at once.
    pub has_resubscribed: bool,
    /// What the member says that it has; `None` when it says nothing.
    pub owned: Option<&'a Partitions>,
    /// Whether it reads a topic.
    pub reads: R,
    /// Whether somebody has a partition or has not given it up yet.
    pub is_taken: T,
}

/// A member in a state of a newer version has to begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unknown;

impl<R: Fn(&Uuid) -> bool, T: Fn(&Uuid, i32) -> bool> Facts<'_, R, T> {
    /// What the member has next; the same as now if there is nothing to do.
    pub(crate) fn next(&self) -> Result<Current, Unknown> {
        let current = self.current;
        match current.state {
            State::Stable if current.epoch != self.target_epoch => Ok(self.advance(current.epoch)),
            State::UnrevokedPartitions if !self.still_has(&current.revoking) => {
                Ok(self.advance(current.epoch))
            }
            State::UnreleasedPartitions => Ok(self.advance(current.epoch)),
            State::Unknown if self.owned.is_some_and(Partitions::is_empty) => {
                Ok(self.advance(self.target_epoch))
            }
            State::Unknown => Err(Unknown),
            State::Stable | State::UnrevokedPartitions if self.has_resubscribed => Ok(self.give_up_unread()),
            State::Stable | State::UnrevokedPartitions => Ok(current.clone()),
        }
    }

    /// Whether the member has some of them, as far as it says.
    fn still_has(&self, revoking: &Owned) -> bool {
        self.owned.is_none_or(|owned| owned.iter().any(|(topic, part)| revoking.contains(&topic, part)))
    }

    fn advance(&self, epoch: i32) -> Current {
        let is_target =
            |topic: &Uuid, partition: i32| self.target.contains(topic, partition) && (self.reads)(topic);
        let assigned = &self.current.assigned;
        let kept: Owned = assigned.iter().filter(|(topic, part, _)| is_target(topic, *part)).collect();
        let revoking: Owned = assigned.iter().filter(|(topic, part, _)| !is_target(topic, *part)).collect();
        if !revoking.is_empty() && self.still_has(&revoking) {
            return self.at(epoch, State::UnrevokedPartitions, kept, revoking);
        }
        let mut waits = false;
        let mut wanted: Vec<(Uuid, i32, i32)> = kept.iter().collect();
        for (topic, partition) in self.target.iter() {
            if kept.contains(&topic, partition) || !(self.reads)(&topic) {
                continue;
            }
            // What it was to give up itself it may have again.
            if (self.is_taken)(&topic, partition) && !self.current.revoking.contains(&topic, partition) {
                waits = true;
            } else {
                wanted.push((topic, partition, self.target_epoch));
            }
        }
        let state = if waits { State::UnreleasedPartitions } else { State::Stable };
        self.at(self.target_epoch, state, wanted.into_iter().collect(), Owned::default())
    }

    /// Of a member whose target is not computed yet for what it reads now.
    fn give_up_unread(&self) -> Current {
        let current = self.current;
        let reads = |topic: &Uuid| (self.reads)(topic);
        let kept: Owned = current.assigned.iter().filter(|(topic, ..)| reads(topic)).collect();
        if kept == current.assigned {
            return current.clone();
        }
        let unread = current.assigned.iter().filter(|(topic, ..)| !reads(topic));
        let revoking: Owned = current.revoking.iter().chain(unread).collect();
        if self.still_has(&revoking) {
            self.at(current.epoch, State::UnrevokedPartitions, kept, revoking)
        } else {
            self.at(current.epoch, current.state, kept, current.revoking.clone())
        }
    }

    fn at(&self, epoch: i32, state: State, assigned: Owned, revoking: Owned) -> Current {
        Current { epoch, previous_epoch: self.current.epoch, state, assigned, revoking }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(n: u8) -> Uuid {
        Uuid::from_bytes([n; 16])
    }

    /// `1:0 1:1` - topic and partition.
    fn partitions(text: &str) -> Partitions {
        owned(text).partitions()
    }

    /// `1:0@5` - and the epoch.
    fn owned(text: &str) -> Owned {
        let one = |part: &str| {
            let (topic_and_partition, epoch) = part.split_once('@').unwrap_or((part, "0"));
            let (n, partition) = topic_and_partition.split_once(':').unwrap();
            (topic(n.parse().unwrap()), partition.parse().unwrap(), epoch.parse().unwrap())
        };
        text.split_whitespace().map(one).collect()
    }

    fn current(epoch: i32, previous_epoch: i32, state: State, assigned: &str, revoking: &str) -> Current {
        Current { epoch, previous_epoch, state, assigned: owned(assigned), revoking: owned(revoking) }
    }

    /// Everything but the current state.
    struct Given<'a> {
        target_epoch: i32,
        target: &'a str,
        owned: Option<&'a str>,
        taken: &'a str,
        resubscribed: bool,
        reads: &'a [u8],
    }

    const ALL: Given<'_> =
        Given { target_epoch: 11, target: "", owned: None, taken: "", resubscribed: false, reads: &[1, 2] };

    #[track_caller]
    fn check(now: &Current, given: &Given<'_>, next: Result<Current, Unknown>) {
        let (target, taken) = (partitions(given.target), partitions(given.taken));
        let said = given.owned.map(partitions);
        let facts = Facts {
            current: now,
            target_epoch: given.target_epoch,
            target: &target,
            has_resubscribed: given.resubscribed,
            owned: said.as_ref(),
            reads: |id: &Uuid| given.reads.iter().any(|n| topic(*n) == *id),
            is_taken: |topic: &Uuid, partition| taken.contains(topic, partition),
        };
        assert_eq!(facts.next(), next);
    }

    #[test]
    fn a_stable_member_at_its_target_stays() {
        let now = current(11, 10, State::Stable, "1:0@9 1:1@11", "");
        check(&now, &Given { target: "1:0 1:1", ..ALL }, Ok(now.clone()));
        // Even when the target was changed without a new epoch, which no coordinator does.
        check(&now, &Given { target: "1:0", ..ALL }, Ok(now.clone()));
    }

    #[test]
    fn a_stable_member_takes_what_is_free_and_gives_up_first() {
        let now = current(10, 9, State::Stable, "1:0@9 1:1@10", "");
        check(
            &now,
            &Given { target: "1:0 1:1 1:2", ..ALL },
            Ok(current(11, 10, State::Stable, "1:0@9 1:1@10 1:2@11", "")),
        );
        check(
            &now,
            &Given { target: "1:0 1:2", ..ALL },
            Ok(current(10, 10, State::UnrevokedPartitions, "1:0@9", "1:1@10")),
        );
        // It says that it has nothing of that any more.
        check(
            &now,
            &Given { target: "1:0 1:2", owned: Some("1:0"), ..ALL },
            Ok(current(11, 10, State::Stable, "1:0@9 1:2@11", "")),
        );
        check(
            &now,
            &Given { target: "1:0 1:1 1:2 1:3", taken: "1:2", ..ALL },
            Ok(current(11, 10, State::UnreleasedPartitions, "1:0@9 1:1@10 1:3@11", "")),
        );
    }

    #[test]
    fn who_must_give_up_stays_until_it_says_that_it_has() {
        let now = current(10, 10, State::UnrevokedPartitions, "1:0@9", "1:1@10");
        for owned in [None, Some("1:0 1:1"), Some("1:1")] {
            check(&now, &Given { target: "1:0", owned, ..ALL }, Ok(now.clone()));
        }
        let next = current(11, 10, State::Stable, "1:0@9", "");
        check(&now, &Given { target: "1:0", owned: Some("1:0"), ..ALL }, Ok(next));
        // The target is another one by now: it gives up more before it gets anything.
        let next = current(10, 10, State::UnrevokedPartitions, "", "1:0@9");
        check(&now, &Given { target_epoch: 12, target: "1:1", owned: Some("1:0"), ..ALL }, Ok(next));
        // What it gave up comes back to it: it is the one that has it still.
        let next = current(12, 10, State::Stable, "1:0@9 1:1@12", "");
        let given =
            Given { target_epoch: 12, target: "1:0 1:1", owned: Some("1:0"), taken: "1:0 1:1", ..ALL };
        check(&now, &given, Ok(next));
    }

    #[test]
    fn who_waits_gets_what_others_have_given_up() {
        let now = current(11, 10, State::UnreleasedPartitions, "1:0@9", "");
        let waits = Given { target: "1:0 1:1 1:2", taken: "1:1 1:2", ..ALL };
        check(&now, &waits, Ok(current(11, 11, State::UnreleasedPartitions, "1:0@9", "")));
        check(
            &now,
            &Given { taken: "1:2", ..waits },
            Ok(current(11, 11, State::UnreleasedPartitions, "1:0@9 1:1@11", "")),
        );
        check(
            &now,
            &Given { taken: "", ..waits },
            Ok(current(11, 11, State::Stable, "1:0@9 1:1@11 1:2@11", "")),
        );
    }

    #[test]
    fn topics_that_a_member_no_longer_reads_go_before_there_is_a_target() {
        let now = current(11, 10, State::Stable, "1:0@9 2:0@10", "");
        let given = Given { target: "1:0 2:0", resubscribed: true, reads: &[1], ..ALL };
        check(&now, &given, Ok(current(11, 11, State::UnrevokedPartitions, "1:0@9", "2:0@10")));
        check(&now, &Given { owned: Some("1:0"), ..given }, Ok(current(11, 11, State::Stable, "1:0@9", "")));
        check(&now, &Given { reads: &[1, 2], ..given }, Ok(now.clone()));
        let now = current(11, 10, State::UnrevokedPartitions, "1:0@9 2:0@10", "1:1@9");
        let next = current(11, 11, State::UnrevokedPartitions, "1:0@9", "1:1@9 2:0@10");
        check(&now, &given, Ok(next));
        // A target of before does not bring them back.
        let now = current(10, 9, State::Stable, "1:0@9", "");
        check(&now, &given, Ok(current(11, 10, State::Stable, "1:0@9", "")));
    }

    #[test]
    fn a_state_of_a_newer_version_makes_the_member_begin_anew() {
        let now = current(9, 8, State::Unknown, "1:0@9", "");
        check(&now, &Given { target: "1:1", ..ALL }, Err(Unknown));
        check(&now, &Given { target: "1:1", owned: Some("1:0"), ..ALL }, Err(Unknown));
        let next = current(11, 9, State::Stable, "1:1@11", "");
        check(&now, &Given { target: "1:1", owned: Some(""), ..ALL }, Ok(next));
    }
}
