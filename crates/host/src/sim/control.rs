//! The hand that moves the world: what a test does to nodes and to the network.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::clock::SimSleep;
use super::crash::{self, Crash};
use super::disk::SimDisk;
use super::net;
use super::node::{self, NodeOptions};
use super::ready::Item;
use super::trace::Trace;
use super::world::Shared;
use crate::{Host, Instant, here};

/// A cheap reference to a simulation. Nodes go by their names.
///
/// # Panics
/// Every method that takes the name of a node panics when there is none of that name.
#[derive(Clone, Debug)]
pub struct Control {
    pub(super) shared: Arc<Shared>,
}

impl Control {
    fn index(&self, name: &str) -> usize {
        let world = self.shared.world();
        let found = world.nodes.iter().position(|node| node.name == name);
        drop(world);
        found.unwrap_or_else(|| panic!("there is no node named {name}"))
    }

    fn with_node<T>(&self, name: &str, act: impl FnOnce(&mut node::NodeState) -> T) -> T {
        let index = self.index(name);
        let mut world = self.shared.world();
        act(world.nodes.get_mut(index).expect("an index just found"))
    }

    /// Makes a node and starts it. Its name is its host name, too.
    pub fn node(&self, name: &str, options: NodeOptions) -> Host {
        let index = node::add(&self.shared, name, options);
        node::start(&self.shared, index)
    }

    /// Power loss: every task of the node is dropped at once, its disk keeps what was synced and some of the
    /// rest, its peers get a reset or silence. Does nothing to a node that is down.
    pub fn crash(&self, name: &str) {
        crash::crash(&self.shared, self.index(name), Crash::PowerLoss);
    }

    /// `kill -9`: as [`Control::crash`], but the disk keeps everything that was written.
    pub fn kill(&self, name: &str) {
        crash::crash(&self.shared, self.index(name), Crash::Kill);
    }

    /// Starts a node that is down, on the same disk.
    pub fn restart(&self, name: &str) -> Host {
        node::start(&self.shared, self.index(name))
    }

    pub fn is_up(&self, name: &str) -> bool {
        self.with_node(name, |node| node.is_up())
    }

    /// The host of a node that is up.
    pub fn host(&self, name: &str) -> Option<Host> {
        self.with_node(name, |node| node.host.clone())
    }

    pub fn disk(&self, name: &str) -> SimDisk {
        self.with_node(name, |node| node.disk.clone())
    }

    /// Stops the node's process without ending it; the wires and the kernel go on.
    pub fn pause(&self, name: &str) {
        self.with_node(name, |node| node.paused = node.is_up());
        self.event(&format!("{name} pauses"));
    }

    pub fn resume(&self, name: &str) {
        let index = self.index(name);
        let mut world = self.shared.world();
        let Some(node) = world.nodes.get_mut(index) else { return };
        node.paused = false;
        let (parked, deferred) = (std::mem::take(&mut node.parked), std::mem::take(&mut node.deferred));
        world.replay(deferred);
        drop(world);
        for (id, task) in parked {
            self.shared.ready.insert(id, Item::Task(task));
        }
        self.event(&format!("{name} resumes"));
    }

    /// Sets what the node's wall clock is ahead of true time; it jumps at once.
    pub fn set_wall_skew(&self, name: &str, skew_ms: i64) {
        self.with_node(name, |node| node.options.wall_skew_ms = skew_ms);
    }

    /// Holds back everything between `a` and `b`, both ways, until [`Control::heal`].
    pub fn partition(&self, a: &str, b: &str) {
        self.block(a, b);
        self.block(b, a);
    }

    /// Holds back what `from` sends to `to`.
    pub fn block(&self, from: &str, to: &str) {
        let link = (self.index(from), self.index(to));
        self.shared.world().net.block(link);
        self.event(&format!("{from} is cut off from {to}"));
    }

    /// Ends a partition; what was held back arrives.
    pub fn heal(&self, a: &str, b: &str) {
        let (a_index, b_index) = (self.index(a), self.index(b));
        let mut world = self.shared.world();
        net::heal(&mut world, (a_index, b_index));
        net::heal(&mut world, (b_index, a_index));
        drop(world);
        self.event(&format!("{a} and {b} are connected"));
    }

    /// Sets the one-way delay from `from` to `to`, for what is sent from now on.
    pub fn set_latency(&self, from: &str, to: &str, latency: RangeInclusive<Duration>) {
        let link = (self.index(from), self.index(to));
        self.shared.world().net.set_latency(link, latency);
    }

    /// Breaks all connections between two nodes, as a firewall does that loses its state.
    pub fn reset_connections(&self, a: &str, b: &str) {
        let link = (self.index(a), self.index(b));
        let mut world = self.shared.world();
        let wakers = net::reset_all(&mut world, link);
        drop(world);
        wakers.into_iter().for_each(std::task::Waker::wake);
        self.event(&format!("connections between {a} and {b} are reset"));
    }

    /// The next `count` connections to `name` fail when they are accepted: out of descriptors.
    pub fn fail_accepts(&self, name: &str, count: u64) {
        let index = self.index(name);
        self.shared.world().net.fail_accepts(index, count);
    }

    /// True time since the start of the world.
    pub fn now(&self) -> Instant {
        Instant(self.shared.world().now)
    }

    /// Waits on true time; for futures outside all nodes.
    pub fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + use<> {
        self.sleep_until(self.now().after(time))
    }

    pub fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> + Send + use<> {
        SimSleep::new(Arc::clone(&self.shared), None, at.0)
    }

    pub fn trace(&self) -> &Trace {
        &self.shared.trace
    }

    /// Adds a line to the log of the run, with the node whose task is running.
    pub fn event(&self, text: &str) {
        let node = here::try_current().and_then(|host| {
            let world = self.shared.world();
            let is_it = |other: &Host| Arc::ptr_eq(&other.clock, &host.clock);
            let node = world.nodes.iter().find(|node| node.host.as_ref().is_some_and(is_it));
            node.map(|node| node.name.clone())
        });
        match node {
            Some(node) => self.shared.trace.event(&format!("{node}: {text}")),
            None => self.shared.trace.event(text),
        }
    }
}
