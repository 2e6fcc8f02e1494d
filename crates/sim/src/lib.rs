//! A broker with its clients in one thread under virtual time, faults, and checkers.
//!
//! Owns: what a simulated run consists of. [`Scenario`] draws it from a seed, [`run`] carries it out: a real
//! `broker::Node` and real clients on `host::sim`, the faults of `chaos`, and the invariants of `check`.
//!
//! Invariants:
//! * The same seed gives the same run: [`Report::trace_hash`] and every line of the log are equal.
//! * Whatever happens is told to every checker, in the order in which the clients could see it.
//! * When the faults are over the broker comes up, and what it then holds is read whole and checked.
//!
//! Does not know: how the broker works. It sees what clients see.

mod alive;
mod anomaly;
pub mod campaign;
mod chaos;
mod check;
mod dice;
mod event;
mod history;
mod load;
mod run;
mod scenario;
mod script;
mod server;
mod strike;
pub mod sweep;
mod value;

pub use history::{Counts, Violation};
pub use run::{Failure, Options, Report, run};
pub use scenario::{Family, Scenario};
pub use strike::{Blow, Strike};
