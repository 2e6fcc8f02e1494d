//! Event-sourced coordinators: what consumer groups are and have committed, and whose transactions run and how they end.
//!
//! Owns: the state of one partition of `__consumer_offsets` ([`Groups`]) and of `__transaction_state`
//! ([`transactions::Transactions`]), the records they are kept in ([`Record`], in Kafka's formats), and every decision about
//! joins, generations and epochs, assignments, sessions, committed offsets, producers' epochs and transactions. Groups have two
//! protocols: the classic one and the consumer protocol (KIP-848).
//!
//! Invariants:
//! * `Logged::apply` is the only writer of durable state, live and when a partition is loaded.
//! * A reply leaves only when the records of every outcome up to and with its own are committed; until then it is the
//!   driver's. A driver whose append fails throws the state away, refuses whoever waits, and loads it again.
//! * Every request is answered exactly once, at once or by a later outcome.
//! * Time and random ids are arguments ([`Now`]).
//!
//! Does not know: where the log is, who appends to it, and sockets. Which topics there are it is told.

mod classic;
mod cluster;
mod consumer;
mod coordinator;
mod env;
mod few;
mod groups;
mod options;
mod outcome;
mod record;
mod request;
mod search;
mod timers;
pub mod transactions;

pub use consumer::Assignor;
pub use coordinator::Coordinator;
pub use groups::Groups;
pub use options::Options;
pub use outcome::{Outcome, Producer, Ticket};
pub use record::{Error, Record};
pub use request::{Caller, Reply, Request};
pub use search::{Found, Search};

/// When something happens, and an id that nobody had before.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Milliseconds of a clock that never goes back; timers go by it.
    pub monotonic_ms: u64,
    /// Milliseconds since 1970: what is written into records.
    pub wall_ms: i64,
    /// For a member id.
    pub fresh_id: protocol::Uuid,
}
