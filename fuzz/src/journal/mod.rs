//! The journal of a log directory: rounds that the real machine has written, changes at rest, and a start.
//!
//! Checked: what a start hands over is what some number of the rounds give, in their order, and never less than what is known to
//! be synced, unless it says so: it refuses the directory, or a partition. Nothing is handed over that was not written. A second
//! start finds what the first one found, and so does a third one behind more entries.
//!
//! With the checksums put right after the changes, anything may have been written; a start comes to its end all the same.

mod bytes;
mod machine;
mod model;

use std::collections::{BTreeMap, BTreeSet};

use storage::PartitionKey;
use storage::directory::Opened;

use self::bytes::Rounds;
use self::machine::{Machine, Truth, open};
use self::model::Logs;
use crate::Input;
use crate::edits::Edit;

/// What a start hands over, but for partitions that it refuses.
#[derive(Debug, PartialEq, Eq)]
struct Start {
    logs: Logs,
    refused: BTreeSet<PartitionKey>,
}

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut machine = Machine::new(u64::from(input.byte()));
    for _ in 0..input.below(60) {
        machine.step(&mut input);
    }
    let truth = machine.end();
    let before = Rounds::of(truth.files());
    let mut after = truth.files();
    let edits: Vec<(usize, Edit)> =
        (0..input.byte() % 4).filter_map(|_| before.edit(&mut input, &after)).collect();
    for (file, edit) in &edits {
        edit.apply(&mut after[*file].1);
    }
    let is_put_right = input.flag();
    if is_put_right {
        before.put_right(&mut after);
    }
    truth.replace(&after);

    let first = start(&truth);
    let second = start(&truth);
    assert_eq!(first, second, "started twice");
    if !is_put_right {
        check(&truth, first.as_ref(), &before.changed(&after), &edits);
        goes_on(&truth, &mut input);
    }
}

fn start(truth: &Truth) -> Option<Start> {
    let opened = open(&truth.disk).ok()?;
    Some(found(truth, &opened))
}

fn found(truth: &Truth, opened: &Opened) -> Start {
    let mut start = Start { logs: BTreeMap::new(), refused: BTreeSet::new() };
    for partition in &opened.partitions {
        if partition.damage.is_some() {
            start.refused.insert(partition.state.key);
        } else {
            start.logs.insert(partition.state.key, truth.log_of(partition));
        }
    }
    start
}

/// `changed`: the numbers of the rounds that are not what was written.
fn check(truth: &Truth, start: Option<&Start>, changed: &BTreeSet<u64>, edits: &[(usize, Edit)]) {
    let Some(start) = start else {
        assert!(!edits.is_empty(), "a directory that nobody has touched is refused");
        return;
    };
    // A copy may be taken for what it is a copy of.
    let is_copied = edits.iter().any(|(_, edit)| matches!(edit, Edit::Copy { .. }));
    let gives = |rounds: u64| {
        let logs = truth.logs_after(rounds);
        let is_there = |key: &PartitionKey| start.logs.contains_key(key) || start.refused.contains(key);
        start.logs.iter().all(|(key, log)| logs.get(key) == Some(log)) && logs.keys().all(is_there)
    };
    let Some(rounds) = (truth.first..=truth.last).rev().find(|rounds| gives(*rounds)) else {
        panic!("no number of rounds from {} to {} gives {start:?}", truth.first, truth.last);
    };
    if edits.is_empty() {
        assert!(start.refused.is_empty() && rounds == truth.last);
    }
    let is_small = edits.len() == 1 && edits.iter().all(|(_, edit)| edit.is_small());
    if is_small && !is_copied {
        let first = changed.first().copied();
        match first {
            // Padding, unused space, rounds that are not needed any more.
            None => assert!(rounds == truth.last && start.refused.is_empty(), "{rounds} of {}", truth.last),
            Some(first) => {
                let proven = truth.proven_without(changed);
                assert!(
                    rounds + 1 >= first && (rounds >= first || first > proven),
                    "{rounds}, {proven} proven, {first} damaged"
                );
            }
        }
    }
}

/// What comes behind a start is there at the next one, and so is what the start has found.
fn goes_on(truth: &Truth, input: &mut Input<'_>) {
    let Ok(opened) = open(&truth.disk) else { return };
    let before = found(truth, &opened);
    let mut machine = Machine::of(&truth.disk, opened);
    let Some((key, added)) = machine.append_to_a_new_partition(input.byte()) else { return };
    drop(machine);
    truth.disk.crash();
    let opened = open(&truth.disk).expect("what was opened and written to can be opened");
    let mut after = found(truth, &opened);
    assert_eq!(after.logs.remove(&key), Some(added), "what was synced last");
    assert_eq!(after, before, "what was there before it");
}
