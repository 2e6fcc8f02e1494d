//! Tasks of a simulated node.

use std::sync::Arc;

use tokio::sync::watch;

use super::node::Owner;
use super::ready::{Item, TaskCell};
use super::world::Shared;
use crate::here::Here;
use crate::{BoxFuture, Place, Spawn, Task};

#[derive(Debug)]
pub(super) struct SimSpawn {
    shared: Arc<Shared>,
    owner: Owner,
    shards: usize,
}

impl SimSpawn {
    pub(super) fn new(shared: Arc<Shared>, owner: Owner, shards: usize) -> Self {
        Self { shared, owner, shards }
    }
}

impl Spawn for SimSpawn {
    fn shards(&self) -> usize {
        self.shards
    }

    fn spawn(&self, place: Place, name: &'static str, task: BoxFuture<'static, ()>) -> Task {
        let (ended, watch_ended) = watch::channel(false);
        let place = match place {
            Place::Control => Place::Control,
            Place::Shard(shard) => Place::Shard(shard % self.shards),
        };
        let mut world = self.shared.world();
        let id = world.next_task;
        let current = world.is_current(self.owner);
        let node = world.nodes.get_mut(self.owner.node);
        let Some((node, host)) = node.filter(|_| current).and_then(|node| {
            let host = node.host.clone()?;
            Some((node, host))
        }) else {
            // The process that asks is dead; this is one of its values being dropped.
            drop(world);
            drop(task);
            return Task::new(name, Arc::new(|| {}), watch_ended);
        };
        let ready = Arc::clone(&self.shared.ready);
        let here = Here { host, place };
        let cell = Arc::new(TaskCell::new((id, name, self.owner.node), here, ready, task, ended));
        node.tasks.insert(id, Arc::clone(&cell));
        world.next_task += 1;
        drop(world);
        self.shared.ready.insert(id, Item::Task(Arc::clone(&cell)));
        // A task does not keep itself alive through its own handle.
        let cell = Arc::downgrade(&cell);
        let abort = move || {
            if let Some(cell) = cell.upgrade() {
                cell.abort();
            }
        };
        Task::new(name, Arc::new(abort), watch_ended)
    }
}
