//! Waiting with an end.

use std::pin::pin;
use std::task::Poll;

/// The future's value, unless the timer ends first; both at once is the value.
pub(crate) async fn within<T>(future: impl Future<Output = T>, timer: impl Future<Output = ()>) -> Option<T> {
    until(async { Some(future.await) }, async {
        timer.await;
        None
    })
    .await
}

/// The future's value, unless the other ends first; both at once is the first one's.
pub(crate) async fn until<T>(future: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut future, mut other) = (pin!(future), pin!(other));
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(value),
        Poll::Pending => other.as_mut().poll(cx),
    })
    .await
}
