//! Byte streams between nodes and clients.
//!
//! Invariants:
//! * A [`Stream`] delivers bytes in order or breaks; nothing is promised about when.
//! * [`Stream::poll_send_file`] sends exactly the bytes of the file region or fails; on a file that is
//!   shorter than promised it reports `UnexpectedEof`, after which the stream must be closed.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{BoxFuture, FileRef};

pub trait Net: Send + Sync + Debug {
    /// Binds `host:port`; port 0 takes a free one, told by [`Listener::local_addr`].
    fn listen<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Listener>>>;

    /// Resolves `host` and connects. The stream belongs to the task's place.
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Stream>>>;
}

pub trait Listener: Send + Debug {
    fn local_addr(&self) -> SocketAddr;

    /// The next connection. An error concerns that connection only (for example: out of descriptors); the
    /// caller waits a little before it asks again, because the cause may last.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Incoming>>>;
}

impl dyn Listener {
    /// The next connection, as a future.
    pub async fn accept(&mut self) -> io::Result<Box<dyn Incoming>> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }
}

/// A connection that no place owns yet.
pub trait Incoming: Send + Debug {
    fn peer_addr(&self) -> SocketAddr;

    fn local_addr(&self) -> SocketAddr;

    /// Makes the stream; call it on the task that will serve the connection.
    fn into_stream(self: Box<Self>) -> io::Result<Box<dyn Stream>>;
}

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Debug {
    fn peer_addr(&self) -> SocketAddr;

    fn local_addr(&self) -> SocketAddr;

    /// Sends up to `len` bytes of `file` from `offset` without copying them through this process; returns how
    /// many went out, at least one. A region that is not in memory may cost a disk read: callers bound `len`.
    fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        file: &FileRef,
        offset: u64,
        len: usize,
    ) -> Poll<io::Result<usize>>;
}

impl dyn Stream {
    /// Sends exactly `len` bytes of `file` from `offset`.
    pub async fn send_file(&mut self, file: &FileRef, mut offset: u64, mut len: usize) -> io::Result<()> {
        while len > 0 {
            let sent = std::future::poll_fn(|cx| self.poll_send_file(cx, file, offset, len)).await?;
            offset = offset.saturating_add(sent as u64);
            len = len.saturating_sub(sent);
        }
        Ok(())
    }
}
