//! Where work runs. A node has one control place and a number of shards; on the real machine each is a
//! thread with its own single-threaded reactor, in the simulation all share one thread.
//!
//! Invariants:
//! * A task stays at its place for life, so a connection and the shard it lives on share a reactor.
//! * A blocking call never runs in a task: it goes to a [`crate::Lane`].

use std::fmt;
use std::sync::Arc;

use crate::BoxFuture;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Metadata, timers and everything that is not on the way of a record.
    Control,
    /// Shard `n`, modulo the number of shards.
    Shard(usize),
}

pub trait Spawn: Send + Sync + fmt::Debug {
    /// How many shards the node has; at least one.
    fn shards(&self) -> usize;

    fn spawn(&self, place: Place, name: &'static str, task: BoxFuture<'static, ()>) -> Task;
}

/// A started task. Dropping this leaves the task running.
#[derive(Clone)]
pub struct Task {
    name: &'static str,
    abort: Arc<dyn Fn() + Send + Sync>,
    ended: tokio::sync::watch::Receiver<bool>,
}

impl Task {
    /// For implementors of [`Spawn`]: `abort` drops the task's future at its next turn, `ended` turns true (or
    /// its sender is dropped) when the future is gone.
    pub fn new(
        name: &'static str,
        abort: Arc<dyn Fn() + Send + Sync>,
        ended: tokio::sync::watch::Receiver<bool>,
    ) -> Self {
        Self { name, abort, ended }
    }

    pub fn abort(&self) {
        (self.abort)();
    }

    /// Resolves when the task has returned, panicked or been aborted.
    pub async fn ended(&self) {
        let mut ended = self.ended.clone();
        // An error means that the sender is gone, hence the task too.
        let _ = ended.wait_for(|ended| *ended).await;
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("name", &self.name).finish_non_exhaustive()
    }
}
