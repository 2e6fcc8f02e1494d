//! A listening TCP socket. Its connections leave the reactor that accepted them before they are handed out, so
//! that the place which serves one can take it to its own.

use std::io;
use std::net::{self, SocketAddr};
use std::task::{Context, Poll, ready};

use super::stream::TcpStream;
use crate::net::{Incoming, Listener, Stream};

#[derive(Debug)]
pub(super) struct TcpListener {
    socket: tokio::net::TcpListener,
    local: SocketAddr,
}

impl TcpListener {
    /// `socket` is non-blocking.
    pub(super) fn new(socket: net::TcpListener) -> io::Result<Self> {
        let local = socket.local_addr()?;
        Ok(Self { socket: tokio::net::TcpListener::from_std(socket)?, local })
    }
}

impl Listener for TcpListener {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Incoming>>> {
        loop {
            let (stream, peer) = match ready!(self.socket.poll_accept(cx)) {
                Ok(accepted) => accepted,
                // The peer left before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Poll::Ready(Err(error)),
            };
            let local = stream.local_addr()?;
            return Poll::Ready(Ok(Box::new(TcpIncoming { stream: stream.into_std()?, peer, local })));
        }
    }
}

#[derive(Debug)]
struct TcpIncoming {
    stream: net::TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
}

impl Incoming for TcpIncoming {
    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn into_stream(self: Box<Self>) -> io::Result<Box<dyn Stream>> {
        let stream = tokio::net::TcpStream::from_std(self.stream)?;
        Ok(Box::new(TcpStream::with_addrs(stream, self.peer, self.local)?))
    }
}
