//! The simulated machine: many nodes in one thread under virtual time, with disks that lose writes, networks that
//! partition, clocks that drift, and everything drawn from one seed.
//!
//! [`Sim::new`] makes a world, [`Control::node`] a node in it with a [`Host`] of its own, [`Sim::block_on`] drives
//! it with a future that stands outside: a test, which may crash, restart, pause and partition nodes.
//!
//! Invariants:
//! * The same seed and the same program give the same run, event for event: see [`Trace::hash`].
//! * Time passes only when nothing else can happen; a turn of a task takes none.
//! * No task, timer or disk operation of a node outlives its crash.
//!
//! What the program must not do for the first to hold: iterate over a `HashMap`, use `tokio::select!` without
//! `biased`, or use `tokio::time`, `tokio::net`, `tokio::spawn` or a thread.
//!
//! Does not know: what runs on it.
//!
//! ```
//! use std::time::Duration;
//! use host::Place;
//! use host::sim::{NodeOptions, Sim};
//!
//! let sim = Sim::new(42);
//! let host = sim.node("node", NodeOptions::default());
//! host.spawn(Place::Control, "server", {
//!     let host = host.clone();
//!     async move { host.clock.sleep(Duration::from_secs(3600)).await }
//! });
//! sim.block_on(async {
//!     sim.sleep(Duration::from_secs(1)).await;
//!     sim.crash("node");
//!     let host = sim.restart("node");
//!     assert!(host.disk.files().exists("/".as_ref()).unwrap());
//! });
//! println!("{:016x}\n{}", sim.trace().hash(), sim.trace().tail(10));
//! ```

mod clock;
mod control;
mod crash;
pub mod disk;
mod lane;
mod net;
mod node;
mod ready;
pub(crate) mod rng;
mod tasks;
mod trace;
mod world;

use std::ops::{Deref, RangeInclusive};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub use control::Control;
pub use crash::Crash;
pub use disk::{CrashPolicy, Failing, Faults, OpKind, Rule, SimDisk, Strike};
pub use node::NodeOptions;
pub use trace::Trace;

use self::ready::{DRIVER, DriverWaker, Item};
use self::world::{Shared, Step};
use crate::here;

#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    /// Ready tasks get their turns one after the other and not in an order drawn from the seed.
    pub in_turns: bool,
    /// Virtual time after which [`Sim::block_on`] gives up.
    pub horizon: Duration,
    /// Let a panic end its task only; otherwise it ends the run.
    pub survive_panics: bool,
    /// One way, between two nodes.
    pub latency: RangeInclusive<Duration>,
    /// One way, inside a node.
    pub local_latency: RangeInclusive<Duration>,
    /// What a connection holds in one direction, sent and not yet read.
    pub socket_bytes: usize,
    /// Reads and writes of streams that are cut short by chance, in parts per million.
    pub short_io_ppm: u32,
    pub connect_timeout: Duration,
}

impl Options {
    pub fn new(seed: u64) -> Self {
        let micros = Duration::from_micros;
        Self {
            seed,
            in_turns: false,
            horizon: Duration::from_secs(24 * 3600),
            survive_panics: false,
            latency: micros(50)..=micros(1000),
            local_latency: micros(5)..=micros(50),
            socket_bytes: 256 << 10,
            short_io_ppm: 100_000,
            connect_timeout: Duration::from_secs(30),
        }
    }
}

/// A simulated world. Dropping it ends all its nodes.
#[derive(Debug)]
pub struct Sim {
    control: Control,
}

impl Sim {
    pub fn new(seed: u64) -> Self {
        Self::with_options(Options::new(seed))
    }

    pub fn with_options(options: Options) -> Self {
        Self { control: Control { shared: Arc::new(Shared::new(options)) } }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.control.shared
    }

    /// Runs the world until `future` is ready. It stands outside all nodes; use [`Control::sleep`] in it.
    ///
    /// # Panics
    /// When nothing can happen any more, when the horizon is reached, and when a task panics.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let shared = self.shared();
        let waker = Waker::from(Arc::new(DriverWaker { ready: Arc::clone(&shared.ready) }));
        let horizon = self.horizon();
        shared.ready.insert(DRIVER, Item::Driver);
        loop {
            match shared.step(horizon) {
                Step::Done => {}
                Step::Driver => {
                    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                        return output;
                    }
                }
                Step::Idle => panic!("{}", self.stuck(horizon)),
            }
        }
    }

    /// As [`Sim::block_on`], with [`crate::current`] giving the host of a node.
    pub fn block_on_node<F: Future>(&self, node: &str, future: F) -> F::Output {
        let host = self.host(node).expect("the node is up");
        let mut future = pin!(future);
        self.block_on(std::future::poll_fn(|cx| {
            let place = crate::Place::Control;
            let _here = here::enter(Some(here::Here { host: host.clone(), place }));
            future.as_mut().poll(cx)
        }))
    }

    /// Runs the world for so much virtual time.
    pub fn run_for(&self, time: Duration) {
        let until = self.now().after(time);
        self.block_on(self.control.sleep_until(until));
    }

    /// Runs the world until `condition` holds, which is looked at after every step.
    ///
    /// # Panics
    /// As [`Sim::block_on`].
    pub fn run_until(&self, mut condition: impl FnMut() -> bool) {
        let horizon = self.horizon();
        while !condition() {
            // The last thing to happen may be what the condition waits for: a crash, say.
            if self.shared().step(horizon) == Step::Idle && !condition() {
                panic!("{}", self.stuck(horizon));
            }
        }
    }

    fn horizon(&self) -> u64 {
        u64::try_from(self.shared().world().options.horizon.as_nanos()).unwrap_or(u64::MAX)
    }

    fn stuck(&self, horizon: u64) -> String {
        let world = self.shared().world();
        let tasks: Vec<String> = world
            .nodes
            .iter()
            .flat_map(|node| node.tasks.values().map(|task| format!("{}: {}", node.name, task.name)))
            .collect();
        let (seed, now) = (world.options.seed, world.now);
        let tail = self.shared().trace.tail(20);
        format!(
            "seed {seed}: nothing happens between {now} ns and the horizon at {horizon} ns\ntasks: {tasks:?}\n{tail}"
        )
    }
}

impl Deref for Sim {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.control
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // Tasks hold the world and the world holds tasks: this is where the circle is cut.
        let shared = self.shared();
        let count = shared.world().nodes.len();
        for node in 0..count {
            crash::crash(shared, node, Crash::Kill);
        }
        shared.ready.clear();
        let events = shared.world().take_events();
        drop(events);
        shared.ready.clear();
    }
}
