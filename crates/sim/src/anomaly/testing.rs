//! Histories in few words.

use protocol::{Offset, Str};

use super::{ANALYSES, Action, Anomaly, History, Operation, Outcome, Process};
use crate::event::Log;
use crate::value::Id;

pub(super) fn log(partition: i32) -> Log {
    Log { topic: Str::from("t".to_owned()), partition }
}

pub(super) fn id(n: u64) -> Id {
    Id { producer: 0, n }
}

pub(super) fn send(partition: i32, n: u64, offset: i64) -> Action {
    Action::Send { log: log(partition), id: id(n), offset: Some(Offset(offset)) }
}

pub(super) fn send_somewhere(partition: i32, n: u64) -> Action {
    Action::Send { log: log(partition), id: id(n), offset: None }
}

/// `records`: offsets and numbers.
pub(super) fn poll(partition: i32, records: &[(i64, u64)]) -> Action {
    let records = records.iter().map(|(offset, n)| (Offset(*offset), id(*n))).collect();
    Action::Poll { log: log(partition), records }
}

pub(super) fn committed(process: Process, actions: &[Action]) -> Operation {
    Operation { process, outcome: Outcome::Committed, actions: actions.to_vec() }
}

pub(super) fn aborted(process: Process, actions: &[Action]) -> Operation {
    Operation { outcome: Outcome::Aborted, ..committed(process, actions) }
}

pub(super) fn unknown(process: Process, actions: &[Action]) -> Operation {
    Operation { outcome: Outcome::Unknown, ..committed(process, actions) }
}

/// `anomaly` is found so often, and nothing else is but what `also` says.
#[track_caller]
pub(super) fn check(operations: &[Operation], anomaly: Anomaly, times: usize, also: &[Anomaly]) {
    let history = History { operations: operations.to_vec() };
    for (other, find) in ANALYSES {
        let found = find(&history);
        if other == anomaly {
            assert_eq!(found.len(), times, "{anomaly}: {found:?}");
        } else {
            assert_eq!(!found.is_empty(), also.contains(&other), "{other}: {found:?}");
        }
    }
}
