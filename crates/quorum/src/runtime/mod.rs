//! openraft's asynchronous runtime, carried out by the [`host::Host`] of the task that runs it.
//!
//! openraft asks a type, not a value, for the time, for timers, tasks and randomness. So it runs only in tasks of a
//! host, which the host knows as [`host::current`] while they are polled.
//!
//! Invariants:
//! * Tasks started by openraft belong to the host of the task that started them, and run at the control place.
//! * Selection is biased to the first ready future and nothing draws randomness but from the host, so a
//!   simulated run can be replayed.
//!
//! Does not know: logs, votes, what openraft does with its tasks.

mod channel;
mod instant;
mod mutex;
mod rng;
mod task;

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use host::{Op, Place};
use openraft::OptionalSend;

pub(crate) use instant::Instant;

/// openraft waits a microsecond for more completions of I/O before it handles one. Timers of the real machine take a
/// millisecond at least, so a wait as short as this is a turn for the other tasks and no more.
const YIELD_MAX: Duration = Duration::from_micros(10);

/// The marker openraft calls for time, tasks and randomness.
#[derive(Debug)]
pub(crate) struct HostRuntime;

impl openraft::AsyncRuntime for HostRuntime {
    type JoinError = task::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = task::JoinHandle<T>;
    type Sleep = host::Sleep;
    type Instant = Instant;
    type TimeoutError = task::Elapsed;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = task::Timeout<T>;
    type ThreadLocalRng = rng::HostRng;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        let (task, handle) = task::joinable(future);
        host::current().spawn(Place::Control, "quorum", task);
        handle
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        let clock = host::current().clock;
        if duration <= YIELD_MAX { task::yield_once() } else { clock.sleep(duration) }
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        let clock = host::current().clock;
        let deadline = deadline.to_host();
        if deadline.since(clock.now()) <= YIELD_MAX {
            task::yield_once()
        } else {
            clock.sleep_until(deadline)
        }
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        task::Timeout::new(Self::sleep(duration), future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        task::Timeout::new(Self::sleep_until(deadline), future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        join_error.panicked
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        rng::HostRng::new(host::current().rng)
    }

    type Mpsc = channel::Mpsc;
    type Watch = channel::Watch;
    type Oneshot = channel::Oneshot;
    type Mutex<T: OptionalSend + 'static> = mutex::Mutex<T>;

    /// The threads are the host's.
    fn new(_threads: usize) -> Self {
        Self
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        task::block_on(future)
    }

    fn spawn_blocking<F, T>(f: F) -> impl Future<Output = Result<T, io::Error>> + Send
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let slot = Arc::new(Mutex::new(None));
        let filled = Arc::clone(&slot);
        let lane = host::current().disk.lane("quorum-blocking");
        let call = Op::Call(Box::new(move |_| {
            let value = f();
            *filled.lock().map_err(|_| io::ErrorKind::Other)? = Some(value);
            Ok(Bytes::new())
        }));
        let run = lane.run(call);
        async move {
            run.await?;
            let value = slot.lock().map_err(|_| io::ErrorKind::Other)?.take();
            value.ok_or_else(|| io::Error::other("the blocking call has ended without a result"))
        }
    }
}
