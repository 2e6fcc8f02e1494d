//! tokio's asynchronous mutex under openraft's name. It needs no reactor.

use openraft::OptionalSend;
use openraft::async_runtime::Mutex as RaftMutex;

#[derive(Debug)]
pub(crate) struct Mutex<T>(tokio::sync::Mutex<T>);

impl<T: OptionalSend + 'static> RaftMutex<T> for Mutex<T> {
    type Guard<'a> = tokio::sync::MutexGuard<'a, T>;

    fn new(value: T) -> Self {
        Self(tokio::sync::Mutex::new(value))
    }

    fn lock(&self) -> impl Future<Output = Self::Guard<'_>> + OptionalSend {
        self.0.lock()
    }
}
