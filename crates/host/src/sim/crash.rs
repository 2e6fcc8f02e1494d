//! The end of a node's process.

use std::sync::Arc;

use super::lane;
use super::net;
use super::node::Power;
use super::world::Shared;

/// How a node ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Unsynced writes are lost or torn, peers are told nothing, or a reset.
    PowerLoss,
    /// `kill -9`: the kernel lives on, closes the sockets and keeps what was written.
    Kill,
}

/// Ends the node's process at once, if it runs.
pub(super) fn crash(shared: &Arc<Shared>, index: usize, how: Crash) {
    let mut world = shared.world();
    let Some(node) = world.nodes.get_mut(index).filter(|node| node.is_up()) else { return };
    node.power = if how == Crash::Kill { Power::Killed } else { Power::Off };
    node.paused = false;
    let (name, disk) = (node.name.clone(), node.disk.clone());
    let tasks = std::mem::take(&mut node.tasks);
    let lanes = std::mem::take(&mut node.lanes);
    let dropped = (std::mem::take(&mut node.parked), std::mem::take(&mut node.deferred), node.host.take());
    net::crash(&mut world, index, how);
    drop(world);
    shared.trace.event(&format!("{name} crashes: {how:?}"));
    // An operation that was under way may still reach the disk.
    for lane in lanes {
        lane::interrupt(&lane);
    }
    match how {
        Crash::PowerLoss => disk.crash(),
        Crash::Kill => disk.kill(),
    }
    drop(dropped);
    tasks.into_values().for_each(|task| task.kill());
}
