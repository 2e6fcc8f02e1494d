//! Tasks of the simulation, and which of them want a turn.
//!
//! Invariants:
//! * The ready tasks are a set ordered by task number: in which order they were woken makes no difference. (Some
//!   of tokio's primitives wake their waiters in an order that no seed controls.)
//! * A future is polled, and dropped, without any lock of the simulation held.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::watch;

use super::rng::SeededRng;
use crate::BoxFuture;
use crate::guarded::Guarded;
use crate::here::{self, Here};

pub(super) type TaskId = u64;

/// The future that drives the simulation from outside has the lowest number.
pub(super) const DRIVER: TaskId = 0;

#[derive(Clone)]
pub(super) enum Item {
    Driver,
    Task(Arc<TaskCell>),
}

/// The set of tasks that want a turn.
#[derive(Default)]
pub(super) struct Ready {
    items: Mutex<Vec<(TaskId, Item)>>,
}

impl Ready {
    fn items(&self) -> MutexGuard<'_, Vec<(TaskId, Item)>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, id: TaskId, item: Item) {
        let mut items = self.items();
        if let Err(at) = items.binary_search_by_key(&id, |(id, _)| *id) {
            items.insert(at, (id, item));
        }
    }

    /// The next task by the seed or, in turns, the one behind `last`.
    pub(super) fn pick(&self, rng: Option<&mut SeededRng>, last: TaskId) -> Option<(TaskId, Item)> {
        let mut items = self.items();
        if items.is_empty() {
            return None;
        }
        let at = match rng {
            Some(rng) => rng.index(items.len()),
            None => items.partition_point(|(id, _)| *id <= last) % items.len(),
        };
        Some(items.remove(at))
    }

    pub(super) fn clear(&self) {
        // Dropped behind the lock: the last reference to a task may go here.
        let items = std::mem::take(&mut *self.items());
        drop(items);
    }
}

/// Wakes the driving future.
pub(super) struct DriverWaker {
    pub(super) ready: Arc<Ready>,
}

impl Wake for DriverWaker {
    fn wake(self: Arc<Self>) {
        self.ready.insert(DRIVER, Item::Driver);
    }
}

/// One task.
pub(super) struct TaskCell {
    pub(super) id: TaskId,
    pub(super) name: &'static str,
    pub(super) node: usize,
    here: Here,
    ready: Arc<Ready>,
    future: Mutex<Option<Guarded>>,
    /// Drop the future at the next turn: aborted, or its node has crashed.
    ending: AtomicBool,
    ended: Mutex<Option<watch::Sender<bool>>>,
}

/// How a turn went.
pub(super) enum Turn {
    Pending,
    Ended,
    Panicked(String),
}

impl TaskCell {
    pub(super) fn new(
        (id, name, node): (TaskId, &'static str, usize),
        here: Here,
        ready: Arc<Ready>,
        future: BoxFuture<'static, ()>,
        ended: watch::Sender<bool>,
    ) -> Self {
        let future = Mutex::new(Some(Guarded(future)));
        let ending = AtomicBool::new(false);
        Self { id, name, node, here, ready, future, ending, ended: Mutex::new(Some(ended)) }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Guarded>> {
        self.future.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn turn(self: &Arc<Self>) -> Turn {
        let future = self.slot().take();
        let Some(mut future) = future else { return Turn::Ended };
        let _here = here::enter(Some(self.here.clone()));
        if self.ending.load(Ordering::SeqCst) {
            drop(future);
            self.end();
            return Turn::Ended;
        }
        let waker = Waker::from(Arc::clone(self));
        let poll = std::pin::Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
        match poll {
            Poll::Pending if !self.ending.load(Ordering::SeqCst) => {
                *self.slot() = Some(future);
                Turn::Pending
            }
            Poll::Pending | Poll::Ready(Ok(())) => {
                drop(future);
                self.end();
                Turn::Ended
            }
            Poll::Ready(Err(panic)) => {
                self.end();
                Turn::Panicked(panic)
            }
        }
    }

    /// Drops the future now or, if it is just being polled, after that.
    pub(super) fn kill(&self) {
        self.ending.store(true, Ordering::SeqCst);
        let future = self.slot().take();
        if future.is_some() {
            let _here = here::enter(Some(self.here.clone()));
            drop(future);
            self.end();
        }
    }

    pub(super) fn abort(self: &Arc<Self>) {
        self.ending.store(true, Ordering::SeqCst);
        self.ready.insert(self.id, Item::Task(Arc::clone(self)));
    }

    fn end(&self) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(ended);
    }
}

impl Wake for TaskCell {
    fn wake(self: Arc<Self>) {
        let ready = Arc::clone(&self.ready);
        ready.insert(self.id, Item::Task(self));
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.insert(self.id, Item::Task(Arc::clone(self)));
    }
}

impl fmt::Debug for TaskCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({} {})", self.id, self.name)
    }
}
