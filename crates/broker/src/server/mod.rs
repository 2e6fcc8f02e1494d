//! Sockets: who may connect, frames in, replies out. Knows nothing of what a request means.

pub(crate) mod acceptor;
mod connection;
mod frame;
mod limits;
mod outbox;
mod reply_memory;
mod request_memory;

#[cfg(feature = "testing")]
pub(crate) use frame::frames;
pub(crate) use limits::ConnectionLimits;
pub(crate) use reply_memory::{Held, ReplyMemory};
pub(crate) use request_memory::RequestMemory;
