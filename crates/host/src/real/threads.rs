//! The threads of the machine, and tasks on them.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{oneshot, watch};

use super::Panics;
use crate::guarded::Guarded;
use crate::here::{self, Here};
use crate::{BoxFuture, Host, Place, Spawn, Task};

pub(super) fn reactor() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Starts tasks on the reactors of all places.
pub(super) struct Threads {
    control: Handle,
    shards: Vec<Handle>,
    panics: Panics,
}

impl Threads {
    pub(super) fn new(control: Handle, shards: Vec<Handle>, panics: Panics) -> Self {
        Self { control, shards, panics }
    }

    fn handle(&self, place: Place) -> &Handle {
        let shard = match place {
            Place::Control => None,
            Place::Shard(shard) => shard.checked_rem(self.shards.len()),
        };
        shard.and_then(|shard| self.shards.get(shard)).unwrap_or(&self.control)
    }
}

impl Spawn for Threads {
    fn shards(&self) -> usize {
        self.shards.len()
    }

    fn spawn(&self, place: Place, name: &'static str, task: BoxFuture<'static, ()>) -> Task {
        let (ended, watch_ended) = watch::channel(false);
        let vital = matches!(self.panics, Panics::AbortExcept(names) if !names.contains(&name));
        let handle = self.handle(place).spawn(async move {
            // Dropped with the future, also on abort: this is how watchers learn of the end.
            let _ended = ended;
            if let Err(panic) = Guarded(task).await {
                tracing::error!(task = name, panic, "a task panicked");
                if vital {
                    tracing::error!(
                        "the process ends: nothing that was acknowledged is lost, the next start recovers"
                    );
                    std::process::abort();
                }
            }
        });
        let abort = handle.abort_handle();
        Task::new(name, Arc::new(move || abort.abort()), watch_ended)
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}

/// The shards' threads: prepared, started, stopped.
pub(super) struct Shards {
    prepared: Vec<Runtime>,
    running: Vec<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Shards {
    pub(super) fn prepare(count: usize) -> io::Result<Self> {
        let prepared = (0..count).map(|_| reactor()).collect::<io::Result<_>>()?;
        Ok(Self { prepared, running: Vec::new() })
    }

    pub(super) fn handles(&self) -> Vec<Handle> {
        self.prepared.iter().map(|reactor| reactor.handle().clone()).collect()
    }

    pub(super) fn start(&mut self, host: &Host) -> io::Result<()> {
        for (shard, reactor) in std::mem::take(&mut self.prepared).into_iter().enumerate() {
            let (stop, stopped) = oneshot::channel::<()>();
            let here = Here { host: host.clone(), place: Place::Shard(shard) };
            let run = move || {
                let _here = here::enter(Some(here));
                // An error means that the sender is gone, which is a stop too.
                let _ = reactor.block_on(stopped);
                drop(reactor);
            };
            let thread = std::thread::Builder::new().name(format!("shard-{shard}")).spawn(run)?;
            self.running.push((stop, thread));
        }
        Ok(())
    }

    /// Drops every task of every shard and waits for the threads.
    pub(super) fn stop(&mut self) {
        let (stops, threads): (Vec<_>, Vec<_>) = self.running.drain(..).unzip();
        drop(stops);
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a shard's thread panicked");
            }
        }
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        self.stop();
    }
}
