//! A lane as a thread with a queue.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use super::disk::OsFiles;
use crate::disk::{Completion, Lane, Op};
use crate::guarded::panic_text;

type Job = (Op, Completion);

/// How its thread stands to others that want the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    Usual,
    Lowest,
}

#[derive(Debug)]
pub(super) struct ThreadLane {
    jobs: mpsc::Sender<Job>,
}

impl ThreadLane {
    /// Starts the thread; it ends when the lane is dropped and the queue is empty.
    pub(super) fn start(name: &'static str, priority: Priority) -> Self {
        let (jobs, queue) = mpsc::channel();
        let run = move || {
            if priority == Priority::Lowest {
                give_way(name);
            }
            drive(&queue);
        };
        if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(run) {
            // The queue went with the thread, so every operation of this lane will fail and say so.
            tracing::error!(lane = name, %error, "cannot start the thread of a disk lane");
        }
        Self { jobs }
    }
}

/// Linux has a priority for each thread; elsewhere this would be the priority of the process.
#[cfg(target_os = "linux")]
fn give_way(name: &str) {
    const LOWEST: i32 = 19;
    if let Err(error) = rustix::process::setpriority_process(None, LOWEST) {
        tracing::debug!(lane = name, %error, "cannot lower the priority of a thread");
    }
}

#[cfg(not(target_os = "linux"))]
fn give_way(_name: &str) {}

fn drive(queue: &mpsc::Receiver<Job>) {
    while let Ok((op, done)) = queue.recv() {
        let result = catch_unwind(AssertUnwindSafe(|| op.execute(&OsFiles))).unwrap_or_else(|panic| {
            let panic = panic_text(&*panic);
            tracing::error!(panic, "a disk operation panicked");
            Err(io::Error::other(format!("a disk operation panicked: {panic}")))
        });
        if catch_unwind(AssertUnwindSafe(|| done(result))).is_err() {
            tracing::error!("the completion of a disk operation panicked");
        }
    }
}

impl Lane for ThreadLane {
    fn submit(&self, op: Op, done: Completion) {
        if let Err(mpsc::SendError((_, done))) = self.jobs.send((op, done)) {
            done(Err(io::Error::other("the disk lane has no thread")));
        }
    }
}
