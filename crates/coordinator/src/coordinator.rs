//! [`Coordinator`]: what all coordinators have in common, for whoever drives them.

use crate::{Caller, Error, Now, Outcome, Producer, Record, Ticket};

/// The state of one partition of a coordinator's topic.
pub trait Coordinator {
    type Request;
    type Reply;
    type Effect;

    /// A committed record of the log, in its order, while the partition is loaded; `producer` is set for records of a
    /// transaction. Keys of unknown versions are passed over, as Kafka does.
    fn replay(&mut self, record: &Record, producer: Option<Producer>) -> Result<(), Error>;

    /// Everything has been replayed: what no record says begins.
    fn loaded(&mut self, now: Now) -> Outcome<Self::Reply, Self::Effect>;

    fn handle(
        &mut self,
        ticket: Ticket,
        caller: &Caller,
        request: Self::Request,
        now: Now,
    ) -> Outcome<Self::Reply, Self::Effect>;

    /// Whether a request may need [`Now::fresh_id`], which costs a system call.
    fn wants_fresh_id(request: &Self::Request) -> bool;

    /// Carries out what has come due.
    fn tick(&mut self, now: Now) -> Outcome<Self::Reply, Self::Effect>;

    /// When [`Self::tick`] has something to do next, on the monotonic clock.
    fn next_tick_ms(&self) -> Option<u64>;
}
