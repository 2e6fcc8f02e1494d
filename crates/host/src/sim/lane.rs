//! Lanes as queues of timed events.
//!
//! Invariants:
//! * An operation takes effect at some time between its start and its completion.
//! * When the node crashes, the operation under way happens or not; those behind it do not.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;

use super::disk::{OpKind, SimDisk};
use super::node::Owner;
use super::world::{Shared, What};
use crate::disk::{Completion, Disk, Files, Lane, LaneRef, Op};
use crate::guarded::panic_text;

/// A node's view of its disk.
#[derive(Debug)]
pub(super) struct NodeDisk {
    shared: Arc<Shared>,
    owner: Owner,
    disk: SimDisk,
    files: Arc<dyn Files>,
}

impl NodeDisk {
    pub(super) fn new(shared: Arc<Shared>, owner: Owner, disk: SimDisk) -> Self {
        let files = disk.files();
        Self { shared, owner, disk, files }
    }
}

impl Disk for NodeDisk {
    fn files(&self) -> Arc<dyn Files> {
        Arc::clone(&self.files)
    }

    fn open_files_max(&self) -> usize {
        // The usual soft limit: few enough that a run meets it.
        1024
    }

    fn lane(&self, name: &'static str) -> LaneRef {
        let inner = Arc::new(LaneInner {
            name,
            shared: Arc::clone(&self.shared),
            owner: self.owner,
            disk: self.disk.clone(),
            files: Arc::clone(&self.files),
            state: Mutex::default(),
        });
        let mut world = self.shared.world();
        if world.is_current(self.owner)
            && let Some(node) = world.nodes.get_mut(self.owner.node)
        {
            node.lanes.retain(|lane| lane.strong_count() > 0);
            node.lanes.push(Arc::downgrade(&inner));
        }
        drop(world);
        Arc::new(SimLane { inner })
    }

    fn background_lane(&self, name: &'static str) -> LaneRef {
        self.lane(name)
    }
}

#[derive(Debug)]
struct SimLane {
    inner: Arc<LaneInner>,
}

#[derive(Debug)]
pub(super) struct LaneInner {
    name: &'static str,
    shared: Arc<Shared>,
    owner: Owner,
    disk: SimDisk,
    files: Arc<dyn Files>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    busy: bool,
    queue: VecDeque<(Op, Completion)>,
    /// Started, and not yet in effect.
    running: Option<(Op, Completion)>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("busy", &self.busy).field("queue", &self.queue.len()).finish()
    }
}

impl Lane for SimLane {
    fn submit(&self, op: Op, done: Completion) {
        let current = self.inner.shared.world().is_current(self.inner.owner);
        if !current {
            return;
        }
        let mut state = self.inner.state();
        state.queue.push_back((op, done));
        let idle = !std::mem::replace(&mut state.busy, true);
        drop(state);
        if idle {
            start(&self.inner);
        }
    }
}

impl LaneInner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn schedule(self: &Arc<Self>, after: u64, act: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let lane = Arc::clone(self);
        let mut world = self.shared.world();
        let at = world.now.saturating_add(after);
        world.schedule(at, Some(self.owner), What::Act(Box::new(move |_| act(&lane))));
    }

    fn execute(&self, op: Op) -> io::Result<Bytes> {
        catch_unwind(AssertUnwindSafe(|| op.execute(&*self.files))).unwrap_or_else(|panic| {
            let panic = panic_text(&*panic);
            Err(io::Error::other(format!("a disk operation panicked: {panic}")))
        })
    }
}

fn kind_and_bytes(op: &Op) -> (OpKind, u64) {
    match op {
        Op::Write { pieces, .. } => (OpKind::Write, pieces.iter().map(|piece| piece.len() as u64).sum()),
        Op::Sync { .. } => (OpKind::Sync, 0),
        Op::Read { len, .. } => (OpKind::Read, *len as u64),
        Op::Call(_) => (OpKind::Open, 0),
    }
}

/// Begins the next operation.
fn start(lane: &Arc<LaneInner>) {
    let mut state = lane.state();
    let Some((op, done)) = state.queue.pop_front() else {
        state.busy = false;
        return;
    };
    let (kind, bytes) = kind_and_bytes(&op);
    state.running = Some((op, done));
    drop(state);
    // A byte takes a nanosecond more: 1 GB/s.
    let time = u64::try_from(lane.disk.time(kind).as_nanos()).unwrap_or(u64::MAX).saturating_add(bytes);
    // In the last half, so that a crash finds operations that have not happened and ones that have.
    let before = time / 2;
    lane.schedule(before, move |lane| take_effect(lane, time - before));
}

fn take_effect(lane: &Arc<LaneInner>, rest: u64) {
    let running = lane.state().running.take();
    let Some((op, done)) = running else { return };
    let result = lane.execute(op);
    if lane.disk.is_dead() {
        // The power failed during the operation: nobody is there to hear of it.
        return;
    }
    lane.schedule(rest, move |lane| {
        lane.shared.trace.step(&[u64::from(result.is_err())], || format!("lane {} completes", lane.name));
        done(result);
        start(lane);
    });
}

/// The node crashes while the lane works.
pub(super) fn interrupt(lane: &Weak<LaneInner>) {
    let Some(lane) = lane.upgrade() else { return };
    let mut state = lane.state();
    let (running, queue) = (state.running.take(), std::mem::take(&mut state.queue));
    drop(state);
    if let Some((op, done)) = running {
        if lane.disk.coin() {
            drop(lane.execute(op));
        }
        drop(done);
    }
    drop(queue);
}
