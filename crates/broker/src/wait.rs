//! Waiting with an end.

use std::pin::pin;
use std::task::Poll;

/// The future's value, unless the timer ends first; both at once is the value.
pub(crate) async fn within<T>(future: impl Future<Output = T>, timer: impl Future<Output = ()>) -> Option<T> {
    let (mut future, mut timer) = (pin!(future), pin!(timer));
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
    })
    .await
}
