//! The real machine: one thread a place, each with its own single-threaded reactor; TCP; the operating
//! system's files, clocks and randomness.
//!
//! Invariants:
//! * The thread that calls [`run`] is the control place; every shard is a thread of its own. Nothing migrates.
//! * A panic ends its task, with a log line, and no other.
//! * When the main future ends, every task is dropped and every place has stopped before [`run`] returns. Lanes
//!   finish what was submitted to them on their own; whoever needs that waits for the completions first.
//!
//! Does not know: what runs on it.

mod clock;
mod disk;
mod file;
mod lane;
mod listener;
mod net;
mod rng;
mod signals;
mod stream;
mod threads;

use std::io;
use std::sync::Arc;

pub use signals::{Signal, Signals, signals};

use crate::here::{self, Here};
use crate::{Host, Place};

#[derive(Clone, Debug)]
pub struct Options {
    /// Threads for shards; at least one is started.
    pub shards: usize,
    /// Connections that the kernel holds for a listener before they are accepted.
    pub backlog: u32,
    /// Raise the soft limit of open files to the hard one.
    pub raise_file_limit: bool,
    pub panics: Panics,
}

/// What follows when a task panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Panics {
    /// A log line.
    #[default]
    Log,
    /// The process ends at once, as after kill -9: whoever waits for the task would wait for ever. Tasks of these names
    /// matter to themselves alone.
    AbortExcept(&'static [&'static str]),
}

impl Default for Options {
    fn default() -> Self {
        let shards = std::thread::available_parallelism().map_or(1, usize::from);
        Self { shards, backlog: 1024, raise_file_limit: true, panics: Panics::default() }
    }
}

/// Starts the machine, drives the future that `main` makes to its end on the calling thread, and stops.
///
/// ```
/// use host::real::{self, Options};
///
/// let shards = real::run(Options::default(), |host| async move { host.tasks.shards() }).unwrap();
/// assert!(shards > 0);
/// ```
///
/// # Errors
/// When a reactor or a thread cannot be made.
pub fn run<T, F: Future<Output = T>>(options: Options, main: impl FnOnce(Host) -> F) -> io::Result<T> {
    if options.raise_file_limit {
        raise_file_limit();
    }
    let control = threads::reactor()?;
    let mut shards = threads::Shards::prepare(options.shards.max(1))?;
    let host = Host {
        net: Arc::new(net::TcpNet::new(options.backlog)),
        disk: Arc::new(disk::OsDisk),
        clock: Arc::new(clock::OsClock::start()),
        rng: Arc::new(rng::OsRng),
        tasks: Arc::new(threads::Threads::new(control.handle().clone(), shards.handles(), options.panics)),
    };
    shards.start(&host)?;
    let _here = here::enter(Some(Here { host: host.clone(), place: Place::Control }));
    let result = control.block_on(main(host));
    shards.stop();
    drop(control);
    Ok(result)
}

/// Blocks the calling thread, more exactly than the timers of a reactor, which count milliseconds. For a program whose
/// control thread has nothing else to do.
pub fn block_for(by: std::time::Duration) {
    std::thread::sleep(by);
}

/// Every connection and open segment costs a descriptor, and the default soft limit of 1024 is for programs
/// that use `select`.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
