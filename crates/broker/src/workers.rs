//! [`Workers`]: threads for what takes the processor for long, so that a shard's thread is not kept from the others.
//!
//! Invariants:
//! * No more is under way than there are threads; whoever waits, waits in turn, and stops waiting when it is dropped.
//! * The threads start when they are first needed.
//!
//! Does not know: what the work is.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use host::{Host, LaneRef, Op};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

#[derive(Debug)]
pub(crate) struct Workers {
    host: Host,
    name: &'static str,
    lanes: Vec<OnceLock<LaneRef>>,
    free: Arc<Free>,
    /// One for each lane.
    slots: Arc<Semaphore>,
}

/// Numbers of lanes that have nothing to do.
#[derive(Debug)]
struct Free(Mutex<Vec<usize>>);

impl Free {
    fn numbers(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the lane back when the work is done, or will not be.
struct Busy {
    lane: usize,
    free: Arc<Free>,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.free.numbers().push(self.lane);
    }
}

impl Workers {
    pub(crate) fn new(host: &Host, name: &'static str, count: usize) -> Self {
        let count = count.max(1);
        Self {
            host: host.clone(),
            name,
            lanes: (0..count).map(|_| OnceLock::new()).collect(),
            free: Arc::new(Free(Mutex::new((0..count).rev().collect()))),
            slots: Arc::new(Semaphore::new(count)),
        }
    }

    /// Has `work` done and answers what comes of it; `None` if it panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // The semaphore is never closed.
        let slot = self.slots.clone().acquire_owned().await.ok()?;
        let lane = self.free.numbers().pop()?;
        let busy = Busy { lane, free: self.free.clone(), _slot: slot };
        let lane = self.lanes.get(lane)?.get_or_init(|| self.host.disk.lane(self.name));
        let (send, receive) = oneshot::channel();
        let call = move |_: &dyn host::Files| {
            let _busy = busy;
            if !send.is_closed() {
                // Whoever asked may be gone by now.
                drop(send.send(work()));
            }
            Ok(Bytes::new())
        };
        lane.submit(Op::Call(Box::new(call)), Box::new(|_| ()));
        receive.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use host::Place;
    use host::sim::{NodeOptions, Sim};

    use super::*;

    fn has_come(future: &mut std::pin::Pin<Box<impl Future>>) -> bool {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        future.as_mut().poll(&mut cx).is_ready()
    }

    #[test]
    fn work_waits_for_a_thread_and_who_has_left_keeps_none() {
        let sim = Sim::new(3);
        let host = sim.node("node", NodeOptions::default());
        let (send, receive) = oneshot::channel();
        let workers = Arc::new(Workers::new(&host, "work", 2));
        host.clone().spawn(Place::Control, "test", async move {
            let done = Arc::new(AtomicUsize::new(0));
            let one = |done: &Arc<AtomicUsize>| {
                let done = done.clone();
                workers.run(move || done.fetch_add(1, Ordering::Relaxed))
            };
            let mut gone = Box::pin(one(&done));
            let mut all: Vec<_> = (0..5).map(|_| Box::pin(one(&done))).collect();
            for future in std::iter::once(&mut gone).chain(&mut all) {
                assert!(!has_come(future));
            }
            assert_eq!(workers.slots.available_permits(), 0);
            drop(gone);
            for future in all {
                assert!(future.await.is_some());
            }
            assert!(workers.run(|| -> () { panic!("on purpose") }).await.is_none());
            assert_eq!(done.load(Ordering::Relaxed), 5, "the one that nobody waits for is not done");
            assert_eq!((workers.slots.available_permits(), workers.free.numbers().len()), (2, 2));
            send.send(()).unwrap();
        });
        sim.block_on(async { receive.await.unwrap() });
    }
}
