//! [`Outcome`]: what a decision asks of its driver.

use protocol::ids::{ProducerEpoch, ProducerId};

use crate::{Record, Reply, Search};

/// Names a request until it is answered; the driver's own choice, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Whose transaction records belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Producer {
    pub id: ProducerId,
    pub epoch: ProducerEpoch,
}

/// Records that were applied and are to be appended in this order, and what waits for them. A reply may be for a
/// request of long ago (a join waits for the other members); a request without a reply yet is parked.
#[derive(Debug)]
#[must_use]
pub struct Outcome<R = Reply, E = Search> {
    pub records: Vec<Record>,
    /// All the records are part of this producer's transaction.
    pub producer: Option<Producer>,
    pub replies: Vec<(Ticket, R)>,
    /// What is to happen when the records are committed.
    pub effects: Vec<E>,
}

impl<R, E> Default for Outcome<R, E> {
    fn default() -> Self {
        Self { records: Vec::new(), producer: None, replies: Vec::new(), effects: Vec::new() }
    }
}
