//! Joining tasks, time limits, and waiting on a thread.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::oneshot;

/// The task has ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JoinError {
    pub(super) panicked: bool,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.panicked { "the task has panicked" } else { "the task was aborted" })
    }
}

pub(crate) struct JoinHandle<T>(oneshot::Receiver<Result<T, JoinError>>);

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinHandle")
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|sent| sent.unwrap_or(Err(JoinError { panicked: false })))
    }
}

/// Tells the handle why there is no result if the task is dropped before its end.
struct Outcome<T>(Option<oneshot::Sender<Result<T, JoinError>>>);

impl<T> Drop for Outcome<T> {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            // This runs while the panic of the task unwinds, if there is one.
            drop(sender.send(Err(JoinError { panicked: std::thread::panicking() })));
        }
    }
}

/// Splits `future` into a task without a result and the handle that gets the result.
pub(super) fn joinable<T>(
    future: impl Future<Output = T> + Send,
) -> (impl Future<Output = ()> + Send, JoinHandle<T>)
where
    T: Send,
{
    let (sender, receiver) = oneshot::channel();
    let mut outcome = Outcome(Some(sender));
    let task = async move {
        let value = future.await;
        if let Some(sender) = outcome.0.take() {
            // Nobody may be waiting for it.
            drop(sender.send(Ok(value)));
        }
    };
    (task, JoinHandle(receiver))
}

/// The time limit has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit has passed")
    }
}

pub(crate) struct Timeout<F> {
    sleep: host::Sleep,
    future: Pin<Box<F>>,
}

impl<F> Timeout<F> {
    pub(super) fn new(sleep: host::Sleep, future: F) -> Self {
        Self { sleep, future: Box::pin(future) }
    }
}

impl<F> fmt::Debug for Timeout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timeout")
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(value) = self.future.as_mut().poll(cx) {
            return Poll::Ready(Ok(value));
        }
        self.sleep.as_mut().poll(cx).map(|()| Err(Elapsed))
    }
}

/// Is ready at the next turn of its task.
pub(super) fn yield_once() -> host::Sleep {
    let mut yielded = false;
    Box::pin(std::future::poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }))
}

/// Wakes a thread that waits in [`block_on`].
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // A poisoned lock guards a plain flag: there is nothing to distrust.
        *self.rung.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = true;
        self.changed.notify_one();
    }
}

/// Polls `future` on this thread until it is done. For tests on the real machine, whose tasks have threads of
/// their own.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
        let mut rung = bell.rung.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while !*rung {
            rung = bell.changed.wait(rung).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        *rung = false;
    }
}
