//! [`Coordinator`]: what all coordinators have in common, for whoever drives them.

use protocol::ids::ProducerId;

use crate::{Caller, Error, Now, Outcome, Producer, Record, Ticket};

/// The state of one partition of a coordinator's topic.
pub trait Coordinator {
    type Request;
    type Reply;
    type Effect;

    /// A committed record of the log, in its order, while the partition is loaded; `producer` is set for records of a
    /// transaction. Keys of unknown versions are passed over, as Kafka does.
    fn replay(&mut self, record: &Record, producer: Option<Producer>) -> Result<(), Error>;

    /// A marker of the log, while the partition is loaded: the transaction of a producer has ended.
    fn replay_end(&mut self, producer_id: ProducerId, commit: bool) {
        let order = self.order();
        self.ended(producer_id, commit, order);
    }

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

    /// The log has refused the records of an outcome with [`Outcome::producer`], and goes on without them.
    fn refused(&mut self, _producer: Producer, _records: &[Record]) {}

    /// What is to be told to [`Self::ended`] when a marker that goes to the log now has been written.
    fn order(&self) -> u64 {
        0
    }

    /// The log has a marker that ends the transaction of a producer.
    fn ended(&mut self, _producer_id: ProducerId, _commit: bool, _order: u64) {}

    /// When [`Self::tick`] has something to do next, on the monotonic clock.
    fn next_tick_ms(&self) -> Option<u64>;
}
