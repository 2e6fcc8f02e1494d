//! One end of a simulated connection, as the program holds it.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::conn::{self, ConnId, Life, Packet, Side};
use crate::FileRef;
use crate::disk::File;
use crate::net::Stream;
use crate::sim::disk::SimFile;
use crate::sim::node::Owner;
use crate::sim::world::Shared;

/// Most that one packet carries.
const PACKET_BYTES_MAX: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct SimStream {
    shared: Arc<Shared>,
    owner: Owner,
    end: (ConnId, Side),
    peer: SocketAddr,
    local: SocketAddr,
}

impl SimStream {
    pub(super) fn new(
        shared: Arc<Shared>,
        owner: Owner,
        end: (ConnId, Side),
        (peer, local): (SocketAddr, SocketAddr),
    ) -> Self {
        Self { shared, owner, end, peer, local }
    }

    /// How much may go out now.
    fn poll_room(&self, cx: &Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        let mut world = self.shared.world();
        match conn::room(&mut world, self.end, wanted.min(PACKET_BYTES_MAX), cx.waker()) {
            Ok(Some(room)) => Poll::Ready(Ok(room)),
            Ok(None) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn send(&self, bytes: Bytes) {
        let (id, side) = self.end;
        if !bytes.is_empty() {
            conn::send(&mut self.shared.world(), (id, 1 - side), Packet::Data(bytes));
        }
    }
}

impl AsyncRead for SimStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut world = self.shared.world();
        let (read, writer) = conn::read(&mut world, self.end, buf.remaining(), cx.waker());
        drop(world);
        writer.into_iter().for_each(Waker::wake);
        match read {
            Ok(Some(bytes)) => {
                buf.put_slice(&bytes);
                Poll::Ready(Ok(()))
            }
            Ok(None) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wanted = bufs.iter().map(|buf| buf.len()).sum();
        let room = std::task::ready!(self.poll_room(cx, wanted))?;
        let mut bytes = Vec::with_capacity(room);
        for buf in bufs {
            let take = buf.len().min(room - bytes.len());
            bytes.extend_from_slice(buf.get(..take).unwrap_or_default());
        }
        self.send(Bytes::from(bytes));
        Poll::Ready(Ok(room))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        conn::shut_down(&mut self.shared.world(), self.end);
        Poll::Ready(Ok(()))
    }
}

impl Stream for SimStream {
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
        let Some(file) = file.as_any().downcast_ref::<SimFile>() else {
            let text = "the file belongs to another machine than the connection";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, text)));
        };
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        let room = std::task::ready!(self.poll_room(cx, len))?;
        let mut bytes = vec![0; room];
        let read = file.read_at(&mut bytes, offset)?;
        if read == 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        bytes.truncate(read);
        self.send(Bytes::from(bytes));
        Poll::Ready(Ok(read))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let mut world = self.shared.world();
        // After a crash the connection has been dealt with, in the way that machines go down.
        if world.is_current(self.owner) {
            conn::close(&mut world, self.end, Life::Closed);
        }
    }
}
