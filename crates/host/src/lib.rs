//! The machine a node runs on, as narrow traits: network, disk, clock, randomness, tasks.
//!
//! Owns every socket, file, thread, timer and source of randomness of the process. There are two
//! machines: [`real`], and [`sim`], where a whole cluster shares one thread under virtual time and where
//! disks lose unsynced writes, networks partition and clocks drift.
//!
//! Invariants:
//! * Nothing outside this crate touches `std::fs`, `std::net`, `std::thread`, `tokio::spawn`, the wall
//!   clock or ambient randomness (`cargo xtask tidy` checks it). What goes through a [`Host`] can be simulated.
//! * A [`Lane`] carries out its operations one at a time, in the order of submission.
//! * In the simulated machine the same seed gives the same run, event for event.
//!
//! Does not know: Kafka, logs, what the bytes mean.

pub mod clock;
pub mod disk;
mod guarded;
mod here;
pub mod net;
pub mod real;
pub mod rng;
pub mod sim;
pub mod tasks;

use std::sync::Arc;

pub use clock::{Clock, Instant, Sleep};
pub use disk::{Disk, File, FileRef, Files, Lane, LaneRef, Op, OpenMode, Space};
pub use here::{current, place, try_current};
pub use net::{Incoming, Listener, Net, Stream};
pub use rng::Rng;
pub use tasks::{Place, Spawn, Task};

/// A boxed future, as the object-safe traits of this crate return it.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Everything a node can do to the world outside its memory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Host {
    pub net: Arc<dyn Net>,
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    pub tasks: Arc<dyn Spawn>,
}

impl Host {
    /// Starts a task at `place`; it runs to its end unless the returned [`Task`] aborts it.
    pub fn spawn(
        &self,
        place: Place,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        self.tasks.spawn(place, name, Box::pin(task))
    }

    pub fn now(&self) -> Instant {
        self.clock.now()
    }
}
