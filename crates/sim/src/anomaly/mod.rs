//! The anomalies that Jepsen's Kafka workload looks for, one a file: functions of a finished history, which find what must not be
//! and say where.
//!
//! Invariants:
//! * They know nothing of how a history came about: no time, no broker, no scenario.
//! * What is not known counts as what is allowed: an operation without an answer may have happened or not.

mod aborted_read;
mod cycle;
mod divergent_value;
mod duplicate;
mod history;
mod lost_write;
mod non_monotonic_poll;
mod send_order;
#[cfg(test)]
mod testing;
mod unseen;

use std::fmt;

pub(crate) use self::history::{Action, History, Operation, Outcome, Process};

/// What is wrong with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anomaly {
    AbortedRead,
    DivergentValue,
    LostWrite,
    Duplicate,
    Cycle,
    NonMonotonicPoll,
    SendOrderInversion,
    Unseen,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AbortedRead => "aborted read",
            Self::DivergentValue => "divergent value",
            Self::LostWrite => "lost write",
            Self::Duplicate => "duplicate",
            Self::Cycle => "cycle",
            Self::NonMonotonicPoll => "non-monotonic poll",
            Self::SendOrderInversion => "send order inversion",
            Self::Unseen => "unseen",
        })
    }
}

/// One place where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) anomaly: Anomaly,
    pub(crate) text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.anomaly, self.text)
    }
}

type Analysis = fn(&History) -> Vec<String>;

const ANALYSES: [(Anomaly, Analysis); 8] = [
    (Anomaly::AbortedRead, aborted_read::find),
    (Anomaly::DivergentValue, divergent_value::find),
    (Anomaly::LostWrite, lost_write::find),
    (Anomaly::Duplicate, duplicate::find),
    (Anomaly::Cycle, cycle::find),
    (Anomaly::NonMonotonicPoll, non_monotonic_poll::find),
    (Anomaly::SendOrderInversion, send_order::find),
    (Anomaly::Unseen, unseen::find),
];

/// Everything that any of them finds.
pub(crate) fn find_all(history: &History) -> Vec<Finding> {
    let found = ANALYSES
        .into_iter()
        .flat_map(|(anomaly, find)| find(history).into_iter().map(move |text| Finding { anomaly, text }));
    found.collect()
}
