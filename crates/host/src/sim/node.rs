//! A simulated node: a disk that lasts, and a process on it that comes and goes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, PoisonError, Weak};

use super::clock::SimClock;
use super::disk::{Faults, SimDisk};
use super::lane::{LaneInner, NodeDisk};
use super::net::SimNet;
use super::ready::{TaskCell, TaskId};
use super::rng::{SeededRng, SimRng};
use super::tasks::SimSpawn;
use super::world::{Event, Shared};
use crate::Host;

/// How to make a node.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    pub shards: usize,
    /// How much faster (or slower) the node's clocks run than true time, in parts per million.
    pub clock_drift_ppm: i32,
    /// What the node's wall clock is ahead of true time.
    pub wall_skew_ms: i64,
    pub faults: Faults,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self { shards: 2, clock_drift_ppm: 0, wall_skew_ms: 0, faults: Faults::default() }
    }
}

/// One start of a node's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) node: usize,
    pub(super) incarnation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    Up,
    /// The process is gone; the kernel still answers for it.
    Killed,
    /// Nobody answers.
    Off,
}

pub(super) struct NodeState {
    pub(super) name: String,
    pub(super) addr: IpAddr,
    pub(super) options: NodeOptions,
    pub(super) power: Power,
    pub(super) paused: bool,
    pub(super) incarnation: u64,
    /// True time of the present start.
    pub(super) started: u64,
    pub(super) disk: SimDisk,
    pub(super) host: Option<Host>,
    pub(super) tasks: BTreeMap<TaskId, Arc<TaskCell>>,
    pub(super) lanes: Vec<Weak<LaneInner>>,
    /// Ready tasks and due events that wait for the end of a pause.
    pub(super) parked: BTreeMap<TaskId, Arc<TaskCell>>,
    pub(super) deferred: Vec<Event>,
}

impl NodeState {
    pub(super) fn is_up(&self) -> bool {
        self.power == Power::Up
    }
}

/// Adds a node that is off.
pub(super) fn add(shared: &Arc<Shared>, name: &str, options: NodeOptions) -> usize {
    let mut world = shared.world();
    assert!(world.nodes.iter().all(|node| node.name != name), "a node named {name} exists");
    let index = world.nodes.len();
    let rng = SeededRng::derive(world.options.seed, "disk", index as u64);
    let disk = SimDisk::with_trace(name, rng, shared.trace.clone());
    disk.set_faults(options.faults.clone());
    let dying = Arc::downgrade(&shared.dying);
    disk.on_death(move || {
        if let Some(dying) = dying.upgrade() {
            dying.lock().unwrap_or_else(PoisonError::into_inner).push(index);
        }
    });
    let low = u8::try_from(index % 250 + 1).unwrap_or(u8::MAX);
    let high = u8::try_from(index / 250).unwrap_or(u8::MAX);
    world.nodes.push(NodeState {
        name: name.to_owned(),
        addr: IpAddr::V4(Ipv4Addr::new(10, 0, high, low)),
        options,
        power: Power::Off,
        paused: false,
        incarnation: 0,
        started: 0,
        disk,
        host: None,
        tasks: BTreeMap::new(),
        lanes: Vec::new(),
        parked: BTreeMap::new(),
        deferred: Vec::new(),
    });
    index
}

/// Starts the node's process.
pub(super) fn start(shared: &Arc<Shared>, index: usize) -> Host {
    let mut world = shared.world();
    let (now, seed) = (world.now, world.options.seed);
    let node = world.nodes.get_mut(index).expect("a known node");
    assert!(!node.is_up(), "{} runs already", node.name);
    node.incarnation += 1;
    node.power = Power::Up;
    node.started = now;
    let owner = Owner { node: index, incarnation: node.incarnation };
    let rng = SeededRng::derive(seed, &format!("node {index}"), node.incarnation);
    let host = Host {
        net: Arc::new(SimNet::new(Arc::clone(shared), owner)),
        disk: Arc::new(NodeDisk::new(Arc::clone(shared), owner, node.disk.clone())),
        clock: Arc::new(SimClock::new(Arc::clone(shared), index, now, node.options.clock_drift_ppm)),
        rng: Arc::new(SimRng::new(rng)),
        tasks: Arc::new(SimSpawn::new(Arc::clone(shared), owner, node.options.shards.max(1))),
    };
    let before = node.host.replace(host.clone());
    let text = format!("{} starts", node.name);
    drop(world);
    drop(before);
    shared.trace.event(&text);
    host
}
