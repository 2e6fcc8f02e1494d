//! Server-side assignors: who is to have which partition, as a function of who reads what and has what.
//!
//! Like Kafka's since 4.0 they do not look at racks when they choose; a change of racks only has the targets computed anew.
//!
//! Invariants: every partition of a topic that somebody reads goes to exactly one of those who read it; the result depends
//! on nothing but the input, in whatever order that came.

mod balance;
mod range;
mod uniform;

use std::collections::BTreeMap;

use protocol::{Str, Uuid};

use super::partitions::Partitions;

/// Server-side assignors by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// As many partitions for everybody as can be, with as few moves as can be.
    Uniform,
    /// The same stretch of the partitions of every topic, so that topics can be joined.
    Range,
}

impl Assignor {
    pub const ALL: [Assignor; 2] = [Assignor::Uniform, Assignor::Range];

    pub const fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|assignor| assignor.name() == name)
    }
}

/// A member that takes part.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub id: &'a Str,
    pub instance_id: Option<&'a Str>,
    /// Topics that it reads and that exist, ascending.
    pub topics: Vec<Uuid>,
    /// What it was to have before.
    pub before: Option<&'a Partitions>,
}

/// Everything that an assignment follows from.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    /// By member id.
    pub readers: Vec<Reader<'a>>,
    /// Whether all of them read the same topics.
    pub alike: bool,
    /// How many partitions a topic has; every topic that somebody reads is here.
    pub topics: BTreeMap<Uuid, i32>,
}

/// What each reader is to have, in the order of the readers.
pub(crate) fn assign(assignor: Assignor, input: &Input<'_>) -> Vec<Partitions> {
    match assignor {
        Assignor::Range => range::assign(input),
        Assignor::Uniform if input.alike => uniform::assign(input),
        Assignor::Uniform => balance::assign(input),
    }
}

impl Input<'_> {
    fn partitions_of(&self, topic: &Uuid) -> i32 {
        self.topics.get(topic).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
