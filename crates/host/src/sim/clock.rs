//! Virtual time as a node sees it: from its start, at its own speed.

use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use super::node::Owner;
use super::world::{Alarm, Key, Shared, What};
use crate::clock::{Clock, Instant, Sleep};

/// True wall time at the start of every simulation, some day in January 2027.
const EPOCH_MS: i64 = 1_800_000_000_000;

const MILLION: u128 = 1_000_000;

#[derive(Debug)]
pub(super) struct SimClock {
    shared: Arc<Shared>,
    node: usize,
    started: u64,
    /// Local nanoseconds that pass in a million true ones.
    speed: u128,
}

impl SimClock {
    pub(super) fn new(shared: Arc<Shared>, node: usize, started: u64, drift_ppm: i32) -> Self {
        let speed = u128::try_from(1_000_000 + i64::from(drift_ppm)).unwrap_or(1).max(1);
        Self { shared, node, started, speed }
    }

    fn local(&self, now: u64) -> u64 {
        let passed = u128::from(now.saturating_sub(self.started));
        u64::try_from(passed * self.speed / MILLION).unwrap_or(u64::MAX)
    }

    /// The first true instant at which the local clock shows `at`.
    fn true_time(&self, at: Instant) -> u64 {
        let passed = (u128::from(at.0) * MILLION).div_ceil(self.speed);
        u64::try_from(passed).unwrap_or(u64::MAX).saturating_add(self.started)
    }
}

impl Clock for SimClock {
    fn now(&self) -> Instant {
        Instant(self.local(self.shared.world().now))
    }

    fn wall_ms(&self) -> i64 {
        let world = self.shared.world();
        let skew = world.nodes.get(self.node).map_or(0, |node| node.options.wall_skew_ms);
        // The wall clock drifts like the other one, and is set right whenever the node starts.
        let at_start = i64::try_from(self.started / 1_000_000).unwrap_or(i64::MAX);
        let since = i64::try_from(self.local(world.now) / 1_000_000).unwrap_or(i64::MAX);
        EPOCH_MS.saturating_add(at_start).saturating_add(since).saturating_add(skew)
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        let owner = {
            let world = self.shared.world();
            let node = world.nodes.get(self.node).filter(|node| node.started == self.started);
            node.map(|node| Owner { node: self.node, incarnation: node.incarnation })
        };
        Box::pin(SimSleep::new(Arc::clone(&self.shared), owner, self.true_time(at)))
    }
}

/// A timer. Without an owner it belongs to the driver and fires whatever happens to the nodes.
pub(super) struct SimSleep {
    shared: Arc<Shared>,
    owner: Option<Owner>,
    at: u64,
    waiting: Option<(Key, Arc<Alarm>)>,
}

impl SimSleep {
    pub(super) fn new(shared: Arc<Shared>, owner: Option<Owner>, at: u64) -> Self {
        Self { shared, owner, at, waiting: None }
    }
}

impl Future for SimSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut world = this.shared.world();
        if world.now >= this.at {
            return Poll::Ready(());
        }
        let (_, alarm) = this.waiting.get_or_insert_with(|| {
            let alarm = Arc::new(Alarm::default());
            let key = world.schedule(this.at, this.owner, What::Wake(Arc::clone(&alarm)));
            (key, alarm)
        });
        drop(world);
        let waker = alarm.waker.lock().unwrap_or_else(PoisonError::into_inner).replace(cx.waker().clone());
        drop(waker);
        Poll::Pending
    }
}

impl Drop for SimSleep {
    fn drop(&mut self) {
        if let Some((key, alarm)) = self.waiting.take() {
            let event = self.shared.world().cancel(key);
            let waker = alarm.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop((event, waker));
        }
    }
}
