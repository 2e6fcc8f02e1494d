//! [`Outcome`]: what a decision asks of its driver.

use crate::{Record, Reply};

/// Names a request until it is answered; the driver's own choice, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Records that were applied and are to be appended in this order, and the replies that wait for them. A reply may be for a
/// request of long ago (a join waits for the other members); a request without a reply yet is parked.
#[derive(Debug, Default)]
#[must_use]
pub struct Outcome {
    pub records: Vec<Record>,
    pub replies: Vec<(Ticket, Reply)>,
}
