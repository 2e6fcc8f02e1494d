//! A TCP connection on the reactor of its place.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::file::OsFile;
use crate::FileRef;
use crate::net::Stream;

#[derive(Debug)]
pub(super) struct TcpStream {
    inner: tokio::net::TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
}

impl TcpStream {
    pub(super) fn new(inner: tokio::net::TcpStream) -> io::Result<Self> {
        let (peer, local) = (inner.peer_addr()?, inner.local_addr()?);
        Self::with_addrs(inner, peer, local)
    }

    pub(super) fn with_addrs(
        inner: tokio::net::TcpStream,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> io::Result<Self> {
        inner.set_nodelay(true)?;
        // Peers that vanished without a word are found within the kernel's keep-alive time.
        SockRef::from(&inner).set_keepalive(true)?;
        Ok(Self { inner, peer, local })
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl Stream for TcpStream {
    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        file: &FileRef,
        offset: u64,
        len: usize,
    ) -> Poll<io::Result<usize>> {
        let Some(file) = file.as_any().downcast_ref::<OsFile>() else {
            let text = "the file belongs to another machine than the connection";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, text)));
        };
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        loop {
            ready!(self.inner.poll_write_ready(cx))?;
            let sent = self.inner.try_io(Interest::WRITABLE, || {
                let mut from = offset;
                Ok(rustix::fs::sendfile(&self.inner, file.fd(), Some(&mut from), len)?)
            });
            match sent {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return Poll::Ready(sent),
            }
        }
    }
}
